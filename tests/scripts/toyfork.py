# SPDX-License-Identifier: GPL-2.0-or-later
"""A made-up QEMU of a few lines, for the tests of scripts/fork.

No network; nothing outside a temporary folder is written.
"""

import contextlib
import io
import tempfile
import unittest
from pathlib import Path

from harness.fork import ForkError, tree


BASE_FILES = {
    "VERSION": "7.2.9\n",
    "meson.build": "project('toy')\nsubdir('old')\nsubdir('hw')\n",
    "old/loader.c": "int loader;\n",
    "hw/net/virtio-net.c":
        "#include \"old/loader.h\"\n\n"
        "static int drop_me(int n)\n{\n    return n;\n}\n\n"
        "int keep_me(int n)\n{\n    setup(n);\n    finish(n);\n"
        "    return n;\n}\n",
    "hw/net/other.c": "int other;\n",
    ".pc/applied-patches": "x.diff\n",
    "debian/control": "Source: toy\n",
}

COCCI = """// SPDX-License-Identifier: GPL-2.0-or-later
//
// net: drop a function
//
// Nobody needs it.
//
// file: hw/net/virtio-net.c
@drop@
identifier f = drop_me;
type T;
position p;
@@
- T f@p(...) { ... }

@call_ours@
position p;
@@
+ ours(n);
finish@p(n);
"""

EDIT = """# SPDX-License-Identifier: GPL-2.0-or-later
#
# build: take our library
#
# The old loader goes away.

remove-dir: old

file: meson.build

rule: take_library
replace: subdir('old')
| subproject('ours')
"""

LINKS = "lib    subprojects/ours\nhw    hw\n"


def write_files(folder, files):
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


class ForkTest(unittest.TestCase):
    """A base and a checkout in a temporary folder."""

    def setUp(self):
        self.top = Path(self.enterContext(
            tempfile.TemporaryDirectory(prefix="test-fork-")))
        self.base_dir = self.top / "base"
        self.checkout = self.top / "checkout"
        write_files(self.base_dir, BASE_FILES)
        write_files(self.checkout, {
            "series/10-build.edit": EDIT,
            "series/30-net.cocci": COCCI,
            "series/links": LINKS,
            "lib/lib.c": "int lib;\n",
            "hw/net/ours.c": "int ours;\n",
        })
        self.fork = tree.Fork("7.2", "toy-1", self.base_dir, self.checkout)

    def series(self, name, text):
        write_files(self.checkout / "series", {name: text})

    def assemble(self, **how):
        with contextlib.redirect_stdout(io.StringIO()) as output:
            tree.assemble(self.fork, **how)
        return output.getvalue()

    def read(self, path):
        return (self.fork.tree / path).read_text()

    def assert_whole(self):
        """The tree is what the series and our files make of the base."""
        text = self.read("hw/net/virtio-net.c")
        self.assertNotIn("drop_me", text)
        self.assertIn("    ours(n);\n    finish(n);\n", text)
        self.assertIn("subproject('ours')", self.read("meson.build"))
        self.assertFalse((self.fork.tree / "old").exists())
        self.assertEqual(self.read("hw/net/other.c"), "int other;\n")
        self.assertEqual(self.read("subprojects/ours/lib.c"), "int lib;\n")
        self.assertEqual(self.read("hw/net/ours.c"), "int ours;\n")

    def assert_refused(self, *words):
        """Assembling fails with an error that has all the words."""
        with self.assertRaises(ForkError) as caught:
            self.assemble()
        for word in words:
            self.assertIn(word, str(caught.exception))
