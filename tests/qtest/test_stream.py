#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A migration stream with nonsense about RSS is refused with a message.

A stream is saved, the part about RSS is replaced, and another QEMU is given
the result.  It may end with status 1 or go on without the guest; it must not
crash, and it must say what it does not like.
"""

from rig import (AUTOMATIC, EBPF, KEY, QUEUES, SOFTWARE, add_rows,
                 run_tests)
from rss_reference import NON_EX_TYPES
from stream import HEAD, StreamCase, replaced, state
from virtio_net import (F_HASH_REPORT, F_RSS, FEATURES, HASH_CONFIG,
                        hash_config)

HASHES = 1 << 9                         # no hash type has this bit

# What is wrong, and a word that the message must have ("" where the stream
# is out of step afterwards, so that anything else is complained of).
NONSENSE = {
    "table of 0": (state(table=[]), "table"),
    "table of 3": (state(table=[0, 1, 2]), "table"),
    "table of 129": (state(table=[0] * 129), "table"),
    "table of 256": (state(table=[0] * 256), "table"),
    "table of 60000": (state(table=[0] * 60000), "table"),
    "table of 65535": (state(table=[0] * 65535), "table"),
    "table of 60000, 4 are there": (state(length=60000), ""),
    "table of 3, 4 are there": (state(length=3), ""),
    "table of 128, 4 are there": (state(length=128), ""),
    "table of 2, 4 are there": (state(length=2), ""),
    "queue out of range": (state(table=[0, 1, QUEUES, 3]), "queue"),
    "queue 65535": (state(table=[0, 1, 2, 65535]), "queue"),
    "unclassified queue out of range": (state(unclassified=QUEUES), "queue"),
    "unknown hash type": (state(types=HASHES), "type"),
    "all bits of the hash types": (state(types=0xffffffff), "type"),
    "key too short": (state(key=KEY[:39]), ""),
    "key too long": (state(key=KEY + b"\0"), ""),
    "version 2": (state(version=2), ""),
    "version 257": (state(version=0x101), ""),
    "version 0": (state(version=0), ""),
    "ends in the key": (state()[:-30], ""),
}

# What is odd, but can be lived with: (part, engines that may follow).
ODD = {
    "as it was": (state(), [EBPF]),
    "not enabled, but steering": (state(enabled=0), [AUTOMATIC]),
    "enabled, not steering": (state(redirect=0), [AUTOMATIC]),
    "hashes reported, not negotiated": (state(populate=1), [EBPF]),
}


def assert_refused(case, machine, word):
    """QEMU has ended, and the first line that it says has a word."""
    machine.process.wait(10)
    case.assertEqual(machine.process.returncode, 1, machine.messages())
    lines = [line for line in machine.messages().splitlines()
             if not line.startswith("virtio_net_rss_")]
    case.assertTrue(lines, "no message")
    case.assertIn(word, lines[0], "\n".join(lines))


class Stream(StreamCase):
    """Each stream is for a QEMU of its own."""

    engine = EBPF

    def check_nonsense(self, row):
        part, word = row
        machine = self.incoming(replaced(self.good, part)).machine
        assert_refused(self, machine, word)

    def check_odd(self, row):
        part, engines = row
        machine = self.incoming(replaced(self.good, part)).machine
        self.assertIsNone(machine.process.poll(), machine.messages())
        rss = machine.qmp("x-query-rss")[0]
        self.assertIn(rss["engine"], engines)
        self.assertFalse(rss["hash-report"])

    def test_every_truncation_of_the_part(self):
        """The stream ends in the middle of it."""
        start = self.good.index(HEAD)
        for end in range(start, start + len(state()), 9):
            machine = self.incoming(self.good[:end]).machine
            machine.process.wait(10)
            self.assertEqual(machine.process.returncode, 1, f"at {end}")
            machine.stop()


    def test_to_a_device_with_rss_off(self):
        """It says so, in words."""
        machine = self.incoming(self.good, "rss-engine=auto,rss=off").machine
        assert_refused(self, machine, "the device has rss=off")


class HashStream(StreamCase):
    """The stream of a guest that has hash reports, and not RSS."""

    engine = SOFTWARE
    options = "hash=on"

    @classmethod
    def begin(cls, card):
        """Start its driver."""
        nic = card.start(features=FEATURES & ~(1 << F_RSS)
                         | 1 << F_HASH_REPORT)
        nic.command(HASH_CONFIG, hash_config(NON_EX_TYPES, KEY))

    def test_as_it_was(self):
        machine = self.incoming(self.good).machine
        self.assertIsNone(machine.process.poll(), machine.messages())
        rss = machine.qmp("x-query-rss")[0]
        self.assertEqual(rss["engine"], AUTOMATIC)
        self.assertTrue(rss["hash-report"])

    def test_steering(self):
        machine = self.incoming(replaced(self.good, state(populate=1))).machine
        assert_refused(self, machine, "RSS is not negotiated")


add_rows(Stream, NONSENSE, Stream.check_nonsense)
add_rows(Stream, ODD, Stream.check_odd)


if __name__ == "__main__":
    run_tests(__file__)
