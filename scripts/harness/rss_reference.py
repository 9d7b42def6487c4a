# SPDX-License-Identifier: GPL-2.0-or-later
"""Receive side scaling as the virtio specification writes it, slowly.

An independent reference: plain Python, Toeplitz bit by bit, nothing shared
with the product.  Written from "Receive-side scaling (RSS)" and "Hash
calculation for incoming packets" of the specification's network device, plus
RFC 791 (fragments), RFC 8200 (extension headers), RFC 4302 (authentication
header), RFC 6275 (Home Address option, type 2 routing header) and RFC 6946
(atomic fragments).

    config = Config(types, key, table, unclassified)
    config.queue(frame)   -> the queue on which the frame belongs
    classify(frame, types) -> Hashed(type, report, input) or None

`frame` is bytes, from the destination MAC address on.
"""

from collections import namedtuple

IPV4, TCPV4, UDPV4, IPV6, TCPV6, UDPV6, IP_EX, TCP_EX, UDP_EX = (
    1 << bit for bit in range(9))
NAMES = ("none", "IPv4", "TCPv4", "UDPv4", "IPv6", "TCPv6", "UDPv6",
         "IPv6_EX", "TCPv6_EX", "UDPv6_EX")
NON_EX_TYPES = IPV4 | TCPV4 | UDPV4 | IPV6 | TCPV6 | UDPV6
ALL_TYPES = NON_EX_TYPES | IP_EX | TCP_EX | UDP_EX

# The names of the types in QEMU's answers
QAPI_NAMES = ("ipv4", "tcpv4", "udpv4", "ipv6", "tcpv6", "udpv6", "ip-ex",
              "tcp-ex", "udp-ex")

# The RSS verification suite: its key; source, destination, hash of the
# addresses alone, hash with the ports.
KEY = bytes.fromhex("6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b4"
                    "77cb2da38030f20c6a42b73bbeac01fa")
KNOWN_ANSWERS = (
    ("66.9.149.187", 2794, "161.142.100.80", 1766, 0x323e8fc2, 0x51ccc178),
    ("199.92.111.2", 14230, "65.69.140.83", 4739, 0xd718262a, 0xc626b0ea),
    ("24.19.198.95", 12898, "12.22.207.184", 38024, 0xd2d0a5de, 0x5c2b394a),
    ("38.27.205.30", 48228, "209.142.163.6", 2217, 0x82989176, 0xafc7327f),
    ("153.39.163.191", 44251, "202.188.127.2", 1303, 0x5d1809c5, 0x10e828a2),
    ("3ffe:2501:200:1fff::7", 2794, "3ffe:2501:200:3::1", 1766, 0x2cc18cd5,
     0x40207d3d),
    ("3ffe:501:8::260:97ff:fe40:efab", 14230, "ff02::1", 4739, 0x0f0c461c,
     0xdde51bbf),
    ("3ffe:1900:4545:3:200:f8ff:fe21:67cf", 44251,
     "fe80::200:f8ff:fe21:67cf", 38024, 0x4b61e985, 0x02d1feef),
)

VLAN_ETHERTYPES = (0x8100, 0x88a8)
MAX_VLAN_TAGS = 8
MAX_STEPS = 20

HOP_BY_HOP, TCP, UDP, ROUTING, FRAGMENT, ESP, AH = 0, 6, 17, 43, 44, 50, 51
DESTINATION, MOBILITY, HIP, SHIM6 = 60, 135, 139, 140
EXTENSION_HEADERS = (HOP_BY_HOP, ROUTING, FRAGMENT, ESP, AH, DESTINATION,
                     MOBILITY, HIP, SHIM6)
SMALLEST_TRANSPORT_HEADER = {TCP: 20, UDP: 8}

# What is known of a packet.  transport is TCP, UDP or None.  alt_src and
# alt_dst are the addresses that the _EX types take, or None.
Packet = namedtuple("Packet", "version src dst transport ports "
                    "has_extension alt_src alt_dst")

# What is hashed: the type's bit, the report code, and the input bytes.
Hashed = namedtuple("Hashed", "type report input")


