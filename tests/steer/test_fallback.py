#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""tap-steer load --fallback: one tc filter, on taps and on veth."""

import json
import os
import pty
import subprocess
from pathlib import Path

from rig import FRAMES, RETURNS, TOOL, Rig, traffic

from harness.check.unittest_tap import run_tests
from harness.vm.process import run

ALL = len(FRAMES)
VETH_QUEUES = 4
SKBEDIT = Path("/sys/module/act_skbedit")


class Unsupported(Rig):
    """A kernel that cannot do it says so, and nothing is changed."""

    def test_refused_before_anything_is_changed(self):
        done = self.run_tool("load", "tap0", "obj", RETURNS, "sec",
                             "second_tc", "--fallback")
        if done.returncode == 0:
            self.skipTest("this kernel supports --fallback")
        self.assertIn("not supported by this kernel", done.stderr)
        if SKBEDIT.exists():        # 5.10: it takes it, and does something else
            self.assertIn("does not choose a queue", done.stderr)
        with self.net.entered():
            self.assertNotIn("clsact", run("tc", "qdisc", "show", "dev",
                                           "tap0"))


class Filter(Rig):
    """Where this kernel can do it."""

    def setUp(self):
        super().setUp()
        self.need_fallback()

    def tc(self, *words):
        with self.net.entered():
            return run("tc", *words)

    def load_filter(self, program, *words, device="tap0"):
        return self.steer("load", device, "obj", RETURNS, "sec", program,
                          "--fallback", *words)

    def test_load_replace_unload(self):
        own = self.where()
        self.assertIn("loses packets", self.load_filter("second_tc"))
        self.assertEqual(self.where(), {1: ALL})
        self.assertNotIn("loses packets", self.load_filter("third_tc"))
        self.assertEqual(self.where(), {2: ALL})
        self.load_filter("none_tc")
        self.assertEqual(self.where(), own)
        self.load_filter("first_tc")
        self.steer("unload", "tap0")
        self.assertEqual(self.where(), own)
        self.assertIn("clsact", self.tc("qdisc", "show", "dev", "tap0"))
        self.assertEqual(self.tc("filter", "show", "dev", "tap0", "egress"),
                         "")

    def test_a_terminal_is_asked(self):
        """Nothing is done without --yes where somebody can give it."""
        ours, theirs = pty.openpty()
        try:
            with self.net.entered():
                done = subprocess.run(
                    [TOOL, "load", "tap0", "obj", RETURNS, "sec", "second_tc",
                     "--fallback"],
                    stdin=theirs, capture_output=True, text=True, check=False)
        finally:
            os.close(ours)
            os.close(theirs)
        self.assertEqual(done.returncode, 1)
        self.assertIn("--yes", done.stderr)
        self.assertNotIn("clsact", self.tc("qdisc", "show", "dev", "tap0"))

    def test_shown(self):
        self.load_filter("second_tc")
        shown = self.shown()
        self.assertEqual((shown["filter"]["name"], shown["limit"]),
                         ("second_tc", 4))
        self.assertIn("sec second_tc", shown["filter"]["command"])
        self.assertEqual(shown["notes"], [])

    def test_filters_of_others_are_named(self):
        self.load_filter("second_tc")
        for priority, where in ((7, "before"), (300, "behind")):
            self.tc("filter", "add", "dev", "tap0", "egress", "prio",
                    str(priority), "protocol", "ip", "u32", "match", "u32",
                    "0", "0", "action", "pass")
            notes = " ".join(self.shown()["notes"])
            self.assertIn(f"priority {priority}) comes {where} ours", notes)
        self.steer("unload", "tap0")
        self.assertIn("pref 7 ", self.tc("filter", "show", "dev", "tap0",
                                         "egress"))

    def test_stale_limit_is_named(self):
        self.load_filter("second_tc", "--queues", "3")
        self.assertIn("loaded for 3 queues", " ".join(self.shown()["notes"]))

    def veth(self):
        """Make a pair veth0 and veth1 of four queues, both up."""
        queues = f"numtxqueues {VETH_QUEUES} numrxqueues {VETH_QUEUES}"
        self.net.ip(f"link add veth0 {queues} type veth peer name veth1"
                    f" {queues}")
        self.net.ip("link set veth0 up")
        self.net.ip("link set veth1 up")
        # Counters of each queue: the discipline mq.
        self.tc("qdisc", "replace", "dev", "veth0", "root", "handle", "1:",
                "mq")

    def veth_packets(self):
        """Return packets per queue of veth0."""
        text = self.run_tool("show", "veth0", "--json").stdout
        return json.loads(text)[0]["packets"]

    def check_veth(self):
        for program, queue in (("fourth_tc", 3), ("second_tc", 1)):
            self.load_filter(program, device="veth0")
            before = self.veth_packets()
            with self.net.packet_socket("veth0") as sock:
                traffic.send(sock, FRAMES)
            seen = [new - old for new, old in zip(self.veth_packets(),
                                                  before)]
            expected = [0] * VETH_QUEUES
            expected[queue] = ALL
            self.assertEqual(seen, expected)

    def test_veth(self):
        self.veth()
        self.check_veth()

    def test_veth_with_xps(self):
        """Transmit packet steering would choose queue 0."""
        self.veth()
        with self.net.entered():
            done = subprocess.run(
                ["unshare", "--mount", "sh", "-c",
                 "mount -t sysfs sysfs /sys && "
                 "echo 1 >/sys/class/net/veth0/queues/tx-0/xps_cpus"],
                check=False, capture_output=True, text=True)
        if done.returncode:
            self.skipTest("no XPS: " + done.stderr.strip())
        self.check_veth()


if __name__ == "__main__":
    run_tests(__file__)
