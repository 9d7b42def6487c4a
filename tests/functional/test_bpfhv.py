#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""bpfhv's driver in a Linux guest: the module, and the card if QEMU has it.

QEMU serves the card's queues, or bpfhv-backend does.

BPFHV_SUITE names the Debian suite whose kernel the guest has, if not this
machine's.
"""

import contextlib
import itertools
import os
import random
import re
import socket
import threading

from harness.functional.guests import (BOOT_TIMEOUT, MEMORY, Case, run_tests,
                                       tested_qemu)
from harness.vm import bpfhv
from harness.vm.guest import Guest, guest_initramfs
from harness.vm.kernel import get_kernel
from harness.vm.module import get_bpfhv
from harness.vm.process import run, wait_until
from harness.vm.tapnet import TapNet

SUITE = os.environ.get("BPFHV_SUITE")
CARD = "bpfhv-pci"
MODELS = "vring_packed", "sring", "sring_sum", "sring_gso"
HERE, THERE = "192.0.2.1", "192.0.2.2"
BYTES = 4 << 20             # of a TCP stream
TIMEOUT = 120               # s, for such a stream


class BpfhvGuest(Guest):
    """A guest in which the module is loaded."""

    def __init__(self, arguments, **how):
        kernel = get_kernel(SUITE)
        initrd = guest_initramfs(
            kernel, others={"bpfhv.ko": get_bpfhv(kernel, SUITE)})
        super().__init__(tested_qemu(), kernel, arguments, memory=MEMORY,
                         boot_timeout=BOOT_TIMEOUT, cpus=2, initrd=initrd,
                         **how)

    def start(self):
        super().start()
        self.shell("insmod /bpfhv.ko")
        return self

    def log(self):
        return self.shell("dmesg")


class Module(Case):
    """Without a card."""

    def test_a_bridge_with_the_same_numbers_is_left_alone(self):
        with BpfhvGuest(["-device", "pcie-pci-bridge"]) as guest:
            ids = guest.shell("cat /sys/bus/pci/devices/*/device")
            self.assertIn("0x000e", ids)
            self.assertEqual(guest.shell(
                "ls /sys/bus/pci/drivers/bpfhv | grep :; true"), "")
            guest.shell("rmmod bpfhv && insmod /bpfhv.ko")
            self.assertEqual(guest.crash(), "")


def why_no_card():
    if Case.why_not():
        return Case.why_not()
    qemu = tested_qemu()
    devices = run(*qemu.command("-device", "help"), env=qemu.environment())
    return "" if CARD in devices else f"this QEMU has no {CARD}"


class Card(Case):
    """Packets through a card."""

    why_not = staticmethod(why_no_card)

    @classmethod
    def netdev(cls):
        """Return QEMU's arguments for "net0"."""
        return ["-netdev", cls.net.netdev()]

    @classmethod
    def setUpClass(cls):
        if cls.why_not():
            return
        cls.net = cls.enterClassContext(TapNet(1))
        with cls.net.entered():
            run("ip", "addr", "add", f"{HERE}/24", "dev", cls.net.name)
        cls.guest = cls.enterClassContext(BpfhvGuest(
            [*cls.netdev(), "-device", f"{CARD},id=card,netdev=net0"],
            netns=cls.net))
        cls.guest.shell(f"ip addr add {THERE}/24 dev eth0 && "
                        "ip link set eth0 up")

    def listen(self):
        with self.net.entered():
            return socket.create_server((HERE, 0))

    def serve_peer(self, listener, work):
        """Let work(connection) be done while the guest connects."""
        def accept():
            with listener.accept()[0] as connection:
                connection.settimeout(TIMEOUT)
                work(connection)

        listener.settimeout(TIMEOUT)
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        return thread

    def send(self, data):
        """Send bytes to the guest's /tmp/data by TCP."""
        with self.listen() as listener:
            thread = self.serve_peer(listener, lambda peer: peer.sendall(data))
            self.guest.shell(f"nc {HERE} {listener.getsockname()[1]} "
                             "</dev/null >/tmp/data", TIMEOUT)
            thread.join()

    def receive(self):
        """Receive the guest's /tmp/data by TCP."""
        parts = []

        def read(peer):
            while part := peer.recv(1 << 16):
                parts.append(part)

        with self.listen() as listener:
            thread = self.serve_peer(listener, read)
            self.guest.shell(f"nc {HERE} {listener.getsockname()[1]} "
                             "</tmp/data >/dev/null", TIMEOUT)
            thread.join()
        return b"".join(parts)

    def assert_tcp(self):
        """A stream each way, and each byte of it is right."""
        data = random.Random(0).randbytes(BYTES)
        self.send(data)
        self.assertEqual(self.receive(), data)

    def test_ping(self):
        self.guest.shell(f"ping -c 3 -i 0.2 {HERE}")

    def test_tcp(self):
        self.assert_tcp()

    def upgrades(self):
        """Return how often the driver has taken other programs."""
        return int(re.search(r"upgrades: (\d+)",
                             self.guest.shell("ethtool -S eth0"))[1])

    def upgrade(self, model):
        """Ask the guest to take another model."""
        self.guest.qmp("qom-set", {"path": "card", "property": "model",
                                   "value": model})

    @contextlib.contextmanager
    def other_models(self):
        """The card becomes another again and again, and is the first then."""
        end = threading.Event()

        def change():
            for model in itertools.cycle(MODELS):
                self.upgrade(model)
                if end.wait(0.1) and model == MODELS[-1]:
                    return

        thread = threading.Thread(target=change, daemon=True)
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()

    def test_upgrades_under_tcp(self):
        """A stream each way, in several models each."""
        before = self.upgrades()
        with self.other_models():
            self.assert_tcp()
        self.assertGreaterEqual(self.upgrades() - before, 2 * len(MODELS))

    def test_large_packets(self):
        with self.net.entered():
            run("ip", "link", "set", self.net.name, "mtu", "9000")
        self.guest.shell("ip link set eth0 mtu 9000")
        self.guest.shell(f"ping -c 3 -i 0.2 -s 8900 {HERE}")
        self.assert_tcp()
        self.guest.shell("ip link set eth0 mtu 1500")

    def test_without_offloads(self):
        self.guest.shell("ethtool -K eth0 tso off tx off rx off sg off "
                         "rx-gro-hw off")
        self.assert_tcp()
        self.guest.shell("ethtool -K eth0 sg on tx on rx on tso on "
                         "rx-gro-hw on")
        self.assert_tcp()

    def test_down_and_up(self):
        for _ in range(5):
            self.guest.shell("ip link set eth0 down; ip link set eth0 up")
            self.guest.shell(f"ping -c 1 -w 10 {HERE}")

    def test_the_module_goes_and_comes(self):
        self.guest.shell("rmmod bpfhv && insmod /bpfhv.ko && "
                         f"ip addr add {THERE}/24 dev eth0 && "
                         "ip link set eth0 up")
        self.assert_tcp()

    def tearDown(self):
        self.assertEqual(self.guest.crash(), "")
        self.assertNotIn("broken", self.guest.log())


