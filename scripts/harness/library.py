# SPDX-License-Identifier: GPL-2.0-or-later
"""The library's own build, for who runs a program of it."""

import subprocess

from harness import TOP

BUILD = TOP / "build/lib"


def build(*targets):
    """Build these, by their paths in BUILD; it is configured if need be."""
    if not (BUILD / "build.ninja").exists():
        subprocess.run(["/usr/bin/meson", "setup", BUILD, TOP], check=True,
                       stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", BUILD, *targets], check=True,
                   stdout=subprocess.DEVNULL)
