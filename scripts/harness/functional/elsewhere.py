# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of a file that are run elsewhere and told where the file was started.

    def load_tests(_loader, tests, _pattern):
        return tests if THERE else tell(tests, output)

    def output():
        return in_virtual_host(__file__, {"THERE": "on"}, TIMEOUT)
"""

import os
import re
import shlex
import sys
import unittest
from pathlib import Path

from harness import TOP, privateapt
from harness.vm import virthost
from harness.vm.guest import fetch_guest
from harness.vm.kernel import get_kernel


def command(path, environment):
    """Return the command that runs a file of tests, with these variables.

    The packages in the cache and the QEMU to be tested are the same.
    """
    variables = {"XDG_CACHE_HOME": privateapt.cache_dir().parent,
                 "PYTHONUNBUFFERED": 1, **environment}
    if "QTEST_QEMU_BINARY" in os.environ:
        variables["QTEST_QEMU_BINARY"] = os.environ["QTEST_QEMU_BINARY"]
    return ["env", *(f"{name}={value}" for name, value in variables.items()),
            sys.executable, str(TOP / "scripts/harness/check/unittest_tap.py"),
            str(Path(path).resolve())]


def in_virtual_host(path, environment, timeout, suite=None):
    """Run a file of tests in a virtual host; return the TAP it prints.

    suite: whose kernel the virtual host has
    """
    kernel = get_kernel(suite)
    # There, the cache cannot be written to, and nothing can be downloaded.
    fetch_guest(os.environ.get("FUNCTIONAL_SUITE"))

    def run():
        with virthost.VirtualHost(kernel) as host:
            return host.try_shell(
                "ln -sfn /proc/self/fd /dev/fd; "
                + shlex.join(command(path, environment)), timeout,
                line=lambda text: print("# there: " + text, flush=True))[1]

    print("# in a virtual host", flush=True)
    return virthost.try_again(run)


def read_results(text):
    """Return {test: (passed, reason to skip, what it printed)}."""
    results, lines = {}, []
    for line in text.splitlines():
        match = re.match(r"(not )?ok \d+ (.*?)(?: # SKIP (.*))?$", line)
        if match:
            results[match[2]] = not match[1], match[3], "\n".join(lines)
            lines = []
        else:
            lines.append(line)
    results[""] = False, None, "\n".join(lines)
    return results


class Told(unittest.TestCase):
    """A test that ran elsewhere."""

    output = results = None

    def __init__(self, test):
        super().__init__("told")
        self.name = str(test)

    def __str__(self):
        return self.name

    @classmethod
    def setUpClass(cls):
        if os.geteuid() == 0:
            cls.results = read_results(cls.output())

    def told(self):
        if self.results is None:
            self.skipTest("a tap in a network namespace needs root")
        passed, skipped, text = self.results.get(self.name,
                                                 self.results[""])
        if skipped:
            self.skipTest(skipped)
        if not passed:
            self.fail(text or "it was not run")


def tell(tests, output):
    """Return tests that tell what became of these, by what output() returns.

    output() is called once, if root runs the tests.
    """
    kind = type("There", (Told,), {"output": staticmethod(output)})
    return unittest.TestSuite(kind(test) for suite in tests for test in suite)
