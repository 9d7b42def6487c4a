#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""bpfhv's driver in a Linux guest: the module, and the card if QEMU has it.

QEMU serves the card's queues, or bpfhv-backend does.

BPFHV_SUITE names the Debian suite whose kernel the guest has, if not this
machine's.  BPFHV_PACKETS: how many are sent, of UDP and about as many of TCP,
each way, with each model, MTU, and offloads or none.  BPFHV_UPGRADES: how often
the model changes under load.  BPFHV_KVM=on: in a virtual host, where the guest
runs under KVM.
"""

import contextlib
import itertools
import os
import re
import time
import unittest

from harness.bench import stats
from harness.cases import rows
from harness.check.results import FAIL, read_tap
from harness.functional.elsewhere import in_virtual_host, tell
from harness.functional.guests import (BOOT_TIMEOUT, MEMORY, Case, run_tests,
                                       tested_qemu)
from harness.vm import bpfhv, flow
from harness.vm.flow import HERE, THERE, Flow
from harness.vm.guest import Guest, guest_initramfs
from harness.vm.kernel import get_kernel
from harness.vm.module import get_attacks, get_bpfhv
from harness.vm.process import on_one_processor, run, wait_until
from harness.vm.tapnet import TapNet

SUITE = os.environ.get("BPFHV_SUITE")
CARD = "bpfhv-pci"
MODELS = "vring_packed", "sring", "sring_sum", "sring_gso"
PACKETS = int(os.environ.get("BPFHV_PACKETS", 300))
UPGRADES = int(os.environ.get("BPFHV_UPGRADES", 24))
WAYS = list(itertools.product(("udp", "tcp"), (False, True)))
RATE, GAP = 1000, 2000      # datagrams a second; us
OFFLOADS = "tso tx rx sg rx-gro-hw"
TIMEOUT = 120               # s
# What tests/bpf/bpfhv/sring_gso.bpf.c makes of frames of LIE_RX bytes, and so on,
# and of those that are sent, of LIE_TX bytes: what the driver says to it.
LIE_RX, LIE_TX = 1000, 1100
LIES = (r"returned a buffer that it does not have \(65535\)",
        "returned a buffer that it does not have", "returned 0 buffers at once",
        "returned 65 buffers at once", "returned 4294967295 buffers at once",
        r"failed \(-1\)", r"failed \(2\)", "ran too long")
RX_LIES = (*LIES, "returned 65536 bytes", "returned 4294967295 bytes",
           "returned a packet without end")
DROPPED = range(LIE_RX + len(RX_LIES), LIE_RX + len(RX_LIES) + 2)
HEADERS = 42                # bytes, of what ping sends
KVM = os.environ.get("FUNCTIONAL_ACCEL") == "kvm"
ELSEWHERE_TIMEOUT = 3000    # s


def setUpModule():
    if SUITE and not KVM:       # QEMU has one thread, see BpfhvGuest
        unittest.enterModuleContext(on_one_processor())


class BpfhvGuest(Guest):
    """A guest in which the module is loaded."""

    def __init__(self, arguments, **how):
        kernel = get_kernel(SUITE)
        initrd = guest_initramfs(
            kernel, others={"bpfhv.ko": get_bpfhv(kernel, SUITE),
                            "attacks.ko": get_attacks(kernel, SUITE),
                            **flow.files()})
        # 6.12 and 7.2 change their code while it runs on the other processor,
        # which QEMU 7.2 does not always emulate as it is.
        super().__init__(tested_qemu(), kernel, arguments, memory=MEMORY,
                         accel="kvm" if KVM else
                         "tcg,thread=single" if SUITE else "tcg",
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


class Attacks(Case):
    """Programs written by hand, in the kernel, which looks at its memory."""

    @classmethod
    def setUpClass(cls):
        if not cls.why_not():
            cls.guest = cls.enterClassContext(BpfhvGuest(
                [], append="slub_debug=FZP,kmalloc-*"))

    @rows({"compiled": ("compiled", 1, 0),
           "compiled and hardened": ("compiled", 1, 2),
           "interpreted": ("interpreted", 0, 0)})
    def check(self, how, enable, harden):
        """Each is refused for its reason, or returns what it should."""
        knobs = "/proc/sys/net/core/bpf_jit_"
        if self.guest.try_shell(f"echo {enable} >{knobs}enable")[0]:
            self.skipTest("this kernel has no interpreter")
        self.guest.shell(f"echo {harden} >{knobs}harden; dmesg -c >/dev/null; "
                         "insmod /attacks.ko && rmmod attacks", TIMEOUT)
        log = re.sub(r"(?m)^\[ *[\d.]+\] ", "", self.guest.log())
        self.assertEqual([case for case in read_tap("attacks", log, 0)
                          if case.outcome == FAIL], [])
        self.assertEqual(re.findall("# (compiled|interpreted)", log), [how])
        self.assertNotRegex(log, "BUG|WARNING|Oops")


def why_no_card():
    if Case.why_not():
        return Case.why_not()
    qemu = tested_qemu()
    devices = run(*qemu.command("-device", "help"), env=qemu.environment())
    return "" if CARD in devices else f"this QEMU has no {CARD}"


def longest(gaps, begin, end):
    """Return the longest gap that begins in a time, in ms."""
    return 1000 * max((gap[1] - gap[0] for gap in gaps
                       if begin <= gap[0] < end), default=0)


def show_gaps(times, gaps):
    """Tell how long the guest sent nothing in some times, and beside them."""
    for what, shift in ("an upgrade", 0), ("as much time without one", 1):
        found = [longest(gaps, begin + shift * (end - begin),
                         end + shift * (end - begin)) for begin, end in times]
        print(f"# {len(found)} times: longest time without a packet in "
              f"{what}: median {stats.quantile(found, 0.5):.1f} ms, 99 % "
              f"{stats.quantile(found, 0.99):.1f} ms")


class Packets:
    """Through a card."""

    why_not = staticmethod(why_no_card)

    @classmethod
    def netdev(cls):
        """Return QEMU's arguments for "net0"."""
        return ["-netdev", cls.net.netdev()]

    @classmethod
    def make_device(cls):
        """Return the device that has the host's address."""
        return cls.net.name

    @classmethod
    def setUpClass(cls):
        if cls.why_not():
            return
        cls.net = cls.enterClassContext(TapNet(1))
        cls.net.ip(f"addr add {HERE}/24 dev {cls.make_device()}")
        cls.guest = cls.enterClassContext(BpfhvGuest(
            [*cls.netdev(), "-device", f"{CARD},id=card,netdev=net0"],
            netns=cls.net))
        cls.guest.shell(f"ip addr add {THERE}/24 dev eth0 && "
                        "ip link set eth0 up")

    def test_ping(self):
        self.guest.shell(f"ping -c 3 -i 0.2 {HERE}")

    def statistics(self):
        """Return what the driver counts: {name: number}."""
        return {name: int(number) for name, number in re.findall(
            r"(\w+): (\d+)", self.guest.shell("ethtool -S eth0"))}

    def model(self):
        """Return the model that works."""
        return self.guest.qmp("qom-get", {"path": "card", "property": "model"})

    def upgrade(self, model):
        """Ask the guest to take another model."""
        self.guest.qmp("qom-set", {"path": "card", "property": "model",
                                   "value": model})

    def take(self, model):
        """Have the guest take another model."""
        self.upgrade(model)
        self.assertTrue(wait_until(lambda: self.model() == model, TIMEOUT,
                                   0.002), f"the guest does not take {model}")

    def assert_right(self, results):
        """None came twice or changed; a stream came whole."""
        for result in results:
            self.assertEqual((result.twice, result.wrong), (0, 0), result)
            self.assertGreater(result.received, 0)

    def exchange(self, mtu):
        """Send UDP and TCP both ways at the same time."""
        with contextlib.ExitStack() as stack:
            flows = [stack.enter_context(Flow(
                self.guest, self.net, kind, to_guest, size=mtu - 28,
                amount=PACKETS * (1 if kind == "udp" else mtu)))
                for kind, to_guest in WAYS]
            self.assert_right([one.finish(TIMEOUT + PACKETS / 100)
                               for one in flows])

    def check(self, mtu):
        """Each byte of each packet is right, with each model."""
        before = self.statistics()
        for model in MODELS:
            self.take(model)
            self.exchange(mtu)
        total = sum(number - before[name]
                    for name, number in self.statistics().items()
                    if name.endswith("_packets"))
        print(f"# {total:,} packets")

    def change_models(self):
        """Change the model again and again; return [(begin, end)] of each.

        Between two is the time that one takes.
        """
        times = []
        for model in itertools.islice(itertools.cycle(MODELS), UPGRADES):
            begin = time.time()
            self.take(model)
            end = time.time()
            times.append((begin, end))
            time.sleep(end - begin)
        return times

    def test_upgrades_under_load(self):
        """UDP and TCP go on both ways, and how long they stand still."""
        self.take(MODELS[-1])
        before = self.statistics()["upgrades"]
        with contextlib.ExitStack() as stack:
            flows = [stack.enter_context(Flow(
                self.guest, self.net, kind, to_guest,
                **({} if to_guest else {"rate": RATE, "gap": GAP})))
                for kind, to_guest in WAYS]
            times = self.change_models()
            results = [one.finish() for one in flows]
        self.assert_right(results)
        self.assertGreaterEqual(self.statistics()["upgrades"] - before,
                                UPGRADES)
        show_gaps(times, results[WAYS.index(("udp", False))].gaps)
        for (kind, to_guest), result in zip(WAYS, results):
            print(f"# {kind} {'to' if to_guest else 'from'} the guest: "
                  f"{result._replace(gaps=len(result.gaps))}")

    def tearDown(self):
        if crash := self.guest.crash():
            self.fail(crash)
        self.assertNotIn("the device is broken", self.guest.log())


