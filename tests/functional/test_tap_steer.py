#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""tap-steer beside QEMU: on the tap of a guest that has RSS, and in a guest.

It is the library's (build/lib), as "scripts/check --tier lib" builds it.
"""

import json
import subprocess

from harness import TOP
from harness.functional.guests import (EBPF, QUEUES, Case, RssGuest, flows,
                                       get_kernel, run_tests, why_not)
from harness.vm import initramfs
from harness.vm.guest import guest_initramfs

TOOL = TOP / "build/lib/tools/tap-steer"
RETURNS = TOP / "build/lib/tests/steer/returns.bpf.o"
MODULES = ("sch_ingress", "cls_bpf", "act_skbedit")
PINGS = 8
ADDRESS, PEER = "192.0.2.2", "192.0.2.1"


def guest_with_tap_steer():
    """Return a guest that has tap-steer and its programs, too."""
    return RssGuest(initrd=guest_initramfs(
        get_kernel(), MODULES,
        {"bin/tap-steer": TOOL, RETURNS.name: RETURNS,
         **{path[1:]: path for path in initramfs.libraries(TOOL)}}))


class TapSteer(Case):
    """One guest, of which each test sets the queues."""

    @classmethod
    def setUpClass(cls):
        if not why_not() and TOOL.exists():
            cls.guest = cls.enterClassContext(guest_with_tap_steer())

    def setUp(self):
        super().setUp()
        if not TOOL.exists():
            self.skipTest("tap-steer is not built (scripts/check --tier lib)")
        self.guest.shell("ethtool -L eth0 combined 4 && "
                         "ethtool -X eth0 equal 4")

    def tool(self, *words):
        """Run tap-steer beside QEMU; return (status, what it printed)."""
        with self.guest.netns.entered():
            done = subprocess.run([TOOL, *words], stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def load(self, *words):
        return self.tool("load", "tap0", "obj", RETURNS, "sec", "second",
                         *words)

    def shown(self):
        status, text = self.tool("show", "tap0", "--json")
        self.assertEqual(status, 0, text)
        return json.loads(text)[0]

    def assert_rss(self):
        """QEMU's program steers, as the guest configures it."""
        self.assertRegex(self.shown()["program"]["name"], "^rss_")
        config = self.guest.config()
        self.assert_query(EBPF, config)
        self.assert_received(flows(64), config.queue)

    def test_the_tap_of_a_guest_with_rss(self):
        self.assert_rss()
        self.assertEqual(self.shown()["owner"]["pid"], self.guest.pid)
        for status, text in (self.load(), self.tool("unload", "tap0"),
                             self.tool("rss", "tap0")):
            self.assertEqual(status, 1, text)
            self.assert_words(text, "RSS", "--force")
            self.assert_rss()
        self.assertEqual(self.load("--force")[0], 0)
        self.assertEqual(self.shown()["program"]["name"], "second")
        self.assert_received(flows(64), lambda frame: 1)
        self.assertEqual(self.tool("unload", "tap0", "--force")[0], 0)
        self.assertEqual(self.shown()["state"], "none")
        self.assertEqual(self.load("--force")[0], 0)
        # When the guest changes its queues, QEMU removes what is there.
        self.guest.shell("ethtool -X eth0 equal 2 && "
                         "ethtool -L eth0 combined 2")
        self.assertEqual(self.shown()["state"], "none")
        self.guest.shell("ethtool -X eth0 equal 2")
        self.assert_rss()

    def packets(self):
        """Return packets per transmit queue of the guest's card."""
        return json.loads(self.guest.shell("tap-steer show eth0 --json"))[
            0]["packets"]

    def test_fallback_in_a_guest(self):
        self.guest.shell(f"ip address add {ADDRESS}/24 dev eth0 && "
                         f"arp -s {PEER} 02:00:00:00:00:01")
        for program, queue in (("third_tc", 2), ("second_tc", 1)):
            self.guest.shell(f"tap-steer load eth0 obj /{RETURNS.name} sec"
                             f" {program} --fallback --yes")
            before = self.packets()
            self.guest.try_shell(f"ping -c {PINGS} -i 0.1 -W 1 {PEER}")
            sent = [new - old for new, old in zip(self.packets(), before)]
            self.assertGreaterEqual(sent[queue], PINGS)
            self.assertEqual(sum(sent), sent[queue])
        self.guest.shell("tap-steer unload eth0 --fallback")
        self.assertEqual(len(self.packets()), QUEUES)


if __name__ == "__main__":
    run_tests(__file__)
