#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Run a fuzzer for some time; print TAP, and what it has covered.

    tests/fuzz/run.py build/lib/tests/fuzz/fuzz-flow --seconds 600

It starts from seeds/ beside the program and keeps what it finds in found/.
An input on which it fails is printed in hex, to become a paragraph of
tests/fuzz/corpus/.
"""

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

# Which part of a file's lines each fuzzer must reach, in percent: less means
# that it has lost its way.
FLOORS = {
    "command": {"net/rss_command.c": 95},
    "flow": {"net/rss_flow.h": 90, "net/rss_packet.h": 85,
             "net/rss_policy.h": 95},
    "migration": {"net/rss.c": 85},
    "proxy": {"net/bpfhv_proxy.c": 85},
    "xdp": {"ebpf/xdp_code.c": 90, "ebpf/xdp_track.c": 85,
            "ebpf/xdp_translate.c": 85},
    "types": {"ebpf/xdp_types.c": 95},
    "wire": {"ebpf/xdp_wire.c": 90},
}
INPUT_SECONDS = 60      # more for one input is a hang
OUTPUT_LINES = 40


class Fuzzer:
    """One of the programs, and its folders."""

    def __init__(self, program):
        self.program = program.resolve()
        self.name = program.name.removeprefix("fuzz-")
        home = self.program.parent
        self.found = home / "found" / self.name
        self.bad = home / "bad" / self.name
        self.seeds = sorted((home / "seeds").glob(self.name + "*"))
        self.profile = home / f"{self.name}.profraw"

    def run(self, seconds, seed):
        """Fuzz; return (whether all was well, text)."""
        self.found.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.bad, ignore_errors=True)
        self.bad.mkdir(parents=True)
        done = subprocess.run(
            [self.program, f"-max_total_time={seconds}", f"-seed={seed}",
             f"-timeout={INPUT_SECONDS}", "-print_final_stats=1",
             f"-artifact_prefix={self.bad}/", self.found, *self.seeds],
            env={**os.environ, "LLVM_PROFILE_FILE": str(self.profile)},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace")
        return done.returncode == 0, done.stdout

    def coverage(self):
        """Return {file of the library: what llvm-cov says of it}."""
        merged = self.profile.with_suffix(".profdata")
        subprocess.run(["llvm-profdata", "merge", "-o", merged, self.profile],
                       check=True)
        text = subprocess.run(
            ["llvm-cov", "export", "-summary-only", self.program,
             f"-instr-profile={merged}"], check=True,
            stdout=subprocess.PIPE).stdout
        return {"/".join(Path(file["filename"]).parts[-2:]): file["summary"]
                for file in json.loads(text)["data"][0]["files"]}


def show(text):
    """Print lines for the reader, which are none of TAP's."""
    for line in text.splitlines():
        print("# " + line)


def show_failure(fuzzer, output):
    show("\n".join(output.splitlines()[-OUTPUT_LINES:]))
    for path in fuzzer.bad.iterdir():
        show(f"{path.name}: {path.read_bytes().hex()}")


def show_coverage(name, covered):
    """A table. scripts/check shows lines that begin like these."""
    for file in FLOORS[name]:
        summary = covered[file]
        parts = [f"{kind} {part['covered']:3}/{part['count']:3} "
                 f"{part['percent']:3.0f} %"
                 for kind in ("lines", "branches") for part in [summary[kind]]]
        print(f"# | {file:20} " + "   ".join(parts))


def missing(name, covered):
    """Return the files of which too little was covered."""
    return [f"{file}: {percent:.0f} % of the lines, less than {floor} %"
            for file, floor in FLOORS[name].items()
            for percent in [covered[file]["lines"]["percent"]]
            if percent < floor]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("program", type=Path)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--seed", type=int,
                        default=random.randrange(1, 1 << 31))
    options = parser.parse_args()
    fuzzer = Fuzzer(options.program)
    print("1..2", flush=True)
    print(f"# seed {options.seed}", flush=True)
    good, output = fuzzer.run(options.seconds, options.seed)
    count = re.search(r"number_of_executed_units: (\d+)", output)
    if not good or not count:
        show_failure(fuzzer, output)
        print(f"not ok 1 {fuzzer.name}\nok 2 coverage # SKIP it has failed")
        return 1
    print(f"# | {fuzzer.name}: {int(count[1]):,} inputs in "
          f"{options.seconds} s")
    print(f"ok 1 {fuzzer.name}")
    if not shutil.which("llvm-cov"):
        print("ok 2 coverage # SKIP there is no llvm-cov")
        return 0
    covered = fuzzer.coverage()
    show_coverage(fuzzer.name, covered)
    too_little = missing(fuzzer.name, covered)
    show("\n".join(too_little))
    print(f"{'not ok' if too_little else 'ok'} 2 coverage")
    return 1 if too_little else 0


if __name__ == "__main__":
    sys.exit(main())
