#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A driver that does not know of VERSION_1, on a card that reports hashes.

Its packets have a shorter header, with no place for a hash, even if a driver
before it, or a migration stream, has hash reports.
"""

from harness.qtest.rig import (QUEUES, SLOT, SOFTWARE, Card, Case, add_rows,
                               flows, run_tests, spread, why_not)
from harness.qtest.stream import StreamCase, replaced, state
from harness.qtest.virtio_net import (BUFFER_SIZE, FEATURES, F_HASH_REPORT,
                                      F_MRG_RXBUF, OK, VirtioNet)

HASH = FEATURES | 1 << F_HASH_REPORT

# Size of receive buffers, features that are wanted.
BUFFERS = {
    "9 bytes": (9, HASH),
    "10 bytes: the header": (10, HASH),
    "11 bytes": (11, HASH),
    "12 bytes": (12, HASH),
    "12 bytes, mergeable: the header": (12, HASH | 1 << F_MRG_RXBUF),
    "19 bytes, mergeable": (19, HASH | 1 << F_MRG_RXBUF),
}


def start(card, features=HASH, size=BUFFER_SIZE):
    nic = VirtioNet(card.machine, SLOT)
    nic.device.always = 0
    nic.start(features, buffers=False)
    for queue in range(QUEUES):
        nic.add_buffers(queue, 64, size)
        nic.receive_queues[queue].kick()
    return nic


class OldDriver(Case):
    """After one that had hash reports."""

    def setUp(self):
        reason = why_not()
        if reason:
            self.skipTest(reason)
        self.card = Card(SOFTWARE, "hash=on")
        self.addCleanup(self.card.close)

    def begin(self, features=HASH, size=BUFFER_SIZE):
        nic = self.card.start(features=HASH)
        self.assertEqual(nic.set_rss(spread(), QUEUES), OK)
        nic = start(self.card, features, size)
        self.assertEqual(nic.set_rss(spread(), QUEUES), OK)
        self.card.send(flows())
        return nic

    def check_buffers(self, row):
        """It harms itself alone, not QEMU."""
        self.begin(row[1], row[0])
        self.card.settle()
        nic = self.card.start(features=HASH)
        self.card.settle()
        nic.collect()                           # what had waited
        self.assertEqual(nic.set_rss(spread(), QUEUES), OK)
        self.card.send(flows(seed=1))
        self.assertEqual(len(nic.wait_packets(len(flows()))), len(flows()))

    def test_packets_arrive_whole(self):
        packets = self.begin().wait_packets(len(flows()))
        self.assertEqual({packet.frame: packet.queue for packet in packets},
                         {frame: spread().queue(frame) for frame in flows()})


add_rows(OldDriver, {"buffer of " + name: row
                     for name, row in BUFFERS.items()},
         OldDriver.check_buffers)


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
