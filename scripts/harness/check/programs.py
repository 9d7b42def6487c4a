# SPDX-License-Identifier: GPL-2.0-or-later
"""Running the test programs of a folder, and Python's unittest files.

A test program prints TAP, or says with its exit status what became of it:
0 passed, 77 skipped (the last line it printed says why), else failed.
"""

import os
import sys
import time
from pathlib import Path

from harness.check.results import failed, is_tap, passed, read_tap, skipped
from harness.check.run import run

SKIPPED = 77        # exit status
SLOW = 10           # seconds; how long is said of what takes more


def _last_line(text):
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""


def run_program(name, command, log, **how):
    """The cases of one test program."""
    done = run(command, log, **how)
    if done.timed_out:
        return [failed(name, done.output + done.errors)]
    if is_tap(done.output):
        return read_tap(name, done.output, done.status, done.errors)
    if done.status == 0:
        return [passed(name)]
    if done.status == SKIPPED:
        return [skipped(name, _last_line(done.output) or
                        _last_line(done.errors))]
    return [failed(name, f"exit status {done.status}\n"
                   f"{done.output}{done.errors}")]


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
