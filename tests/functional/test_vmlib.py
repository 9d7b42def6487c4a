#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The pieces of harness/vm and privateapt that need no machine.

Quick, no network, no privilege.
"""

import contextlib
import io
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path
from unittest import mock

from harness import TOP, aptsources, privateapt
from harness.cases import Case, rows
from harness.rss_reference import KEY, NON_EX_TYPES, Config
from harness.vm import (VmError, flow, hashes, initramfs, process, qemu,
                        steering, traffic, virthost)
from harness.vm.channel import Shell
from harness.vm.guest import Guest
from harness.vm.histogram import bursts


DEB822 = """\
# a comment
Types: deb
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/security
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main

Types: deb
URIs: http://third.example/php
Suites: bookworm
Components: main
Signed-By: /usr/share/keyrings/php.gpg
"""

ONE_LINE = """\
deb [arch=amd64 signed-by=/usr/share/keyrings/debian-x.gpg] \
http://mirror.example/debian bookworm main contrib  # why
#deb http://off.example/debian bookworm main
deb cdrom:[Debian]/ bookworm main
deb https://third.example/linux bookworm stable
"""


class Sources(unittest.TestCase):
    def text(self, entries, suite, kind="deb"):
        with mock.patch.object(aptsources, "machine_entries",
                               return_value=list(entries)):
            return aptsources.sources_text(suite, kind)

    def test_deb822(self):
        text = self.text(aptsources.parse_deb822(DEB822), "bookworm")
        self.assertEqual(text.count("Types: deb\n"), 3)
        self.assertIn("mirror.example/security\nSuites: bookworm-security",
                      text)
        self.assertNotIn("third.example", text)
        self.assertNotIn("off.example", text)

    def test_one_line(self):
        text = self.text(aptsources.parse_one_line(ONE_LINE), "sid",
                         "deb-src")
        self.assertEqual(text.count("URIs:"), 1)
        self.assertIn("Types: deb-src\n", text)
        self.assertIn("Suites: sid\n", text)
        self.assertIn("Signed-By: /usr/share/keyrings/debian-x.gpg\n", text)

    def test_other_suites(self):
        entries = list(aptsources.parse_deb822(DEB822))
        self.assertIn("trixie-security", self.text(entries, "trixie"))
        self.assertNotIn("updates", self.text(entries, "bookworm-backports"))

    def test_nothing(self):
        self.assertEqual(self.text([], "bookworm"), "")


class Records(unittest.TestCase):
    def test_damaged_download_is_seen(self):
        with tempfile.TemporaryDirectory() as folder, \
                mock.patch.dict(os.environ, XDG_CACHE_HOME=folder):
            path = privateapt.cache_dir() / "debian/x/a.deb"
            path.parent.mkdir(parents=True)
            path.write_bytes(b"content")
            privateapt.write_record("x", "a", [path])
            self.assertEqual(privateapt.recorded("x", "a"), [path])
            path.write_bytes(b"Content")
            self.assertIsNone(privateapt.recorded("x", "a"))

    def test_newest(self):
        self.assertEqual(privateapt.newest(["1:7.2-7", "1:7.2-7+deb12u18",
                                            "1:7.2-7+deb12u9"]),
                         "1:7.2-7+deb12u18")


class Initramfs(unittest.TestCase):
    def test_cpio_reads_it(self):
        archive = initramfs.cpio({"a/b/c": (0o100644, b"12345"),
                                  "init": (0o100755, b"#!")})
        self.assertEqual(len(archive) % 4, 0)
        done = subprocess.run(["cpio", "-itv", "--quiet"], input=archive,
                              capture_output=True, check=True)
        names = [line.split()[-1] for line in done.stdout.decode().splitlines()]
        self.assertEqual(names, ["a", "a/b", "a/b/c", "init", "dev",
                                 "dev/console"])


class Packets(unittest.TestCase):
    def test_flows(self):
        flows = traffic.flows(1, 20)
        self.assertEqual(flows, traffic.flows(1, 20))
        self.assertNotEqual(flows, traffic.flows(2, 20))
        for frame in flows["TCP/IPv4, DF"]:
            self.assertEqual(frame[20:22], b"\x40\0")
            self.assertEqual(traffic.checksum(frame[14:34]), 0)

    def test_transport_checksum(self):
        src, dst = b"\1" * 16, b"\2" * 16
        for protocol in (traffic.TCP, traffic.UDP):
            data = traffic.transport(protocol, src, dst, (1, 2), b"odd")
            pseudo = src + dst + struct.pack("!IHBB", len(data), 0, 0,
                                             protocol)
            self.assertEqual(traffic.checksum(pseudo + data), 0)

    def test_bursts(self):
        groups = {0: [1, 2, 3], 1: [], 2: [4]}
        self.assertEqual(list(bursts(groups, 0)), [(0, [1, 2, 3]), (2, [4])])
        self.assertEqual(list(bursts(groups, 2)), [(0, [1, 2]), (0, [3]),
                                                   (2, [4])])


class FakeGuest:
    def __init__(self, text):
        self.text = text

    def shell(self, _command):
        return self.text


class Steering(unittest.TestCase):
    def test_ethtool_x(self):
        guest = FakeGuest("RX flow hash indirection table for eth0:\n"
                          "    0:      0     1     2     3\n"
                          "    4:      3     2     1     0\n"
                          "RSS hash key:\n4d:d3:b6\nRSS hash function:\n"
                          "    toeplitz: on\n")
        rss = steering.GuestRss(guest)
        self.assertEqual(rss.table, [0, 1, 2, 3, 3, 2, 1, 0])
        self.assertEqual(rss.key, b"\x4d\xd3\xb6")

    def test_features(self):
        bits = ["0"] * 64
        self.assertFalse(steering.has_feature(FakeGuest("".join(bits) + "\n")))
        bits[60] = "1"
        self.assertTrue(steering.has_feature(FakeGuest("".join(bits) + "\n")))

    def test_counters_in_order(self):
        guest = FakeGuest("".join(f"rx_queue_{q}_packets: {q * 3}\n"
                                  for q in (10, 2, 0)))
        self.assertEqual(steering.rx_packets(guest), [0, 6, 30])


class Hashes(unittest.TestCase):
    """What the demo says of the hashes that a guest has seen."""

    def compare(self, spoil=lambda found: None):
        flows = traffic.flows(1, 4, traffic.CLASSES + traffic.OTHER_CLASSES)
        config = Config(NON_EX_TYPES, KEY, [0])
        found = {traffic.flow_of(frame): config.hash(frame)[0]
                 for frames in flows.values() for frame in frames}
        self.assertEqual(len(found), 24)
        spoil(found)
        with contextlib.redirect_stdout(io.StringIO()) as said:
            return hashes.compare(found, flows, config), said.getvalue()

    def test_all_right(self):
        wrong, text = self.compare()
        self.assertEqual(wrong, 0)
        self.assertNotIn("WRONG", text)

    def test_each_wrong_or_missing_hash_counts(self):
        def spoil(found):
            first, second = list(found)[:2]
            found[first] ^= 1 << 31
            del found[second]

        wrong, text = self.compare(spoil)
        self.assertEqual(wrong, 2)
        self.assertEqual(text.count("WRONG"), 1)


class Processes(unittest.TestCase):
    def test_shell_channel(self):
        """A real shell at the other end of the socket."""
        ours, theirs = socket.socketpair()
        child = process.spawn(["sh"], stdin=theirs, stdout=theirs)
        self.addCleanup(process.stop, child)
        self.addCleanup(ours.close)
        theirs.close()
        shell = Shell(ours, lambda: None, "the shell")
        seen = []
        self.assertEqual(shell.run("echo a; echo b >&2; false", 5,
                                   seen.append), (1, "a\nb"))
        self.assertEqual(seen, ["a", "b"])
        self.assertEqual(shell.run("printf x", 5), (0, "x"))
        with self.assertRaises(VmError):
            shell.run("sleep 5", 0.2)

    def test_child_dies_with_us(self):
        code = ("import sys, time; sys.path.insert(0, sys.argv[1])\n"
                "from harness.vm import process\n"
                "child = process.spawn(['sleep', '60'])\n"
                "print(child.pid, flush=True)\n"
                "time.sleep(60)\n")
        parent = subprocess.Popen([sys.executable, "-c", code,
                                   TOP / "scripts"],
                                  stdout=subprocess.PIPE, text=True)
        child = int(parent.stdout.readline())
        comm = Path(f"/proc/{child}/comm")
        process.wait_until(lambda: comm.read_text() == "sleep\n", 5)
        parent.kill()
        parent.wait()
        parent.stdout.close()

        def gone():
            try:
                return "State:\tZ" in Path(f"/proc/{child}/status").read_text()
            except OSError:
                return True
        self.assertTrue(process.wait_until(gone, 5))

    def test_run_reports(self):
        with self.assertRaisesRegex(VmError, "status 3: why"):
            process.run("sh", "-c", "echo why; exit 3")
        with self.assertRaisesRegex(VmError, "did not end"):
            process.run("sleep", "9", timeout=0.1)
        self.assertEqual(threading.active_count(), 1)


CRASH = """\
[   56.290203] BUG: TASK stack guard page was hit at 00000000197427d2
[   56.290203] CPU: 0 PID: 178 Comm: {} Not tainted 6.1.0-56-amd64
[   56.290203] RIP: 0010:{}
[   56.290203]  ? bpf_prog_run+0x10/0x20
[   56.290203] Modules linked in: cls_bpf sch_ingress vhost_net
[   56.837502] Kernel panic - not syncing: Fatal exception
"""
LOCKUP = """\
[   90.100000] watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [kworker/1:0]
[   90.100000] Kernel panic - not syncing: softlockup: hung tasks
"""
STALL = """\
[   90.100000] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:
[   90.100000] Kernel panic - not syncing: RCU Stall
"""


class Flows(Case):
    """flow.c tells what a network does to packets."""

    AMOUNT = 200

    def start(self, *words):
        process = subprocess.Popen([flow.program(), *map(str, words)],
                                   stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def free_port(self, kind):
        with socket.socket(socket.AF_INET, kind) as sock:
            sock.bind(("127.0.0.1", 0))
            return sock.getsockname()[1]

    @rows({
        "right": (lambda packet: [packet], "lost 0, twice 0, wrong 0", 0),
        "all twice": (lambda packet: [packet, packet],
                      f"lost 0, twice {AMOUNT}, wrong 0", 1),
        "the last byte is another": (
            lambda packet: [packet[:-1] + bytes([packet[-1] ^ 1])],
            f"twice 0, wrong {AMOUNT}", 1),
        "a byte is missing": (lambda packet: [packet[:-1]],
                              f"twice 0, wrong {AMOUNT}", 1),
    }, "datagrams: ")
    def check_datagrams(self, change, words, status):
        """`change` makes of each datagram those that arrive."""
        port = self.free_port(socket.SOCK_DGRAM)
        receiver = self.start("udp-receive", port, 100)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as between:
            between.bind(("127.0.0.1", 0))
            sender = self.start("udp-send", "127.0.0.1",
                                between.getsockname()[1], 100, self.AMOUNT)

            between.settimeout(0.1)
            while sender.poll() is None:
                with contextlib.suppress(OSError):
                    packet, peer = between.recvfrom(1000)
                    if peer[1] == port:
                        between.sendto(packet, back)
                        continue
                    back = peer
                    talk = packet[1:] == b"\xff" * 7      # begin, or end
                    for each in [packet] if talk else change(packet):
                        between.sendto(each, ("127.0.0.1", port))
        self.assertIn(words, receiver.communicate()[0])
        self.assertEqual(receiver.returncode, status)

    def test_stream(self):
        port = self.free_port(socket.SOCK_STREAM)
        receiver = self.start("tcp-receive", port)
        with process.wait_until(lambda: self.connected(port), 30) as sock:
            sock.sendall(bytes(1000))
        self.assertRegex(receiver.communicate()[0],
                         "received 1000, .* wrong [1-9]")
        self.assertEqual(receiver.returncode, 1)

    @staticmethod
    def connected(port):
        with contextlib.suppress(ConnectionRefusedError):
            return socket.create_connection(("127.0.0.1", port))


class Crashes(Case):
    """A virtual host whose kernel crashed."""

    def host(self):
        with mock.patch.object(initramfs, "build"):
            return virthost.VirtualHost(kernel=mock.Mock(), qemu=mock.Mock())

    def failure(self, console, ended=False):
        host = self.host()
        host._up = True
        host.process = mock.Mock()
        host.process.poll.return_value = 0 if ended else None
        with mock.patch.object(virthost.Guest, "stop"), \
                mock.patch.object(host, "console", return_value=console):
            return host.failure("it went away")

    @rows({
        "in a virtual processor is the emulation": (
            CRASH.format("qemu-system-x86", "error_entry"), False, True),
        "a soft lockup is the emulation": (LOCKUP, False, True),
        "a stall is the emulation": (STALL, False, True),
        "without a word is the emulation": ("all is well", True, True),
        "one that is there is not": ("all is well", False, False),
        "elsewhere is not": (CRASH.format("ksoftirqd/0", "tun_net"), False,
                             False),
        "in bpf() is not": (CRASH.format("qemu-system-x86", "bpf_prog_load"),
                            False, False),
        "in the tap is not": (
            CRASH.format("qemu-system-x86", "tun_chr_ioctl+0x12/0x20"), False,
            False),
    })
    def check(self, console, ended, is_emulation):
        error = self.failure(console, ended)
        self.assertEqual(isinstance(error, virthost.EmulationFault),
                         is_emulation)
        self.assertIn(console.splitlines()[0], str(error))

    def test_a_silent_processor_is_the_emulation(self):
        """QEMU is stopped, so that nothing comes any more."""
        host = self.host()
        with tempfile.TemporaryFile() as log:
            host._log = log
            host.process = process.spawn(["sleep", "60"], stdout=log)
            self.addCleanup(process.stop, host.process)
            ours, theirs = socket.socketpair()
            self.addCleanup(theirs.close)
            self.addCleanup(ours.close)
            host._shell = Shell(ours, host.check_alive, "the shell")
            with mock.patch.object(virthost, "SILENCE", 0.2), \
                    self.assertRaises(virthost.EmulationFault) as caught:
                host.shell("true", timeout=30)
        self.assertIn("silent", str(caught.exception))

    def test_guest_that_stops_in_the_host_is_the_emulation(self):
        fault = virthost.EmulationFault
        host = self.host()
        for output, kind in (
                (f"# {virthost.KVM_ERROR}. Suberror: 1\nnot ok 1", fault),
                ("# QEMU has ended with status 0", fault),
                ("# process 7 cannot be killed", fault),
                (f"# {virthost.KVM_ERROR}.\n# packets per queue", None),
                ("# no answer in time from the guest's shell", fault),
                ("# QEMU has ended with status -11", None),
                ("# no answer in time from QMP", None),
                ("# QEMU has ended with status 1", None),
                ("# Lists differ: [8, 8] != [9, 7]\nnot ok 1", None)):
            with mock.patch.object(Guest, "try_shell",
                                   return_value=(1, output)):
                if kind:
                    self.assertRaises(kind, host.try_shell, "a test")
                else:
                    self.assertEqual(host.try_shell("a test"), (1, output))

    def test_a_processor_that_runs_nothing_is_the_emulation(self):
        host = self.host()
        with mock.patch.object(Guest, "try_shell", side_effect=[
                (1, "# lost"), VmError("no answer in time")]):
            self.assertRaises(virthost.EmulationFault, host.try_shell, "test")

    def test_what_is_tried_again_leaves_no_result(self):
        """Who reads the output must not take a test's result from it."""
        fault = virthost.EmulationFault("ok 1 good\nnot ok 2 bad\n1..2")
        with mock.patch.object(sys, "stdout", io.StringIO()) as output:
            virthost.try_again(mock.Mock(side_effect=[fault, 5]))
        for line in output.getvalue().splitlines():
            self.assertTrue(line.startswith("[host] "), line)

    def test_try_again(self):
        fault = virthost.EmulationFault("crashed")
        with mock.patch.object(virthost, "say"):
            work = mock.Mock(side_effect=[fault, fault, 5])
            self.assertEqual(virthost.try_again(work), 5)
            work = mock.Mock(side_effect=fault)
            with self.assertRaises(virthost.EmulationFault):
                virthost.try_again(work)
            self.assertEqual(work.call_count, virthost.ATTEMPTS)
            work = mock.Mock(side_effect=VmError("wrong"))
            with self.assertRaises(VmError):
                virthost.try_again(work)
            self.assertEqual(work.call_count, 1)


class Libraries(unittest.TestCase):
    def test_package_names(self):
        for soname, package in (("libaio.so.1", "libaio1"),
                                ("libfuse3.so.3", "libfuse3-3"),
                                ("libnl-3.so.200", "libnl-3-200")):
            self.assertEqual(qemu.library_packages(soname)[0], package)
        self.assertIn("libjpeg62-turbo", qemu.library_packages(
            "libjpeg.so.62", ["libjpeg8", "libjpeg62-turbo"]))


if __name__ == "__main__":
    unittest.main()
