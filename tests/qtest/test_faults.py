#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What QEMU cannot have, and what is taken away from it while it runs.

It never ends because of that, it says what is wrong, and what the guest has
configured stays in force.  Where it is killed: test_killed.py.  The same with
vhost=on: tests/functional/vhost_faults.py.
"""

import os
import resource
from pathlib import Path

from kernel_objects import objects_of
from machine import Machine, VmError
from rig import (AUTO, EBPF, QUEUES, SLOT, SOFTWARE, Card, Case, TapCase,
                 add_rows, all_to, run_tests, spread, why_not)
from virtio_net import OK, VirtioNet
from vmlib.process import run, wait_until
from vmlib.tapnet import TapNet

NO_HELPER = "ebpf-rss-helper=/nonexistent"
DENY = str(Path(__file__).resolve().with_name("without_bpf_call.py"))
MANY = 40


def open_numbers(machine):
    """Return the numbers of the descriptors that QEMU has open."""
    return sorted(int(name) for name in
                  os.listdir(f"/proc/{machine.process.pid}/fd"))


def leave_free(machine, count):
    """Let QEMU open so many descriptors more; None: as many as it likes."""
    hard = resource.prlimit(machine.process.pid, resource.RLIMIT_NOFILE)[1]
    soft = hard
    if count is not None:
        taken = set(open_numbers(machine))
        free = [number for number in range(len(taken) + count + 1)
                if number not in taken]
        soft = free[count]
    resource.prlimit(machine.process.pid, resource.RLIMIT_NOFILE,
                     (soft, hard))


class OwnCard(TapCase):
    """A test that starts its own QEMU."""

    @classmethod
    def setUpClass(cls):
        """Nothing is shared."""

    def setUp(self):
        reason = why_not()
        if reason:
            self.skipTest(reason)

    def begin(self, engine, options="", **how):
        """Start a QEMU and its driver."""
        self.card = Card(engine, options, **how)
        self.addCleanup(self.card.close)
        self.engine = SOFTWARE if engine == AUTO else engine
        self.nic = self.card.start()

    def assert_one_warning(self, *words):
        """QEMU has warned once, with these words."""
        warnings = self.card.machine.warnings()
        self.assertEqual(len(warnings), 1, warnings)
        for word in words:
            self.assertIn(word, warnings[0])

    def assert_works(self):
        """A new configuration is accepted, and steers."""
        for config in (spread(seed=7), all_to(3)):
            self.set_rss(config)
            self.assert_steers(config)


# Commands to a card whose tap is gone: (method, argument, what must follow).
RSS, PAIRS, RESET = "RSS", "PAIRS", "RESET"
GONE = {
    "the same number of queues": [(RSS, 4), (RSS, 4)],
    "off and on": [(PAIRS, 4), (RSS, 4), (PAIRS, 4), (RSS, 4)],
    "fewer queues, more queues": [(RSS, 2), (RSS, 4), (RSS, 1), (RSS, 3)],
    "fewer pairs, more pairs": [(PAIRS, 2), (PAIRS, 4), (PAIRS, 1)],
    "a reset": [(RESET, 0), (RSS, 4), (RSS, 2), (RESET, 0), (RSS, 4)],
}


class TapGone(OwnCard):
    """The tap is deleted while QEMU runs: it must live, and answer."""

    def check_gone(self, row):
        engine, take_away, steps = row
        self.begin(engine)
        self.set_rss(spread())
        take_away(self.card)
        for kind, pairs in steps:
            if kind == RESET:
                self.card.machine.qmp("system_reset")
                self.nic = self.card.start()
            elif kind == PAIRS:
                self.assertEqual(self.nic.set_pairs(pairs), OK)
            else:
                self.assertEqual(self.nic.set_rss(spread(), pairs), OK)
            rss = self.card.machine.qmp("x-query-rss")[0]
            self.assertEqual(bool(rss["table"]), kind == RSS)
            self.assertEqual(rss["queue-pairs"], pairs or 1)
        self.assertLess(len(self.card.machine.warnings()), 2)

    def test_reason(self):
        """Once the tap has refused the program, that is what is told."""
        self.begin(AUTO)
        self.assertEqual(self.nic.set_pairs(QUEUES), OK)
        delete_tap(self.card)
        for _ in range(3):
            self.assertEqual(self.nic.set_rss(spread(), QUEUES), OK)
            rss = self.card.machine.qmp("x-query-rss")[0]
            self.assertEqual(rss["engine"], SOFTWARE)
            self.assertIn("the tap has refused", rss["reason"])
        self.assert_one_warning("the tap has refused", "RSS in QEMU instead")

    def test_more_queues_while_there_is_no_tap(self):
        """They cannot be had: refused, and nothing has changed."""
        self.begin(EBPF)
        self.set_rss(all_to(1), 2)
        delete_tap(self.card)
        for command in (lambda: self.nic.set_rss(spread(), QUEUES),
                        lambda: self.nic.set_pairs(QUEUES)):
            self.assertNotEqual(command(), OK)
            rss = self.card.machine.qmp("x-query-rss")[0]
            self.assertEqual((rss["queue-pairs"], rss["table"]), (2, [1]))
        self.assertIn("could not enable queue", self.card.machine.messages())


def delete_tap(card):
    """What an administrator does."""
    with card.net.entered():
        run("ip", "link", "del", card.net.name)


def delete_netdev(card):
    """What a user of QMP does."""
    card.machine.qmp("netdev_del", {"id": "net0"})


add_rows(TapGone, {
    f"{how}, {engine}: {name}": (engine, take_away, steps)
    for how, take_away in (("ip link del", delete_tap),
                           ("netdev_del", delete_netdev))
    for engine in (EBPF, SOFTWARE) for name, steps in GONE.items()},
    TapGone.check_gone)


if __name__ == "__main__":
    run_tests(__file__)