class Card(Packets, Case):
    """QEMU serves the queues."""

    def set_up_packets(self, mtu, offloads):
        self.take(MODELS[-1])       # which can do all of it
        self.net.ip(f"link set {self.net.name} mtu {mtu}")
        self.guest.shell(f"ip link set eth0 mtu {mtu} && ethtool -K eth0 "
                         + " ".join(f"{name} {offloads}"
                                    for name in OFFLOADS.split()))

    @rows({f"MTU {mtu}, offloads {offloads}": (mtu, offloads)
           for mtu in (1500, 9000) for offloads in ("on", "off")}, "packets: ")
    def check_packets(self, mtu, offloads):
        self.addCleanup(self.set_up_packets, 1500, "on")
        self.set_up_packets(mtu, offloads)
        self.check(mtu)

    def test_down_and_up(self):
        for _ in range(5):
            self.guest.shell("ip link set eth0 down; ip link set eth0 up")
            self.guest.shell(f"ping -c 1 -w 10 {HERE}")

    def test_the_module_goes_and_comes(self):
        self.guest.shell("rmmod bpfhv && insmod /bpfhv.ko && "
                         f"ip addr add {THERE}/24 dev eth0 && "
                         "ip link set eth0 up")
        self.exchange(1500)


class Served(Packets):
    """The queues are served by bpfhv-backend."""

    PORT = ["--tap", "tap0"]

    @staticmethod
    def why_not():
        return why_no_card() or bpfhv.why_not()

    @classmethod
    def netdev(cls):
        cls.place = cls.enterClassContext(bpfhv.Backends())
        return [*cls.place.arguments(), *bpfhv.shared_memory(MEMORY),
                "-trace", "kvm_irqchip_add_msi_route"]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if not cls.why_not():
            cls.serve()

    @classmethod
    def serve(cls, *options, **how):
        cls.backend = cls.place.start(*cls.PORT, *options, net=cls.net, **how)
        cls.guest.shell("until grep -q 1 /sys/class/net/eth0/carrier; do "
                        "sleep 0.1; done", TIMEOUT)

    def model(self):
        return re.match(r"model (\w+),", self.backend.ctl("stats"))[1]

    def serve_anew(self, *options, **how):
        """Another backend is to serve; the one before has gone."""
        self.assertTrue(wait_until(lambda: "0" in self.guest.shell(
            "cat /sys/class/net/eth0/carrier"), TIMEOUT))
        self.serve(*options, **how)

    def upgrade(self, model):
        self.backend.ctl("upgrade", model)


