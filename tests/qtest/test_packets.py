#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Where packets go and what hash they carry: what rss_reference says.

Each kind of packet passes under every single hash type, under all of them,
and under those that Linux takes.
"""

import random
import socket
import struct

from harness.qtest import packets
from harness.qtest.boards import option
from harness.qtest.machine import BOARD, Machine
from harness.qtest.rig import (EBPF, KEY, SLOT, SOFTWARE, Case, Config,
                               TapCase, flows, rows, run_tests, spread)
from harness.qtest.virtio_net import (F_MRG_RXBUF, HASHES, HASH_CONFIG, OK,
                                      VirtioNet, hash_config)
from harness.rss_reference import (ALL_TYPES, IPV4, IPV6, KNOWN_ANSWERS,
                                   NON_EX_TYPES)

TYPES = [ALL_TYPES, NON_EX_TYPES, ALL_TYPES & ~NON_EX_TYPES, IPV4 | IPV6, 0]
TYPES += [1 << bit for bit in range(9)]


def known_frame(row, protocol):
    """Return a frame of one row of the known answers."""
    src, sport, dst, dport = row[:4]
    family = socket.AF_INET6 if ":" in src else socket.AF_INET
    src, dst = (socket.inet_pton(family, text) for text in (src, dst))
    make, ethertype = ((packets.traffic.ipv6_packet, 0x86dd) if len(src) == 16
                       else (packets.traffic.ipv4_packet, 0x0800))
    return packets.traffic.frame(
        ethertype, make(protocol, src, dst, (sport, dport), b"x"))


class Steering:
    """Both engines put each packet where the reference does."""

    @rows({f"all kinds of packets, hash types {types:#x}": types
           for types in TYPES})
    def check_types(self, types):
        config = spread(types=types, seed=types, unclassified=3)
        self.set_rss(config)
        self.assert_steers(config, list(packets.FRAMES.values()))

    def test_many_flows(self):
        self.set_rss(spread(seed=4))
        for round_ in range(4):
            self.assert_steers(spread(seed=4), flows(200, seed=round_))


class SteeringEbpf(Steering, TapCase):
    engine = EBPF


class SteeringSoftware(Steering, TapCase):
    engine = SOFTWARE


class HashReport:
    """The header of each packet has the reference's hash and type.

    send(), configure() and self.nic are the classes' below.
    """

    def reports(self, frames):
        """Send frames; return {frame: (hash, report)}. None may be lost."""
        answer = {}
        for start in range(0, len(frames), 64):
            some = frames[start:start + 64]
            self.send(some)
            arrived = self.nic.wait_packets(len(some))
            self.assertEqual(len(arrived), len(some), "packets lost")
            for packet in arrived:
                value, report, padding = struct.unpack("<IHH",
                                                       packet.header[12:])
                self.assertEqual(padding, 0)
                answer[packet.frame] = value, report
        return answer

    def assert_reports(self, config, frames):
        found = self.reports(frames)
        for frame in frames:
            self.assertEqual(found.get(frame), config.hash(frame),
                             f"hash types {config.types:#x}, {frame.hex()}")

    @rows(packets.FRAMES, "hash of ")
    def check_kind(self, frame):
        for types in TYPES:
            config = Config(types, KEY, [0])
            self.configure(config)
            self.assert_reports(config, [frame])

    def test_known_answers(self):
        for column, types in ((4, IPV4 | IPV6), (5, NON_EX_TYPES)):
            self.configure(Config(types, KEY, [0]))
            for row in KNOWN_ANSWERS:
                for protocol in (6, 17):
                    frame = known_frame(row, protocol)
                    self.assertEqual(self.reports([frame])[frame][0],
                                     row[column], row)

    def test_many_flows_and_keys(self):
        for seed in range(5):
            key = random.Random(seed).randbytes(40)
            self.configure(Config(NON_EX_TYPES, key, [0]))
            self.assert_reports(Config(NON_EX_TYPES, key, [0]),
                                flows(100, seed))

    def test_short_key(self):
        self.configure(Config(NON_EX_TYPES, b"\xff" * 40, [0]))
        sent = Config(NON_EX_TYPES, KEY, [0])
        sent.key = KEY[:5]              # Config() fills a key up
        self.configure(sent)
        self.assert_reports(Config(NON_EX_TYPES, KEY[:5], [0]), flows())

    def test_before_any_command(self):
        self.assertEqual(set(self.reports(flows()).values()), {(0, 0)})

    def test_packets_over_several_buffers(self):
        """Mergeable buffers: the hash is in the first one."""
        self.nic.start(features=HASHES | 1 << F_MRG_RXBUF, buffers=False)
        for queue in range(len(self.nic.receive_queues)):
            self.nic.give_buffers(queue, size=40)
        config = Config(NON_EX_TYPES, KEY, [0])
        self.configure(config)
        frame = packets.ip6()
        self.send([frame])
        pieces = self.nic.wait_packets(3)
        header = pieces[0].header
        self.assertEqual(struct.unpack("<HIH", header[10:18]),
                         (3, *config.hash(frame)))


class HashReportTap(HashReport, TapCase):
    """With RSS_CONFIG, on a tap, whose packets have a virtio-net header."""

    engine = SOFTWARE
    options = "hash=on"
    features = HASHES

    def send(self, frames):
        self.card.send(frames)

    def configure(self, config):
        self.set_rss(config)


class HashReportDatagrams(HashReport, Case):
    """With HASH_CONFIG, on a backend without that header, by any user."""

    @classmethod
    def setUpClass(cls):
        cls.socket, theirs = socket.socketpair(socket.AF_UNIX,
                                               socket.SOCK_DGRAM)
        cls.addClassCleanup(cls.socket.close)
        with theirs:
            cls.machine = Machine(
                ["-netdev", "dgram,id=net0,local.type=fd,"
                 f"local.str={theirs.fileno()}",
                 "-device",
                 option(BOARD.card, "netdev=net0", "rss=on", "hash=on")],
                pass_fds=[theirs.fileno()])
        cls.addClassCleanup(cls.machine.stop)

    def setUp(self):
        self.nic = VirtioNet(self.machine, SLOT).start(HASHES)

    def send(self, frames):
        for frame in frames:
            self.socket.send(frame)

    def configure(self, config):
        self.assertEqual(self.nic.command(
            HASH_CONFIG, hash_config(config.types, config.key)), OK)


if __name__ == "__main__":
    run_tests(__file__)
