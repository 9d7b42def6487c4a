# SPDX-License-Identifier: GPL-2.0-or-later
"""What tests/functional shares: a Linux guest whose card has RSS.

    test (AF_PACKET) ─▶ tap ─▶ eBPF program, or not ─▶ [vhost or QEMU] ─▶ guest
                        └ in a network namespace of its own

Each test file is a program that prints TAP; scripts/check runs them all.
FUNCTIONAL_VHOST=on makes every guest's network vhost=on, FUNCTIONAL_ACCEL
names the accelerator: test_vhost.py sets both.  FUNCTIONAL_SUITE: the guests
have the kernel of this Debian suite.
"""

import contextlib
import os
import random
import signal
import unittest
from unittest import mock

from harness import rss_reference
from harness.check.unittest_tap import run_tests
from harness.vm import VmError, histogram, steering, tapnet, traffic
from harness.vm.accel import best_accel
from harness.vm.channel import Shell
from harness.vm.guest import Guest
from harness.vm.kernel import get_kernel
from harness.vm.process import wait_until
from harness.vm.qemu import Qemu, find_qemu
from harness.vm.tapnet import TapNet
from harness.vm.traffic import mixed as flows


VHOST = os.environ.get("FUNCTIONAL_VHOST") == "on"
AUTOMATIC, EBPF, SOFTWARE = "automatic", "ebpf", "software"
NO_HELPER = "ebpf-rss-helper=/nonexistent"
QUEUES = 4
MEMORY = 256
BOOT_TIMEOUT = 120

# Names as x-query-rss spells them, in the order of their bits.
TYPE_NAMES = ("ipv4", "tcpv4", "udpv4", "ipv6", "tcpv6", "udpv6", "ip-ex",
              "tcp-ex", "udp-ex")
PORT_TYPES = {"tcp4": rss_reference.TCPV4, "udp4": rss_reference.UDPV4,
              "tcp6": rss_reference.TCPV6, "udp6": rss_reference.UDPV6}
ADDRESS_TYPES = {"4": rss_reference.IPV4, "6": rss_reference.IPV6}


# Whoever ends a test ends it as Ctrl-C does, so that it tidies up.
signal.signal(signal.SIGTERM, signal.default_int_handler)


def why_not():
    """Return why these tests cannot run here, or an empty string."""
    if tapnet.why_not():
        return tapnet.why_not()
    if VHOST and not os.access("/dev/vhost-net", os.R_OK | os.W_OK):
        return "there is no /dev/vhost-net"
    return ""


def type_names(types):
    return [name for bit, name in enumerate(TYPE_NAMES) if types >> bit & 1]


class Unprivileged(Qemu):
    """A Qemu that is not allowed to load eBPF programs."""

    def __init__(self, qemu):
        super().__init__(qemu.binary, qemu.data_dirs, qemu.library_dirs)

    def command(self, *arguments):
        return ["setpriv", "--bounding-set", "-bpf,-sys_admin",
                "--inh-caps", "-bpf,-sys_admin",
                *super().command(*arguments)]


