#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A driver that does not know of VERSION_1, on a card that reports hashes.

Its packets have a shorter header, with no place for a hash, even if a driver
before it, or a migration stream, has hash reports.
"""

import struct

from harness.qtest.rig import (QUEUES, SLOT, SOFTWARE, OwnCardsCase, all_to,
                               flows, rows, run_tests, spread)
from harness.qtest.stream import StreamCase, replaced, state
from harness.qtest.virtio_net import (BUFFER_SIZE, ERR, F_CTRL_VQ, F_MQ,
                                      F_MRG_RXBUF, HASHES, OK, VirtioNet)

# Size of receive buffers, features that are wanted.
BUFFERS = {
    "9 bytes": (9, HASHES),
    "10 bytes: the header": (10, HASHES),
    "11 bytes": (11, HASHES),
    "12 bytes": (12, HASHES),
    "12 bytes, mergeable: the header": (12, HASHES | 1 << F_MRG_RXBUF),
    "19 bytes, mergeable": (19, HASHES | 1 << F_MRG_RXBUF),
}


def start(card, features=HASHES, size=BUFFER_SIZE):
    nic = VirtioNet(card.machine, SLOT)
    nic.device.always = 0
    nic.start(features, buffers=False)
    for queue in range(QUEUES):
        nic.give_buffers(queue, 64, size)
    return nic


class OldDriver(OwnCardsCase):
    """After one that had hash reports."""

    def follow(self, features=HASHES, size=BUFFER_SIZE):
        self.begin(SOFTWARE, "hash=on", HASHES)
        self.assertEqual(self.nic.set_rss(spread(), QUEUES), OK)
        nic = start(self.card, features, size)
        self.assertEqual(nic.set_rss(spread(), QUEUES), OK)
        self.card.send(flows())
        return nic

    @rows(BUFFERS, "buffer of ")
    def check_buffers(self, size, features):
        """It harms itself alone, not QEMU."""
        self.follow(features, size)
        self.assert_next_driver_works(HASHES)

    def test_packets_arrive_whole(self):
        packets = self.follow().wait_packets(len(flows()))
        self.assertEqual({packet.frame: packet.queue for packet in packets},
                         {frame: spread().queue(frame) for frame in flows()})


class OldestDriver(OwnCardsCase):
    """A driver of virtio 0.9.5, whose byte order is the processor's.

    It has queue pairs and no RSS.
    """

    FEATURES = sum(1 << bit for bit in (F_MRG_RXBUF, F_CTRL_VQ, F_MQ))

    def setUp(self):
        super().setUp()
        self.begin(SOFTWARE, "hash=on", HASHES)
        self.set_rss(all_to(3))
        self.nic = VirtioNet(self.card.machine, SLOT)
        self.nic.device.always = self.nic.device.revision = 0
        self.nic.start(self.FEATURES)
        self.assertEqual(self.nic.max_pairs, QUEUES)

    def test_pairs(self):
        for pairs in (1, QUEUES):
            self.assertEqual(self.nic.set_pairs(pairs), OK)
            self.assertEqual(self.card.machine.qmp("x-query-rss")[0]
                             ["queue-pairs"], pairs)
        for pairs in (0, QUEUES + 1, QUEUES << 8):
            self.assertEqual(self.nic.set_pairs(pairs), ERR)
        self.assert_automatic()

    def test_packets(self):
        self.assertEqual(self.nic.set_pairs(QUEUES), OK)
        for packet in self.receive(flows()):
            self.assertEqual(struct.unpack(self.nic.device.order + "H",
                                           packet.header[10:]), (1,))


class OldDriverStream(StreamCase):
    """A stream says that hashes are reported."""

    engine = SOFTWARE
    options = "hash=on"

    @classmethod
    def begin(cls, card):
        start(card, size=11).set_rss(spread(length=8), QUEUES)

    def test_hash_reports_in_the_stream(self):
        card = self.incoming(replaced(self.good, state(populate=1)))
        card.machine.qmp("cont")
        card.send(flows())
        card.settle()                           # alive


if __name__ == "__main__":
    run_tests(__file__)
