# SPDX-License-Identifier: GPL-2.0-or-later
"""2. The whole path into a tap with four queues."""

from . import Skipped, peers, programs, stats
from .report import Section, number, spread

NAMES = ("none", "len3", "stock", "ours")
LABELS = {"none": "no program", "len3": "skb->len & 3", "stock": "stock QEMU",
          "ours": "ours"}


def show(section, cases, cpu, received, gain):
    section.table(
        "The sender's processor time, ns per packet; median [quartiles]; the "
        "last column is the median of differences",
        ["readers, packets", *[LABELS[name] for name in NAMES],
         "ours - no program"],
        [[case] + [spread(cpu[case, name]) for name in NAMES]
         + [number(gain[case].median)] for case in cases])
    section.table(
        "Packets received, thousands per second; medians (skb->len & 3 puts "
        "all on one queue)",
        ["readers, packets", *[LABELS[name] for name in NAMES],
         "ours / no program"],
        [[case] + [number(received[case, name].median / 1000)
                   for name in NAMES]
         + [number(stats.ratio(received[case, "ours"].median,
                               received[case, "none"].median))]
         for case in cases if "full" not in case])


def measure(quick):
    stock, version = peers.stock_program()
    counts = (["--rounds=6", "--batches=300"] if quick else
              ["--rounds=40", "--batches=600"])
    series = programs.measure("tap", f"--stock={stock}", *counts)
    cases = [name.split("/", 1)[1].rsplit("/", 1)[0] for name in series
             if name.startswith("cpu/") and name.endswith("/ours")]
    if not cases:
        raise Skipped("no measurement was possible")
    section = Section("tap", "2. The whole path into a tap")
    section.note(f"Stock: the program of QEMU {version}. No program: the tun "
                 "driver's automatic steering. UDP, 64 bytes, 256 flows, by "
                 "a packet socket, 64 in a call.")
    cpu, received, gain = {}, {}, {}
    for case in cases:
        for name in NAMES:
            cpu[case, name] = section.figure(
                f"cpu/{case}/{name}", series[f"cpu/{case}/{name}"], "ns")
            received[case, name] = section.figure(
                f"received/{case}/{name}", series[f"received/{case}/{name}"],
                "1/s")
        gain[case] = section.figure(
            f"gain/{case}", stats.differences(series[f"cpu/{case}/ours"],
                                              series[f"cpu/{case}/none"]),
            "ns")
        section.target(f"{case}: the sender's time above no program",
                       gain[case].median, 0, "ns")
    show(section, cases, cpu, received, gain)
    section.plot(
        "tap.svg", "A packet into the tap: the sender's processor time",
        "ns per packet", cases,
        {LABELS[name]: [cpu[case, name][:3] for case in cases]
         for name in NAMES})
    return section
