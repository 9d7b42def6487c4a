# SPDX-License-Identifier: GPL-2.0-or-later
"""4. Changing the configuration under traffic."""

from . import mainloop, peers, programs, stats
from .report import Section, number, spread

NAMES = ("stock", "ours")
KINDS = {"1": "single changes", "50": "bursts of 50"}
HEADING = (
    "us; median [quartiles].  call: the main loop waits for it.  active: from "
    "the call to the first packet steered by the new configuration, which "
    "holds the sender's own pauses; last old: to the last one steered by the "
    "old (0: none was).  seen: changes (bursts) under which packets were "
    "sent.  neither: packets that neither configuration explains")
HOLD_US, ACTIVE_US = 1000, 5000


def p99(samples):
    return stats.quantile(samples, 0.99)


def in_us(samples):
    return [sample / 1000 for sample in samples]


def measure(quick):
    stock, _ = peers.stock_program()
    series = programs.measure("reconfigure", stock, 1 if quick else 12)
    section = Section("reconfigure", "4. Reconfiguring")
    rows = []
    for kind, heading in KINDS.items():
        for name in NAMES:
            key = f"{kind}/{name}"
            hold = in_us(series[f"hold/{key}"])
            active = in_us(series[f"active/{key}"])
            old = in_us(series[f"old/{key}"])
            section.figure(f"old/{key}/p99", [p99(old)], "us")
            section.figure(f"hold/{key}/p99", [p99(hold)], "us")
            section.figure(f"active/{key}/p99", [p99(active)], "us")
            counts = [section.value(f"{what}/{key}",
                                    series[f"{what}/{key}"][0], "packets")
                      for what in ("sent", "neither", "lost")]
            rows.append([
                f"{heading}, {name}",
                spread(section.figure(f"hold/{key}", hold, "us")),
                number(p99(hold)),
                spread(section.figure(f"active/{key}", active, "us")),
                number(p99(active)), number(p99(old)), number(len(active)),
                *map(number, counts)])
    section.table(
        HEADING,
        ["", "call", "99 %", "active", "99 %", "last old, 99 %",
         "seen", "sent", "neither", "lost"],
        rows)
    grace = section.figure("grace", in_us(series["grace"]), "us")
    section.note("What a burst's last change waits for at least, an RCU grace "
                 f"period, takes {spread(grace)} us here, without traffic.")
    targets(section, series)
    mainloop.measure(section, quick)
    section.plot(
        "reconfigure.svg", "A change: the call, and until it is active",
        "µs", ["call, median", "call, 99 %", "active, median", "active, 99 %"],
        {name: [section.cell(f"{what}/1/{name}{which}")
                for what in ("hold", "active") for which in ("", "/p99")]
         for name in NAMES})
    return section


def targets(section, series):
    for kind, heading in KINDS.items():
        section.target(f"{heading}: packets steered by neither configuration",
                       series[f"neither/{kind}/ours"][0], 0, "packets")
        section.target(f"{heading}: packets lost",
                       series[f"lost/{kind}/ours"][0], 0, "packets")
        section.target(f"{heading}: the main loop is held, 99 %",
                       p99(in_us(series[f"hold/{kind}/ours"])), HOLD_US, "us")
        section.target(f"{heading}: active, 99 %",
                       p99(in_us(series[f"active/{kind}/ours"])), ACTIVE_US,
                       "us")
