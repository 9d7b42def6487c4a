#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The shells complete every command and every option of xdp-offload."""

from rig import TOOL

from harness.check import completion
from harness.check.unittest_tap import run_tests


class Completion(completion.Shells):
    """What xdp-offload.bash and _xdp-offload offer."""

    TOOL, COMMANDS = TOOL, ("unload", "stats")
    LINES = ["xdp-offload"] + [f"xdp-offload {words}" for words in (
        "load tap0", "show tap0", "stats tap0", "unload tap0",
        "map lookup ports")]


if __name__ == "__main__":
    run_tests(__file__)
