#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The module vhost_net_hash beside the kernel's own vhost_net.

The tests run in a virtual host, by this same file, started there with
HASH_MODULE=FILE, and HASH_LOADER=FILE if load-report is not in build/lib.
HASH_SUITE names the Debian suite whose kernel it has, if not this machine's.
Nobody else uses the module: a test is QEMU and guest in one
(harness/functional/vhost_card.py).
"""

import collections
import errno
import os
import random
import re
import socket
import stat
import struct
import subprocess
import threading
import time
import unittest

from harness import TOP
from harness.cases import Case, rows
from harness.check.unittest_tap import run_tests
from harness.functional import libbpf
from harness.functional.elsewhere import in_virtual_host, tell
from harness.functional.vhost_card import (GET_FEATURES, HASH, HASH_REPORT,
                                           LOG_ALL, MRG_RXBUF,
                                           RESET_OWNER, RX, SET_BACKEND,
                                           SET_FEATURES, SET_HASH_PROG,
                                           SET_LOG_BASE, SET_MEM_TABLE,
                                           SET_OWNER, SET_VRING_ADDR,
                                           SET_VRING_BASE, SET_VRING_CALL,
                                           SET_VRING_KICK, SET_VRING_NUM,
                                           STOCK, VERSION_1, VHOST_HEADER,
                                           Node, VhostCard, refused)
from harness.privateapt import AptError
from harness.qtest.randomly import Steps
from harness.rss_reference import ALL_TYPES, IPV6, TCP_EX, TCPV6, Config
from harness.vm import traffic
from harness.vm.guest import MEMORY_CHECKS
from harness.vm.kernel import get_kernel
from harness.vm.module import get_module
from harness.vm.process import Closing, run, spawn, stop, wait_until
from harness.vm.tapnet import TapNet

MODULE = os.environ.get("HASH_MODULE")
SUITE = os.environ.get("HASH_SUITE")
TIMEOUT = 1200
LOADER = os.environ.get("HASH_LOADER") or TOP / "build/lib/tests/load-report"
SWAPS = 10000               # of the program, under load
FLOWS = 8000
BATCH = 64                  # packets that are on their way
FRAMES = traffic.mixed(8)
COMPLAINT = r"WARNING: |BUG: |refcount_t: |UBSAN: |Call Trace:"
LEN, IFINDEX, CB = 0, 40, 48        # offsets in struct __sk_buff


def instruction(code, registers=0, offset=0, value=0):
    return struct.pack("<BBhI", code, registers, offset, value & 0xffffffff)


EXIT = instruction(0xb7) + instruction(0x95)


def hash_program(value, field=LEN):
    """Load a program that says: this hash, and a field of the packet's."""
    return libbpf.make_program(code=(
        instruction(0xb4, 2, 0, value) + instruction(0x63, 0x21, CB)
        + instruction(0x61, 0x12, field) + instruction(0x63, 0x21, CB + 4)
        + EXIT))


def any_number(rng, size):
    """Return the number of a call of vhost's, or of none, with an argument."""
    return rng.randrange(4) << 30 | size << 16 | 0xaf << 8 | rng.randrange(128)


def redirect_program(ifindex):
    """Load an XDP program that sends what it gets to a device."""
    return libbpf.make_program(libbpf.XDP, instruction(0xb7, 1, 0, ifindex)
                               + instruction(0xb7, 2)
                               + instruction(0x85, 0, 0, 23)
                               + instruction(0x95))


def insert():
    subprocess.run(["insmod", MODULE], check=True)
    wait_until(lambda: os.path.exists(HASH), 20)


def remove():
    """Remove the module; return whether it went."""
    return subprocess.run(["rmmod", "vhost_net_hash"], check=False,
                          stderr=subprocess.DEVNULL).returncode == 0


def complaints():
    """Return what the kernel has complained of."""
    return [line for line in run("dmesg").splitlines()
            if re.search(COMPLAINT, line)]


