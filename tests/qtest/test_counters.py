#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Each packet that reaches the guest is counted once, whatever happens."""

from harness.qtest.faults import Refusal
from harness.qtest.rig import (AUTO, EBPF, QUEUES, SOFTWARE, OwnCardsCase,
                               all_to, flows, run_tests, spread)
from harness.qtest.virtio_net import OK

COUNT = 64


class Counters(OwnCardsCase):
    COUNT = "rss-counters=on"

    def counted(self):
        counters = self.card.machine.rss()["counters"]
        return counters["queues"], counters["unclassified"] + sum(
            count["packets"] for count in counters["hash-types"])

    def test_packets_that_wait_for_buffers(self):
        """In QEMU's software engine, and a few at a time."""
        self.begin(SOFTWARE, self.COUNT)
        self.nic.start(buffers=False)
        self.set_rss(all_to(1))
        self.card.send(flows(COUNT))
        for _ in range(4):
            self.nic.receive_queues[1].kick()
            self.card.settle()
        self.assertEqual(self.counted(), ([0] * QUEUES, 0))
        self.nic.add_buffers(1, 5)
        arrived = 0
        while arrived < COUNT:
            self.nic.receive_queues[1].kick()
            new = len(self.nic.wait_packets(1))
            self.assertGreater(new, 0)
            arrived += new
        self.assertEqual(self.counted(), ([0, COUNT, 0, 0], COUNT))

    def test_one_active_queue(self):
        """Then the kernel asks no program, and QEMU says so."""
        for engine, words in ((EBPF, "the kernel does not run the program"),
                              (SOFTWARE, None)):
            self.begin(engine, self.COUNT)
            self.set_rss(all_to(0), 1)
            before = self.counted()[1]
            self.pass_frames(flows(COUNT))
            rss = self.card.machine.rss()
            if words:
                self.assertIn(words, rss["not-counted"])
                self.assertIn("not counted now: ",
                              self.card.machine.info_rss())
                self.assertEqual(self.counted()[1], before)
            else:
                self.assertNotIn("not-counted", rss)
                self.assertEqual(self.counted()[1], before + COUNT)
            self.set_rss(spread())
            self.assertNotIn("not-counted",
                             self.card.machine.rss())
            self.assertNotIn("not counted now", self.card.machine.info_rss())

    def test_not_while_RSS_is_off(self):
        self.begin(EBPF, self.COUNT)
        self.assertEqual(
            self.card.machine.rss()["not-counted"],
            "RSS is not in force")

    def test_those_of_a_program_that_is_gone(self):
        """The tap refuses it; they stay, and QEMU counts on."""
        refusal = self.enterContext(Refusal())
        self.begin(AUTO, self.COUNT, prefix=refusal.prefix)
        self.engine = EBPF
        self.set_rss(spread())
        before = self.counted()[1]
        self.assertGreaterEqual(before, len(flows()))
        self.assertEqual(self.nic.set_pairs(QUEUES), OK)
        refusal.begin()
        self.engine = SOFTWARE
        self.set_rss(spread())
        self.assertEqual(self.counted()[1], before)
        self.pass_frames(flows())
        queues, types = self.counted()
        self.assertEqual(types, before + len(flows()))
        self.assertEqual(sum(queues), types)


if __name__ == "__main__":
    run_tests(__file__)