class RssGuest(Guest):
    """A guest with a card "card" of four queues on a tap of its own.

    options    more of the card, such as "hash=on"
    arguments  more of QEMU's
    how        see Guest
    """

    def __init__(self, options="", arguments=(), qemu=None, **how):
        kernel = get_kernel(os.environ.get("FUNCTIONAL_SUITE"))
        qemu = qemu or find_qemu()
        accel = (os.environ.get("FUNCTIONAL_ACCEL")
                 or best_accel(qemu, kernel))
        how.setdefault("boot_timeout", BOOT_TIMEOUT)
        how.setdefault("memory", MEMORY)
        self.closing = contextlib.ExitStack()
        net = self.closing.enter_context(TapNet(QUEUES))
        self.sender = self.closing.enter_context(net.packet_socket())
        device = (f"virtio-net-pci,id=card,netdev=net0,mq=on,rss=on,"
                  f"vectors={2 * QUEUES + 2},mac={traffic.GUEST_MAC},romfile=")
        super().__init__(
            qemu, kernel, ["-netdev", net.netdev(vhost=VHOST), "-device",
                           device + (options and "," + options), *arguments],
            net, accel, **how)

    def stop(self):
        with self.closing:
            super().stop()

    def rss(self):
        return self.qmp("x-query-rss")[0]

    def warnings(self):
        return [line for line in self.messages() if "warning: " in line]

    def config(self):
        rss = steering.GuestRss(self)
        return rss_reference.Config(self.hash_types(), rss.key, rss.table)

    def hash_types(self):
        """Return the hash types that the guest believes to have set."""
        text = self.shell(f"for flow in {' '.join(PORT_TYPES)}; do echo "
                          "@$flow; ethtool -n eth0 rx-flow-hash $flow; done")
        types = rss_reference.IPV4 | rss_reference.IPV6
        for part in text.split("@")[1:]:
            flow = part.split()[0]
            if "src port" in part:
                types |= PORT_TYPES[flow]
            elif "IP SA" not in part:
                types &= ~ADDRESS_TYPES[flow[-1]]
        return types

    def set_key(self, seed):
        key = random.Random(seed).randbytes(40)
        self.shell("ethtool -X eth0 hkey " + key.hex(":"))

    def wait_event(self, name, timeout=60):
        """Wait until QMP has told of an event since the last call."""
        def happened():
            self.qmp("query-status")
            return any(event["event"] == name for event in self._qmp.events)

        if not wait_until(happened, timeout):
            raise VmError(f"QEMU told of no event {name}")
        self._qmp.events.clear()

    def wait_boot(self):
        """Wait until a machine that was reset is up again."""
        try:
            self._shell.wait_ready(self.boot_timeout)
        except VmError as error:
            raise self.failure(f"the guest did not start again: {error}")

    def settle(self):
        """Wait until no more packets arrive of those that were sent."""
        last = []

        def quiet():
            last.append(steering.rx_packets(self))
            return len(last) > 1 and last[-1] == last[-2]

        wait_until(quiet, 10, 0.2)

    def shell_later(self, command):
        """Run a command in the guest without waiting for its end."""
        self.shell(f"(sleep 0.2; {command}) >/dev/null 2>&1 &")

    def program_runs(self):
        """Return how often the kernel ran QEMU's steering programs."""
        return sum(steering.steering_programs(self.pid).values())


class IncomingGuest(RssGuest):
    """The other side of a migration: it waits for migrate-incoming.

    Its shell is there once the guest is.
    """

    def __init__(self, options="", arguments=(), **how):
        super().__init__(options, ["-incoming", "defer", *arguments], **how)

    def start(self):
        with mock.patch.object(Shell, "wait_ready"):
            return super().start()


class Case(unittest.TestCase):
    """A test, whose name in reports is its class and its words."""

    guest = None

    def __str__(self):
        words = self._testMethodName.removeprefix("test").strip(" _")
        return f"{type(self).__name__}/{words.replace('_', ' ')}"

    def setUp(self):
        reason = why_not()
        if reason:
            self.skipTest(reason)

    @classmethod
    def counting_runs(cls):
        """Have the kernel count how often each program runs."""
        counting = steering.RunCounting()
        cls.addClassCleanup(counting.close)

    def assert_received(self, frames, queue_of, guest=None):
        """Send frames; the queues must receive as many as is predicted."""
        expected = [0] * QUEUES
        for frame in frames:
            expected[queue_of(frame)] += 1
        seen = self.receive(frames, guest)
        self.assertEqual(seen, expected[:len(seen)], "packets per queue\n"
                         + "\n".join((guest or self.guest).messages()))

    def assert_each_received(self, frames, queue_of, guest=None):
        """The same of each single frame.

        Those of one queue are sent together, so that the guest's counters
        tell of each.
        """
        groups = {}
        for frame in frames:
            groups.setdefault(queue_of(frame), []).append(frame)
        for group in groups.values():
            self.assert_received(group, queue_of, guest)

    def receive(self, frames, guest=None):
        guest = guest or self.guest
        before = steering.rx_packets(guest)
        traffic.send(guest.sender, frames)
        seen = histogram.wait_for_packets(guest, before, len(frames))
        self.assertEqual(sum(seen), len(frames), "packets lost")
        return seen

    def assert_query(self, engine, config=None, guest=None):
        """x-query-rss tells this engine and this configuration."""
        rss = (guest or self.guest).rss()
        self.assertEqual(rss["engine"], engine, rss["reason"])
        table = config.table if config else []
        types = type_names(config.types) if config else []
        self.assertEqual(rss["table"], table)
        self.assertEqual(rss["hash-types"], types)
        if config:
            self.assertEqual(rss["key"], config.key.hex())
        return rss