class HashCase(Case):
    """The module is loaded; there is a tap, and packets for it."""

    @classmethod
    def setUpClass(cls):
        insert()
        cls.addClassCleanup(remove)

    def setUp(self):
        self.addCleanup(lambda before: self.assertEqual(complaints(), before),
                        complaints())
        self.net = self.enterContext(TapNet())
        self.socket = self.enterContext(self.net.packet_socket())

    def card(self, **options):
        return self.enterContext(VhostCard(self.net.open_queue(), **options))

    def program(self, *arguments):
        fd = hash_program(*arguments)
        self.addCleanup(os.close, fd)
        return fd

    def receive(self, card, frames=tuple(FRAMES)):
        """Send frames; they must come as they are.  Return the packets."""
        traffic.send(self.socket, frames)
        packets = card.receive(len(frames))
        self.assertEqual([packet.frame for packet in packets], list(frames))
        return packets

    def assert_none(self, packets):
        for packet in packets:
            self.assertEqual((packet.value, packet.report, packet.padding),
                             (0, 0, 0))

    def assert_hashes(self, packets, value):
        for packet in packets:
            self.assertEqual((packet.value, packet.report, packet.padding),
                             (value, len(packet.frame), 0))


class Beside(HashCase):
    """Two modules, two nodes."""

    def test_it_has_a_node_of_its_own(self):
        numbers = {os.stat(path).st_rdev for path in (STOCK, HASH)}
        self.assertEqual(len(numbers), 2)
        self.assertTrue(stat.S_ISCHR(os.stat(HASH).st_mode))

    def test_only_it_offers_hash_reports(self):
        with Node(HASH) as ours, Node(STOCK) as stock:
            self.assertEqual(ours.features() ^ stock.features(), HASH_REPORT)
            ours.set_program(-1)
            self.assertTrue(refused(stock.set_program, -1))

    def test_it_comes_and_goes_while_the_stock_one_is_used(self):
        card = self.card(path=STOCK, features=MRG_RXBUF | VERSION_1, header=12)
        for _ in range(3):
            self.receive(card)
            self.assertTrue(remove())
            self.assertFalse(os.path.exists(HASH))
            self.receive(card)
            insert()

    def test_it_stays_while_it_is_used(self):
        with VhostCard(self.net.open_queue()) as card:
            self.assertFalse(remove())
            self.receive(card)
        self.assertTrue(remove())
        insert()


class Calls(HashCase):
    """What is refused changes nothing."""

    def test_a_descriptor_that_is_no_socket_filter(self):
        card = self.card()
        card.set_program(self.program(7))
        read_end, write_end = os.pipe()
        other = libbpf.make_program(libbpf.SCHED_CLS)
        for fd, error in ((-2, errno.EBADF), (1 << 20, errno.EBADF),
                          (read_end, errno.EINVAL), (other, errno.EINVAL),
                          (card.fd, errno.EINVAL)):
            self.assertEqual(refused(card.set_program, fd), error, fd)
            self.assert_hashes(self.receive(card, FRAMES[:1]), 7)
        for fd in (read_end, write_end, other):
            os.close(fd)

    def test_an_address_that_is_not_there(self):
        card = self.card()
        card.set_program(self.program(7))
        self.assertEqual(refused(card.ioctl, SET_HASH_PROG, 8),
                         errno.EFAULT)
        self.assert_hashes(self.receive(card, FRAMES[:1]), 7)

    def test_a_header_of_vhost_s(self):
        card = self.card()
        card.set_program(self.program(7))
        self.assertEqual(refused(card.set_features, VERSION_1 | HASH_REPORT
                                 | VHOST_HEADER), errno.EOPNOTSUPP)
        self.assert_hashes(self.receive(card), 7)

    def test_the_program_may_come_first(self):
        """Before there is an owner, and before the features."""
        with Node() as node:
            node.set_program(self.program(7))
            node.set_program(-1)
            node.set_program(self.program(8))


