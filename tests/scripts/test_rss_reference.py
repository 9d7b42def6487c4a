#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The reference against published answers and a few telling packets."""

import ipaddress
import struct
import unittest

from harness import rss_reference as rss

SRC6, DST6 = bytes(range(16)), bytes(range(16, 32))
HOME, CARE = b"\xaa" * 16, b"\xbb" * 16
PORTS = b"\x12\x34\x56\x78"
TCP_HEADER = PORTS + bytes(16)
UDP_HEADER = PORTS + bytes(4)


def eth(ethertype, payload, tags=()):
    text = bytes(12)
    for tag in tags:
        text += struct.pack("!HH", tag, 1)
    return text + struct.pack("!H", ethertype) + payload


def ipv4(protocol, payload, flags=0, options=b""):
    return eth(0x800, struct.pack("!BBHHHBBH", 0x45 + len(options) // 4, 0, 0,
                                  0, flags, 64, protocol, 0)
               + b"\1\2\3\4\5\6\7\x08" + options + payload)


def ipv6(protocol, payload):
    return eth(0x86dd, struct.pack("!IHBB", 6 << 28, 0, protocol, 64) + SRC6
               + DST6 + payload)


def extension(following, body):
    return bytes((following, (len(body) + 2) // 8 - 1)) + body


HOME_OPTION = b"\1\2\0\0" + b"\xc9\x10" + HOME          # PadN first
TYPE2 = b"\2\1" + bytes(4) + CARE


class Known(unittest.TestCase):
    def test_suite(self):
        for src, sport, dst, dport, addresses, ports in rss.KNOWN_ANSWERS:
            data = (ipaddress.ip_address(src).packed
                    + ipaddress.ip_address(dst).packed)
            self.assertEqual(rss.toeplitz(rss.KEY, data), addresses, src)
            data += struct.pack("!HH", sport, dport)
            self.assertEqual(rss.toeplitz(rss.KEY, data), ports, src)


class Packets(unittest.TestCase):
    def check(self, frame, name, data=None, types=rss.ALL_TYPES):
        hashed = rss.classify(frame, types)
        self.assertEqual(rss.NAMES[hashed.report if hashed else 0], name)
        if data is not None:
            self.assertEqual(hashed.input, data)

    def test_ipv4(self):
        addresses = b"\1\2\3\4\5\6\7\x08"
        self.check(ipv4(6, TCP_HEADER), "TCPv4", addresses + PORTS)
        self.check(ipv4(6, TCP_HEADER, 0x4000), "TCPv4", addresses + PORTS)
        self.check(ipv4(6, TCP_HEADER, 0x2000), "IPv4", addresses)
        self.check(ipv4(17, UDP_HEADER, 0x0001), "IPv4")
        self.check(ipv4(17, UDP_HEADER), "UDPv4")
        self.check(ipv4(17, UDP_HEADER, options=bytes(40)), "UDPv4",
                   addresses + PORTS)
        self.check(ipv4(6, TCP_HEADER[:19]), "IPv4")
        self.check(ipv4(17, UDP_HEADER[:7]), "IPv4")
        self.check(ipv4(1, bytes(8)), "IPv4")
        self.check(ipv4(17, b"")[:33], "none")
        self.check(ipv4(6, TCP_HEADER), "none", types=rss.UDPV4)

    def test_vlan(self):
        payload = ipv4(17, UDP_HEADER)[14:]
        for count in (1, 2, 8):
            self.check(eth(0x800, payload, [0x88a8] * count), "UDPv4")
        self.check(eth(0x800, payload, [0x8100] * 9), "none")
        self.check(eth(0x806, payload), "none")

    def test_ipv6_plain(self):
        self.check(ipv6(6, TCP_HEADER), "TCPv6", SRC6 + DST6 + PORTS)
        self.check(ipv6(17, UDP_HEADER), "UDPv6")
        self.check(ipv6(17, UDP_HEADER), "none", types=rss.UDP_EX)
        for protocol in (58, 59):
            self.check(ipv6(protocol, bytes(64)), "IPv6")

    def test_ipv6_extension(self):
        frame = ipv6(60, extension(43, HOME_OPTION)
                     + extension(6, TYPE2) + TCP_HEADER)
        self.check(frame, "TCPv6_EX", HOME + CARE + PORTS)
        self.check(frame, "IPv6_EX", HOME + CARE, rss.IP_EX | rss.TCPV6)
        self.check(frame, "TCPv6", SRC6 + DST6 + PORTS, rss.NON_EX_TYPES)
        self.check(frame, "IPv6", SRC6 + DST6, rss.IPV6)
        self.check(frame[:-1], "IPv6_EX", HOME + CARE)
        plain = ipv6(0, extension(17, b"\1\4" + bytes(4)) + UDP_HEADER)
        self.check(plain, "UDPv6_EX", SRC6 + DST6 + PORTS)

    def test_ipv6_odd_headers(self):
        ah = bytes((6, 4)) + bytes(22)
        self.check(ipv6(51, ah + TCP_HEADER), "TCPv6_EX")
        self.check(ipv6(50, TCP_HEADER), "IPv6_EX")
        first = struct.pack("!BBHI", 17, 0, 1, 7)
        self.check(ipv6(44, first + UDP_HEADER), "IPv6_EX")
        atomic = struct.pack("!BBHI", 17, 0, 0, 7)
        self.check(ipv6(44, atomic + UDP_HEADER), "UDPv6_EX")

    def test_limits(self):
        def chain(count):
            pad = b"\1\4" + bytes(4)
            return ipv6(60, extension(60, pad) * (count - 1)
                        + extension(17, pad) + UDP_HEADER)
        self.check(chain(10), "UDPv6_EX")   # a header and an option each
        self.check(chain(11), "IPv6_EX")

        def options(pads):
            body = bytes(pads) + b"\xc9\x10" + HOME
            return ipv6(60, extension(17, body + bytes(-(len(body) + 2) % 8))
                        + UDP_HEADER)
        self.check(options(18), "UDPv6_EX", HOME + DST6 + PORTS)
        self.check(options(19), "IPv6_EX", SRC6 + DST6)

    def test_truncation(self):
        frame = ipv6(60, extension(43, HOME_OPTION)
                     + extension(6, TYPE2) + TCP_HEADER)
        for length in range(len(frame)):
            hashed = rss.classify(frame[:length], rss.ALL_TYPES)
            if length < 54:
                self.assertIsNone(hashed)
            elif length < 54 + 24:
                self.assertEqual(hashed.input, SRC6 + DST6)
            elif length < 54 + 48:
                self.assertEqual(hashed.input, HOME + DST6)
            else:
                self.assertEqual(hashed.input, HOME + CARE)


class Queue(unittest.TestCase):
    def test_table(self):
        config = rss.Config(rss.ALL_TYPES, rss.KEY, range(128), 77)
        frame = ipv4(17, UDP_HEADER)
        self.assertEqual(config.queue(frame),
                         rss.toeplitz(rss.KEY, frame[26:34] + PORTS) % 128)
        self.assertEqual(config.queue(eth(0x806, bytes(46))), 77)


if __name__ == "__main__":
    unittest.main()
