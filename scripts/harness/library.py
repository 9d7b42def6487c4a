# SPDX-License-Identifier: GPL-2.0-or-later
"""The library's own build, for who runs a program of it."""

from harness import TOP
from harness.vm.process import run

BUILD = TOP / "build/lib"
TIMEOUT = 1800          # s; on a busy machine


def build(*targets):
    """Build these, by their paths in BUILD; it is configured if need be."""
    if not (BUILD / "build.ninja").exists():
        run("/usr/bin/meson", "setup", BUILD, TOP, timeout=TIMEOUT)
    run("ninja", "-C", BUILD, *targets, timeout=TIMEOUT)