class Reports(HashCase):
    """What is in the headers of packets."""

    @rows({
        "mergeable, one buffer": (MRG_RXBUF, ((2048,),)),
        "mergeable, small buffers": (MRG_RXBUF, ((64,),)),
        "mergeable, a header in two buffers": (MRG_RXBUF, ((16,),)),
        "mergeable, a header in three descriptors": (
            MRG_RXBUF, ((11, 3, 2034),)),
        "not mergeable": (0, ((2048,),)),
        "not mergeable, a header of its own": (0, ((20, 2048),)),
        "not mergeable, hash in two descriptors": (0, ((14, 2048),)),
        "not mergeable, a byte each": (0, ((1,) * 20 + (2048,),)),
    }, "header: ")
    def check_header(self, feature, chains):
        frames = FRAMES[:4]
        card = self.card(features=feature | VERSION_1 | HASH_REPORT,
                         chains=chains)
        self.assert_none(self.receive(card, frames[:1]))
        card.set_program(self.program(0x89abcdef))
        packets = self.receive(card, frames)
        self.assert_hashes(packets, 0x89abcdef)
        self.assertEqual([packet.num_buffers for packet in packets],
                         [packet.buffers for packet in packets])

    def test_a_program_that_says_nothing(self):
        card = self.card()
        fd = libbpf.make_program()
        self.addCleanup(os.close, fd)
        card.set_program(self.program(7))
        self.assert_hashes(self.receive(card), 7)
        card.set_program(fd)
        self.assert_none(self.receive(card))

    def test_a_program_that_is_taken_away(self):
        card = self.card()
        card.set_program(self.program(7))
        card.set_program(-1)
        self.assert_none(self.receive(card))

    def test_a_program_that_nobody_else_holds(self):
        card = self.card()
        fd = hash_program(9)
        card.set_program(fd)
        os.close(fd)
        self.assert_hashes(self.receive(card), 9)

    def test_the_device_is_none_of_the_program_s_business(self):
        card = self.card()
        card.set_program(self.program(7, IFINDEX))
        for packet in self.receive(card):
            self.assertEqual((packet.value, packet.report), (7, 0))

    def test_without_the_feature(self):
        card = self.card(features=MRG_RXBUF | VERSION_1, header=12)
        card.set_program(self.program(7))
        self.receive(card)

    def test_a_frame_that_is_no_packet_of_the_kernel_s(self):
        card = self.card()
        card.set_program(self.program(7))
        with self.net.entered():
            program = redirect_program(socket.if_nametoindex(self.net.name))
            self.addCleanup(os.close, program)
            try:
                libbpf.run_xdp_live(program, FRAMES[0])
            except OSError as error:
                self.skipTest(f"no XDP frames on this kernel: {error}")
        packets = card.receive(1)
        self.assertEqual(packets[0].frame, FRAMES[0])
        self.assert_none(packets)
        self.assert_hashes(self.receive(card), 7)


def ex_packet(rng, transport):
    """Return an IPv6 packet with a home address, with ports or without."""
    source, home, target = (b"\xfd\0" + rng.randbytes(14) for _ in range(3))
    options = (struct.pack("!BBBB", transport, 2, 0xc9, 16) + home
               + b"\1\2\0\0")
    body = rng.randbytes(40)
    head = struct.pack("!IHBB", 6 << 28, len(options + body), 60, 64)
    return traffic.frame(0x86dd, head + source + target + options + body)