def toeplitz(key, data):
    """Return the Toeplitz hash, taking one bit of the input at a time."""
    key_bits = len(key) * 8
    key_number = int.from_bytes(key, "big")
    result = 0
    for index in range(len(data) * 8):
        if data[index // 8] & (0x80 >> index % 8):
            result ^= key_number >> (key_bits - 32 - index) & 0xffffffff
    return result


def be16(data, offset):
    return int.from_bytes(data[offset:offset + 2], "big")


def network_layer(frame):
    """Return (EtherType, offset behind it), with VLAN tags skipped."""
    offset = 12
    tags = 0
    while len(frame) >= offset + 2:
        ethertype = be16(frame, offset)
        if ethertype not in VLAN_ETHERTYPES or tags == MAX_VLAN_TAGS:
            return ethertype, offset + 2
        tags += 1
        offset += 4
    return None, offset


def transport_of(protocol, data):
    """Return (transport, its two ports as bytes) if the header is whole."""
    need = SMALLEST_TRANSPORT_HEADER.get(protocol)
    if need is None or len(data) < need:
        return None, b""
    return protocol, data[:4]


def parse_ipv4(data):
    """Return the Packet, or None where it is not a whole IPv4 header."""
    if len(data) < 20 or data[0] >> 4 != 4:
        return None
    length = (data[0] & 15) * 4
    if length < 20 or len(data) < length:
        return None
    more_fragments = bool(data[6] & 0x20)
    fragment_offset = be16(data, 6) & 0x1fff
    if more_fragments or fragment_offset:
        transport, ports = None, b""
    else:
        transport, ports = transport_of(data[9], data[length:])
    return Packet(4, data[12:16], data[16:20], transport, ports, False,
                  None, None)


def header_length(kind, data):
    """Return the length of an extension header, None if it is cut off."""
    if len(data) < 2:
        return None
    if kind == FRAGMENT:
        length = 8
    elif kind == AH:
        length = (data[1] + 2) * 4
    else:
        length = (data[1] + 1) * 8
    return length if len(data) >= length else None


def home_address(header, steps):
    """Look through a destination options header for a Home Address.

    Returns the address or None, and what is left of `steps`, of which each
    option takes one; less than 0 where they did not suffice.
    """
    offset = 2
    while offset < len(header):
        steps -= 1
        if steps < 0:
            return None, steps
        if header[offset] == 0:                 # Pad1 has no length
            offset += 1
            continue
        if offset + 2 > len(header):
            break
        end = offset + 2 + header[offset + 1]
        if (end <= len(header) and header[offset] == 0xc9
                and header[offset + 1] == 16):
            return header[offset + 2:end], steps
        offset = end
    return None, steps


def parse_ipv6(data):
    """Return the Packet, or None where it is not a whole IPv6 header."""
    if len(data) < 40 or data[0] >> 4 != 6:
        return None
    src, dst = data[8:24], data[24:40]
    kind = data[6]
    has_extension = kind in EXTENSION_HEADERS
    alt_src = alt_dst = None
    rest = data[40:]
    steps = MAX_STEPS

    def packet(transport=None, ports=b""):
        return Packet(6, src, dst, transport, ports, has_extension, alt_src,
                      alt_dst)

    while kind in EXTENSION_HEADERS:
        steps -= 1
        if kind == ESP or steps < 0:
            return packet()
        length = header_length(kind, rest)
        if length is None:
            return packet()
        header, rest = rest[:length], rest[length:]
        if kind == FRAGMENT and be16(header, 2) & 0xfff9:
            return packet()                     # offset, or more to come
        if kind == DESTINATION and alt_src is None:
            alt_src, steps = home_address(header, steps)
        if (kind == ROUTING and alt_dst is None and header[1] == 2
                and header[2] == 2):
            alt_dst = header[8:24]
        kind = header[0]
    return packet(*transport_of(kind, rest)) if steps >= 0 else packet()


def parse(frame):
    """Return the Packet in a frame, or None if it is neither IP version."""
    ethertype, offset = network_layer(frame)
    if ethertype == 0x0800:
        return parse_ipv4(frame[offset:])
    if ethertype == 0x86dd:
        return parse_ipv6(frame[offset:])
    return None


def candidates(packet):
    """Yield (type, uses ports, uses alternative addresses), best first."""
    tcp = packet.transport == TCP
    udp = packet.transport == UDP
    if packet.version == 4:
        if tcp:
            yield TCPV4, True, False
        if udp:
            yield UDPV4, True, False
        yield IPV4, False, False
        return
    if packet.has_extension:
        if tcp:
            yield TCP_EX, True, True
        if udp:
            yield UDP_EX, True, True
        yield IP_EX, False, True
    if tcp:
        yield TCPV6, True, False
    if udp:
        yield UDPV6, True, False
    yield IPV6, False, False


def classify(frame, types):
    """Return what is hashed of a frame, or None: no type applies."""
    packet = parse(frame)
    if packet is None:
        return None
    for kind, with_ports, alternative in candidates(packet):
        if not types & kind:
            continue
        src, dst = packet.src, packet.dst
        if alternative:
            src = packet.alt_src or src
            dst = packet.alt_dst or dst
        data = src + dst + (packet.ports if with_ports else b"")
        return Hashed(kind, kind.bit_length(), data)
    return None


class Config:
    """What a guest has written into its network card."""

    def __init__(self, types, key, table, unclassified=0):
        self.types = types
        self.key = bytes(key).ljust(40, b"\0")
        self.table = list(table)
        self.unclassified = unclassified

    def hash(self, frame):
        """Return (hash, report code); (0, 0) if no type applies."""
        hashed = classify(frame, self.types)
        if hashed is None:
            return 0, 0
        return toeplitz(self.key, hashed.input), hashed.report

    def queue(self, frame):
        """Return the receive queue on which the frame belongs."""
        return self.queue_of(*self.hash(frame))

    def queue_of(self, value, report):
        """Return the receive queue for a hash and its report code."""
        if report == 0:
            return self.unclassified
        return self.table[value & (len(self.table) - 1)]
