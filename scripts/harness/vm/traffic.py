# SPDX-License-Identifier: GPL-2.0-or-later
"""The packets that are sent into the tap: flows of one packet each."""

import random
import socket
import struct

GUEST_MAC = "52:54:00:12:34:56"
SENDER_MAC = "52:54:00:65:43:21"
TCP, UDP = 6, 17
OTHER = 253                 # for experiments (RFC 3692): hashed by addresses
DONT_FRAGMENT = 0x4000


def mac_bytes(text):
    return bytes.fromhex(text.replace(":", ""))


def checksum(data):
    """Return the Internet checksum (RFC 1071) of some bytes."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def transport(protocol, src, dst, ports, payload):
    """Return a TCP SYN or a UDP datagram with its checksum."""
    if protocol == TCP:
        head = struct.pack("!HHIIBBH", *ports, 1, 0, 5 << 4, 0x02, 65535)
        tail = struct.pack("!H", 0) + payload
    else:
        head = struct.pack("!HHH", *ports, 8 + len(payload))
        tail = payload
    length = len(head) + 2 + len(tail)
    pseudo = src + dst + struct.pack("!IHBB", length, 0, 0, protocol)
    value = checksum(pseudo + head + b"\0\0" + tail) or 0xffff
    return head + struct.pack("!H", value) + tail


def ipv4_packet(protocol, src, dst, ports, payload, flags=0):
    """Return an IPv4 packet; `flags` is its flags and fragment offset."""
    body = transport(protocol, src, dst, ports, payload)
    head = struct.pack("!BBHHHBB", 0x45, 0, 20 + len(body), 1, flags, 64,
                       protocol)
    value = checksum(head + b"\0\0" + src + dst)
    return head + struct.pack("!H", value) + src + dst + body


def ipv6_packet(protocol, src, dst, ports, payload):
    """Return an IPv6 packet without extension headers."""
    body = transport(protocol, src, dst, ports, payload)
    return struct.pack("!IHBB", 6 << 28, len(body), protocol,
                       64) + src + dst + body


def frame(ethertype, packet):
    return (mac_bytes(GUEST_MAC) + mac_bytes(SENDER_MAC)
            + struct.pack("!H", ethertype) + packet)


def one_flow(rng, version, protocol, flags):
    """Return the only packet of a flow with random addresses and ports."""
    ports = rng.randrange(1024, 65536), rng.randrange(1, 65536)
    payload = rng.randbytes(18)
    if version == 4:
        src, dst = (bytes((10,)) + rng.randbytes(3) for _ in range(2))
        return frame(0x0800, ipv4_packet(protocol, src, dst, ports, payload,
                                         flags))
    src, dst = (b"\xfd\0" + rng.randbytes(14) for _ in range(2))
    return frame(0x86dd, ipv6_packet(protocol, src, dst, ports, payload))


def datagram(port):
    """Return a frame with a UDP datagram from 192.0.2.1 to 192.0.2.2."""
    return frame(0x0800, ipv4_packet(
        UDP, bytes((192, 0, 2, 1)), bytes((192, 0, 2, 2)), (1024, port),
        bytes(18)))


CLASSES = (
    ("TCP/IPv4, DF", 4, TCP, DONT_FRAGMENT),
    ("UDP/IPv4", 4, UDP, 0),
    ("TCP/IPv6", 6, TCP, 0),
    ("UDP/IPv6", 6, UDP, 0),
)
OTHER_CLASSES = (
    ("other/IPv4", 4, OTHER, 0),
    ("other/IPv6", 6, OTHER, 0),
)


def flow_of(data):
    """Return the last 12 bytes of a frame up to and with its ports."""
    end = 38 if data[12] == 0x08 else 58
    return data[end - 12:end]


def flows(seed, count, classes=CLASSES):
    """Return {class name: [frame, …]}, the same for the same seed."""
    answer = {}
    for name, version, protocol, flags in classes:
        rng = random.Random(f"{seed} {name}")
        frames = set()
        while len(frames) < count:
            frames.add(one_flow(rng, version, protocol, flags))
        answer[name] = sorted(frames)
    return answer


def mixed(count=32, seed=0):
    """Return frames of different flows: TCP and UDP, IPv4 and IPv6."""
    return [frame for frames in flows(seed, count // 4).values()
            for frame in frames]


def send(sock, frames):
    """Send frames, each as one packet; wait where the socket is full."""
    for data in frames:
        while True:
            try:
                sock.send(data)
                break
            except (BlockingIOError, InterruptedError, socket.timeout):
                continue
