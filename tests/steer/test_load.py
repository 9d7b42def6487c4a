#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""tap-steer load and unload on real taps: which queue each packet takes."""

import ctypes
import os

from rig import FRAMES, NOTHING, NOT_ROOT, OBJECTS, RETURNS, TELLS, Rig

from harness.check.unittest_tap import run_tests

ALL = len(FRAMES)


class Load(Rig):
    """Programs on a tap that another process, this test, has open."""

    def test_each_packet_takes_the_queue_that_the_program_returns(self):
        self.assertIn('"second" is attached', self.load("second"))
        self.assertEqual(self.where(), {1: ALL})
        self.assertIn("in the place of", self.load("third"))
        self.assertEqual(self.where(), {2: ALL})
        self.steer("unload", "tap0")
        self.assertGreater(len(self.where()), 1)
        self.assertIn("nothing is attached" if TELLS else
                      "whatever program was attached",
                      self.steer("unload", "tap0"))

    def test_a_queue_beyond_the_last_is_wrapped_by_the_kernel(self):
        self.load("none")       # 65535 % 4
        self.assertEqual(self.where(), {3: ALL})

    def test_version(self):
        self.assertRegex(self.steer("--version"), r"^tap-steer [0-9.]+\n$")

    def test_no_queue_is_added(self):
        before = self.shown()["queues"]
        self.load("second")
        self.assertEqual((before, self.shown()["queues"]), (4, 4))

    def test_a_section_that_libbpf_does_not_know(self):
        self.load("hello")
        self.assertEqual(self.where(), {1: ALL})

    def test_another_tap_of_the_same_name_is_left_alone(self):
        other = self.new_net()
        queues = [self.open_queue(other) for _ in range(self.QUEUES)]
        self.load("second", net=other)
        self.assertEqual(self.where(net=other, queues=queues), {1: ALL})
        self.assertEqual(self.shown()["state"], NOTHING)
        self.assertGreater(len(self.where()), 1)

    def test_by_the_name_of_a_namespace(self):
        path = f"/proc/{os.getpid()}/fd/{self.net.fd}"
        self.steer("load", "tap0", "obj", RETURNS, "sec", "second",
                   "--netns", path, net=self.new_net())
        self.assertEqual(self.where(), {1: ALL})
        self.assertIn("cannot enter the network namespace", self.refused(
            "show", "--netns", "nowhere"))

    def test_a_tap_that_nobody_has_open(self):
        other = self.new_net()
        self.load("third", net=other)
        queues = [self.open_queue(other) for _ in range(self.QUEUES)]
        self.assertEqual(self.where(net=other, queues=queues), {2: ALL})
        self.steer("unload", "tap0", net=other)
        self.assertEqual(self.shown(net=other)["state"], NOTHING)

    def test_a_queue_of_our_own_only_if_told(self):
        said = self.load("second", "--own-queue")
        self.assertIn("lost", said)
        self.assertEqual(self.where(), {1: ALL})

    def test_it_stays_when_its_owner_is_gone(self):
        self.load("second")
        for queue in self.queues:
            self.close(queue)
        self.queues = [self.open_queue() for _ in range(self.QUEUES)]
        self.assertEqual(self.where(), {1: ALL})


class Refused(Rig):
    """What cannot be loaded; and nothing is changed by that."""

    def setUp(self):
        super().setUp()
        self.load("second")
        self.before = self.shown()

    def check(self, reason, *words, **how):
        """The command is refused with this reason, and changes nothing."""
        text = self.refused(*words, **how)
        self.assertIn(reason, text)
        after = self.shown()
        self.assertEqual(after["program"], self.before["program"])
        self.assertEqual(self.where(), {1: ALL})
        return text

    def check_load(self, reason, *words, **how):
        return self.check(reason, "load", "tap0", "obj", *words, **how)

    def test_a_program_of_another_type(self):
        self.check_load("is of type xdp", RETURNS, "sec", "dropper")
        self.check_load("is of type sched_cls", RETURNS, "sec", "first_tc")

    def test_what_the_verifier_refuses(self):
        text = self.check_load("verifier's last lines", RETURNS, "sec",
                               "broken")
        self.assertIn("invalid mem access", text)
        self.assertLess(len(text.splitlines()), 14)

    def test_a_program_that_is_not_named(self):
        self.check_load("choose one with", RETURNS)
        self.check_load("no program \"that\"", RETURNS, "sec", "that")

    def test_no_object(self):
        self.check_load("No such file", str(OBJECTS / "nothing.o"))
        self.check_load("cannot read", __file__)

    def test_no_device(self):
        self.check("no such device", "load", "tap7", "obj", RETURNS, "sec",
                   "first")
        self.check("is not a tap", "load", "lo", "obj", RETURNS, "sec",
                   "first")

    def test_words(self):
        for words, reason in (
                (("load", "tap0"), "obj FILE"),
                (("load",), "the device is missing"),
                (("lode", "tap0"), "no such command: lode"),
                (("show", "tap0", "obj", RETURNS), "unexpected argument"),
                (("load", "tap0", "obj"), "unexpected argument")):
            self.check(reason, *words)

    def test_a_capability_that_is_missing(self):
        for drop, words in (
                ("-sys_admin,-bpf", "(CAP_BPF is missing)"),
                ("-net_admin", "(CAP_NET_ADMIN is missing)"),
                ("-sys_admin,-bpf,-net_admin",
                 "(CAP_BPF and CAP_NET_ADMIN are missing)")):
            with self.subTest(drop):
                self.check_load(words, RETURNS, "sec", "first",
                                before=(*NOT_ROOT, drop))

    def test_the_rss_of_a_virtual_machine(self):
        """As if this test, which has the tap open, were QEMU."""
        self.steer("rss", "tap0", "--queues", "1")
        libbpf = ctypes.CDLL("libbpf.so.1")
        program = libbpf.bpf_prog_get_fd_by_id(self.shown()["program"]["id"])
        self.addCleanup(self.close, program)
        self.record().unlink()
        for words in (("load", "tap0", "obj", RETURNS, "sec", "first"),
                      ("unload", "tap0"), ("rss", "tap0")):
            text = self.refused(*words)
            self.assertIn("is the RSS of a virtual machine" if TELLS else
                          "for the RSS of its guest", text)
            self.assertIn("--force", text)
            self.assertEqual(self.where(), {0: ALL})
        self.load("third", "--force")
        self.assertEqual(self.where(), {2: ALL})


if __name__ == "__main__":
    run_tests(__file__)
