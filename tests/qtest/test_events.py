#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Trace events tell of each change, each refusal, each fallback.

Those of a tap that refuses the program: test_migration.py, and with vhost=on
tests/functional/vhost_faults.py.
"""

import struct

from harness.qtest.machine import Machine, VmError, ebpf_rss_fds
from harness.qtest.rig import (AUTO, EBPF, KEY, QUEUES, SOFTWARE, OwnCardsCase,
                               TapNet, rows, run_tests, spread, wait_until)
from harness.qtest.virtio_net import (CLASS_MQ, ERR, FEATURES, F_MQ, HASHES,
                                      HASH_CONFIG, OK, RSS_CONFIG,
                                      VQ_PAIRS_SET, WITHOUT_RSS, hash_config,
                                      rss_config)
from harness.qtest.virtio import DESC_WRITE
from harness.rss_reference import NON_EX_TYPES

UNKNOWN = 77

# A command that is refused (kind, data, features), and the reason.
REFUSED = {
    "RSS_CONFIG": (RSS_CONFIG, rss_config(NON_EX_TYPES, [0] * 3, KEY, 1),
                   FEATURES, "table"),
    "RSS_CONFIG, not negotiated": (
        RSS_CONFIG, rss_config(NON_EX_TYPES, [0], KEY, 1),
        WITHOUT_RSS, "RSS is not negotiated"),
    "HASH_CONFIG, not negotiated": (
        HASH_CONFIG, hash_config(NON_EX_TYPES, KEY), FEATURES,
        "hash report is not negotiated"),
    "VQ_PAIRS_SET, no pairs": (VQ_PAIRS_SET, b"\0\0", FEATURES,
                               "out of range"),
    "VQ_PAIRS_SET, too many pairs": (VQ_PAIRS_SET, b"\5\0", FEATURES,
                                     "out of range"),
    "VQ_PAIRS_SET, cut off": (VQ_PAIRS_SET, b"\1", FEATURES, "truncated"),
    "VQ_PAIRS_SET, not negotiated": (VQ_PAIRS_SET, b"\1\0",
                                     FEATURES & ~(1 << F_MQ),
                                     "not negotiated"),
    "unknown command": (UNKNOWN, b"\1\0", FEATURES, "unknown command"),
}


class Events(OwnCardsCase):
    def traces(self, event):
        return self.card.machine.traces("virtio_net_rss_" + event)

    @rows(REFUSED, "refused: ")
    def check_refused(self, kind, data, features, reason):
        self.begin(SOFTWARE, features=features)
        for count in (1, 2):
            self.assertEqual(self.nic.command(kind, data), ERR)
            events = self.traces("refuse")
            self.assertEqual(len(events), count, events)
            self.assertIn(reason, events[-1])

    def test_where_the_program_comes_from(self):
        self.begin(EBPF)
        self.assertEqual(self.traces("load"), ["from QEMU itself"])
        net = self.enterContext(TapNet(QUEUES))
        machine = self.enterContext(Machine(["-netdev", net.netdev()], net))
        with self.assertRaises(VmError):
            machine.plug("virtio-net-pci", netdev="net0", mq=True, rss=True,
                         romfile="", **ebpf_rss_fds(0, 0, 0))
        self.assertEqual(machine.traces("virtio_net_rss_load"),
                         ["from ebpf-rss-fds"])

    def test_on_and_off(self):
        self.begin(EBPF)
        tried = self.traces("attach"), self.traces("detach")
        self.assertEqual(tried, (["done 1"], [""]))
        self.assertEqual(self.nic.set_rss(spread(length=8), QUEUES), OK)
        self.assertEqual(self.traces("engine"),
                         ["engine ebpf hash types 0x3f table of 8"])
        self.assertEqual(self.traces("attach"), ["done 1"] * 2)
        off = len(self.traces("off"))
        self.assertEqual(self.nic.set_pairs(QUEUES), OK)
        self.assertEqual(self.traces("detach"), [""] * 2)
        self.assertEqual(len(self.traces("off")), off + 1)
        self.assertEqual(self.traces("fallback"), [])

    def test_software_because_hashes_are_reported(self):
        self.begin(AUTO, "hash=on", HASHES)
        self.assertEqual(self.traces("fallback"), [])
        self.assertEqual(self.nic.set_rss(spread(), QUEUES), OK)
        self.assertEqual(self.traces("fallback"),
                         ["reason: hash reports need the software engine"])

    def test_a_program_that_waits_for_its_configuration(self):
        """Off and on at one kick, so often that no slot is free any more."""
        self.begin(EBPF)
        for _ in range(100):
            self.off_and_on(8)
            # It attaches at once and then says which engine, or waits.
            if self.attach_events()[-2] != "done 1":
                break
        self.assertTrue(wait_until(
            lambda: self.attach_events()[-3:] ==
            ["", "engine ebpf hash types 0x3f table of 1", "done 1"],
            10, 0.001), self.attach_events()[-3:])

    def attach_events(self):
        return self.traces("(?:attach_waits|engine|attach)")

    def off_and_on(self, times):
        """Have the device find so many pairs of commands at once."""
        device, ring = self.nic.device, self.nic.control
        chains = []
        for kind, data in ((VQ_PAIRS_SET, struct.pack("<H", QUEUES)),
                           (RSS_CONFIG, rss_config(NON_EX_TYPES, [0], KEY,
                                                   QUEUES))) * times:
            data = bytes((CLASS_MQ, kind)) + data
            address = device.allocate(len(data))
            self.card.machine.memory[address:address + len(data)] = data
            chains.append(ring.add_chain([
                (address, len(data), 0), (self.nic.ack_at, 1, DESC_WRITE)]))
        ring.kick()
        while chains:
            done = ring.wait()
            self.assertTrue(done, "a command was lost")
            del chains[:len(done)]
        self.assertEqual(self.card.machine.memory[self.nic.ack_at], OK)


if __name__ == "__main__":
    run_tests(__file__)
