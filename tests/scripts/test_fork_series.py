#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of the series' rules, on a made-up QEMU.

No network; nothing outside a temporary folder is written.
"""

import re
import unittest

from harness import TOP
from harness.cases import rows
from harness.fork import cocci, edits, series, tree
from harness.fork.base import BASES

from toyfork import (BASE_FILES, COCCI, EDIT, LINKS, ForkTest,
                     write_files)


class Rules(ForkTest):
    """A rule that does not do what it says is an error."""

    @rows({
        "cocci matches nothing": (
            "30-net.cocci", COCCI.replace("drop_me", "not_there"),
            "rule drop ", "hw/net/virtio-net.c", "matches 0 times"),
        "cocci alone matches nothing": (
            "30-net.cocci", COCCI.split("@drop@")[0] + "@call_ours@"
            + COCCI.split("@call_ours@")[1].replace("(n);", "(gone);"),
            "rule call_ours ", "matches 0 times", "\n    11: finish(n);"),
        "cocci rule without position": (
            "30-net.cocci", COCCI.replace("position p;\n", "", 1),
            "rule drop ", "position"),
        "cocci rule without name": (
            "30-net.cocci", COCCI.replace("@drop@", "@@"), "without a name"),
        "cocci expectation of unknown rule": (
            "30-net.cocci", COCCI + "// expect: drip = 1\n", "drip"),
        "cocci syntax error": (
            "30-net.cocci", COCCI.replace("{ ... }", "{ ... "),
            "spatch failed"),
        "edit matches nothing": (
            "10-build.edit", EDIT.replace("('old')", "('gone')"),
            "rule take_library", "meson.build", "matches 0 times"),
        "edit matches too often": (
            "10-build.edit", EDIT.replace("subdir('old')", "subdir"),
            "rule take_library", "meson.build", "matches 2 times"),
        "edit whose anchor ends in a word": (
            "10-build.edit", EDIT.replace("subdir('old')", "/^sub/"),
            "rule take_library", "\n    2: subdir('old')"),
        "edit removes what is not there": (
            "10-build.edit", EDIT + "remove-file: new/loader.c\n",
            "new/loader.c"),
        "edit unknown word": (
            "10-build.edit", EDIT + "expekt: 1\n", "expekt"),
        "header is needed": (
            "10-build.edit", EDIT.replace("# The old", "The old"), "reason"),
    })
    def check_refused(self, name, text, *words):
        self.series(name, text)
        self.assert_refused(name, *words)

    def call_it_twice(self):
        write_files(self.base_dir, {
            "hw/net/virtio-net.c": BASE_FILES["hw/net/virtio-net.c"]
            + "int again(int n)\n{\n    finish(n);\n    return n;\n}\n"})

    def test_cocci_matches_too_often(self):
        self.call_it_twice()
        self.assert_refused("30-net.cocci", "rule call_ours ",
                            "hw/net/virtio-net.c", "matches 2 times")

    def test_cocci_expectation_counts(self):
        self.call_it_twice()
        self.series("30-net.cocci", COCCI + "// expect: call_ours = 2\n")
        self.assemble()
        self.assertEqual(self.read("hw/net/virtio-net.c").count("ours(n)"), 2)

    def test_cocci_without_the_file(self):
        (self.base_dir / "hw/net/virtio-net.c").unlink()
        self.assert_refused("30-net.cocci", "no file hw/net/virtio-net.c")

    def test_cocci_include_rule(self):
        self.series("30-net.cocci", COCCI + """
@include_ours@
@@
- #include "old/loader.h"
+ #include "ours.h"
""")
        self.assemble()
        self.assertIn('#include "ours.h"', self.read("hw/net/virtio-net.c"))
        self.series("30-net.cocci", COCCI + """
@include_ours@
@@
- #include "old/missing.h"
""")
        self.assert_refused("rule include_ours", "matches 0 times")

    def test_cocci_second_section(self):
        self.series("30-net.cocci", COCCI + """
// file: hw/net/other.c
@rename@
position p;
identifier other;
@@
- int other@p;
+ long other;
""")
        self.assemble()
        self.assertEqual(self.read("hw/net/other.c"), "long other;\n")

    def test_edit_expectation_counts(self):
        self.series("10-build.edit", EDIT.replace(
            "replace: subdir('old')", "replace: subdir\nexpect: 2"))
        self.assemble()
        self.assertEqual(self.read("meson.build").count("subproject"), 2)

    def test_edit_actions(self):
        self.series("40-more.edit", """#
