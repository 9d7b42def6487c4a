#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A migration stream with nonsense about the card is refused with a message.

A stream is saved, a part of it is replaced, and another QEMU is given the
result.  It may end with status 1 or go on without the guest; it must not
crash, and it must say what it does not like.
"""

from harness.qtest.machine import is_from
from harness.qtest.rig import (AUTOMATIC, EBPF, KEY, QUEUES, SLOT, SOFTWARE,
                               TapNet, only_pci, rows, run_tests)
from harness.qtest.stream import (HEAD, VERSION, NetSection, StreamCase,
                                  assert_refused, assert_usable, replaced,
                                  state)
from harness.qtest.virtio_net import (HASHES_ALONE, HASH_CONFIG, RSS_TYPES,
                                      VirtioNet, hash_config)
from harness.rss_reference import ALL_TYPES, NON_EX_TYPES

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
    "next version": (state(version=VERSION + 1), ""),
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


class Stream(StreamCase):
    """Each stream is for a QEMU of its own."""

    engine = EBPF

    @rows(NONSENSE)
    def check_nonsense(self, part, word):
        machine = self.incoming(replaced(self.good, part)).machine
        assert_refused(self, machine, word)

    @rows(ODD)
    def check_odd(self, part, engines):
        machine = self.incoming(replaced(self.good, part)).machine
        self.assertIsNone(machine.process.poll(), machine.messages())
        rss = machine.rss()
        self.assertIn(rss["engine"], engines)
        self.assertFalse(rss["hash-report"])

    def offered(self, part):
        """Return the hash types that the device offers after this part."""
        if not is_from("10.2"):
            self.skipTest("no such field before QEMU 10.2")
        machine = self.incoming(replaced(self.good, part)).machine
        self.assertIsNone(machine.process.poll(), machine.messages())
        return VirtioNet(machine, SLOT).device.config("l", RSS_TYPES)

    def test_offered_hash_types_are_those_of_the_stream(self):
        self.assertEqual(self.offered(state(offered=NON_EX_TYPES)),
                         NON_EX_TYPES)

    def test_offered_hash_types_of_version_1_are_all(self):
        self.assertEqual(self.offered(state(version=1)), ALL_TYPES)

    def test_unknown_hash_types_are_offered(self):
        if not is_from("10.2"):
            self.skipTest("no such field before QEMU 10.2")
        part = state(offered=ALL_TYPES | HASHES)
        machine = self.incoming(replaced(self.good, part)).machine
        assert_refused(self, machine, "type")

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


# Fields that cannot be right, and a word that the message must have.
COUNTS = {
    "selected queue": ([1024], ""),
    "config vector": ([10, 0xfffe], "vector"),
    "config length": ([0x7fffffff, 0xffffffff], ""),
    "virtqueues": ([0, 2, 4, 5, 11, 1025], "virtqueues"),
    "queue size": ([0, 1025, 0xffffffff], "size"),
    "queue vector": ([10], "vector"),
    "MAC addresses": ([65, 0x7fffffff], ""),
    "queue pairs": ([1, 5], ""),
    "active queue pairs": ([0, 5], "queue"),
}

# Default sizes of 1024 virtqueues, of which there are nine.
SIZES = [256] * 8 + [64] + [0] * 1015
DEFAULT_SIZES = {
    "none": [0] * 1024,
    "one too few": SIZES[:8] + [0] * 1016,
    "one too many": SIZES[:9] + [256] + [0] * 1014,
    "all": [256] * 1024,
    "too large": [1025] + SIZES[1:],
    "much too large": [0xffffffff] + SIZES[1:],
}

# Odd: QEMU may take it, or refuse it.
ODD_FIELDS = {
    "features without MQ and RSS": {"features": 0x20020, "all_features":
                                    1 << 32 | 0x20020},
    "no features": {"features": 0, "all_features": 0},
    "ring far away": {"queue_address": 1 << 63},
    "index far ahead": {"queue_index": 0x8000},
    "status 0": {"status": 0},
    "waits to send": {"waits_to_send": 0xffffffff},
    "MAC addresses 0xffffffff": {"MAC_addresses": 0xffffffff},
}


@only_pci("the stream")
class Counts(StreamCase):
    """Each number that the stream says of the card is held against it."""

    engine = SOFTWARE
    options = "vectors=10"

    @rows({f"{name} {value:#x}": (name, value, word)
           for name, (values, word) in COUNTS.items()
           for value in values})
    def check_count(self, name, value, word):
        stream = NetSection(self.good).changed(**{name: value})
        assert_refused(self, self.incoming(stream).machine, word)

    @rows(DEFAULT_SIZES, "default sizes: ")
    def check_sizes(self, sizes):
        stream = NetSection(self.good).with_default_sizes(sizes)
        assert_refused(self, self.incoming(stream).machine, "size")

    @rows(ODD_FIELDS)
    def check_odd(self, fields):
        card = self.incoming(NetSection(self.good).changed(**fields))
        if card.machine.process.poll() is None:
            assert_usable(self, card)
        else:
            assert_refused(self, card.machine, "")

    def test_default_sizes_as_they_are(self):
        assert_usable(self, self.incoming(
            NetSection(self.good).with_default_sizes(SIZES)))

    def test_to_a_card_with_fewer_queues(self):
        with TapNet(1) as net:
            machine = self.incoming(self.good, net=net).machine
            assert_refused(self, machine, "9 virtqueues, the device has 3")


@only_pci("the stream")
class PackedRings(StreamCase):
    """Indices of packed rings are places in them."""

    engine = SOFTWARE
    options = "packed=on"

    def test_index_behind_the_end(self):
        section = NetSection(self.good)
        packed = section["all features"] | 1 << 34
        for index in (section["queue size"], 0x7fff, 0xffff):
            stream = section.changed(all_features=packed, packed_at=index)
            assert_refused(self, self.incoming(stream).machine, "is at")


class HashStream(StreamCase):
    """The stream of a guest that has hash reports, and not RSS."""

    engine = SOFTWARE
    options = "hash=on"

    @classmethod
    def begin(cls, card):
        """Start its driver."""
        nic = card.start(features=HASHES_ALONE)
        nic.command(HASH_CONFIG, hash_config(NON_EX_TYPES, KEY))

    def test_as_it_was(self):
        machine = self.incoming(self.good).machine
        self.assertIsNone(machine.process.poll(), machine.messages())
        rss = machine.rss()
        self.assertEqual(rss["engine"], AUTOMATIC)
        self.assertTrue(rss["hash-report"])

    def test_steering_that_was_not_negotiated(self):
        """It is off."""
        machine = self.incoming(replaced(self.good, state(populate=1))).machine
        self.assertIsNone(machine.process.poll(), machine.messages())
        rss = machine.rss()
        self.assertEqual((rss["engine"], rss["table"]), (AUTOMATIC, []))


if __name__ == "__main__":
    run_tests(__file__)
