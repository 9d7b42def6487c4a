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

from harness import cases, rss_reference
from harness.check.unittest_tap import run_tests
from harness.qtest.machine import QEMU, WITHOUT_BPF
from harness.qtest.rig import (AUTOMATIC, EBPF, NO_HELPER, QUEUES, SOFTWARE,
                               predicted)
from harness.vm import VmError, histogram, steering, tapnet, traffic
from harness.vm.accel import best_accel
from harness.vm.channel import Asked
from harness.vm.guest import Guest, rss_card
from harness.vm.kernel import get_kernel
from harness.vm.process import wait_until
from harness.vm.qemu import Qemu, own_qemu
from harness.vm.tapnet import TapNet
from harness.vm.traffic import mixed as flows


VHOST = os.environ.get("FUNCTIONAL_VHOST") == "on"
MEMORY = 256
BOOT_TIMEOUT = 120


def tested_qemu():
    """Return the Qemu that is tested, with firmware."""
    return own_qemu(QEMU)


def why_not():
    """Return why these tests cannot run here, or an empty string."""
    if tapnet.why_not():
        return tapnet.why_not()
    if VHOST and not os.access("/dev/vhost-net", os.R_OK | os.W_OK):
        return "there is no /dev/vhost-net"
    return ""


class Unprivileged(Qemu):
    """A Qemu that is not allowed to load eBPF programs."""

    def __init__(self, qemu):
        super().__init__(qemu.binary, qemu.data_dirs, qemu.library_dirs)

    def command(self, *arguments):
        return [*WITHOUT_BPF, *super().command(*arguments)]


class RssGuest(Guest, Asked):
    """A guest with a card "card" of four queues on a tap of its own.

    options    more of the card, such as "hash=on"
    arguments  more of QEMU's
    how        see Guest
    """

    def __init__(self, options="", arguments=(), qemu=None, **how):
        kernel = get_kernel(os.environ.get("FUNCTIONAL_SUITE"))
        qemu = qemu or tested_qemu()
        accel = (os.environ.get("FUNCTIONAL_ACCEL")
                 or best_accel(qemu, kernel))
        how.setdefault("boot_timeout", BOOT_TIMEOUT)
        how.setdefault("memory", MEMORY)
        self.closing = contextlib.ExitStack()
        net = self.closing.enter_context(TapNet(QUEUES))
        self.sender = self.closing.enter_context(net.packet_socket())
        super().__init__(
            qemu, kernel, [*rss_card(net, options, VHOST), *arguments], net,
            accel, **how)

    def stop(self):
        with self.closing:
            super().stop()

    def warnings(self):
        """Return QEMU's warnings, but those of KVM's few processors."""
        return [line for line in self.messages() if "warning: " in line
                and "recommended cpus supported by KVM" not in line]

    def config(self):
        return steering.guest_config(self)

    def set_key(self, seed):
        key = random.Random(seed).randbytes(40)
        self.shell("ethtool -X eth0 hkey " + key.hex(":"))

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

    def program_runs(self):
        """Return how often the kernel ran QEMU's steering programs."""
        return sum(steering.steering_programs(self.pid).values())


class IncomingGuest(RssGuest):
    """The other side of a migration: it waits for migrate-incoming.

    Its shell is there once the guest is.
    """

    arrives = True

    def __init__(self, options="", arguments=(), **how):
        super().__init__(options, ["-incoming", "defer", *arguments], **how)


class Case(cases.Case):
    """A test that takes a tap, and perhaps vhost-net."""

    guest = None
    why_not = staticmethod(why_not)

    @classmethod
    def counting_runs(cls):
        """Have the kernel count how often each program runs."""
        counting = steering.RunCounting()
        cls.addClassCleanup(counting.close)

    def assert_received(self, frames, queue_of, guest=None):
        """Send frames; the queues must receive as many as is predicted."""
        expected = predicted(frames, queue_of)
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
        types = [name for bit, name in enumerate(rss_reference.QAPI_NAMES)
                 if config and config.types >> bit & 1]
        self.assertEqual(rss["table"], table)
        self.assertEqual(rss["hash-types"], types)
        if config:
            self.assertEqual(rss["key"], config.key.hex())
        return rss