# build: more
#
# Each action once.
file: hw/net/other.c
rule: above
insert-before: int other
| /* above */
rule: below
insert-after: /^int other;$/
| /* below */
|
file: hw/net/virtio-net.c
rule: body
after: keep_me
delete: {
to: /^}/
""")
        self.assemble()
        self.assertEqual(self.read("hw/net/other.c"),
                         "/* above */\nint other;\n/* below */\n\n")
        self.assertTrue(
            self.read("hw/net/virtio-net.c").endswith("keep_me(int n)\n"))

    def test_counts_per_base(self):
        self.assertEqual(series.expected("1, 10.0: 3", "7.2"), 1)
        self.assertEqual(series.expected("1, 10.0: 3", "10.0"), 3)
        self.assertEqual(series.expected("10.0: 0, 7.2: 2", "7.2"), 2)
        with self.assertRaises(ValueError):
            series.expected("10.0: 3", "7.2")
        text = "1, 9.2+: 2, 10.2+: 3"
        self.assertEqual([series.expected(text, base) for base in
                          ("7.2", "9.2", "10.0", "10.2", "11.1")],
                         [1, 2, 2, 3, 3])

    def test_ranges_of_bases(self):
        self.assertEqual([series.applies("7.2, 10.2+", base) for base in
                          ("7.2", "7.3", "10.0", "10.2", "11.0")],
                         [True, False, False, True, True])

    def test_cocci_rules_for_other_bases(self):
        self.series("30-net.cocci", COCCI + "// bases: call_ours = 7.3+\n")
        self.assemble()
        self.assertNotIn("ours(n)", self.read("hw/net/virtio-net.c"))
        self.fork.base = "10.0"
        self.assemble()
        self.assert_whole()

    def test_all_cocci_rules_are_for_other_bases(self):
        self.series("30-net.cocci", COCCI + "".join(
            f"// bases: {rule} = 10.0+\n" for rule in ("drop", "call_ours")))
        self.assemble()
        self.assertIn("drop_me", self.read("hw/net/virtio-net.c"))
        self.fork.base = "10.0"
        self.assemble()
        self.assert_whole()

    def test_link_for_another_base(self):
        self.series("links", LINKS.replace("ours\n", "ours 10.0+\n"))
        self.assemble()
        self.assertFalse((self.fork.tree / "subprojects").exists())
        self.fork.base = "10.0"
        self.assemble()
        self.assert_whole()

    def test_all_problems_at_once(self):
        """With the lines most like what the rules look for."""
        self.series("10-build.edit", EDIT.replace("('old')", "('older')")
                    + "remove-file: gone.c\n")
        self.series("30-net.cocci", COCCI.replace("drop_me", "drop_it")
                    .replace("finish@p(n)", "finish@p(m)"))
        write_files(self.checkout, {"hw/net/other.c": "int mine;\n"})
        self.assert_refused("rule take_library", "\n    2: subdir('old')",
                            "gone.c", "rule drop ", "rule call_ours ",
                            "    11: finish(n);", "hide")
        self.assertFalse(self.fork.tree.exists())

    def test_count_of_differing_rules(self):
        self.assertEqual(tree.count_differing(self.checkout), (0, 6))
        self.series("links", LINKS.replace("ours\n", "ours 10.0+\n"))
        self.series("30-net.cocci", COCCI + "// expect: drop = 1, 10.0+: 0\n"
                    "// bases: call_ours = 7.2\n")
        self.assertEqual(tree.count_differing(self.checkout), (3, 6))

    def test_two_series_files_for_one_patch(self):
        self.series("10-build.cocci", COCCI)
        self.assert_refused("10-build.cocci and 10-build.edit", "rename one")

    def test_series_file_for_another_base(self):
        self.series("20-later.edit", EDIT.replace(
            "remove-dir: old", "bases: 10.0\nremove-dir: not-there"))
        self.assemble()
        self.assert_whole()


class RealSeries(unittest.TestCase):
    """The series of this repository is well formed."""

    def test_series_is_readable(self):
        files = series.read_series(TOP / "series")
        self.assertTrue(files)
        for file in files:
            parse = (cocci if file.path.suffix == ".cocci" else edits).parse
            parse(file)

    def test_the_next_version_is_like_the_newest(self):
        """So scripts/fork check tells of it only what QEMU has changed."""
        alone = re.escape(list(BASES)[-1]) + r"(?![+\d])"
        for path in (TOP / "series").iterdir():
            for line in path.read_text().splitlines():
                if path.name == "links" or re.search("(expect|bases):", line):
                    self.assertNotRegex(line, alone, path.name)

    def test_few_rules_differ_by_base(self):
        self.assertLess(tree.count_differing(TOP)[0], 16)


if __name__ == "__main__":
    unittest.main()
