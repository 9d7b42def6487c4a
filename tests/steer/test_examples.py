#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The programs of docs/examples, and tap-steer try.

Each packet is tried first, and then sent: it must take the queue that "try"
has told.
"""

import json
import os
import struct
import subprocess
import tempfile

from rig import NOTHING, OBJECTS, Rig, traffic

from harness.check.unittest_tap import run_tests

UDP = 17
SRC, DST = b"\x0a\0\0\1", b"\x0a\0\0\2"


def udp(port, source=1000, payload=bytes(18)):
    """Return a frame by UDP to a port."""
    return traffic.frame(0x0800, traffic.ipv4_packet(
        UDP, SRC, DST, (source, port), payload))


def with_dscp(frame, dscp):
    """Return the frame with another DSCP, and its checksum as it was."""
    return frame[:15] + bytes((dscp << 2,)) + frame[16:]


def tagged(frame, vlan, priority=0):
    """Return the frame with a VLAN tag."""
    return (frame[:12] + b"\x81\0" + struct.pack("!H", priority << 13 | vlan)
            + frame[12:])


def vxlan(inner, source):
    """Return a tunnel's packet with a frame in it."""
    return udp(4789, source, b"\x08\0\0\0\0\0\1\0" + inner)


def pcap(frames):
    """Return a capture of these frames."""
    header = struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1)
    return header + b"".join(
        struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame
        for frame in frames)


class TryCase(Rig):
    """Tests of "try"."""

    def try_bytes(self, name, data, *words):
        """Run it with a program on a file that has this in it."""
        with tempfile.NamedTemporaryFile(suffix=".pcap") as file:
            file.write(data)
            file.flush()
            return self.run_tool("try", "tap0", "obj",
                                 str(OBJECTS / f"{name}.bpf.o"), "--pcap",
                                 file.name, *words)


class Examples(TryCase):
    """On a tap of four queues."""

    def try_frames(self, name, frames, *words):
        """Return what "try" tells of each frame: a queue or None."""
        done = self.try_bytes(name, pcap(frames), "--json", *words)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return [packet["queue"] for packet in json.loads(done.stdout)]

    def load_example(self, name, *words):
        self.steer("load", "tap0", "obj", str(OBJECTS / f"{name}.bpf.o"),
                   *words)

    def check(self, name, rows):
        """rows: (frame, its queue, or None: no opinion)"""
        frames = [frame for frame, _ in rows]
        expected = [queue for _, queue in rows]
        self.assertEqual(self.try_frames(name, frames, "--fallback"),
                         expected)
        wrapped = [65535 % self.QUEUES if queue is None else queue
                   for queue in expected]
        self.assertEqual(self.try_frames(name, frames), wrapped)
        self.load_example(name)
        for frame, queue in zip(frames, wrapped):
            self.assertEqual(self.where([frame]), {queue: 1})

    def test_by_dscp(self):
        plain = udp(53)
        self.check("by_dscp", [
            (plain, None), (with_dscp(plain, 46), 0),
            (with_dscp(plain, 45), None), (tagged(plain, 10), 1),
            (tagged(plain, 12), 3), (tagged(plain, 13), None),
            (tagged(plain, 9), None), (tagged(plain, 9, 5), 0),
            (tagged(with_dscp(plain, 46), 99), 0),
            (plain[:14] + bytes(46), None)])

    def test_by_port_while_the_map_is_edited(self):
        self.load_example("by_port")
        (number,) = self.shown()["program"]["maps"]
        frame = udp(53)
        self.assertEqual(self.where([frame]), {3: 1})       # no opinion
        for queue in (1, 2):
            subprocess.run(
                ["bpftool", "map", "update", "id", str(number), "key",
                 *map(str, struct.pack("=H", 53)), "value",
                 *map(str, struct.pack("=I", queue))], check=True)
            self.assertEqual(self.where([frame]), {queue: 1})
            self.assertEqual(self.where([udp(54)]), {3: 1})

    def test_by_inner(self):
        inner = [udp(port) for port in range(64)]
        queues = self.try_frames("by_inner", [vxlan(frame, 1000)
                                              for frame in inner])
        self.assertEqual(set(queues), {0, 1, 2, 3})
        self.assertEqual(queues, self.try_frames(
            "by_inner", [vxlan(frame, 2000) for frame in inner]))
        self.assertEqual(self.try_frames("by_inner", inner, "--fallback"),
                         [None] * len(inner))
        self.load_example("by_inner")
        for frame, queue in list(zip(inner, queues))[:16]:
            self.assertEqual(self.where([vxlan(frame, 3000)]), {queue: 1})


class Captures(TryCase):
    """What "try" says of files."""

    def test_text(self):
        done = self.try_bytes("by_port", pcap([udp(1), udp(2)]),
                              "--fallback")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("packet 2, 60 bytes: no opinion\n", done.stdout)
        self.assertIn("no opinion: 2\n", done.stdout)

    def test_damaged(self):
        whole = pcap([udp(1)])
        for data, reason in ((b"", "not a capture"),
                             (whole[:23], "not a capture"),
                             (bytes(24), "not a capture"),
                             (whole[:30], "cut off at byte 24"),
                             (whole[:-1], "cut off at byte 24"),
                             (whole[:20] + b"\x69" + whole[21:],
                              "link type 105")):
            with self.subTest(reason):
                done = self.try_bytes("by_port", data)
                self.assertEqual(done.returncode, 1)
                self.assertIn(reason, done.stderr)

    def test_other_byte_order(self):
        frame = udp(7)
        data = struct.pack(">IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1)
        data += struct.pack(">IIII", 0, 0, len(frame), len(frame)) + frame
        done = self.try_bytes("by_port", data, "--fallback")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"packet 1, {len(frame)} bytes", done.stdout)

    def test_nothing_is_attached(self):
        self.try_bytes("by_port", pcap([udp(1)]))
        self.assertEqual(self.shown()["state"], NOTHING)
        self.assertEqual(self.shown()["owner"]["pid"], os.getpid())


if __name__ == "__main__":
    run_tests(__file__)
