# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of a file that are run elsewhere and told where the file was started.

    def load_tests(_loader, tests, _pattern):
        return tests if THERE else tell(tests, output)

    def output():
        return in_virtual_host(__file__, {"THERE": "on"}, TIMEOUT)
"""

import os
import unittest
from pathlib import Path

from harness import TOP
from harness.check.results import FAIL, SKIP, failed, read_tap
from harness.vm import virthost
from harness.vm.guest import fetch_guest
from harness.vm.kernel import get_kernel

OUTPUT = 3000       # characters that are shown of what did not tell of a test


def command(path, environment):
    """Return the command that runs a file of tests, with these variables.

    The packages in the cache and the QEMU to be tested are the same.
    """
    if "QTEST_QEMU_BINARY" in os.environ:
        environment = {"QTEST_QEMU_BINARY": os.environ["QTEST_QEMU_BINARY"],
                       **environment}
    return virthost.our_command(TOP / "scripts/harness/check/unittest_tap.py",
                                Path(path).resolve(), **environment)


def in_virtual_host(path, environment, timeout, suite=None, append=""):
    """Run a file of tests in a virtual host; return the TAP it prints.

    suite: whose kernel the virtual host has; append: to its command line
    """
    kernel = get_kernel(suite)
    # There, the cache cannot be written to, and nothing can be downloaded.
    fetch_guest(os.environ.get("FUNCTIONAL_SUITE"))
    print("# in a virtual host", flush=True)
    return virthost.run_there(
        command(path, environment), timeout,
        lambda text: print("# there: " + text, flush=True), kernel,
        append)[1]


class Told(unittest.TestCase):
    """A test that ran elsewhere."""

    output = results = text = None

    def __init__(self, test):
        super().__init__("told")
        self.name = str(test)

    def __str__(self):
        return self.name

    @classmethod
    def setUpClass(cls):
        if os.geteuid() == 0:
            cls.text = cls.output()
            cls.results = {case.name: case for case in
                           read_tap("there", cls.text, 0)}

    def told(self):
        if self.results is None:
            self.skipTest("a tap in a network namespace needs root")
        case = self.results.get("there: " + self.name,
                                failed(self.name, "it was not run\n"
                                       + self.text[-OUTPUT:]))
        if case.outcome == SKIP:
            self.skipTest(case.text)
        if case.outcome == FAIL:
            self.fail(case.text)


def tell(tests, output):
    """Return tests that tell what became of these, by what output() returns.

    output() is called once, if root runs the tests.
    """
    kind = type("There", (Told,), {"output": staticmethod(output)})
    return unittest.TestSuite(kind(test) for suite in tests for test in suite)
