# SPDX-License-Identifier: GPL-2.0-or-later
"""How long a guest's command takes in a QEMU, whose main loop handles it.

The QEMU has no guest: the driver of tests/qtest is its processor.
"""

import contextlib
import os
import time
import unittest

from harness.qtest import rig

from . import stats
from .report import number, spread

PAUSE = 0.02        # seconds around a change; some grace periods
BURST = 50          # changes; more than the program's map has slots
NOTHING = 0xff      # a class of commands that no device knows
LIMIT_US = 1000
PACKET_TIMEOUT = 5
EFFECTLESS = "no effect"
PACKET = ", and a packet"
HEADING = (
    "In a QEMU: us from before the guest's command to its acknowledgement; "
    "median [quartiles].  A command of no effect takes what QEMU needs to "
    "notice and to answer; above it: the median of differences within a "
    "round.  And a packet: to the arrival, in its queue's ring, of the first "
    "packet that the new configuration steers; packets are sent from the "
    "acknowledgement on, one at a time, and each change moves them to another "
    "queue")


class Commands:
    """Commands to a card with one of the engines."""

    def __init__(self, engine):
        self.card = rig.Card(engine)
        self.nic = self.card.start()
        self.queues = rig.QUEUES
        self.frame = rig.flows(4)[0]
        self.configs = [(config, config.queue(self.frame)) for config in (
            rig.spread([0, 1]), rig.spread([2, 3], seed=1))]
        self.configure()

    def configure(self):
        """An RSS_CONFIG with the other of both configurations."""
        self.configs.reverse()
        ack = self.nic.set_rss(self.configs[0][0], self.queues)
        if ack != 0:
            raise AssertionError(f"QEMU refuses an RSS_CONFIG: {ack}")

    def nothing(self):
        """A command that QEMU does not know."""
        self.nic.command(0, bytes(300), klass=NOTHING)

    def wait_steered(self):
        """Wait for a packet on the queue that was configured last."""
        queue = self.configs[0][1]
        deadline = time.monotonic() + PACKET_TIMEOUT
        while time.monotonic() < deadline:
            self.card.send([self.frame])
            if self.wait_packet(deadline).queue == queue:
                return
        raise AssertionError("no packet follows the RSS_CONFIG")

    def wait_packet(self, deadline):
        """Wait busily for the packet that is under way; return it."""
        while time.monotonic() < deadline:
            for packet in self.nic.collect():
                if packet.frame == self.frame:
                    return packet
        raise AssertionError("a packet is lost")


def timed(*steps):
    start = time.perf_counter()
    for step in steps:
        step()
    return (time.perf_counter() - start) * 1e6


@contextlib.contextmanager
def apart(cards):
    """The driver, which waits busily, on one processor, QEMU on another.

    On the same one QEMU would wait for the end of the driver's time slice,
    milliseconds.
    """
    mine, *others = sorted(os.sched_getaffinity(0))
    pids = [card.card.machine.process.pid for card in cards]
    if others:
        os.sched_setaffinity(0, {mine})
        for pid in pids:
            os.sched_setaffinity(pid, {others[0]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, {mine, *others})


def sample(cards, rounds):
    ebpf, software = cards
    kinds = {EFFECTLESS: (ebpf, ebpf.nothing),
             "software": (software, software.configure),
             "eBPF": (ebpf, ebpf.configure)}
    steps = {name: [step] for name, (_, step) in kinds.items()}
    steps |= {name + PACKET: [step, card.wait_steered]
              for name, (card, step) in kinds.items()}
    burst = f"eBPF, {BURST} without a pause"
    series = {name: [] for name in [*steps, burst, burst + PACKET]}
    for _ in range(rounds):
        for name, parts in steps.items():
            time.sleep(PAUSE)
            series[name].append(timed(*parts))
    for _ in range(max(2, rounds // BURST)):
        time.sleep(PAUSE)
        series[burst] += [timed(ebpf.configure) for _ in range(BURST - 1)]
        series[burst + PACKET].append(timed(*steps["eBPF" + PACKET]))
    return series


def measure(section, quick):
    cards = []
    try:
        for engine in (rig.EBPF, rig.SOFTWARE):
            cards.append(Commands(engine))
        with apart(cards):
            series = sample(cards, 50 if quick else 500)
    except unittest.SkipTest as reason:
        section.note(f"Not measured in a QEMU: {reason}")
        return
    finally:
        for one in cards:
            one.card.close()
    show(section, series)


def show(section, series):
    rows = []
    for name, values in series.items():
        late = stats.quantile(values, 0.99)
        row = [name, spread(section.figure(f"qemu/{name}", values, "us")),
               number(late), ""]
        kind, packet = name.removesuffix(PACKET), name.endswith(PACKET)
        if kind in ("software", "eBPF"):
            added = stats.differences(values, series[
                EFFECTLESS + (PACKET if packet else "")])
            held = section.figure(f"qemu/{name}/added", added, "us").median
            row[-1] = number(held)
            if not packet:
                section.target(f"in a QEMU, {name}: a configuration adds",
                               held, LIMIT_US, "us")
        rows.append(row)
    section.table(HEADING, ["", "command", "99 %", "above no effect"], rows)