class Proxy(Card):
    """The same, with the queues served by bpfhv-backend."""

    @staticmethod
    def why_not():
        return why_no_card() or bpfhv.why_not()

    @classmethod
    def netdev(cls):
        cls.place = cls.enterClassContext(bpfhv.Backends())
        return [*cls.place.arguments(), *bpfhv.shared_memory(MEMORY)]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if not cls.why_not():
            cls.serve()

    @classmethod
    def serve(cls, *options, **how):
        cls.backend = cls.place.start("--tap", cls.net.name, *options,
                                      net=cls.net, **how)
        cls.guest.shell("timeout 60 sh -c 'until grep -q 1 "
                        "/sys/class/net/eth0/carrier; do sleep 0.1; done'")

    def serve_anew(self, *options, **how):
        """Another backend is to serve; the one before has gone."""
        self.assertTrue(wait_until(lambda: "0" in self.guest.shell(
            "cat /sys/class/net/eth0/carrier"), TIMEOUT))
        self.serve(*options, **how)

    def upgrade(self, model):
        self.backend.ctl("upgrade", model)

    def test_damaged_memory(self):
        """Of 64 sums of the guest's one is wrong: packets are lost."""
        before = self.dropped()
        self.backend.stop()
        self.serve_anew("--programs", bpfhv.DAMAGED, model="sring_sum")
        self.assert_tcp()
        for queue in "rx0", "tx0":
            self.assertRegex(self.backend.ctl("stats"),
                             f"{queue} .*dropped [1-9]")
        self.assertGreater(self.dropped(), before)
        self.backend.stop()
        self.serve_anew()

    def dropped(self):
        """Return how many packets the guest has not received."""
        return int(self.guest.shell(
            "cat /sys/class/net/eth0/statistics/rx_dropped"))

    def test_the_backend_is_killed(self):
        """Another one takes its place; a connection goes on."""
        data = random.Random(1).randbytes(BYTES)
        received = []

        def read(peer):
            while part := peer.recv(1 << 16):
                received.append(part)
                if len(received) == 1:
                    first.set()

        first = threading.Event()
        self.send(data)
        with self.listen() as listener:
            thread = self.serve_peer(listener, read)
            port = listener.getsockname()[1]
            self.guest.shell(f"(nc {HERE} {port} </tmp/data >/dev/null) &")
            self.assertTrue(first.wait(TIMEOUT))
            self.backend.signal()
            self.serve_anew()
            thread.join(TIMEOUT)
        self.assertEqual(b"".join(received), data)


if __name__ == "__main__":
    run_tests(__file__)
