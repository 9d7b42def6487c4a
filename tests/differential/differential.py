#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Both engines against the reference, on packets that scapy builds; in TAP.

    differential.py ANSWER [PACKETS [WORKERS]]

ANSWER is the program built from answer.c.  RSS_TEST_SEED=N in the
environment repeats a run (with the same PACKETS and WORKERS).  A difference
is printed as the configuration, the packet in hex, and the packet as scapy
sees it.  Debian's Python, by its path: scapy is there.
"""

import os
import random
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from hashlib import blake2b

try:
    from scapy.layers.l2 import Ether
except ImportError:
    print("1..0 # SKIP no scapy: run \"scripts/deps tests\"")
    sys.exit(0)

from harness.rss_reference import NAMES, parse          # noqa: E402

from cases import DERIVED, Case, Configs, cases        # noqa: E402
from engines import NOT_RUN, SOCKET_FROM, Ended, Engines    # noqa: E402
from grammar import MUST, Grammar                      # noqa: E402

RECIPES_IN_BATCH = 2
SHOWN = 3               # differences of a kind that are printed
LINE = 300              # characters of a line of scapy's
ALL_SETS_FROM = 200000  # packets: enough for each set of hash types

HASHED = ("hashed: home address", "hashed: routing address",
          "hashed: ports behind extension headers",
          "hashed: ports behind IPv4 options")
TO_COVER = (MUST + list(DERIVED) + list(HASHED)
            + ["report: " + name for name in NAMES]
            + [f"table of {1 << n}" for n in range(8)])


class Differences:
    """Some of what differed, the shortest packets, and how many did."""

    def __init__(self):
        self.number = 0
        self.shown = []

    def add(self, frame, text):
        """text: a function, called by write() if it is to be shown."""
        self.number += 1
        self.shown.append((len(frame), self.number, text))
        self.shown = sorted(self.shown)[:SHOWN]

    def write(self):
        """Make text of what is shown, which takes scapy long."""
        self.shown = [(length, text()) for length, _, text in self.shown]

    def join(self, other):
        self.number += other.number
        self.shown = sorted(self.shown + other.shown)[:SHOWN]


class Run:
    """What one worker has seen."""

    def __init__(self):
        self.packets = 0
        self.distinct = set()               # digests of packets
        self.by_run = self.by_socket = 0    # judged by the program, how
        self.types = set()
        self.labels = Counter()
        self.refusal = ""
        self.meant = Differences()
        self.software = Differences()
        self.program = Differences()

    def join(self, other):
        self.packets += other.packets
        self.distinct |= other.distinct
        self.by_run += other.by_run
        self.by_socket += other.by_socket
        self.types |= other.types
        self.labels += other.labels
        self.refusal = self.refusal or other.refusal
        for mine, theirs in zip(self.sides(), other.sides()):
            mine.join(theirs)

    def sides(self):
        """Whatever can differ."""
        return self.meant, self.software, self.program

    def judge(self, config, case, answer):
        """Hold what the engines say of a packet to the reference."""
        value, report = config.hash(case.frame)
        queue = config.queue_of(value, report)
        kind = 1 << report - 1 if report else 0
        self.packets += 1
        self.distinct.add(blake2b(case.frame, digest_size=8).digest())
        self.labels.update(case.labels)
        self.labels["report: " + NAMES[report]] += 1

        def text():
            return describe(config, case, answer, f"report {NAMES[report]},"
                            f" hash {value:08x}, queue {queue}")

        if (answer.steered, answer.queue, answer.hash, answer.type) != (
                queue, queue, value, kind):
            self.software.add(case.frame, text)
        if answer.program == NOT_RUN and (self.refusal or not case.frame):
            pass
        elif answer.program != queue:
            self.program.add(case.frame, text)
        elif len(case.frame) >= SOCKET_FROM:
            self.by_socket += 1
        else:
            self.by_run += 1
        if case.meant:
            self.judge_meaning(case, report)

    def judge_meaning(self, case, report):
        """Hold the reference to what the packet was built for."""
        meant, seen = case.meant, parse(case.frame)
        if seen is None or tuple(seen) != tuple(meant):
            self.meant.add(case.frame, lambda: (
                f"was built as {meant}\nthe reference sees {seen}\n"
                + show(case)))
        with_ports = NAMES[report][:3] in ("TCP", "UDP")
        with_ex = NAMES[report].endswith("_EX")
        for label, true in zip(HASHED, (
                with_ex and meant.alt_src, with_ex and meant.alt_dst,
                with_ports and meant.has_extension,
                with_ports and "IPv4 options" in case.labels)):
            self.labels[label] += bool(true)


def show(case):
    """A packet in hex and as scapy sees it."""
    seen = Ether(case.frame).show2(dump=True) if case.frame else ""
    return "\n".join([
        f"packet of {len(case.frame)} bytes ({', '.join(sorted(case.labels))})"
        f" {case.frame.hex()}", "as scapy sees it:"]
        + [line[:LINE] for line in seen.splitlines()])


def describe(config, case, answer, expected):
    """All there is to know of a difference."""
    return "\n".join((
        f"the reference says {expected}",
        f"the program says queue {answer.program}; the engine in the process"
        f" queue {answer.steered} and {answer.queue}, hash {answer.hash:08x},"
        f" type {answer.type:#x}",
        f"hash types {config.types:#x}, key {config.key.hex()}, unclassified"
        f" queue {config.unclassified}, table {config.table}",
        f"the reference sees {parse(case.frame)}", show(case)))


def ask(answer, engines, config, batch):
    """Ask for a batch; if that ends the engines, say which packet did."""
    try:
        return engines.ask(config, [case.frame for case in batch])
    except Ended:
        for case in batch:
            try:
                Engines(answer).ask(config, [case.frame])
            except Ended as ended:
                raise Ended(f"{ended}, by hash types {config.types:#x} and "
                            + show(case)) from None
        raise


def work(answer, seed, packets):
    """One worker: asks until there are enough packets of all kinds."""
    rand = random.Random(seed)
    run, grammar, configs = Run(), Grammar(rand), Configs(rand)
    engines = Engines(answer)
    run.refusal = engines.refusal
    recipes = grammar.recipes()
    last = [next(recipes)]
    while run.packets < packets or (grammar.missing and
                                    run.packets < 4 * packets):
        batch = [Case(recipe.frame, DERIVED[-1:], None) for recipe in last]
        other = last[0].frame
        last = [next(recipes) for _ in range(RECIPES_IN_BATCH)]
        for recipe in last:
            batch += cases(rand, recipe, other)
        config = configs.config([case.frame for case in batch])
        run.types.add(config.types)
        run.labels[f"table of {len(config.table)}"] += len(batch)
        for case, said in zip(batch, ask(answer, engines, config, batch)):
            run.judge(config, case, said)
    engines.close()
    for side in run.sides():
        side.write()
    return run


def print_table(run):
    """How many packets there were of each class."""
    orders = [n for label, n in run.labels.items()
              if label.startswith("order: ")]
    print(f"# {run.packets} packets, {len(run.distinct)} of them different;"
          f" {len(run.types)} of 512 sets of hash types\n# the program in the"
          f" kernel judged {run.by_run} by BPF_PROG_TEST_RUN and"
          f" {run.by_socket} larger ones by a socket")
    for label in TO_COVER:
        if not label.startswith("order: "):
            print(f"# {run.labels[label]:8} {label}")
    print(f"# {sum(orders):8} order: {len(orders)} of 81 pairs of extension"
          f" headers, the rarest {min(orders, default=0)} times")


def print_result(number, name, differences, seed):
    """Print the result for one of the sides, and what differed."""
    for _, text in differences.shown:
        for line in text.splitlines():
            print("# " + line)
    if differences.number:
        print(f"# {differences.number} differences;"
              f" RSS_TEST_SEED={seed} repeats this run")
    print("not ok" if differences.number else "ok", number,
          "/differential/" + name, end="")


def main():
    answer = sys.argv[1]
    packets = int(sys.argv[2]) if len(sys.argv) > 2 else 20000
    workers = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    seed = int(os.environ.get("RSS_TEST_SEED") or
               str(random.getrandbits(31)), 0)
    print(f"1..4\n# RSS_TEST_SEED={seed} repeats this run", flush=True)
    run = Run()
    with ProcessPoolExecutor(workers) as pool:
        for part in pool.map(work, [answer] * workers,
                             [f"{seed} {n}" for n in range(workers)],
                             [packets // workers] * workers):
            run.join(part)
    print_table(run)
    missing = [label for label in TO_COVER if not run.labels[label]]
    if packets >= ALL_SETS_FROM and len(run.types) < 512:
        missing.append("with some sets of hash types")
    for label in missing:
        print("# no packet: " + label)
    print("not ok" if missing else "ok", "1 /differential/grammar")
    print_result(2, "reference", run.meant, seed)
    print()
    print_result(3, "software", run.software, seed)
    print()
    print_result(4, "program", run.program, seed)
    print(f" # SKIP {run.refusal}" if run.refusal else "")
    return 1 if missing or any(side.number for side in run.sides()) else 0


if __name__ == "__main__":
    sys.exit(main())
