#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""tap-steer show, rss and set: what is shown is what the kernel does."""

import contextlib
import os
import pty
import subprocess
import sys

from rig import ATTACHED, FRAMES, NOTHING, NOT_ROOT, TELLS, TOOL, Rig

from harness import TOP
from harness.check.unittest_tap import run_tests
from harness.vm.process import run

ALL = len(FRAMES)
WITHOUT_BPF = TOP / "scripts/harness/qtest/without_bpf_call.py"


class Show(Rig):
    """What show tells is what the kernel has."""

    def test_what_is_attached(self):
        self.load("second")
        shown = self.shown()
        program = shown["program"]
        self.assertEqual((shown["state"], program["name"], program["uid"]),
                         (ATTACHED, "second", 0))
        self.assertIn("sec second", program["command"])
        self.assertEqual(shown["owner"]["pid"], os.getpid())
        self.assertIn(program["tag"], run("bpftool", "prog", "show", "id",
                                          program["id"]))

    def test_a_record_is_believed_only_with_its_program(self):
        self.load("second")
        record = self.record()
        text = record.read_text()
        record.unlink()
        self.check_without_record("second")
        self.load("third")
        record.write_text(text)
        self.check_without_record("third")
        record.write_text("nonsense")
        self.check_without_record("third")

    def check_without_record(self, name):
        """Only what the kernel tells is shown of the program."""
        shown = self.shown()
        if TELLS:
            self.assertEqual(shown["program"]["name"], name)
            self.assertNotIn("command", shown["program"])
        else:
            self.assertEqual(shown["state"], "unknown")
            self.assertNotIn("program", shown)

    def test_after_renaming(self):
        self.load("second")
        for words in "tap0 down", "tap0 name other0", "other0 up":
            self.net.ip("link set " + words)
        text = self.steer("show")
        self.assertIn("other0: tap, 4 queues on", text)
        self.assertIn('sec second"', text)

    def test_unknown_without_privilege(self):
        self.load("second")
        shown = self.shown(before=(*NOT_ROOT, "-sys_admin,-bpf,-perfmon"))
        self.assertEqual(shown["state"], "unknown")
        self.assertIn("CAP_BPF and CAP_PERFMON are missing",
                      shown["unknown"])

    def test_unknown_with_two_capabilities(self):
        """As where tun is a module: to find its BTF takes one more."""
        self.load("second")
        shown = self.shown(before=(sys.executable, WITHOUT_BPF, "EPERM",
                                   *NOT_ROOT, "-sys_admin"))
        self.assertEqual(shown["state"], "unknown")
        self.assertIn("(CAP_SYS_ADMIN is missing)", shown["unknown"])

    def test_packets_of_each_queue(self):
        self.load("third")
        before = self.shown()["packets"]
        self.where()
        after = self.shown()["packets"]
        self.assertEqual([new - old for new, old in zip(after, before)],
                         [0, 0, ALL, 0])
        text = self.steer("show", "--prometheus")
        self.assertRegex(text, 'tap_steer_queue_packets_total{device="tap0",'
                         f'netns="[0-9]+",queue="2"}} {after[2]}\n')


class Rss(Rig):
    """This project's RSS by the host's own policy."""

    def test_weights_types_and_back(self):
        self.steer("rss", "tap0", "--weights", "0,1", "--count")
        self.assertEqual(self.where(), {1: ALL})
        self.assertEqual(self.shown()["steered"], [0, ALL, 0, 0])
        self.steer("set", "tap0", "--queues", "4")
        self.assertEqual(set(self.where()), {0, 1, 2, 3})
        self.assertEqual(self.shown()["table"], [0, 1, 2, 3] * 32)
        self.steer("set", "tap0", "--types", "none", "--no-count")
        self.assertEqual(self.where(), {0: ALL})
        self.assertEqual(self.shown()["types"], "none")
        self.assertNotIn("steered", self.shown())
        self.steer("unload", "tap0")
        self.assertEqual(self.shown()["state"], NOTHING)

    def test_the_key_decides(self):
        self.steer("rss", "tap0", "--key", "00" * 40)
        self.assertEqual(self.where(), {0: ALL})
        self.steer("set", "tap0", "--key", ":".join(["6d", "5a"] * 20))
        self.assertGreater(len(self.where()), 2)

    def test_what_is_refused(self):
        self.assertIn("no RSS of tap-steer", self.refused("set", "tap0"))
        self.steer("rss", "tap0", "--queues", "1")
        for words in (("--queues", "5"), ("--queues", "-1"),
                      ("--weights", "1,1,1,1,1"), ("--weights", "0"),
                      ("--weights", "1,x"), ("--types", "tcp"),
                      ("--key", "0g"), ("--key", "000"),
                      ("--key", "00" * 41),
                      ("--queues", "2", "--weights", "1,1")):
            with self.subTest(words):
                self.refused("set", "tap0", *words)
                self.assertEqual(self.where(), {0: ALL})


class Top(Rig):
    """The live view, in a terminal of our own."""

    def top(self, *words):
        """Return what the terminal received."""
        ours, theirs = pty.openpty()
        with self.net.entered():
            process = subprocess.Popen(
                [TOOL, "top", *words], stdin=theirs, stdout=theirs,
                stderr=theirs, env=dict(os.environ, TERM="vt100"))
        os.close(theirs)
        text = b""
        with contextlib.suppress(OSError):      # EIO: the other end is closed
            while part := os.read(ours, 65536):
                text += part
        os.close(ours)
        self.assertEqual(process.wait(), 0, text)
        return text.decode()

    def test_rates_and_program(self):
        self.load("third")
        self.where()
        text = self.top("tap0", "--times", "1")
        self.assertIn('"third" since', text)
        self.assertRegex(text, r"queue 2\D.*64.*#{40} 100 %")
        self.assertIn("every 0.1 s", self.top("--times", "2", "--interval",
                                              "0.1"))

    def test_no_terminal(self):
        self.assertIn("not a terminal", self.refused("top"))


if __name__ == "__main__":
    run_tests(__file__)
