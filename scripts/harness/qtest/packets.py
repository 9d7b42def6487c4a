# SPDX-License-Identifier: GPL-2.0-or-later
"""Frames of every kind that RSS tells apart, each with a name."""

import struct

from harness.qtest.rig import traffic
from harness.rss_reference import (AH, DESTINATION, ESP, FRAGMENT, HIP,
                                   HOP_BY_HOP, MOBILITY, ROUTING, SHIM6, TCP,
                                   UDP)

IP4 = bytes((66, 9, 149, 187)), bytes((161, 142, 100, 80))
IP6 = (bytes.fromhex("3ffe2501020001ff0000000000000007"),
       bytes.fromhex("3ffe2501020000030000000000000001"))
HOME = bytes.fromhex("fd00000000000000000000000000c9c9")
VIA = bytes.fromhex("fd00000000000000000000000000d0d0")
PORTS = 2794, 1766
SCTP, ICMP6, NO_NEXT = 132, 58, 59
MORE_FRAGMENTS = 0x2000


def ip4(protocol=TCP, flags=0, options=b"", cut=None):
    """Return an IPv4 frame; cut: bytes kept of what follows its header."""
    body = traffic.transport(protocol, *IP4, PORTS, b"data")[:cut]
    head = struct.pack("!BBHHHBBH", 0x45 + len(options) // 4, 0,
                       20 + len(options) + len(body), 1, flags, 64, protocol,
                       0)
    return traffic.frame(0x0800, head + b"".join(IP4) + options + body)


def ip6(*headers, last=TCP, cut=None):
    """Return an IPv6 frame with extension headers: (kind, bytes behind the
    next header field), and `last` behind them."""
    body = traffic.transport(last, *IP6, PORTS, b"data")[:cut]
    following = last
    for kind, data in reversed(headers):
        body = bytes((following,)) + data + body
        following = kind
    return traffic.frame(0x86dd, struct.pack("!IHBB", 6 << 28, len(body),
                                             following, 64)
                         + b"".join(IP6) + body)


def vlan(frame, *ethertypes):
    tags = b"".join(struct.pack("!HH", kind, 5) for kind in ethertypes)
    return frame[:12] + tags + frame[12:]


PADDING = b"\0\1\4\0\0\0\0"                 # one header of 8 bytes
HOP, DEST = (HOP_BY_HOP, PADDING), (DESTINATION, PADDING)
HOME_ADDRESS = DESTINATION, b"\2\1\2\0\0\xc9\x10" + HOME
ROUTE_2 = ROUTING, b"\2\2\1\0\0\0\0" + VIA
ROUTE_4 = ROUTING, b"\2\4\1\0\0\0\0" + VIA
AUTH = AH, b"\4\0\0" + bytes(20)


def fragment(offset=0, more=0):
    return FRAGMENT, b"\0" + struct.pack("!HI", offset << 3 | more, 7)


FRAMES = {
    "TCP/IPv4": ip4(),
    "TCP/IPv4, DF": ip4(flags=traffic.DONT_FRAGMENT),
    "TCP/IPv4, options": ip4(options=b"\1" * 40),
    "TCP/IPv4, cut off": ip4(cut=19),
    "TCP/IPv4, first fragment": ip4(flags=MORE_FRAGMENTS),
    "TCP/IPv4, later fragment": ip4(flags=1),
    "TCP/IPv4, DF and an offset": ip4(flags=traffic.DONT_FRAGMENT | 9),
    "TCP/IPv4, VLAN": vlan(ip4(), 0x8100),
    "TCP/IPv4, QinQ": vlan(ip4(), 0x88a8, 0x8100),
    "TCP/IPv4, eight tags": vlan(ip4(), *[0x8100] * 8),
    "TCP/IPv4, nine tags": vlan(ip4(), *[0x8100] * 9),
    "UDP/IPv4": ip4(UDP),
    "UDP/IPv4, cut off": ip4(UDP, cut=7),
    "SCTP/IPv4": ip4(SCTP),
    "TCP/IPv6": ip6(),
    "TCP/IPv6, VLAN": vlan(ip6(), 0x8100),
    "TCP/IPv6, cut off": ip6(cut=19),
    "UDP/IPv6": ip6(last=UDP),
    "UDP/IPv6, cut off": ip6(last=UDP, cut=7),
    "SCTP/IPv6": ip6(last=SCTP),
    "ICMPv6": ip6(last=ICMP6),
    "IPv6, no next header": ip6(last=NO_NEXT),
    "TCP/IPv6, hop-by-hop": ip6(HOP),
    "UDP/IPv6, hop-by-hop": ip6(HOP, last=UDP),
    "ICMPv6, hop-by-hop": ip6(HOP, last=ICMP6),
    "TCP/IPv6, destination options": ip6(DEST),
    "TCP/IPv6, home address": ip6(HOME_ADDRESS),
    "UDP/IPv6, home address": ip6(HOME_ADDRESS, last=UDP),
    "SCTP/IPv6, home address": ip6(HOME_ADDRESS, last=SCTP),
    "TCP/IPv6, routing type 2": ip6(ROUTE_2),
    "UDP/IPv6, routing type 2": ip6(ROUTE_2, last=UDP),
    "TCP/IPv6, routing type 4": ip6(ROUTE_4),
    "TCP/IPv6, all kinds": ip6(HOP, DEST, ROUTE_2, AUTH, HOME_ADDRESS,
                               (MOBILITY, PADDING), (HIP, PADDING),
                               (SHIM6, PADDING)),
    "UDP/IPv6, authentication": ip6(AUTH, last=UDP),
    "TCP/IPv6, ESP": ip6(DEST, (ESP, b"\0\0\0" + bytes(12))),
    "TCP/IPv6, home address, cut off": ip6(HOME_ADDRESS, cut=19),
    "TCP/IPv6, atomic fragment": ip6(fragment()),
    "TCP/IPv6, first fragment": ip6(fragment(more=1)),
    "TCP/IPv6, later fragment": ip6(fragment(offset=1)),
    "TCP/IPv6, home address, fragment": ip6(HOME_ADDRESS, fragment(more=1)),
    "TCP/IPv6, 16 headers": ip6(*[DEST] * 16),
    "TCP/IPv6, 17 headers": ip6(*[DEST] * 17),
    "ARP": traffic.frame(0x0806, bytes(28)),
    "nothing but an EtherType": traffic.frame(0x0800, b""),
    "EtherType IPv4, version 6": traffic.frame(0x0800, b"\x65" + bytes(39)),
    "IPv4, cut off": ip4()[:14 + 19],
    "IPv6, cut off": ip6()[:14 + 39],
}