def all_kinds(count, seed):
    """Return that many frames, of each hash type some."""
    rng = random.Random(seed)
    frames = traffic.mixed(count // 2, seed)
    while len(frames) < count:
        addresses = [bytes((10,)) + rng.randbytes(3) for _ in range(2)]
        ports = rng.randrange(65536), rng.randrange(65536)
        fragment = traffic.frame(0x0800, traffic.ipv4_packet(
            traffic.UDP, *addresses, ports, rng.randbytes(20), 0x2000))
        frames += [ex_packet(rng, kind) for kind in (traffic.TCP, traffic.UDP,
                                                     59)]
        frames += [fragment, frames[0][:12] + b"\x81\0\0\7"
                   + rng.choice(frames)[12:], rng.randbytes(64)]
        bare = rng.choice(frames[:count // 2])
        if bare[12:14] == b"\x86\xdd":
            frames.append(bare[:20] + b"\x3b" + bare[21:])    # no next header
    return frames[:count]


class Loader(Closing):
    """load-report, and the program that it has loaded.

    configs: Configs; if they are several, each is in force at times
    """

    def __init__(self, configs):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            self.process = spawn(
                ["sh", "-c", f"exec 3<&{theirs.fileno()}; exec \"$@\"", "sh",
                 LOADER, str(len(configs))], stdin=subprocess.PIPE,
                pass_fds=[theirs.fileno()])
            for config in configs:
                self.process.stdin.write(struct.pack("=IHH", config.types, 0, 1)
                                         + bytes(256) + config.key)
            self.process.stdin.flush()
            theirs.close()
            self.fd = socket.recv_fds(ours, 1, 1)[1][0]

    def close(self):
        os.close(self.fd)
        self.process.stdin.close()
        self.process.wait(20)
        stop(self.process)


class Program(HashCase):
    """The program of ours on real packets."""

    @staticmethod
    def why_not():
        return "" if os.access(LOADER, os.X_OK) else f"there is no {LOADER}"

    def test_all_kinds_of_packets(self):
        seed = int(os.environ.get("RSS_TEST_SEED") or time.time_ns() % 1000000)
        print(f"# RSS_TEST_SEED={seed} repeats this run", flush=True)
        config = Config(ALL_TYPES, random.Random(seed).randbytes(40), [0])
        loader = self.enterContext(Loader([config]))
        card = self.card()
        card.set_program(loader.fd)
        frames = all_kinds(FLOWS, seed)
        kinds = collections.Counter()
        for at in range(0, FLOWS, BATCH):
            batch = frames[at:at + BATCH]
            for packet in self.receive(card, batch):
                self.assertEqual((packet.value, packet.report),
                                 config.hash(packet.frame),
                                 packet.frame.hex())
                kinds[packet.report] += 1
        print(f"# {dict(kinds)}", flush=True)
        self.assertEqual(sorted(kinds), list(range(10)))

    def test_configurations_that_replace_each_other(self):
        """Types and keys of two of them must never be mixed."""
        rng = random.Random(0)
        configs = [Config(types, rng.randbytes(40), [0]) for types in
                   (IPV6, TCPV6, TCP_EX)]
        frame = ex_packet(rng, traffic.TCP)
        whole = {config.hash(frame) for config in configs}
        self.assertEqual(len(whole), len(configs))
        loader = self.enterContext(Loader(configs))
        card = self.card()
        card.set_program(loader.fd)
        seen = set()
        for _ in range(FLOWS // BATCH):
            seen |= {(packet.value, packet.report) for packet in
                     self.receive(card, [frame] * BATCH)}
        self.assertLessEqual(seen, whole)
        self.assertGreater(len(seen), 1)


class Faults(HashCase):
    """The kernel stays whole, whatever happens; a crash ends its run.

    What it complains of is a failure in each test here.
    """

    def test_the_tap_is_deleted(self):
        card = self.card()
        card.set_program(self.program(7, IFINDEX))
        self.receive(card)
        traffic.send(self.socket, FRAMES)
        self.net.ip(f"link del {self.net.name}")
        card.set_program(self.program(8, IFINDEX))
        card.set_program(-1)
        card.stop()

    def test_programs_that_replace_each_other(self):
        """Each packet's report is of one of them."""
        programs = [self.program(value, field) for value, field in
                    ((0x11111111, LEN), (0x22222222, IFINDEX))]
        whole = {(0x11111111, len(FRAMES[0])), (0x22222222, 0)}
        seen, packets = set(), 0
        card = self.card()
        swapper = threading.Thread(target=lambda: [
            card.set_program(programs[n % 2]) for n in range(SWAPS)])
        card.set_program(programs[0])
        swapper.start()
        while swapper.is_alive():
            for packet in self.receive(card, FRAMES[:1] * 8):
                seen.add((packet.value, packet.report))
            packets += 8
        swapper.join()
        print(f"# {packets} packets, {SWAPS} programs", flush=True)
        self.assertLessEqual(seen, whole)

    def test_any_calls_in_any_order(self):
        """Random ones, two at the same time, while packets come."""
        stop = threading.Event()

        def send():
            while not stop.is_set():
                traffic.send(self.socket, FRAMES)
                time.sleep(0.001)

        sender = threading.Thread(target=send)
        sender.start()
        self.addCleanup(sender.join)
        self.addCleanup(stop.set)
        programs = [self.program(number) for number in range(4)]
        steps = Steps("vhost-net-hash")
        errors = collections.Counter()

        def call(rng, card):
            for _ in range(rng.randrange(1, 60)):
                errors[refused(self.any_call, rng, card, programs)] += 1

        for _ in steps:
            with VhostCard(self.net.open_queue()) as card:
                other = threading.Thread(target=call, args=(
                    random.Random(steps.random.random()), card))
                other.start()
                call(steps.random, card)
                other.join()
        names = {errno.errorcode.get(number, "worked"): count
                 for number, count in errors.items()}
        print(f"# {steps.count} nodes, {names}", flush=True)
        self.assertGreater(errors[0], steps.count)
        self.card().receive(4)

    def any_call(self, rng, card, programs):
        """One call; its arguments may be right."""
        fd = rng.choice([-1, -1, -2, 0, card.fd, card.kick, card.tap_fd,
                         card.tap_fd, *programs, rng.randrange(-10, 1000)])
        queue = rng.choice([RX, RX, RX, 1, 2, 0xffffffff])
        size = rng.choice([4, 8, 40])
        features = rng.choice([HASH_REPORT | VERSION_1,
                               HASH_REPORT | VERSION_1 | LOG_ALL,
                               HASH_REPORT | VERSION_1 | MRG_RXBUF,
                               HASH_REPORT, VHOST_HEADER, MRG_RXBUF,
                               HASH_REPORT | VHOST_HEADER,
                               rng.getrandbits(64) & card.features(),
                               rng.getrandbits(64)])
        at = card.address + rng.choice([0, 0, 0, 0x1000, 0x2000, 4, 1 << 40])
        call, data = rng.choice([
            (SET_HASH_PROG, struct.pack("=i", fd)),
            (SET_HASH_PROG, struct.pack("=i", fd)),
            (SET_HASH_PROG, rng.choice([0, 8, 1 << 30])),
            (SET_FEATURES, struct.pack("=Q", features)),
            (SET_FEATURES, struct.pack("=Q", features)),
            (SET_BACKEND, struct.pack("=Ii", queue, fd)),
            (SET_BACKEND, struct.pack("=Ii", RX, card.tap_fd)),
            (SET_BACKEND, struct.pack("=Ii", RX, -1)),
            (GET_FEATURES, bytes(8)),
            (SET_OWNER, 0),
            (RESET_OWNER, 0),
            (SET_MEM_TABLE, struct.pack("=II4Q", 1, 0, 0, 1 << 20,
                                        card.address, 0)),
            (SET_MEM_TABLE, struct.pack("=II4Q", rng.randrange(3), 0, 0,
                                        rng.getrandbits(64), at, 0)),
            (SET_VRING_NUM, struct.pack("=II", queue, rng.choice(
                [256, 128, 0, 3, 1 << 16]))),
            (SET_VRING_BASE, struct.pack("=II", queue, rng.choice(
                [0, 1, 65535, 1 << 16]))),
            (SET_VRING_ADDR, struct.pack("=II4Q", queue, 0, at, at + 0x2000,
                                         at + 0x1000, 0)),
            (SET_VRING_KICK, struct.pack("=Ii", queue, fd)),
            (SET_VRING_CALL, struct.pack("=Ii", queue, fd)),
            (SET_LOG_BASE, struct.pack("=Q", card.address)),
            (any_number(rng, size), rng.randbytes(size)),
        ])
        card.ioctl(call, data)


def output():
    try:
        module = get_module(get_kernel(SUITE), SUITE)
    except AptError as error:
        raise unittest.SkipTest(str(error)) from error
    return in_virtual_host(__file__, {"HASH_MODULE": str(module)}, TIMEOUT,
                           SUITE, MEMORY_CHECKS)


def load_tests(_loader, tests, _pattern):
    return tests if MODULE else tell(tests, output)


if __name__ == "__main__":
    run_tests(__file__)
