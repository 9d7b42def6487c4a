# SPDX-License-Identifier: GPL-2.0-or-later
"""What is wrong with RSS in stock QEMU, a row each, for scripts/compare-stock.

The rows also run on ours, but judge no engine by itself: the tests here do.
"""

import re
import threading
from pathlib import Path

from harness.qtest.migration import MigrationCase
from harness.qtest.packets import (AUTH, FRAMES, HOME_ADDRESS, ICMP6, NO_NEXT,
                                   PADDING, ROUTE_2, UDP, ip6)
from harness.qtest.rig import (KEY, QUEUES, Card, Config, all_to, flows,
                               spread, traffic, wait_until)
from harness.qtest.virtio_net import (ERR, FEATURES, F_HASH_REPORT, F_RSS,
                                      HASHES, HASH_CONFIG, OK, RSS_CONFIG,
                                      hash_config, rss_config)
from harness.rss_reference import (ALL_TYPES, IP_EX, NON_EX_TYPES, TCP_EX,
                                   UDP_EX)

VHOST = "/dev/vhost-net"
EX_TYPES = TCP_EX | UDP_EX | IP_EX


class Faults(MigrationCase):
    """A row each: its words are the docstring.  A skip: it is not there."""

    def begin(self, options="", features=FEATURES, **how):
        """Start a card whose engine QEMU chooses."""
        self.card = self.enterContext(Card(None, options, **how))
        self.nic = self.card.start(features=features)

    def configure(self, config, answer=OK):
        self.assertEqual(self.nic.set_rss(config, QUEUES), answer,
                         "the device's answer")

    def assert_steers(self, config, frames=None):
        """Ours may take a configuration a moment after its answer."""
        frames = frames or flows()
        wait_until(lambda: all(config.queue(frame) == queue for frame, queue
                               in self.pass_frames(frames).items()), 1)
        super().assert_steers(config, frames)

    def check_hash(self, types, *frames):
        """Both engines hash these frames as the reference does.

        One entry of the table is for the right hash alone.
        """
        for without_bpf in (False, True):
            self.begin(without_bpf=without_bpf)
            for frame in frames:
                value, _ = Config(types, KEY, [0]).hash(frame)
                table = [2] * 128
                table[value % 128] = 1
                self.configure(Config(types, KEY, table, 3))
                self.assert_steers(Config(types, KEY, table, 3), [frame])
            self.card.close()

    def program(self):
        """Configure RSS; return what the kernel tells of QEMU's program."""
        self.begin()
        self.configure(spread())
        folder = Path(f"/proc/{self.card.machine.process.pid}/fdinfo")
        return next((text for text in map(Path.read_text, folder.iterdir())
                     if "prog_type:" in text), "")

    def test_00_loads(self):
        """An eBPF program is loaded, and steers"""
        self.assertTrue(self.program(), "there is none")
        self.assert_steers(spread())

    def test_01_dont_fragment(self):
        """TCP with "don't fragment" is hashed with its ports"""
        self.check_hash(NON_EX_TYPES, *traffic.flows(0, 8)["TCP/IPv4, DF"])

    def test_02_ex(self):
        """``_EX`` hash types take the home address, and type 2 routes"""
        self.check_hash(EX_TYPES, ip6(HOME_ADDRESS), ip6(ROUTE_2, last=UDP))

    def test_02_ex_alone(self):
        """``_EX`` hash types are for packets with extension headers only"""
        self.check_hash(EX_TYPES, *traffic.flows(0, 8)["TCP/IPv6"])

    def test_03_not_extensions(self):
        """What follows ICMPv6 and "no next header" is not taken for TCP"""
        self.check_hash(NON_EX_TYPES, ip6((ICMP6, PADDING)),
                        ip6((NO_NEXT, PADDING)))

    def test_03_authentication(self):
        """The authentication header is an extension header"""
        self.check_hash(ALL_TYPES, ip6(AUTH), ip6(AUTH, last=UDP))

    def test_03_truncated(self):
        """A TCP header that is cut off: hashed by addresses"""
        self.check_hash(NON_EX_TYPES, FRAMES["TCP/IPv4, cut off"],
                        FRAMES["TCP/IPv6, cut off"])

    def test_04_instructions(self):
        """The verifier walks less than 10,000 instructions of the program"""
        walked = re.search(r"verified_insns:\s*(\d+)", self.program())
        if not walked:
            self.skipTest("no program")
        self.assertLess(int(walked[1]), 10000)

    def test_05_one_configuration(self):
        """While it changes, each packet follows the old or the new one"""
        old, new = spread((0, 1), seed=1), spread((2, 3), seed=2)
        frames = flows(64)
        allowed = {frame: {old.queue(frame), new.queue(frame)}
                   for frame in frames}
        self.begin()
        self.configure(old)
        arrived, going = [], True

        def stream():
            while going:
                self.card.send(frames)

        sender = threading.Thread(target=stream)
        sender.start()
        try:
            for step in range(1000):
                self.configure(old if step % 2 else new)
                arrived += self.nic.collect()
        finally:
            going = False
            sender.join()
        wrong = sum(packet.queue not in allowed[packet.frame]
                    for packet in arrived)
        self.assertEqual(wrong, 0, f"of {len(arrived)} packets follow none")

    def test_05_refused(self):
        """A command that is refused changes nothing"""
        self.begin()
        self.configure(all_to(2))
        self.configure(Config(NON_EX_TYPES, KEY, [1, 1, 1]), ERR)
        self.assert_steers(all_to(2))

    def test_06_table(self):
        """A table that names a queue which is not there is refused"""
        self.begin()
        self.configure(Config(NON_EX_TYPES, KEY, [0, QUEUES]), ERR)

    def begin_vhost(self, options="", **how):
        self.begin(options, HASHES, vhost=True, **how)

    def check_told(self, feature):
        """A feature that was asked for is offered, or there is a warning."""
        if not self.nic.device.has(feature):
            self.assertTrue(self.card.machine.warnings(), "not offered, and "
                            "nothing is said")

    def test_07_vhost(self):
        """``vhost=on``: RSS steers"""
        self.begin_vhost()
        if not self.nic.device.has(F_RSS):
            self.skipTest("RSS is not offered")
        self.configure(spread())
        self.assert_steers(spread())

    def test_07_told(self):
        """``vhost=on``, no eBPF: it is said that there is no RSS"""
        self.begin_vhost(without_bpf=True)
        self.check_told(F_RSS)

    def test_07_hash_told(self):
        """``hash=on,vhost=on``: it is said that there are no hash reports"""
        self.begin_vhost("hash=on")
        self.check_told(F_HASH_REPORT)

    def test_08_reset(self):
        """A reset of the device ends RSS and hash reports"""
        self.begin("hash=on", HASHES)
        self.configure(all_to(2))
        self.nic = self.card.start(features=HASHES)
        self.assertEqual({(packet.queue, packet.header[12:]) for packet
                          in self.receive(flows())},
                         {(0, bytes(8))}, "queues and hashes")

    def test_08_hash_config(self):
        """HASH_CONFIG leaves the table as it is"""
        self.begin("hash=on", HASHES)
        self.configure(spread())
        self.assertEqual(self.nic.command(
            HASH_CONFIG, hash_config(NON_EX_TYPES, KEY)), OK)
        self.assert_steers(spread())

    def test_08_short_key(self):
        """A short key keeps nothing of the one before it"""
        self.begin()
        self.configure(spread(key=b"\xff" * 40))
        self.assertEqual(self.nic.command(RSS_CONFIG, rss_config(
            NON_EX_TYPES, spread().table, KEY[:5], QUEUES)), OK)
        self.assert_steers(spread(key=KEY[:5]))

    def test_09_migration(self):
        """RSS steers on when the guest has migrated"""
        self.begin()
        self.configure(spread())
        self.migrate(None)
        self.assert_steers(spread())

    def test_09_migration_hash(self):
        """Hashes are reported on when the guest has migrated"""
        self.begin("hash=on", HASHES)
        self.configure(spread())
        self.migrate(None, options="hash=on")
        self.assert_reports(spread())

    def test_10_unprivileged(self):
        """A QEMU without privileges can be given the program"""
        self.begin()
        names = {each["name"] for each in self.card.machine.qmp(
            "device-list-properties", {"typename": "virtio-net-pci"})}
        if "ebpf-rss-fds" not in names:
            self.skipTest("no such property")
