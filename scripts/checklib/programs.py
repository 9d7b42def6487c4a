# SPDX-License-Identifier: GPL-2.0-or-later
"""Running the test programs of a folder, and Python's unittest files.

A test program prints TAP, or says with its exit status what became of it:
0 passed, 77 skipped (the last line it printed says why), else failed.
"""

import os
import sys
from pathlib import Path

from checklib.results import failed, is_tap, passed, read_tap, skipped
from checklib.run import run

SKIPPED = 77        # exit status


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


def run_unittest(path, log, **how):
    """The cases of one file of unittest tests."""
    runner = Path(__file__).with_name("unittest_tap.py")
    return run_program(path.name, [sys.executable, runner, path], log, **how)


def _is_program(path):
    return (path.is_file() and path.suffix != ".py" and
            not path.name.startswith(".") and os.access(path, os.X_OK))


def run_folder(tier, folder, log, **how):
    """The cases of test_*.py and of the executable files in a folder."""
    cases = []
    for path in sorted(folder.glob("*")):
        if path.name.startswith("test_") and path.suffix == ".py":
            tier.say(path.name)
            cases += run_unittest(path, log, **how)
        elif _is_program(path):
            tier.say(path.name)
            cases += run_program(path.name, [path], log, **how)
    return cases
