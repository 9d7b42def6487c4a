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
from harness.qtest.rig import (AUTO, EBPF, NO_HELPER, Card, OwnCardsCase,
                               all_to, rows, spread)

THERE = "MEMLOCK" in os.environ
SUITE = "bullseye"
TIMEOUT = 300
ENOUGH = 64 << 10           # what the message speaks of
MAY_NOT_RAISE = ["setpriv", "--bounding-set", "-sys_resource", "--inh-caps",
                 "-sys_resource"]


def limited(size):
    """Return the words that start a command with so much locked memory."""
    return ["prlimit", f"--memlock={size}:{size}"]


class Memlock(OwnCardsCase):
    """QEMU raises the limit, or says what to do."""

    def setUp(self):
        self.assertLess([int(number) for number in
                         platform.release().split(".")[:2]], [5, 11])

    def assert_works(self, engine, prefix):
        """A QEMU must start, with this engine."""
        self.begin(engine, NO_HELPER, prefix=prefix)
        for config in (spread(), all_to(2)):
            self.set_rss(config)
            self.assert_steers(config)

    def test_it_is_raised(self):
        self.assert_works(EBPF, limited(0))
        self.assertEqual(self.card.machine.warnings(), [])

    def test_what_the_message_says_is_enough(self):
        self.assert_works(EBPF, limited(ENOUGH) + MAY_NOT_RAISE)

    @rows({"none": 0, "too little for the maps": 4 << 10,
           "too little for the program": 16 << 10})
    def check_too_little(self, size):
        """It must not be raised: a warning, or an error for who insists."""
        prefix = limited(size) + MAY_NOT_RAISE
        self.assert_works(AUTO, prefix)
        words = ("Operation not permitted", "RLIMIT_MEMLOCK",
                 f"{ENOUGH >> 10} KiB", "ulimit -l")
        self.assert_one_warning(self.card.machine.warnings(), *words)
        with self.assert_error(*words):
            Card(EBPF, NO_HELPER, prefix=prefix).close()


def output():
    return in_virtual_host(__file__, {"MEMLOCK": "on"}, TIMEOUT, SUITE)


def load_tests(_loader, tests, _pattern):
    return tests if THERE else tell(tests, output)


if __name__ == "__main__":
    run_tests(__file__)
