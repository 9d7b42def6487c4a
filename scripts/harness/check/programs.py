# SPDX-License-Identifier: GPL-2.0-or-later
"""Running the test programs of a folder, and Python's unittest files."""

import os
import sys
import time
from pathlib import Path

from harness.check.results import read_program
from harness.check.run import run

SLOW = 10           # seconds; how long is said of what takes more


def run_program(name, command, log, **how):
    """The cases of one test program."""
    return read_program(name, *run(command, log, **how))


def unittest_command(path):
    """What runs a file with unittest tests."""
    return [sys.executable, Path(__file__).with_name("unittest_tap.py"), path]


def _command(path):
    """What runs a file: unittest tests or a program; None if it is neither."""
    if path.name.startswith("test_") and path.suffix == ".py":
        return unittest_command(path)
    if (path.is_file() and path.suffix != ".py" and
            not path.name.startswith(".") and os.access(path, os.X_OK)):
        return [path]
    return None


def run_folder(tier, folder, log, **how):
    """The cases of test_*.py and of the executable files in a folder."""
    cases = []
    for path in filter(_command, sorted(folder.glob("*"))):
        tier.say(path.name)
        start = time.monotonic()
        cases += run_program(path.name, _command(path), log, **how)
        if time.monotonic() - start >= SLOW:
            tier.say(f"  {time.monotonic() - start:.0f} s")
    return cases
