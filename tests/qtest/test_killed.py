#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU is killed (SIGKILL) at any moment: nothing of it stays in the kernel.

    with a tap of its own      no program, no map
    with a tap that outlives   the tap may keep one program with its maps,
                               until the next QEMU opens the tap

The moments come from a seed, which is printed as RSS_TEST_SEED; with this
variable in the environment the same run happens again, as far as two runs can
be the same.
"""

import os
import random
import tempfile
import time

from harness.qtest.faults import delete_tap
from harness.qtest.kernel_objects import OWN, names_of, objects_of, wait_gone
from harness.qtest.machine import VmError
from harness.qtest.rig import (EBPF, QUEUES, Card, CardCase, all_to, run_tests,
                               spread)
from harness.qtest.virtio_net import OK
from harness.vm.tapnet import TapNet

ROUNDS = 16                 # of each test
EARLIEST = 0.001            # s after the start; for timeout 0 is never
CONFIGURED = 4              # of them, at least, have a guest with RSS on
ALL = names_of(OWN)
IN_TAP = [name for name in ALL if "grc" not in name]     # the program uses them


def storm(card, rng):
    """A guest that changes its mind without a pause, until QEMU is dead."""
    nic = card.start()
    while True:
        choice = rng.random()
        if choice < 0.7:
            nic.set_rss(spread(seed=rng.random()), rng.randint(1, QUEUES))
        elif choice < 0.95:
            nic.set_pairs(rng.randint(1, QUEUES))
        else:
            nic.start()


def storm_and_migrate(card, rng):
    """The same, and the guest is on its way to another host."""
    card.machine.qmp("migrate-set-parameters", {"max-bandwidth": 1 << 20})
    card.machine.qmp("migrate", {"uri": "exec:cat >/dev/null"})
    storm(card, rng)


def arrive(card, _rng):
    """A guest that comes in."""
    while True:
        card.machine.qmp("x-query-rss")


class Killed(CardCase):
    """Each round: start, do something, be killed, look what is left."""

    @classmethod
    def setUpClass(cls):
        """How long it takes until a guest has turned RSS on."""
        if not cls.why_not():
            start = time.monotonic()
            with Card(EBPF) as card:
                card.start().set_rss(spread(), QUEUES)
                cls.latest = 2 * (time.monotonic() - start)

    def setUp(self):
        super().setUp()
        seed = int(os.environ.get("RSS_TEST_SEED", time.time_ns() % 10**9))
        print(f"# RSS_TEST_SEED={seed}", flush=True)
        self.rng = random.Random(f"{seed} {self}")
        self.net = self.enterContext(TapNet(QUEUES))

    def die(self, act, arguments):
        """Run a QEMU until it is killed; return whether it got to act()."""
        self.life = self.rng.uniform(EARLIEST, self.latest)
        start = time.monotonic()
        card = None
        try:
            card = Card(EBPF, "", arguments, net=self.net, netdev=OWN,
                        prefix=["timeout", "--foreground", "--signal=KILL",
                                f"{self.life:.3f}", "setpriv", "--pdeathsig",
                                "KILL"])
            act(card, self.rng)
        except (VmError, OSError) as error:
            # Not before its time, and by nothing else.
            self.assertGreaterEqual(time.monotonic() - start, self.life,
                                    error)
            if card:
                self.assertEqual(card.machine.process.wait(10), 137)
        finally:
            if card:
                card.close()
        return bool(card)

    def rounds(self, most, act=storm, arguments=()):
        """Have QEMUs die until there were enough."""
        done = acted = 0
        while done < ROUNDS or acted < CONFIGURED and done < 5 * ROUNDS:
            if done and done % ROUNDS == 0:
                self.latest *= 2        # the machine is slower than it was
            acted += self.die(act, arguments)
            done += 1
            self.assert_left(most)
        print(f"# {acted} of {done} came to the guest")
        self.assertGreaterEqual(acted, CONFIGURED)

    def assert_left(self, most):
        """So much may be in the kernel, or nothing."""
        self.assertIn(wait_gone(OWN, most), ([], most),
                      f"killed after {self.life:.3f} s")

    def own_tap(self):
        """From now on the tap is QEMU's, and gone with it."""
        delete_tap(self)

    def test_own_tap(self):
        self.own_tap()
        self.rounds([])

    def test_own_tap_while_it_migrates(self):
        self.own_tap()
        self.rounds([], storm_and_migrate)

    def test_own_tap_while_a_guest_comes_in(self):
        """Another QEMU's guest with RSS on."""
        folder = self.enterContext(
            tempfile.TemporaryDirectory(prefix="qtest-killed-"))
        stream = f"{folder}/stream"
        card = self.enterContext(Card(EBPF))
        self.assertEqual(card.start().set_rss(spread(), QUEUES), OK)
        card.machine.migrate(f"exec:cat >{stream}")
        self.own_tap()
        self.rounds([], arrive, ["-incoming", f"exec:cat {stream}"])

    def test_tap_that_stays(self):
        """Each round takes the tap that the one before it has left."""
        self.rounds(IN_TAP)
        self.card = self.enterContext(Card(EBPF, net=self.net, netdev=OWN))
        self.engine = EBPF
        self.nic = self.card.start()
        for config in (spread(), all_to(1)):
            self.set_rss(config)
            self.assert_steers(config)
        self.assertEqual(objects_of(OWN), ALL)
        self.card.close()
        self.assert_left([])


if __name__ == "__main__":
    run_tests(__file__)
