#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest that configures RSS in a tight loop harms nobody but itself.

QEMU must go on to answer the people who run it.  The longest time that it
took is printed; what is asserted is that it answers at all.
"""

import contextlib
import os
import time

from harness.qtest.rig import (EBPF, QUEUES, SOFTWARE, TapCase, only_pci,
                               run_tests, spread)
from harness.qtest.virtio_net import CLASS_MQ, OK, RSS_CONFIG, rss_config
from harness.qtest.virtio import DESC_WRITE

COMMANDS = 10000
PATIENCE = 30           # seconds for one answer
FLOOD = 0.9             # seconds; Linux takes the CPU away after 0.95
ANSWERS = 20            # while that lasts; a good QEMU has hundreds
FLOODS = 5              # at most, for others may have taken the machine


def refill(ring, seconds):
    """Be that processor, for some time, and end this process."""
    with contextlib.suppress(OSError):      # nobody else gets our CPU
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for _ in range(1000):
            ring.offer_all_again()
    os._exit(0)


class Flood:
    """The tests; engines follow."""

    def prepare(self, configs):
        """Fill the control ring with commands; return the acks' address.

        Each has an indirect table, so that as many fit as the ring is long.
        """
        ring, device = self.nic.control, self.nic.device
        acks = device.allocate(ring.size)
        for number in range(ring.size):
            config = configs[number % len(configs)]
            data = bytes((CLASS_MQ, RSS_CONFIG)) + rss_config(
                config.types, config.table, config.key, QUEUES)
            address = device.allocate(len(data))
            self.card.machine.memory[address:address + len(data)] = data
            ring.add_chain([(address, len(data), 0),
                            (acks + number, 1, DESC_WRITE)], indirect=True)
        return acks

    def ask_qemu(self):
        """Return the seconds that QEMU took to answer query-status."""
        start = time.monotonic()
        self.card.machine.qmp("query-status")
        return time.monotonic() - start

    def report(self, what, longest):
        print(f"# {self}: {what}; longest answer {longest * 1000:.1f} ms",
              flush=True)
        self.assertLess(longest, PATIENCE)

    def test_10000_in_a_row(self):
        """As many at a time as the ring holds, QMP asked each time."""
        configs = [spread(seed=seed) for seed in range(4)]
        acks = self.prepare(configs)
        ring = self.nic.control
        done, longest = 0, 0
        start = time.monotonic()
        while done < COMMANDS:
            ring.kick()
            longest = max(longest, self.ask_qemu())
            for head, _ in self.wait_all(ring):
                ring.offer(head)
            done += ring.size
        seconds = time.monotonic() - start
        answers = self.card.machine.memory[acks:acks + ring.size]
        self.assertEqual(set(answers), {OK})
        self.report(f"{done} commands in {seconds:.2f} s", longest)
        ring.kick()         # what was offered last
        self.wait_all(ring)
        last = configs[(ring.size - 1) % len(configs)]
        self.assert_steers_soon(last)

    def wait_all(self, ring):
        chains = []
        deadline = time.monotonic() + PATIENCE
        while len(chains) < ring.size:
            self.assertLess(time.monotonic(), deadline, "commands are lost")
            chains += ring.used(keep=True)
        return chains

    @only_pci("the quick kick")
    def test_ring_that_is_never_empty(self):
        """A processor of the guest's refills it while QEMU works on it."""
        self.prepare([spread()])
        for _ in range(FLOODS):
            answers = self.flood()
            if len(answers) > ANSWERS:
                break
        self.report(f"{len(answers)} answers in {FLOOD} s", max(answers))
        self.assertGreater(len(answers), ANSWERS, "the guest held QEMU up")

    def flood(self):
        """Ask QEMU until that processor is done; return the times it took."""
        ring = self.nic.control
        guest = os.fork()
        if guest == 0:
            refill(ring, FLOOD)
        answers = [0]
        while os.waitpid(guest, os.WNOHANG)[0] == 0:
            ring.kick()
            answers.append(self.ask_qemu())
        return answers


class FloodEbpf(Flood, TapCase):
    engine = EBPF


class FloodSoftware(Flood, TapCase):
    engine = SOFTWARE


if __name__ == "__main__":
    run_tests(__file__)
