#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The four programs: return 0, 1, 2 and -1, on a tap of two queues.

Somebody behind the tap, this test, answers pings, and counts on which queue
each echo request came.
"""

import os
import select
import shutil
import subprocess
import threading

from rig import VNET_HDR, Rig, traffic

from harness.check.unittest_tap import run_tests

PINGS = 48
HOST, PEER = "192.0.2.1", "192.0.2.2"
PEER_MAC = "02:00:00:00:00:02"


def is_request(frame):
    """Is it an echo request by IPv4 (without options)?"""
    return (frame[12:14] == b"\x08\x00" and frame[23] == 1 and
            frame[34] == 8)


def reply_to(frame):
    """Return the answer to an echo request."""
    icmp = bytes((0, 0, 0, 0)) + frame[38:]
    icmp = icmp[:2] + traffic.checksum(icmp).to_bytes(2, "big") + icmp[4:]
    return (frame[6:12] + frame[:6] + frame[12:26] + frame[30:34] +
            frame[26:30] + icmp)


class Peer(threading.Thread):
    """Answers echo requests until it is stopped."""

    def __init__(self, queues):
        super().__init__()
        self.queues, self.seen = queues, [0] * len(queues)
        self.stopped = threading.Event()

    def run(self):
        poll = select.poll()
        for queue in self.queues:
            poll.register(queue, select.POLLIN)
        while not self.stopped.is_set():
            for queue, _ in poll.poll(50):
                frame = os.read(queue, 65536)[VNET_HDR:]
                if is_request(frame):
                    self.seen[self.queues.index(queue)] += 1
                    os.write(queue, bytes(VNET_HDR) + reply_to(frame))

    def stop(self):
        self.stopped.set()
        self.join()


class Ping(Rig):
    """Echo requests per queue, by what the program returns."""

    QUEUES = 2

    def setUp(self):
        super().setUp()
        if not shutil.which("ping"):
            self.skipTest("there is no ping (iputils-ping)")
        self.net.ip(f"address add {HOST}/24 dev tap0")
        self.net.ip(f"neighbour add {PEER} lladdr {PEER_MAC} dev tap0"
                    " nud permanent")

    def ping(self):
        """Return [echo requests on the first queue, on the second]."""
        peer = Peer(self.queues)
        peer.start()
        try:
            with self.net.entered():
                done = subprocess.run(
                    ["ping", "-q", "-c", str(PINGS), "-i", "0.005", "-W", "5",
                     PEER], capture_output=True, text=True, check=False)
        finally:
            peer.stop()
        self.assertIn(f"{PINGS} received", done.stdout + done.stderr)
        return peer.seen

    def test_plain_hook(self):
        for program, expected in (("first", [PINGS, 0]),
                                  ("second", [0, PINGS]),
                                  ("third", [PINGS, 0]),    # 2 % 2
                                  ("none", [0, PINGS])):    # 65535 % 2
            with self.subTest(program):
                self.load(program)
                self.assertEqual(self.ping(), expected)

    def test_fallback(self):
        """What is no queue is the device's own choice, as without us."""
        self.need_fallback()
        own = self.ping()
        for program, expected in (("first_tc", [PINGS, 0]),
                                  ("second_tc", [0, PINGS]),
                                  ("third_tc", own),
                                  ("none_tc", own)):
            with self.subTest(program):
                self.load(program, "--fallback")
                # One flow has one hash, but a ping of its own another one.
                seen = self.ping()
                if expected is own:
                    self.assertIn(seen, ([PINGS, 0], [0, PINGS]))
                else:
                    self.assertEqual(seen, expected)

    def test_no_opinion_goes_to_the_plain_hook(self):
        self.need_fallback()
        for program, queue in (("first", 0), ("second", 1)):
            self.load(program)
            self.load("none_tc", "--fallback")
            self.assertEqual(self.ping()[queue], PINGS)
            self.load("second_tc" if queue == 0 else "first_tc", "--fallback")
            self.assertEqual(self.ping()[queue], 0)
            self.steer("unload", "tap0", "--fallback")


if __name__ == "__main__":
    run_tests(__file__)
