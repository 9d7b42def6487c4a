# SPDX-License-Identifier: GPL-2.0-or-later
"""5. Start-up: the time to load, the memory that is locked."""

from . import peers, programs, stats
from .report import Section, number, spread

LOAD_MS = 10
LOCKED = 24 * 1024
LABELS = {"report": "with reports"}
GROWTH = 1.1        # the time of n NICs grows like n ** this, at the most


def in_ms(samples):
    return [sample / 1e6 for sample in samples]


def rows_of(section, series, numbers, name):
    for n in numbers:
        key = f"{n}/{name}"
        each = section.figure(f"serial/{key}", in_ms(series[f"serial/{key}"]),
                              "ms")
        parallel = section.value(f"parallel/{key}",
                                 series[f"parallel/{key}"][0] / 1e6, "ms")
        total = section.value(f"total/{key}",
                              sum(series[f"serial/{key}"][-n:]) / 1e6, "ms")
        memory = [section.value(f"memory/{key}/{what}",
                                series[f"memory/{key}/{what}"][0], "bytes")
                  for what in ("maps", "program", "resident")]
        yield [f"{LABELS.get(name, name)}, {n} NIC{'s' * (n > 1)}",
               spread(each), number(total), number(parallel),
               *map(number, memory)]


def measure(quick):
    stock, _ = peers.stock_program()
    ours, theirs = (([1, 100], [1, 10]) if quick else
                    ([1, 100, 1000], [1, 100]))
    series = programs.measure("load", stock, "ours", *ours, timeout=1800)
    for name in "stock", "report":
        series.update(programs.measure("load", stock, name, *theirs,
                                       timeout=1800))
    section = Section("load", "5. Start-up")
    section.table(
        "Time in ms (each: median [quartiles]); locked bytes per NIC as the "
        "kernel says; resident: of this process, per NIC",
        ["", "each, serial", "all, serial", "each, 2 threads", "maps",
         "program", "resident"],
        [*rows_of(section, series, theirs, "stock"),
         *rows_of(section, series, ours, "ours"),
         *rows_of(section, series, theirs, "report")])
    verified = {name: series[f"verified/{name}"][0]
                for name in ("stock", "ours", "report")}
    for name, count in verified.items():
        section.value(f"verified/{name}", count, "instructions")
    section.note("The kernel's verifier walks "
                 f"{number(verified['ours'])} instructions of our program, "
                 f"{number(verified['stock'])} of the stock one; that is "
                 "nearly all of the time. Of the one that reports hashes it "
                 f"walks {number(verified['report'])}.")
    targets(section, series, ours)
    section.plot(
        "load.svg", "Time to load, for each NIC", "ms",
        [f"{number(n)} NIC{'s' * (n > 1)}" for n in ours],
        {name: [section.cell(f"serial/{n}/{name}") for n in ours]
         for name in ("stock", "ours")})
    return section


def targets(section, series, numbers):
    for n in numbers:
        section.target(f"{n} NIC{'s' * (n > 1)}: time to load each, median",
                       section.figures[f"serial/{n}/ours"]["median"],
                       LOAD_MS, "ms")
    most = numbers[-1]
    section.target(f"{most} NICs: locked memory for each",
                   series[f"memory/{most}/ours/maps"][0], LOCKED, "bytes")
    points = [(n, section.figures[f"total/{n}/ours"]["median"])
              for n in numbers]
    section.target("the time for n NICs grows like n to the power of",
                   stats.slope(points), GROWTH)
