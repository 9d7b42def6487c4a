# SPDX-License-Identifier: GPL-2.0-or-later
"""8. What each of tap-steer's mechanisms costs on a tap.

--fallback takes the action skbedit.  Where this machine's kernel has none, it
is measured with one that runs as a process.
"""

import itertools

from harness.vm.uml import Uml

from . import BenchError, Skipped, peers, programs, say, stats
from .report import Section, number, spread

TIMEOUT = 1500
MODULES = ("tun", "sch_ingress", "cls_bpf", "act_skbedit")
TOOL = programs.BUILD / "tools/tap-steer"
OBJECTS = programs.BUILD / "tests/steer/returns.bpf.o"
CASES = ("IPv4/one reader", "IPv4/queues full")     # full: none arrives
LABELS = {"none": "no program", "hook": "plain hook",
          "filter": "filter that matches none", "opinion": "--fallback",
          "no opinion": "--fallback, no opinion"}
LIMITS = {"hook": 0, "opinion": 60}     # ns above no program


def arguments(quick):
    if not TOOL.exists():
        raise Skipped("tap-steer was not built (scripts/deps library)")
    counts = (["--rounds=6", "--batches=300"] if quick else
              ["--rounds=30", "--batches=600"])
    return [f"--stock={peers.stock_program()[0]}", f"--tap-steer={TOOL}",
            f"--objects={OBJECTS}", *counts]


def sample_elsewhere(kernel, quick):
    """Return {name: samples} of a kernel that has the action."""
    say(f"steer: Linux {kernel} as a process …")
    status, output = kernel.run(
        [programs.program("tap"), "--elapsed", *arguments(quick)], MODULES,
        TIMEOUT)
    if status:
        raise BenchError("no samples from user-mode-linux (status "
                         f"{status}): " + output.strip()[-500:])
    return programs.read_samples(output)


def show(section, series, where, limits):
    """Tables of each mechanism against none, in the same rounds."""
    cases = [case for case in CASES if f"cpu/{case}/none" in series]
    names = [name for name in LABELS if f"cpu/{cases[0]}/{name}" in series]
    cpu, above, received = {}, {}, {}
    for case, name in itertools.product(cases, names):
        samples = series[f"cpu/{case}/{name}"]
        figure = f"{where}/{case}/{name}"
        cpu[case, name] = section.figure(figure + "/cpu", samples, "ns")
        above[case, name] = section.figure(
            figure + "/above",
            stats.differences(samples, series[f"cpu/{case}/none"]), "ns")
        received[case, name] = section.figure(
            figure + "/received", series[f"received/{case}/{name}"], "1/s")
        if name in limits:
            section.target(f"{where}, {case}: {LABELS[name]} above no program",
                           above[case, name].median, limits[name], "ns")

    def table(heading, cell, first=0, last=None):
        section.table(
            f"{where}: {heading}",
            ["readers, packets", *[LABELS[name] for name in names[first:]]],
            [[case] + [cell(case, name) for name in names[first:]]
             for case in cases[:last]])

    table("the sender's processor time, ns per packet; median [quartiles]",
          lambda *key: spread(cpu[key]))
    table("ns above no program, in the same rounds",
          lambda *key: spread(above[key]), 1)
    table("ratio of the medians to no program's",
          lambda case, name: number(stats.ratio(
              cpu[case, name].median, cpu[case, "none"].median)), 1)
    if cases[0] == CASES[0]:
        table("packets received, thousands per second; medians",
              lambda *key: number(received[key].median / 1000), last=1)


def measure(quick):
    section = Section("steer", "8. tap-steer's mechanisms")
    section.note("The program takes the queue from two bits of the UDP port, "
                 "or has never an opinion; no program: the tun driver's "
                 "automatic steering, without clsact. The filter that matches "
                 "none is of the same kind, by tc, without the action. UDP, "
                 "64 bytes, 256 flows, by a packet socket, 64 in a call.")
    here = programs.measure("tap", *arguments(quick), timeout=TIMEOUT)
    show(section, here, "This kernel", LIMITS)
    if f"cpu/{CASES[1]}/opinion" not in here:
        kernel = Uml()
        section.note("This kernel does not support --fallback. What follows "
                     f"is Linux {kernel} as a process (user-mode-linux), on "
                     "the processor itself: one processor, so none reads; "
                     "its system calls are slow, which is in every column; "
                     "it interprets programs.")
        show(section, sample_elsewhere(kernel, quick),
             f"Linux {kernel} as a process",
             {"opinion": LIMITS["opinion"]})
    return section
