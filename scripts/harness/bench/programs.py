# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds the C programs of tests/bench with meson, and runs them."""

import os
import subprocess

from harness import TOP
from harness.vm.process import spawn, stop

from . import BenchError, Skipped, say

BUILD = TOP / "build/bench-build"
LOG = TOP / "build/log/bench-build.log"


def run(command, timeout=600, **options):
    """Run a command to its end; return (status, output, errors).

    Root's yields to few others.
    """
    nice = ["nice", "-n", "-20"] if os.geteuid() == 0 else []
    process = spawn([*nice, *command], stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE, text=True, errors="replace",
                    **options)
    try:
        output, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{command[0]} took more than {timeout} s") from error
    finally:
        stop(process)
    return process.returncode, output, errors


def build():
    say("building the programs …")
    LOG.parent.mkdir(parents=True, exist_ok=True)
    setup = ["/usr/bin/meson", "setup", BUILD, TOP, "-Dtests=true"]
    if (BUILD / "build.ninja").exists():
        setup.insert(2, "--reconfigure")
    log = ""
    for command in (setup, ["ninja", "-C", BUILD, "bench"]):
        status, output, errors = run(command, cwd=TOP)
        log += output + errors
        LOG.write_text(log)
        if status:
            raise BenchError("the programs cannot be built (the whole log is "
                             f"{LOG.relative_to(TOP)}):\n"
                             + "\n".join(log.splitlines()[-15:]))


def read_samples(text):
    """Return {name: [sample, …]} of what a program has printed."""
    series = {}
    for line in text.splitlines():
        parts = line.split("\t")
        if len(parts) == 3:
            series[parts[0]] = [float(word) for word in parts[2].split()]
    return series


def program(name):
    return BUILD / "tests/bench" / f"bench-{name}"


def measure(name, *arguments, timeout=900):
    status, output, errors = run([program(name), *arguments], timeout)
    if status == 77:
        raise Skipped(errors.strip())
    if status:
        raise BenchError(f"bench-{name} failed with status {status}: "
                         + errors.strip()[-600:])
    if errors.strip():
        say(errors.strip())
    return read_samples(output)
