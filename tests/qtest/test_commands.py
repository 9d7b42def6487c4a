#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""RSS_CONFIG: what the card accepts, what it refuses, and what is then.

A refused command changes nothing: packets go on as by the command before it.
"""

from harness.qtest.rig import (EBPF, IN_FORCE_TIMEOUT, KEY, QUEUES, SOFTWARE,
                               Config, TapCase, all_to, flows, rows, run_tests,
                               spread, wait_until)
from harness.qtest.virtio_net import (ERR, FEATURES, F_MQ, OK, RSS_CONFIG,
                                      VQ_PAIRS_SET, WITHOUT_RSS, rss_config)
from harness.qtest.virtio import NEEDS_RESET
from harness.rss_reference import ALL_TYPES, NON_EX_TYPES, UDPV4

TABLE = spread().table
VALID = rss_config(NON_EX_TYPES, TABLE, KEY, QUEUES)
SMALL = rss_config(NON_EX_TYPES, [2, 3], KEY, QUEUES)


def command(types=NON_EX_TYPES, table=TABLE, key=KEY, pairs=QUEUES, **more):
    """Return an RSS_CONFIG that is good but for what is named."""
    return rss_config(types, table, key, pairs, **more)


REFUSED = {
    "mask 2: three entries": command(table=[0, 1, 2]),
    "mask 126: 127 entries": command(table=TABLE[:127]),
    "mask 128: 129 entries": command(table=TABLE + [0]),
    "mask 255: 256 entries": command(table=TABLE * 2),
    "mask 65535 and as many entries as fit": command(table=TABLE * 8,
                                                     mask=0xffff),
    "mask 32767": command(mask=0x7fff),
    "unclassified queue n": command(unclassified=QUEUES),
    "unclassified queue 65535": command(unclassified=0xffff),
    "first entry n": command(table=[QUEUES] + TABLE[1:]),
    "last entry n": command(table=TABLE[:-1] + [QUEUES]),
    "the only entry n": command(table=[QUEUES]),
    "entry 65535": command(table=[0, 0xffff]),
    "max_tx_vq 0": command(pairs=0),
    "max_tx_vq n + 1": command(pairs=QUEUES + 1),
    "max_tx_vq 32768": command(pairs=0x8000),
    "max_tx_vq 65535": command(pairs=0xffff),
    "no key with hash types": command(key=b""),
    "no key with one hash type": command(types=UDPV4, key=b""),
    "key of 41 bytes": command(key=KEY + b"\0"),
    "key of 255 bytes": command(key=KEY.ljust(255, b"\1")),
    "key length 255 with a key of 40": command(key_len=255),
    "hash type bit 9": command(types=NON_EX_TYPES | 1 << 9),
    "hash type bit 31": command(types=1 << 31),
    "all hash types and bit 9": command(types=ALL_TYPES | 1 << 9),
}

ACCEPTED = {
    "the same again": (spread(), QUEUES),
    "mask 0: one entry": (Config(NON_EX_TYPES, KEY, [3], 1), QUEUES),
    "mask 1: two entries": (Config(NON_EX_TYPES, KEY, [3, 1]), QUEUES),
    "mask 63: 64 entries": (spread(length=64, seed=2), QUEUES),
    "mask 127: 128 entries": (spread(seed=3), QUEUES),
    "unclassified queue n - 1": (spread(types=UDPV4, unclassified=3), QUEUES),
    "every entry n - 1": (spread([3]), QUEUES),
    "max_tx_vq 1": (spread([0]), 1),
    "max_tx_vq n - 1": (spread(range(3)), QUEUES - 1),
    "max_tx_vq n": (spread(seed=4), QUEUES),
    "key of 1 byte": (spread(key=KEY[:1]), QUEUES),
    "key of 16 bytes": (spread(key=KEY[:16]), QUEUES),
    "key of 39 bytes": (spread(key=KEY[:39]), QUEUES),
    "all hash types": (spread(types=ALL_TYPES), QUEUES),
    "no hash types, but a key": (spread(types=0, unclassified=2), QUEUES),
}
ACCEPTED.update({
    f"hash type bit {bit} alone": (spread(types=1 << bit, unclassified=1),
                                   QUEUES)
    for bit in range(9)})

# Lengths of descriptors, class and command bytes included. The last takes
# what is left.
SPLITS = {
    "class, command, rest": [1, 1],
    "class and command, rest": [2],
    "as Linux does it": [2, 8, 256, 3],
    "in the middle of each field": [1, 3, 3, 1, 3, 100, 154, 1, 20],
    "three bytes each": [3] * 20,
    "seven bytes each": [7] * 43,
    "last byte by itself": [len(VALID) + 1],
}


class Commands:
    """The tests; engines follow."""

    def setUp(self):
        super().setUp()
        self.before = spread(seed=9)
        self.set_rss(self.before)

    @rows(REFUSED, "refused: ")
    def check_refused(self, data):
        frames = flows()
        self.assert_steers(self.before, frames)
        events = len(self.card.machine.traces("virtio_net_rss_engine"))
        self.card.send(frames)
        self.assertEqual(self.nic.command(RSS_CONFIG, data), ERR)
        self.assertEqual(len(self.nic.wait_packets(len(frames))),
                         len(frames), "packets lost meanwhile")
        self.assert_steers(self.before, frames)
        self.assertEqual(events, len(self.card.machine.traces(
            "virtio_net_rss_engine")), "it was applied, and undone")

    @rows(ACCEPTED, "accepted: ")
    def check_accepted(self, config, pairs):
        self.set_rss(config, pairs)
        self.assert_steers(config)

    @rows(SPLITS, "split: ")
    def check_split(self, lengths):
        self.assertEqual(self.nic.command(
            RSS_CONFIG, VALID, pieces=lengths, indirect=True), OK)
        self.assert_steers_soon(spread())

    @rows({
        "truncated to each length: table of 128": VALID,
        "truncated to each length: table of 2": SMALL,
        "truncated to each length: key of 1": command(key=KEY[:1], table=[3]),
    })
    def check_truncated(self, whole):
        for length in range(len(whole)):
            self.assertEqual(self.nic.command(RSS_CONFIG, whole[:length]),
                             ERR, f"{length} of {len(whole)} bytes")
        self.assert_steers(self.before)
        self.assertEqual(self.nic.command(RSS_CONFIG, whole), OK)

    def check_broken(self, pieces, **how):
        """Chains that are no command: the card asks for a reset."""
        self.assertIsNone(self.nic.raw_command(pieces, timeout=0, **how))
        self.assertTrue(wait_until(
            lambda: self.nic.device.status & NEEDS_RESET, IN_FORCE_TIMEOUT))
        self.assertEqual(self.nic.control.used(), [], "it was answered")
        self.nic.start()
        self.set_rss(spread())
        self.assert_steers(spread())

    def test_key_of_one_byte_after_a_long_one(self):
        """The rest is zeros, not what was there."""
        self.set_rss(spread(key=b"\xff" * 40))
        self.set_rss(spread(key=b"\x6d"))
        self.assert_steers(spread(key=b"\x6d" + bytes(39)), flows(64))

    def test_trailing_bytes(self):
        """Bytes behind the command do not matter."""
        for tail in (b"\xff", bytes(600), b"\xff" * 3000):
            self.set_rss(self.before)
            self.assertEqual(self.nic.command(RSS_CONFIG, VALID, tail=tail),
                             OK)
            self.assert_steers_soon(spread())

    def test_split_into_single_bytes(self):
        """310 descriptors in an indirect table."""
        self.check_split([1] * (len(VALID) + 1))

    def test_split_into_single_bytes_in_the_ring(self):
        data = command(table=[2, 3])
        self.assertEqual(self.nic.command(RSS_CONFIG, data,
                                          pieces=[1] * (len(data) + 1)), OK)
        self.assert_steers_soon(Config(NON_EX_TYPES, KEY, [2, 3]))

    def test_acknowledgement_of_more_bytes(self):
        self.assertEqual(self.nic.raw_command([bytes((4, 1)) + VALID],
                                              ack_size=9), OK)
        self.assert_steers_soon(spread())

    def test_unknown_commands(self):
        """They are refused, and RSS stays."""
        for klass, kind in ((4, 3), (4, 255), (7, 0), (9, 0), (255, 1)):
            self.assertEqual(self.nic.command(kind, VALID, klass=klass), ERR)
        self.assert_steers(self.before)

    def test_an_empty_descriptor(self):
        """QEMU allows none, in no queue of any device."""
        self.check_broken([bytes((4, 1)), b"", VALID])

    def test_class_without_command(self):
        self.check_broken([b"\x04"])

    def test_nothing_but_an_acknowledgement(self):
        self.check_broken([])

    def test_no_room_for_the_acknowledgement(self):
        self.check_broken([bytes((4, 1)) + VALID], ack_size=0)

    def test_without_RSS_it_is_refused(self):
        """Not negotiated: automatic steering goes on."""
        self.nic.start(WITHOUT_RSS)
        self.assertEqual(self.nic.set_pairs(QUEUES), OK)
        self.assertEqual(self.nic.set_rss(all_to(2), QUEUES), ERR)
        self.assert_automatic()

    def test_without_RSS_and_MQ_it_is_refused(self):
        self.nic.start(WITHOUT_RSS & ~(1 << F_MQ))
        self.assertEqual(self.nic.set_rss(spread([0]), 1), ERR)
        self.assertEqual(set(self.pass_frames(flows()).values()), {0})

    def test_without_MQ_RSS_works(self):
        self.nic.start(features=FEATURES & ~(1 << F_MQ))
        self.set_rss(spread())
        self.assertEqual(self.nic.command(VQ_PAIRS_SET, b"\x01\0"), ERR)
        self.assert_steers(spread())

    def test_without_a_command_all_go_to_queue_0(self):
        self.nic.start()
        self.assertEqual(set(self.pass_frames(flows()).values()), {0})


class CommandsEbpf(Commands, TapCase):
    engine = EBPF


class CommandsSoftware(Commands, TapCase):
    engine = SOFTWARE


if __name__ == "__main__":
    run_tests(__file__)
