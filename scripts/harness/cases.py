# SPDX-License-Identifier: GPL-2.0-or-later
"""What a test is made of, whatever it tests.

    class Commands(Case):
        @rows({"no key": (b"", ERR), "a key": (KEY, OK)}, "RSS_CONFIG: ")
        def check(self, key, answer):   # is called for each row, a test each
            ...
"""

import contextlib
import functools
import unittest

from harness.vm import VmError


class rows:
    """Make a test of each {name: row}, which calls the method with the row.

    What a tuple holds are arguments of their own.
    """

    def __init__(self, table, prefix=""):
        self.table, self.prefix = table, prefix

    def __call__(self, check):
        self.check = check
        return self

    def __set_name__(self, owner, name):
        setattr(owner, name, self.check)
        for words, row in self.table.items():
            row = row if isinstance(row, tuple) else (row,)
            setattr(owner, f"test {self.prefix}{words}",
                    functools.partialmethod(self.check, *row))


class Case(unittest.TestCase):
    """A test, whose name in reports is its class and its words."""

    @staticmethod
    def why_not():
        """Return why the tests of a class cannot run here, or ""."""
        return ""

    def setUp(self):
        if reason := self.why_not():
            self.skipTest(reason)

    def __str__(self):
        words = self._testMethodName
        if words.startswith("test_"):       # else it is a row's name
            words = words.replace("_", " ")
        return f"{type(self).__name__}/{words.removeprefix('test ')}"

    def assert_words(self, text, *words):
        for each in words:
            self.assertIn(each, text)

    def assert_one_warning(self, warnings, *words):
        """There is one warning, and these words are in it."""
        self.assertEqual(len(warnings), 1, warnings)
        self.assert_words(warnings[0], *words)

    @contextlib.contextmanager
    def assert_error(self, *words):
        """What follows ends with a VmError that has these words."""
        with self.assertRaises(VmError) as caught:
            yield
        self.assert_words(str(caught.exception), *words)
