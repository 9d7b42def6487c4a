#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Locked memory (RLIMIT_MEMLOCK), which Linux before 5.11 charges for BPF.

The tests run in a virtual host with Linux 5.10, by this same file, started
there with MEMLOCK=on.
"""

import os
import platform

from harness.functional.elsewhere import in_virtual_host, tell
from harness.functional.guests import run_tests
from harness.qtest.rig import (AUTO, EBPF, SOFTWARE, Card, TapCase, add_rows,
                               all_to, spread)
from harness.vm import VmError

THERE = "MEMLOCK" in os.environ
SUITE = "bullseye"
TIMEOUT = 300
NO_HELPER = "ebpf-rss-helper=/nonexistent"
ENOUGH = 64 << 10           # what the message speaks of
MAY_NOT_RAISE = ["setpriv", "--bounding-set", "-sys_resource", "--inh-caps",
                 "-sys_resource"]


def limited(size):
    """Return the words that start a command with so much locked memory."""
    return ["prlimit", f"--memlock={size}:{size}"]


class Memlock(TapCase):
    """QEMU raises the limit, or says what to do."""

    @classmethod
    def setUpClass(cls):
        """Every test has its own card."""

    def setUp(self):
        self.assertLess([int(number) for number in
                         platform.release().split(".")[:2]], [5, 11])

    def assert_works(self, engine, prefix):
        """A QEMU must start, with this engine."""
        self.card = Card(engine, NO_HELPER, prefix=prefix)
        self.addCleanup(self.card.close)
        self.engine = SOFTWARE if engine == AUTO else engine
        self.nic = self.card.start()
        for config in (spread(), all_to(2)):
            self.set_rss(config)
            self.assert_steers(config)

    def test_it_is_raised(self):
        self.assert_works(EBPF, limited(0))
        self.assertEqual(self.card.machine.warnings(), [])

    def test_what_the_message_says_is_enough(self):
        self.assert_works(EBPF, limited(ENOUGH) + MAY_NOT_RAISE)

    def check_too_little(self, size):
        """It must not be raised: a warning, or an error for who insists."""
        prefix = limited(size) + MAY_NOT_RAISE
        self.assert_works(AUTO, prefix)
        warnings = self.card.machine.warnings()
        self.assertEqual(len(warnings), 1, warnings)
        with self.assertRaises(VmError) as caught:
            Card(EBPF, NO_HELPER, prefix=prefix).close()
        for text in warnings[0], str(caught.exception):
            for words in ("Operation not permitted", "RLIMIT_MEMLOCK",
                          f"{ENOUGH >> 10} KiB", "ulimit -l"):
                self.assertIn(words, text)


add_rows(Memlock, {"none": 0, "too little for the maps": 4 << 10,
                   "too little for the program": 16 << 10},
         Memlock.check_too_little)


def output():
    return in_virtual_host(__file__, {"MEMLOCK": "on"}, TIMEOUT, SUITE)


def load_tests(_loader, tests, _pattern):
    return tests if THERE else tell(tests, output)


if __name__ == "__main__":
    run_tests(__file__)
