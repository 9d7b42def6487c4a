# SPDX-License-Identifier: GPL-2.0-or-later
"""1. What steering and a hash report cost, by BPF_PROG_TEST_RUN."""

from . import peers, programs, stats
from .report import Section, number, spread

PROGRAMS = ("empty", "len3", "stock", "ours")
HASHES = ("ours", "mask64", "lane32", "lane16", "lane8", "nibble8",
          "nibble32", "byte8", "byte32")
PARTS = ("counting", "part_lookup", "part_load", "part_ldabs", "part_find")
REPORTS = ("report", "report_nibble32", "report_byte32", "report_lane32")
LABELS = {
    "empty": "empty program", "len3": "skb->len & 3", "stock": "stock QEMU",
    "ours": "ours", "mask64": "64-bit masks", "lane32": "32-bit lanes",
    "lane16": "16-bit lanes", "lane8": "8-bit lanes",
    "nibble8": "nibble tables, u8", "nibble32": "nibble tables, u32",
    "byte8": "byte tables, u8", "byte32": "byte tables, u32",
    "counting": "ours, counting packets",
    "part_lookup": "map lookup",
    "part_load": "bpf_skb_load_bytes, 58 bytes",
    "part_ldabs": "5 LD_ABS words",
    "part_find": "lookup, load, dissection, type",
    "report": "hash report, ours",
    "report_nibble32": "nibble tables, 18 KiB a NIC",
    "report_byte32": "byte tables, 144 KiB a NIC",
    "report_lane32": "32-bit lanes, 4.5 KiB a NIC",
}
TENTH = ("TCP/IPv4", "UDP/IPv4", "TCP/IPv6")    # packets with a target
LIMITS = {
    "warm": {**dict.fromkeys(TENTH, 0.1), "VLAN TCP/IPv4": 0.17,
             "IPv6 2 ext": 0.4},
    "spoiled": dict.fromkeys(TENTH, 0.2),
}
REPORT_MOST = {"IPv4": 30, "IPv6": 40}      # ns above the empty program, warm
MOST, STOCK_COST = 25, 200      # ns above the empty program: ours, at most,
                                # on a machine where the stock one takes this


def net_samples(series, kind, packet, program):
    """Return the samples of a program above the empty one."""
    return stats.differences(series[f"{kind}/{packet}/{program}"],
                             series[f"{kind}/{packet}/empty"])


def summaries(section, series, kind, packets, names):
    """Return {(program, packet): Summary} of net costs; keep the figures."""
    result = {}
    for packet in packets:
        for name in names:
            samples = (series[f"{kind}/{packet}/{name}"] if name == "empty"
                       else net_samples(series, kind, packet, name))
            result[name, packet] = section.figure(f"{kind}/{packet}/{name}",
                                                  samples, "ns")
    return result


def show(section, kind, packets, net):
    heading = {"warm": "Warm caches", "spoiled": "Spoiled caches"}[kind]
    section.table(
        f"{heading}: ns per packet above the empty program (its own column: "
        "in all); median [quartiles]",
        ["packet", *[LABELS[name] for name in PROGRAMS], "ours / stock"],
        [[p] + [spread(net[name, p]) for name in PROGRAMS]
         + [number(stats.ratio(net["ours", p].median,
                               net["stock", p].median))] for p in packets])
    section.table(f"{heading}: the same program with other hashes, and parts "
                  "of it; medians, ns above the empty program",
                  ["program", *packets],
                  [[LABELS[name]] + [number(net[name, p].median)
                                     for p in packets]
                   for name in HASHES + PARTS])
    section.table(f"{heading}: the program that reports hashes, and the same "
                  "with other tables, whose memory for four slots is told; "
                  "medians, ns above the empty program",
                  ["program", *packets],
                  [[LABELS[name]] + [number(net[name, p].median)
                                     for p in packets]
                   for name in ("ours",) + REPORTS])


def targets(section, kind, packets, net):
    for packet in packets:
        if packet in LIMITS[kind]:
            section.target(
                f"{packet}, {kind} caches, ours / stock",
                stats.ratio(net["ours", packet].median,
                            net["stock", packet].median),
                LIMITS[kind][packet])
    if kind == "warm":
        for packet in packets:
            if packet in TENTH:
                section.target(
                    f"{packet}, above the empty program",
                    net["ours", packet].median,
                    MOST * net["stock", packet].median / STOCK_COST, "ns")
        for packet in packets:
            if packet in TENTH:
                section.target(
                    f"{packet}, hash report, above the empty program",
                    net["report", packet].median,
                    REPORT_MOST[packet.split("/")[1]], "ns")


def odd_results(series, packets):
    """Return sentences on programs that come to another result than ours."""
    for packet in packets:
        ours = series[f"queue/{packet}/ours"]
        for name in ("stock", *HASHES):
            if series[f"queue/{packet}/{name}"] != ours:
                yield (f"{LABELS[name]} chooses another entry of the table "
                       f"for {packet} than ours.")
        for name in REPORTS:
            if (series[f"hash/{packet}/{name}"]
                    != series[f"hash/{packet}/report"]):
                yield (f"{LABELS[name]}: another hash is reported for "
                       f"{packet}.")


def measure(quick):
    stock, version = peers.stock_program()
    counts = (["--rounds=12", "--spoiled-rounds=150"] if quick else
              ["--rounds=60", "--spoiled-rounds=1000"])
    series = programs.measure("steering", f"--stock={stock}", "--variants",
                              *counts)
    packets = [name.split("/", 1)[1].rsplit("/", 1)[0] for name in series
               if name.startswith("queue/") and name.endswith("/ours")]
    section = Section("steering", "1. Steering cost per packet")
    section.note(f"Stock: the program of QEMU {version}. Spoiled: "
                 f"{series['spoiler'][0]:.0f} KiB are written between runs.")
    for kind in ("warm", "spoiled"):
        net = summaries(section, series, kind, packets,
                        dict.fromkeys(PROGRAMS + HASHES + PARTS
                                      + REPORTS))
        show(section, kind, packets, net)
        targets(section, kind, packets, net)
        section.plot(
            f"steering-{kind}.svg", f"Steering a packet, {kind} caches",
            "ns above the empty program", packets,
            {LABELS[name]: [net[name, p][:3] for p in packets]
             for name in ("stock", "ours")})
    for sentence in odd_results(series, packets):
        section.note(sentence)
    return section
