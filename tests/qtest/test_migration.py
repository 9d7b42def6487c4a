#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""RSS goes with a guest that migrates.

The guest's driver, which is us, goes on with the same rings on the other
side, where packets must go to the same queues at once.
"""

from harness.qtest.faults import Refusal
from harness.qtest.migration import FILE, SOCKET, MigrationCase
from harness.qtest.rig import (AUTO, EBPF, QUEUES, SOFTWARE, Card, all_to,
                               flows, rows, run_tests, spread)
from harness.qtest.virtio_net import HASHES, OK, WITHOUT_RSS
from harness.rss_reference import ALL_TYPES
from harness.vm.tapnet import OpenTapNet

ROUTES = {f"{there} to {here}, {how[0]}": (there, here, how)
          for there in (EBPF, SOFTWARE) for here in (EBPF, SOFTWARE)
          for how in (FILE, SOCKET)}


class Migration(MigrationCase):
    """Two QEMUs that are the one that is tested."""

    @rows(ROUTES)
    def check_route(self, there, here, how):
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

    def test_RSS_that_is_not_negotiated_any_more(self):
        """It ended with the feature; the guest migrates."""
        self.begin(EBPF)
        self.set_rss(all_to(2))
        self.nic.device.accept(WITHOUT_RSS)
        self.nic.device.ready()
        self.migrate(EBPF)
        self.assertIsNone(self.card.engine())

    def test_packets_before_the_guest(self):
        """They wait in the tap, and are steered by its configuration."""
        self.begin(EBPF)
        self.set_rss(spread())
        frames = flows(64, seed=5)
        self.migrate(EBPF, early=frames)
        packets = self.nic.wait_packets(len(frames))
        self.assertEqual({packet.frame: packet.queue for packet in packets},
                         {frame: spread().queue(frame) for frame in frames})

    def test_fewer_pairs_than_the_table_names(self):
        self.begin(EBPF)
        self.set_rss(spread(), 2)
        self.migrate(SOFTWARE)
        self.assert_steers(spread(), queues=2)

    def test_the_tap_takes_the_program_no_more(self):
        """Software, one warning with the reason; nothing else changes."""
        refusal = self.enterContext(Refusal())
        self.begin(EBPF)
        self.set_rss(spread())
        self.migrate(AUTO, refusal=refusal)
        machine = self.card.machine
        reason = ("cannot attach the steering program to the tap: "
                  "Cannot allocate memory")
        self.assert_one_warning(machine.warnings(),
                                reason + "; RSS falls back to QEMU")
        self.assertEqual(machine.traces("virtio_net_rss_fallback"),
                         ["reason: " + reason])
        rss = machine.rss()
        self.assertEqual((rss["engine"], rss["reason"]), (SOFTWARE, reason))
        self.assert_steers(spread())

    def test_hash_report(self):
        """The same hashes in the packets' headers."""
        self.begin(AUTO, "hash=on", features=HASHES)
        config = spread(types=ALL_TYPES)
        self.set_rss(config)
        self.migrate(AUTO, options="hash=on")
        self.assert_reports(config)


class SharedTap(MigrationCase):
    """Both QEMUs use one tap, by the same descriptors."""

    def setUp(self):
        super().setUp()
        self.net = self.enterContext(OpenTapNet(QUEUES))

    def card_on_it(self, arguments=()):
        return self.enterContext(Card(EBPF, arguments=arguments, net=self.net,
                                      pass_fds=self.net.fds))

    def test_the_tap_is_left_to_the_one_that_runs(self):
        """A start, a migration, and the end of the one it came from."""
        source = self.card = self.card_on_it()
        self.engine = EBPF
        self.nic = self.card.start()
        self.set_rss(spread())
        target = self.card_on_it(["-incoming", "defer"])
        # QEMU has set the tap's header anew: frames look shifted until then.
        frames = flows(64, seed=9)
        self.card.send(frames)
        self.assertEqual(
            sorted(packet.queue for packet in self.nic.wait_packets(64)),
            sorted(spread().queue(frame) for frame in frames))
        self.go_on_with(target, SOCKET)
        rss, = source.machine.qmp("x-query-rss")
        self.assertIn("another QEMU may use the tap", rss["reason"])
        source.close()
        self.assert_steers(spread())

    def test_the_source_goes_on(self):
        """It was told to, after the other one had the tap and ended."""
        source = self.card = self.card_on_it()
        self.engine = EBPF
        nic = self.nic = self.card.start()
        self.set_rss(spread())
        target = self.card_on_it(["-incoming", "defer"])
        self.go_on_with(target, SOCKET)
        target.close()
        self.card, self.nic = source, nic
        source.machine.qmp("cont")
        self.assert_steers(spread())


if __name__ == "__main__":
    run_tests(__file__)
