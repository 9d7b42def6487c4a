#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""RSS goes with a guest that migrates.

The guest's driver, which is us, goes on with the same rings on the other
side, where packets must go to the same queues at once.
"""

import tempfile
from pathlib import Path

from machine import VmError, wait_until
from refusal import Refusal
from rig import (AUTO, EBPF, QUEUES, SOFTWARE, Card, OwnCardsCase, add_rows,
                 all_to, flows, run_tests, spread)
from rss_reference import ALL_TYPES
from virtio_net import F_HASH_REPORT, FEATURES, OK

FILE = "file", "exec:cat > {}", "exec:cat < {}"
SOCKET = "socket", "unix:{}", "unix:{}"

ROUTES = {f"{there} to {here}, {how[0]}": (there, here, how)
          for there in (EBPF, SOFTWARE) for here in (EBPF, SOFTWARE)
          for how in (FILE, SOCKET)}


class Migration(OwnCardsCase):
    """Two QEMUs, each with a tap of its own."""

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory(prefix="qtest-migration-")
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "stream"

    def begin(self, engine, options="", **how):
        """Start the QEMU to migrate from, and its driver."""
        self.card = Card(engine, options)
        self.addCleanup(self.card.close)
        self.engine = SOFTWARE if engine == AUTO else engine
        self.nic = self.card.start(**how)

    def migrate(self, engine, how=FILE, options="", refusal=None):
        """Go on with another QEMU; with a Refusal, its tap begins it then."""
        _, send, receive = how
        source = self.card.machine
        card = Card(engine, options, ["-incoming", "defer"],
                    prefix=refusal.prefix if refusal else ())
        self.addCleanup(card.close)
        if refusal:
            refusal.begin()
        incoming = {"uri": receive.format(self.path)}
        if how is SOCKET:
            card.machine.qmp("migrate-incoming", incoming)
        source.qmp("migrate", {"uri": send.format(self.path)})

        def ended():
            status = source.qmp("query-migrate").get("status")
            if status == "failed":
                raise VmError("migration failed:\n" + source.messages()
                              + card.machine.messages())
            return status == "completed"

        self.assertTrue(wait_until(ended, 10, 0.005), "no end of migration")
        if how is FILE:
            card.machine.qmp("migrate-incoming", incoming)
        self.assertTrue(wait_until(
            lambda: card.machine.qmp("query-status")["running"], 10, 0.005))
        self.nic = self.nic.moved_to(card.machine)
        self.card = card
        self.engine = SOFTWARE if engine == AUTO else engine

    def check_route(self, row):
        there, here, how = row
        self.begin(there)
        config = spread(types=ALL_TYPES, key=b"short", unclassified=3)
        self.set_rss(config)
        self.assert_steers(config)
        self.migrate(here, how)
        self.assertEqual(self.card.engine(), here)
        self.assert_steers(config)
        self.set_rss(spread(seed=2))
        self.assert_steers(spread(seed=2))
        self.assertEqual(self.nic.set_pairs(QUEUES), OK)
        self.assert_automatic()

    def test_there_and_back(self):
        self.begin(EBPF)
        self.set_rss(spread())
        for engine in (SOFTWARE, EBPF):
            self.migrate(engine)
            self.assert_steers(spread())

    def test_without_RSS(self):
        """Off stays off, though it was on before."""
        self.begin(EBPF)
        self.set_rss(all_to(2))
        self.assertEqual(self.nic.set_pairs(QUEUES), OK)
        self.migrate(EBPF)
        self.assertIsNone(self.card.engine())
        self.assert_automatic()

    def test_before_any_command(self):
        self.begin(EBPF)
        self.migrate(EBPF)
        self.assertEqual(set(self.pass_frames(flows()).values()), {0})
        self.set_rss(spread())
        self.assert_steers(spread())

    def test_fewer_pairs_than_the_table_names(self):
        self.begin(EBPF)
        self.set_rss(spread(), 2)
        self.migrate(SOFTWARE)
        self.assert_steers(spread(), queues=2)

    def test_the_tap_takes_the_program_no_more(self):
        """Software, one warning with the reason; nothing else changes."""
        refusal = Refusal()
        self.addCleanup(refusal.close)
        self.begin(EBPF)
        self.set_rss(spread())
        self.migrate(AUTO, refusal=refusal)
        machine = self.card.machine
        reason = "cannot attach the steering program to the tap"
        warnings = machine.warnings()
        self.assertEqual(len(warnings), 1, warnings)
        self.assertIn(reason + "; RSS falls back to QEMU", warnings[0])
        self.assertEqual(machine.traces("virtio_net_rss_fallback"),
                         ["reason: " + reason])
        rss = machine.qmp("x-query-rss")[0]
        self.assertEqual((rss["engine"], rss["reason"]), (SOFTWARE, reason))
        self.assert_steers(spread())

    def test_hash_report(self):
        """The same hashes in the packets' headers."""
        self.begin(AUTO, "hash=on", features=FEATURES | 1 << F_HASH_REPORT)
        config = spread(types=ALL_TYPES)
        self.set_rss(config)
        self.migrate(AUTO, options="hash=on")
        frames = flows()
        self.card.send(frames)
        packets = self.nic.wait_packets(len(frames))
        self.assertEqual(len(packets), len(frames))
        for packet in packets:
            found = (int.from_bytes(packet.header[12:16], "little"),
                     packet.header[16])
            self.assertEqual(found, config.hash(packet.frame))
            self.assertEqual(packet.queue, config.queue(packet.frame))


add_rows(Migration, ROUTES, Migration.check_route)


if __name__ == "__main__":
    run_tests(__file__)
