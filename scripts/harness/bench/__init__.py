# SPDX-License-Identifier: GPL-2.0-or-later
"""The parts of scripts/bench, one subject per file.

    programs.py     builds the C programs of tests/bench, runs them
    peers.py        what we are compared with, obtained at bench time
    stats.py        medians, spread, ratios
    report.py       figures, tables and targets; text and JSON
    plot.py         plots
    steering.py, software.py, tap.py, reconfigure.py, load.py, guest.py,
    vhost.py, steer.py, xdp.py, bpfhv.py
                    the measurements, each with the targets that it is held to
    mainloop.py     part of reconfigure.py: a command to a whole QEMU
    hashes.py       part of vhost.py: what hash reports cost
"""

import functools

from harness import TOP, Error, say

OUTPUT = TOP / "build/bench"


class BenchError(Error):
    """A measurement that cannot be made."""


class Skipped(Exception):
    """A measurement that this machine cannot make, and why."""


say = functools.partial(say, "bench")
