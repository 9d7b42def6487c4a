#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs one file of Python unittest tests and prints TAP.

    unittest_tap.py tests/scripts/test_something.py [CLASS[.TEST] ...]

or, in a file that is to be a program, run_tests(__file__).
"""

import importlib.util
import os
import signal
import sys
import unittest
from pathlib import Path


class TapResult(unittest.TestResult):
    """Prints each result as it comes."""

    def __init__(self):
        super().__init__()
        self.number = 0
        self.bad = False

    def _line(self, word, test, text="", reason=""):
        self.number += 1
        for line in text.splitlines():
            print("# " + line)
        print(f"{word} {self.number} {test}{reason}", flush=True)

    def addSuccess(self, test):
        self._line("ok", test)

    def addSkip(self, test, reason):
        self._line("ok", test, reason=f" # SKIP {reason}")

    def addExpectedFailure(self, test, err):
        self._line("ok", test)

    def addUnexpectedSuccess(self, test):
        self.bad = True
        self._line("not ok", test, "was expected to fail")

    def addFailure(self, test, err):
        self.bad = True
        self._line("not ok", test, self._exc_info_to_string(err, test))

    addError = addFailure

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.addFailure(subtest, err)


def load(path, names=()):
    """The tests of a file, which finds its neighbours like a program does.

    names: of classes, or of tests of one (CLASS.TEST), if not all
    """
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    loader = unittest.defaultTestLoader
    return (loader.loadTestsFromNames(names, module) if names
            else loader.loadTestsFromModule(module))


def run_tests(path):
    os.execv(sys.executable, [sys.executable, __file__, path, *sys.argv[1:]])


def main():
    # scripts/check ends us with it: clean up as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    result = TapResult()
    load(Path(sys.argv[1]).resolve(), sys.argv[2:]).run(result)
    print(f"1..{result.number}")
    return 1 if result.bad else 0


if __name__ == "__main__":
    sys.exit(main())