class Proxy(Served, Card):
    """With a tap."""

    def test_damaged_memory(self):
        """Of 64 sums of the guest's one is wrong: packets are lost."""
        before = self.guest.statistic("rx_dropped")
        self.backend.stop()
        self.serve_anew("--programs", bpfhv.DAMAGED, model="sring_sum")
        self.exchange(1500)
        for queue in "rx0", "tx0":
            self.assertRegex(self.backend.ctl("stats"),
                             f"{queue} .*dropped [1-9]")
        self.assertGreater(self.guest.statistic("rx_dropped"), before)
        self.backend.stop()
        self.serve_anew()

    def test_lies(self):
        """Harmless programs whose results are nonsense: each is told."""
        self.backend.stop()
        self.serve_anew("--programs", bpfhv.DAMAGED)
        for kind, begin, lies in (("receive", LIE_RX, RX_LIES),
                                  ("transmit", LIE_TX, LIES)):
            for length, said in enumerate(lies, begin):
                with self.subTest(kind, length=length):
                    self.check_lie(kind, length, said)
        for length in DROPPED:
            before = self.statistics()["rx_queue_0_dropped"]
            self.assertTrue(wait_until(
                lambda: self.send_one("receive", length) or
                self.statistics()["rx_queue_0_dropped"] > before, TIMEOUT))
        self.test_ping()
        self.backend.stop()
        self.serve_anew()

    def check_lie(self, kind, length, said):
        """The card is stopped, and works again when it is set up again."""
        said = f"the device is broken: .*{kind} queue 0 {said}"
        self.assertTrue(wait_until(lambda: self.send_one(kind, length) or
                                   re.search(said, self.guest.log()), TIMEOUT),
                        self.guest.log()[-1000:])
        self.guest.shell("dmesg -c >/dev/null; ip link set eth0 down; "
                         "ip link set eth0 up")

    def send_one(self, kind, length):
        """A frame goes to the guest, or from it: an answer may not come."""
        ping = f"ping -c 1 -W 1 -s {length - HEADERS}"
        if kind == "transmit":
            self.guest.try_shell(f"{ping} {HERE}")
        else:
            with self.net.entered():
                run("sh", "-c", f"{ping} {THERE} || true")

    @unittest.skipUnless(KVM, "without KVM there is no irqfd")
    def test_KVM_brings_interrupts_to_the_guest(self):
        """Both queues' vectors have routes; packets pass."""
        routes = re.findall(rf"add_msi_route dev {CARD} vector (\d+) ",
                            self.guest.console(10 ** 5))
        self.assertEqual(set(routes), {"0", "1"})
        self.test_ping()

    def test_the_backend_is_killed(self):
        """Another one takes its place; a connection goes on."""
        sent = self.statistics()["tx_queue_0_packets"]
        with Flow(self.guest, self.net, "tcp", to_guest=False) as stream:
            self.assertTrue(wait_until(
                lambda: self.statistics()["tx_queue_0_packets"] > sent + 100,
                TIMEOUT))
            self.backend.signal()
            self.serve_anew()
            self.assert_right([stream.finish()])


