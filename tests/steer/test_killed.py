#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""tap-steer killed at random moments: nothing half is left.

RSS_TEST_SEED repeats a run.
"""

import json
import os
import random
import subprocess
import time

from rig import FRAMES, NOTHING, RETURNS, TIMEOUT, TOOL, Rig

from harness.check.unittest_tap import run_tests
from harness.vm.process import run, wait_until

MOMENTS = 200
SECONDS = float(os.environ.get("RSS_TEST_SECONDS", 40))
SHOWN = 8               # of these, one is looked at with "show"
QUEUE_OF = {"rss_tap0": 0, "second": 1, "third": 2}
COMMANDS = (
    ("load", "tap0", "obj", RETURNS, "sec", "second"),
    ("load", "tap0", "obj", RETURNS, "sec", "third"),
    ("rss", "tap0", "--queues", "1"),
    ("unload", "tap0"),
)


def programs():
    """Return the numbers of the programs that the kernel has."""
    return {program["id"] for program in json.loads(run(
                "bpftool", "prog", "show", "--json"))
            if program.get("name") in ("second", "third", "rss_tap0",
                                       "steer_attached")}


class Killed(Rig):
    """One tap, which must be whole after each moment."""

    def start(self, command):
        with self.net.entered():
            return subprocess.Popen([TOOL, *command],
                                    stdin=subprocess.DEVNULL,
                                    stdout=subprocess.DEVNULL,
                                    stderr=subprocess.DEVNULL)

    def duration(self):
        """Return how long the longest command takes, in seconds."""
        taken = []
        for command in COMMANDS:
            start = time.monotonic()
            self.assertEqual(self.start(command).wait(TIMEOUT), 0)
            taken.append(time.monotonic() - start)
        return max(taken)

    def check_packets(self, own):
        """Packets take the one queue of a whole program, or their own."""
        found = self.where(FRAMES[:16])
        self.assertIn(found, ({0: 16}, {1: 16}, {2: 16}, own))
        return found

    def check_shown(self, found, own):
        """What is shown is what packets do; and no queue was added."""
        shown = self.shown()
        self.assertEqual(shown["queues"], 4)
        if shown["state"] == NOTHING:
            self.assertEqual(found, own)
            return
        name = shown["program"]["name"]
        self.assertEqual(found, {QUEUE_OF[name]: 16})
        if name == "rss_tap0":
            self.assertEqual(shown["table"], [0] * 128)

    def test_at_random_moments(self):
        seed = os.environ.get("RSS_TEST_SEED") or str(random.getrandbits(32))
        print(f"# RSS_TEST_SEED={seed}", flush=True)
        rng = random.Random(seed)
        before = programs()
        own = self.where(FRAMES[:16])
        longest = self.duration()
        end = time.monotonic() + SECONDS
        killed = moments = 0
        while moments < MOMENTS and time.monotonic() < end:
            process = self.start(rng.choice(COMMANDS))
            time.sleep(rng.random() * longest)
            process.kill()
            killed += process.wait(TIMEOUT) != 0
            found = self.check_packets(own)
            if moments % SHOWN == 0:
                self.check_shown(found, own)
            moments += 1
        print(f"# | tap-steer killed at {moments} moments, {killed} of them"
              " before it had ended: nothing half is left", flush=True)
        self.assertGreater(killed, moments // 8)
        self.run_tool("unload", "tap0", "--force")
        self.assertEqual(self.shown()["state"], NOTHING)
        self.assertTrue(wait_until(lambda: programs() <= before, 10),
                        "programs are left")


if __name__ == "__main__":
    run_tests(__file__)
