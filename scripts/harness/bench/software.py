# SPDX-License-Identifier: GPL-2.0-or-later
"""3. The software engine, against QEMU's receive path and DPDK's hashes."""

from . import peers, programs, stats
from .report import Section, number, spread

PACKETS = ("TCP/IPv4", "UDP/IPv4", "TCP/IPv6", "UDP/IPv6")
HASHED = ("TCP/IPv4", "TCP/IPv6")       # UDP has the same input
TEN_TIMES = 10
NEAR_DPDK = 1.5


def rows(section, series, kind, packets):
    """Return {name: {packet: Summary}} of one kind."""
    result = {}
    for full, samples in series.items():
        packet, name = full.removeprefix(kind + "/").rsplit("/", 1)
        if full.startswith(kind + "/") and packet in packets:
            result.setdefault(name, {})[packet] = section.figure(
                full, samples, "ns")
    return result


def show(section, heading, kinds, packets):
    section.table(heading, ["", *packets],
                  [[name] + [spread(row[p]) for p in packets]
                   for name, row in kinds])


def measure(quick):
    series = programs.measure("software", 8 if quick else 40,
                              peers.qemu_peer(), peers.dpdk_peer())
    section = Section("software", "3. The software engine")
    frame = rows(section, series, "frame", PACKETS)
    single = rows(section, series, "single", HASHED)
    bulk = rows(section, series, "bulk", HASHED)

    show(section, "From a whole frame: ns per packet; median [quartiles].  "
         f"stock: analysis and hash of QEMU {peers.STOCK_BASE}",
         [(name, frame[name]) for name in ("stock", "ours, hash",
                                           "ours, queue")], PACKETS)
    show(section, "Only the hash, of addresses and ports that are there: ns "
         "per packet",
         [(f"{name}, single", row) for name, row in single.items()]
         + [(f"{name}, bulk of 64", row) for name, row in bulk.items()],
         HASHED)
    if not bulk:
        section.note("This processor has no GFNI: rte_thash_gfni is left "
                     "out.")
    targets(section, frame, single)
    section.plot(
        "software.svg", "The software engine, from a whole frame",
        "ns per packet", PACKETS,
        {name: [frame[name][p][:3] for p in PACKETS]
         for name in ("stock", "ours, hash", "ours, queue")})
    return section


def targets(section, frame, single):
    for packet in PACKETS:
        times = stats.ratio(frame["stock"][packet].median,
                            frame["ours, queue"][packet].median)
        section.target(f"{packet}: the stock path takes so many times ours",
                       times, TEN_TIMES, smaller=False)
    for packet in HASHED:
        fastest = min((row[packet].median, name)
                      for name, row in single.items()
                      if name.startswith("rte_"))
        section.target(
            f"hash of {packet}, ours / {fastest[1]} "
            f"({number(fastest[0])} ns)",
            stats.ratio(single["ours"][packet].median, fastest[0]), NEAR_DPDK)
