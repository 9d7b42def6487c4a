# SPDX-License-Identifier: GPL-2.0-or-later
"""8. What each of tap-steer's mechanisms costs on a tap.

--fallback takes the action skbedit.  Where this machine's kernel has none, it
is measured in a virtual host (docs/devel/testbed.rst), by this same file.
"""

import itertools
import json
import shlex

from harness import TOP
from harness.vm.kernel import get_kernel
from harness.vm.virthost import VirtualHost, our_command, outer_qemu

from . import BenchError, Skipped, peers, programs, say, stats
from .report import Section, number, spread

MARK = "samples: "
TIMEOUT = 1500
MODULES = ("sch_ingress", "cls_bpf", "act_skbedit")
TOOL = programs.BUILD / "tools/tap-steer"
OBJECTS = programs.BUILD / "tests/steer/returns.bpf.o"
CASES = ("IPv4/one reader", "IPv4/queues full")     # full: none arrives
LABELS = {"none": "no program", "hook": "plain hook",
          "filter": "filter that matches none", "opinion": "--fallback",
          "no opinion": "--fallback, no opinion"}
LIMITS = {"hook": 0, "opinion": 60}     # ns above no program


def sample(quick):
    """Return {name: samples} of what this kernel can do."""
    if not TOOL.exists():
        raise Skipped("tap-steer was not built (scripts/deps library)")
    counts = (["--rounds=6", "--batches=300"] if quick else
              ["--rounds=30", "--batches=600"])
    return programs.measure(
        "tap", f"--stock={peers.stock_program()[0]}", f"--tap-steer={TOOL}",
        f"--objects={OBJECTS}", *counts, timeout=TIMEOUT)


def sample_there():
    """Return the same, of a virtual host's kernel, and its version."""
    peers.stock_program()       # fetched while the file system is writable
    kernel = get_kernel()
    outer_qemu()
    command = our_command("-m", "harness.bench.steer",
                          PYTHONPATH=TOP / "scripts")
    say("steer: in a virtual host …")
    with VirtualHost(kernel, modules=MODULES) as host:
        status, output = host.try_shell(shlex.join(command), TIMEOUT)
    for line in output.splitlines():
        if line.startswith(MARK):
            return json.loads(line.removeprefix(MARK)), str(kernel)
    raise BenchError(f"the virtual host gives no samples (status {status}): "
                     + output.strip()[-500:])


def show(section, series, where, judged):
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
        if judged and name in LIMITS:
            section.target(f"{case}: {LABELS[name]} above no program",
                           above[case, name].median, LIMITS[name], "ns")

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
    table("packets received, thousands per second; medians",
          lambda *key: number(received[key].median / 1000), last=1)


def measure(quick):
    section = Section("steer", "8. tap-steer's mechanisms")
    section.note("The program takes the queue from two bits of the UDP port, "
                 "or has never an opinion; no program: the tun driver's "
                 "automatic steering, without clsact. The filter that matches "
                 "none is of the same kind, by tc, without the action. UDP, "
                 "64 bytes, 256 flows, by a packet socket, 64 in a call.")
    here = sample(quick)
    show(section, here, "This kernel", True)
    if f"cpu/{CASES[1]}/opinion" not in here:
        section.note("This kernel does not support --fallback, so its target "
                     "in ns cannot be judged here. What follows is a virtual "
                     "host whose processor TCG emulates: it shows that "
                     "nothing costs a multiple, and no more.")
        there, kernel = sample_there()
        show(section, there, f"Linux {kernel}, emulated", False)
    return section


if __name__ == "__main__":
    print(MARK + json.dumps(sample(True)), flush=True)