class Xdp(Served, Case):
    """With one end of a veth, by AF_XDP."""

    PORT = ["--xdp", "xdp0"]

    @staticmethod
    def why_not():
        return Served.why_not() or bpfhv.why_no_xdp()

    @classmethod
    def make_device(cls):
        cls.net.ip("link add xdp0 type veth peer name peer")
        cls.net.ip("link set xdp0 up")
        cls.net.ip("link set peer up")
        with cls.net.entered():
            run("ethtool", "-K", "peer", "tx", "off")
        return "peer"

    @rows({"MTU 1500": 1500, "MTU 3500": 3500}, "packets: ")
    def check_packets(self, mtu):
        """Up to what veth takes with XDP."""
        self.addCleanup(self.set_mtu, 1500)
        self.set_mtu(mtu)
        self.check(mtu)

    def set_mtu(self, mtu):
        for device in "xdp0", "peer":
            self.net.ip(f"link set {device} mtu {mtu}")
        self.guest.shell(f"ip link set eth0 mtu {mtu}")

    def test_the_device_is_deleted(self):
        """The backend and the guest go on, and the next has another one."""
        self.net.ip("link del xdp0")
        self.guest.try_shell(f"ping -c 3 -W 1 {HERE}")
        self.assertRegex(self.backend.ctl("stats"), "tx0 .*dropped [1-9]")
        self.take(MODELS[0])
        self.net.ip(f"addr add {HERE}/24 dev {self.make_device()}")
        self.backend.stop()
        self.serve_anew()
        self.exchange(1500)


def there():
    for get in get_bpfhv, get_attacks:      # nothing can be built there
        get(get_kernel(SUITE), SUITE)
    return in_virtual_host(__file__, {
        "FUNCTIONAL_ACCEL": "kvm", "BPFHV_UPGRADES": UPGRADES,
        "BPFHV_PACKETS": PACKETS}, ELSEWHERE_TIMEOUT)


def load_tests(_loader, tests, _pattern):
    return tell(tests, there) if os.environ.get("BPFHV_KVM") else tests


if __name__ == "__main__":
    run_tests(__file__)
