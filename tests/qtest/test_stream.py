#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A migration stream with nonsense about RSS is refused with a message.

A stream is saved, the part about RSS is replaced, and another QEMU is given
the result.  It may end with status 1 or go on without the guest; it must not
crash, and it must say what it does not like.
"""

from rig import AUTOMATIC, EBPF, KEY, QUEUES, add_rows, run_tests
from stream import HEAD, StreamCase, replaced, state

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


class Stream(StreamCase):
    """Each stream is for a QEMU of its own."""

    engine = EBPF

    def check_nonsense(self, row):
        part, word = row
        self.assert_refused(
            self.incoming(replaced(self.good, part)).machine, word)

    def assert_refused(self, machine, word):
        """QEMU has ended, and the first line that it says has a word."""
        machine.process.wait(10)
        self.assertEqual(machine.process.returncode, 1, machine.messages())
        lines = [line for line in machine.messages().splitlines()
                 if not line.startswith("virtio_net_rss_")]
        self.assertTrue(lines, "no message")
        self.assertIn(word, lines[0], "\n".join(lines))

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
        self.assert_refused(machine, "the device has rss=off")


add_rows(Stream, NONSENSE, Stream.check_nonsense)
add_rows(Stream, ODD, Stream.check_odd)


if __name__ == "__main__":
    run_tests(__file__)
