#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Receiving with the software engine, where a guest is slow or odd.

A packet for a queue without buffers waits in QEMU, in front of those that
came in by the same queue of the tap.  It must not wait for ever.
"""

from harness.qtest.rig import (KEY, QUEUES, SOFTWARE, Config, OwnCardsCase,
                               TapCase, all_to, flows, only_pci, rows,
                               run_tests, spread)
from harness.qtest.virtio_net import (FEATURES, F_HASH_REPORT, F_MRG_RXBUF,
                                      HASHES, HASH_CONFIG, OK, RSS_CONFIG,
                                      hash_config, rss_config)
from harness.qtest.virtio_pci import QUEUE_SELECT, QUEUE_SIZE

COUNT = 64


def rss(queue):
    """Return what sends an RSS_CONFIG that puts all on one queue."""
    return lambda nic: nic.set_rss(all_to(queue), QUEUES)


def windows_off(nic):
    """RSS off, all queue pairs."""
    return nic.command(RSS_CONFIG, rss_config(0, [0], b"", QUEUES))


# Queue pairs to begin with, and what makes queue 1 lose its role.
CHANGES = {
    "RSS_CONFIG": (QUEUES, rss(3)),
    "RSS_CONFIG with more queue pairs": (2, rss(3)),
    "RSS_CONFIG with one more queue pair": (3, rss(0)),
}
CHANGES_OFF = {
    "RSS off": (QUEUES, windows_off),
    "RSS off, more queue pairs": (2, windows_off),
    "VQ_PAIRS_SET": (QUEUES, lambda nic: nic.set_pairs(QUEUES)),
    "VQ_PAIRS_SET with more queue pairs": (2, lambda nic:
                                           nic.set_pairs(QUEUES)),
}


class FullRing:
    """Queue 1 has no buffers, and all packets are for queue 1."""

    def begin(self, pairs=QUEUES):
        self.nic.start(buffers=False, features=self.features)
        for queue in (0, 2, 3):
            self.nic.give_buffers(queue)
        self.set_rss(all_to(1), pairs)
        self.frames = flows(COUNT)
        self.card.send(self.frames)
        self.card.settle()
        self.assertEqual(self.nic.collect(), [])

    def assert_arrive(self, frames, queue=None):
        packets = self.nic.wait_packets(len(frames), timeout=20)
        missing = set(frames) - {packet.frame for packet in packets}
        self.assertEqual(len(missing), 0, f"{len(missing)} of {len(frames)} "
                         "packets still wait")
        if queue is not None:
            self.assertEqual({packet.queue for packet in packets}, {queue})

    def test_packets_wait_for_buffers(self):
        self.begin()
        self.nic.give_buffers(1)
        self.assert_arrive(self.frames, queue=1)
        self.set_rss(spread())
        self.assert_steers(spread())

    def test_few_buffers_at_a_time(self):
        """Eight of them, which are given again and again."""
        self.begin()
        self.nic.add_buffers(1, 8)
        arrived = set()
        for _ in range(COUNT):
            self.nic.receive_queues[1].kick()
            arrived |= {packet.frame for packet in self.nic.wait_packets(8)}
            if len(arrived) == COUNT:
                break
        self.assertEqual(arrived, set(self.frames))

    def test_other_queues_go_on_afterwards(self):
        """A mixture: packets for queue 1 hold others up only until then."""
        self.begin()
        self.assertEqual(self.nic.set_rss(spread(), QUEUES), OK)
        more = flows(COUNT, seed=3)
        self.card.send(more)
        self.card.settle()
        arrived = self.nic.collect()
        self.nic.give_buffers(1)
        arrived += self.nic.wait_packets(2 * COUNT - len(arrived))
        self.assertEqual({packet.frame for packet in arrived},
                         set(self.frames + more))
        self.assert_steers(spread(), flows(COUNT, seed=4))

    @rows(CHANGES, "waiting packets follow ")
    def check_change(self, pairs, change):
        """Packets that wait follow the new configuration, at once."""
        self.begin(pairs)
        self.assertEqual(change(self.nic), OK)
        self.assert_arrive(self.frames)
        more = flows(COUNT, seed=3)
        self.card.send(more)
        self.assert_arrive(more)

    @rows(CHANGES_OFF, "waiting packets arrive after ")
    def check_off(self, pairs, change):
        """Some are for queue 1 by automatic steering; its buffers come."""
        self.begin(pairs)
        self.assertEqual(change(self.nic), OK)
        self.card.settle()
        early = self.nic.collect()
        self.nic.give_buffers(1)
        here = {packet.frame for packet in early}
        self.assert_arrive([frame for frame in self.frames
                            if frame not in here])


class FullRingSoftware(FullRing, TapCase):
    engine = SOFTWARE


class FullRingHashReport(FullRing, TapCase):
    """The same with hash reports."""

    engine = SOFTWARE
    options = "hash=on"
    features = HASHES

    def test_waiting_packets_follow_HASH_CONFIG(self):
        """Without hash types they belong to the unclassified queue."""
        self.begin()
        self.assertEqual(self.nic.set_rss(
            Config(all_to(1).types, KEY, [1], 0), QUEUES), OK)
        self.card.settle()
        self.assertEqual(self.nic.collect(), [])
        self.assertEqual(self.nic.command(HASH_CONFIG, hash_config(0, b"")),
                         OK)
        self.assert_arrive(self.frames, queue=0)


class TwoQueuesReady(TapCase):
    """The driver has set up two of the four queue pairs."""

    engine = SOFTWARE

    def setUp(self):
        super().setUp()
        self.nic.start(ready=2)

    def test_packets_for_the_two_arrive_by_whichever_queue(self):
        self.set_rss(spread([0, 1]))
        self.assert_steers(spread([0, 1]))

    def test_packets_for_the_others_hold_up_none(self):
        self.set_rss(spread())
        for seed in range(4):
            frames = flows(COUNT, seed=seed)
            here = {frame for frame in frames if spread().queue(frame) < 2}
            self.card.send(frames)
            packets = self.nic.wait_packets(len(here))
            self.assertEqual({packet.frame for packet in packets}, here)

    def test_packets_that_waited_before_RSS_was_on(self):
        self.assertEqual(self.nic.set_pairs(QUEUES), OK)
        frames = flows(COUNT)
        self.card.send(frames)
        self.card.settle()
        early = self.nic.collect()
        self.assertEqual(self.nic.set_rss(spread([0, 1]), QUEUES), OK)
        late = self.nic.wait_packets(COUNT - len(early))
        self.assertEqual({packet.frame for packet in early + late},
                         set(frames))


@only_pci("the registers")
class RingSize(TapCase):
    """The driver changes the size of a ring that is in use."""

    engine = SOFTWARE

    @rows({f"size {size}": size for size in (8, 1024)})
    def check_size(self, size):
        device = self.nic.device
        before = self.nic.receive_queues[0].size
        device.common("w", QUEUE_SELECT, 0)
        device.common("w", QUEUE_SIZE, size)
        for seed in range(2 * before // COUNT):
            self.receive(flows(COUNT, seed=seed))
        self.assertEqual(device.common("w", QUEUE_SIZE), before)


# Features beside those that every driver here takes.
HEADERS = {
    "neither": 0,
    "mergeable buffers": 1 << F_MRG_RXBUF,
    "hash report": 1 << F_HASH_REPORT,
    "both": 1 << F_MRG_RXBUF | 1 << F_HASH_REPORT,
}


class NumBuffers(TapCase):
    """The header of each packet says in how many buffers it is: one."""

    engine = SOFTWARE
    options = "hash=on"

    @rows(HEADERS, "num_buffers with ")
    def check_header(self, more):
        self.nic.start(features=FEATURES | more)
        for buffers in self.nic.buffers:
            for address in buffers.values():
                self.card.machine.memory[address:address + 20] = b"\xff" * 20
        self.assertEqual({packet.header[10:12]
                          for packet in self.receive(flows())}, {b"\1\0"})


# Size of receive buffers, mergeable ones, hash report.
SMALL_BUFFERS = {
    "1 byte": (1, False, False),
    "11 bytes": (11, False, False),
    "12 bytes: the header": (12, False, False),
    "8 bytes, mergeable": (8, True, False),
    "11 bytes, mergeable": (11, True, False),
    "12 bytes, mergeable: the header": (12, True, False),
    "19 bytes, hash report": (19, False, True),
    "20 bytes, hash report: the header": (20, False, True),
    "12 bytes, hash report, mergeable": (12, True, True),
    "19 bytes, hash report, mergeable": (19, True, True),
}


class SmallBuffers(OwnCardsCase):
    """A guest with too small buffers harms itself alone, not QEMU."""

    @rows(SMALL_BUFFERS, "buffer of ")
    def check_size(self, size, mergeable, hash_report):
        self.begin(SOFTWARE, "hash=on")
        nic = self.card.start(buffers=False,
                              features=FEATURES | mergeable << F_MRG_RXBUF
                              | hash_report << F_HASH_REPORT)
        for queue in range(QUEUES):
            nic.give_buffers(queue, 64, size)
        self.assertEqual(nic.set_rss(spread(), QUEUES), OK)
        self.card.send(flows())
        self.assert_next_driver_works()


if __name__ == "__main__":
    run_tests(__file__)
