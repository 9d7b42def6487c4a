# SPDX-License-Identifier: GPL-2.0-or-later
"""How long a guest's command takes in a QEMU, whose main loop handles it.

The QEMU has no guest: the driver of tests/qtest is its processor.
"""

import contextlib
import os
import sys
import time
import unittest
from pathlib import Path

from . import stats
from .report import number, spread

TOP = Path(__file__).resolve().parent.parent.parent.parent
sys.path.insert(0, str(TOP / "tests/qtest"))

PAUSE = 0.02        # seconds around a change; some grace periods
BURST = 50          # changes; more than the program's map has slots
NOTHING = 0xff      # a class of commands that no device knows
LIMIT_US = 1000
EFFECTLESS = "no effect"
HEADING = (
    "In a QEMU: us from before the guest's command to its acknowledgement; "
    "median [quartiles].  A command of no effect takes what QEMU needs to "
    "notice and to answer; above it: the median of differences within a "
    "round")


class Commands:
    """Commands to a card with one of the engines."""

    def __init__(self, rig, engine):
        self.card = rig.Card(engine)
        self.nic = self.card.start()
        self.configs = [rig.spread([0, 1]), rig.spread([2, 3], seed=1)]
        self.queues = rig.QUEUES

    def configure(self, index):
        """One RSS_CONFIG, which must succeed; return its microseconds."""
        start = time.perf_counter()
        ack = self.nic.set_rss(self.configs[index % 2], self.queues)
        end = time.perf_counter()
        if ack != 0:
            raise AssertionError(f"QEMU refuses an RSS_CONFIG: {ack}")
        return (end - start) * 1e6

    def nothing(self, index):
        """The same, of a command that QEMU does not know."""
        start = time.perf_counter()
        self.nic.command(0, bytes(300), klass=NOTHING)
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
    """Return {name: microseconds}."""
    ebpf, software = cards
    steps = {EFFECTLESS: ebpf.nothing, "software": software.configure,
             "eBPF": ebpf.configure}
    series = {name: [] for name in steps}
    for index in range(rounds):
        for name, step in steps.items():
            time.sleep(PAUSE)
            series[name].append(step(index))
    burst = series[f"eBPF, {BURST} without a pause"] = []
    for _ in range(max(1, rounds // BURST)):
        time.sleep(PAUSE)
        burst += [ebpf.configure(index) for index in range(BURST)]
    return series


def measure(section, quick):
    """Add the table and the targets to a Section."""
    import rig

    cards = []
    try:
        for engine in (rig.EBPF, rig.SOFTWARE):
            cards.append(Commands(rig, engine))
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
    """Table and targets."""
    rows = []
    for name, values in series.items():
        late = stats.quantile(values, 0.99)
        row = [name, spread(section.figure(f"qemu/{name}", values, "us")),
               number(late), ""]
        if name in ("software", "eBPF"):
            added = stats.differences(values, series[EFFECTLESS])
            held = section.figure(f"qemu/{name}/added", added, "us").median
            section.target(f"in a QEMU, {name}: a configuration adds", held,
                           LIMIT_US, "us")
            row[-1] = number(held)
        rows.append(row)
    section.table(HEADING, ["", "command", "99 %", "above no effect"], rows)
