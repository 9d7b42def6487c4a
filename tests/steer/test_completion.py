#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The shells complete every command and every option that tap-steer has."""

from rig import TOOL

from harness.check import completion
from harness.check.unittest_tap import run_tests


class Completion(completion.Shells):
    """What tap-steer.bash and _tap-steer offer."""

    TOOL, COMMANDS = TOOL, ("unload", "try")
    LINES = ["tap-steer"] + [f"tap-steer {command} tap0" for command in (
        "load", "rss", "set", "show", "unload", "top", "try")]


if __name__ == "__main__":
    run_tests(__file__)
