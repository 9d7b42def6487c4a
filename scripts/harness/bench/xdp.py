# SPDX-License-Identifier: GPL-2.0-or-later
"""9. XDP offload: frames into a tap, beside the proposal of 2019."""

import os

from . import programs, stats
from .report import Section, number, spread

# path: the proposal's ratio, and ours at the least
FLOODS = {"bridge, drop": (0.98, 2), "bridge, TX": (0.90, 3),
          "redirect, drop": (5.2, 6)}
PASSES = {"bridge, pass": "returns XDP_PASS",
          "bridge, pass by xdp-filter": "xdp-filter, allows all",
          "redirect, pass": "by redirect, returns XDP_PASS"}
PASS_SHARE = 0.05       # of what a packet takes in all, at the most
LONGEST = 20000         # ns that a packet may take in a guest's program
HELPER = programs.BUILD / "tools/qemu-xdp-helper"


def pairs(section, series, kind, name, unit):
    """Keep the figures without offload and with it; return both."""
    return [section.figure(f"{kind}/{name}/{which}",
                           series[f"{kind}/{name}/{which}"], unit)
            for which in ("without", "with")]


def show_floods(section, series):
    rows, times, bars = [], [], {"without": [], "with offload": []}
    names = [name for name in FLOODS if f"pps/{name}/with" in series]
    for name in names:
        proposed, least = FLOODS[name]
        rates = pairs(section, series, "pps", name, "1/s")
        cpu = pairs(section, series, "cpu", name, "ns")
        gain = section.figure(f"gain/{name}", stats.ratios(
            series[f"pps/{name}/with"], series[f"pps/{name}/without"]), "")
        section.target(f"XDP offload, {name}: packets per second, with / "
                       "without", gain.median, least, smaller=False)
        rows.append([name, *map(spread, rates), spread(gain),
                     number(proposed)])
        times.append([name, *map(spread, cpu)])
        for bar, rate in zip(bars.values(), rates):
            bar.append(rate[:3])
    section.table("Packets per second that are dropped, or are back; median "
                  "[quartiles]; ratios are of pairs",
                  ["", "without", "with offload", "ratio", "in 2019"], rows)
    section.table("Processor time, ns per packet; median [quartiles]",
                  ["", "without", "with offload"], times)
    section.plot("xdp.svg", "A flood into a tap", "packets per second", names,
                 bars)


def show_passes(section, series):
    rows = []
    for name, label in PASSES.items():
        if f"cpu/{name}/with" not in series:
            continue
        path = name.split(",", maxsplit=1)[0]
        whole = stats.summary(series[f"cpu/{path}, drop/without"]).median
        before, after = pairs(section, series, "cpu", name, "ns")
        above = section.figure(f"above/{name}", stats.differences(
            series[f"cpu/{name}/with"], series[f"cpu/{name}/without"]), "ns")
        share = section.value(f"share/{name}", above.median / whole, "")
        section.target(f"XDP offload, {name}: its part of what a packet "
                       "takes", share, PASS_SHARE)
        rows.append([label, spread(before), spread(after), spread(above),
                     f"{share:.1%}"])
    section.table("Packets that pass on to a full queue: the sender's "
                  "processor time, ns per packet; median [quartiles]; part: "
                  "of what one takes that is read (above)",
                  ["program", "without", "with offload", "with - without",
                   "part"], rows)


def show_longest(section, series):
    prefix = "longest/"
    figures = {name.removeprefix(prefix): section.figure(name, samples, "ns")
               for name, samples in series.items() if name.startswith(prefix)}
    worst = max(figures, key=lambda name: figures[name].median)
    section.target("XDP offload, the longest that a packet takes in a "
                   f"program: {worst}", figures[worst].median, LONGEST)
    section.table("What a packet takes in a program that does one thing as "
                  "often as it may, ns; median [quartiles]",
                  ["", "time"],
                  [[name, spread(figure)] for name, figure in figures.items()])


def measure(quick):
    os.environ["XDP_OBJECTS"] = str(programs.BUILD / "tests")
    series = programs.measure("xdp", f"--helper={HELPER}",
                              f"--rounds={6 if quick else 30}")
    section = Section("xdp", "9. XDP offload")
    section.note("UDP, 64 bytes, one flow; one system call for each packet "
                 "that is read. In 2019: the ratios of the proposal to have "
                 "the tun driver run a guest's programs.")
    show_floods(section, series)
    show_passes(section, series)
    show_longest(section, programs.measure("xdp-longest",
                                           "4" if quick else "20"))
    return section
