#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Never silently off: what happens where eBPF is unavailable.

QEMU starts without the right to load eBPF programs, or with a backend that
takes none.  The same with vhost=on is in test_vhost.py; what needs no tap is
in tests/qtest/test_start.py.
"""

import contextlib
import fcntl
import os
import struct
import tempfile
from pathlib import Path

from harness.functional.guests import (
    EBPF, NO_HELPER, SOFTWARE, VHOST, Case, RssGuest, TapNet,
    Unprivileged, flows, run_tests, tested_qemu)
from harness.qtest.machine import Machine
from harness.qtest.rig import Card
from harness.vm.process import run
from harness.vm.tapnet import IFF_NO_PI, IFF_TAP, IFF_VNET_HDR, TUNSETIFF

NOT_PERMITTED = "not permitted"


@contextlib.contextmanager
def started(options, **how):
    """A QEMU without a guest, whose card is on a tap of four queues."""
    with Card(None, options, vhost=VHOST, **how) as card:
        yield card.machine


@contextlib.contextmanager
def macvtap():
    """The descriptor of a macvtap, which takes no steering program.

    It is in a network namespace of its own.  Its device file is made by hand:
    the folder in /dev shows those of the host's namespace only.
    """
    with TapNet(1) as net, tempfile.TemporaryDirectory() as folder:
        net.ip(f"link add link {net.name} name mv0 type macvtap mode bridge")
        net.ip("link set mv0 up")
        with net.entered():
            number = run("unshare", "--mount", "sh", "-c", "mount -t sysfs "
                         "sysfs /sys && cat /sys/class/net/mv0/tap*/dev")
        major, minor = map(int, number.split(":"))
        path = Path(folder) / "macvtap"
        os.mknod(path, 0o600 | 0o020000, os.makedev(major, minor))
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.ioctl(fd, TUNSETIFF, struct.pack(
                "16sH22x", b"mv0", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
            yield fd
        finally:
            os.close(fd)


class FallbackCase(Case):
    """What both have in common."""

    def assert_refused(self, options, *words, **how):
        """QEMU does not start, and says why."""
        with self.assert_error("status 1", *words), started(options, **how):
            pass


class Fallback(FallbackCase):
    """vhost=off."""

    def test_no_capability_a_guest_steered_by_QEMU(self):
        """One warning; the guest does not notice."""
        with RssGuest(NO_HELPER, qemu=Unprivileged(tested_qemu())) as guest:
            self.assert_one_warning(guest.warnings(), NOT_PERMITTED,
                                    "RSS falls back to QEMU")
            for weights in ("6 1 1 0", "1 1 1 1"):
                guest.shell("ethtool -X eth0 weight " + weights)
                config = guest.config()
                rss = self.assert_query(SOFTWARE, config, guest)
                self.assertIn(NOT_PERMITTED, rss["reason"])
                self.assert_received(flows(64), config.queue, guest)
            self.assertEqual(len(guest.warnings()), 1)

    def test_no_capability_but_eBPF_is_insisted_on(self):
        self.assert_refused(f"rss-engine={EBPF}," + NO_HELPER, NOT_PERMITTED,
                            without_bpf=True)

    def test_software_is_asked_for(self):
        """Then nobody needs a capability, and there is no warning."""
        with started("rss-engine=software", without_bpf=True) as machine:
            self.assertEqual(machine.warnings(), [])

    def on_macvtap(self, options):
        """Start a QEMU whose backend cannot steer."""
        with macvtap() as fd:
            return Machine(["-netdev", f"tap,id=net0,fd={fd}", "-device",
                            "virtio-net-pci,netdev=net0,rss=on,romfile=,"
                            + options], pass_fds=[fd])

    def test_backend_that_cannot_steer(self):
        machine = self.enterContext(self.on_macvtap(""))
        self.assert_one_warning(machine.warnings(), "RSS falls back to QEMU",
                                "cannot attach the steering program")
        self.assertTrue(machine.rss()["offered"])

    def test_backend_that_cannot_steer_but_eBPF_is_insisted_on(self):
        with self.assert_error("status 1",
                               "cannot attach the steering program"):
            self.on_macvtap(f"rss-engine={EBPF}").stop()


if __name__ == "__main__":
    run_tests(__file__)
