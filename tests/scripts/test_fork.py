#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of scripts/fork: trees, exports and bases, on a made-up QEMU.

No network; nothing outside a temporary folder is written.
"""

import contextlib
import io
import os
import shutil
import subprocess
import time
import unittest
from pathlib import Path
from unittest import mock

from harness import TOP, privateapt
from harness.fork import ForkError, base, patches, tree

from toyfork import BASE_FILES, COCCI, EDIT, ForkTest, write_files


class Trees(ForkTest):
    """The tree is whole, and only what changed is written."""

    def test_new_tree(self):
        self.assemble()
        self.assert_whole()
        self.assertFalse((self.fork.tree / "debian").exists())
        self.assertFalse((self.fork.tree / ".pc").exists())

    def test_nothing_to_do(self):
        self.assemble()
        with mock.patch.object(tree, "apply_series") as apply_series:
            self.assertEqual(self.assemble(), "")
        apply_series.assert_not_called()

    def test_edit_of_our_file_needs_no_new_tree(self):
        self.assemble()
        (self.checkout / "lib/lib.c").write_text("int edited;\n")
        self.assertEqual(self.read("subprojects/ours/lib.c"), "int edited;\n")
        self.assertEqual(self.assemble(), "")

    def test_new_and_lost_file_of_ours(self):
        self.assemble()
        (self.checkout / "lib/lib.c").rename(self.checkout / "lib/new.c")
        self.assemble()
        self.assertEqual(self.read("subprojects/ours/new.c"), "int lib;\n")
        self.assertFalse((self.fork.tree / "subprojects/ours/lib.c")
                         .is_symlink())

    def test_only_changed_files_are_written(self):
        self.assemble()
        before = (self.fork.tree / "hw/net/virtio-net.c").stat().st_mtime_ns
        self.series("10-build.edit", EDIT.replace("('ours')", "('mine')"))
        self.assemble()
        after = (self.fork.tree / "hw/net/virtio-net.c").stat().st_mtime_ns
        self.assertEqual(before, after)
        self.assertIn("subproject('mine')", self.read("meson.build"))

    def test_rule_taken_away(self):
        self.assemble()
        (self.checkout / "series/10-build.edit").unlink()
        self.assemble()
        self.assertEqual(self.read("meson.build"), BASE_FILES["meson.build"])
        self.assertEqual(self.read("old/loader.c"), "int loader;\n")

    def test_rest_of_an_interrupted_first_run(self):
        write_files(self.fork.home, {"tree.partial/meson.build": "half"})
        self.assemble()
        self.assert_whole()
        self.assertFalse((self.fork.home / "tree.partial").exists())

    def interrupt(self, last):
        """Ctrl-C once this file of the tree is what it should be."""
        put = tree.put

        def interrupted(fork, folder, path, wanted):
            changed = put(fork, folder, path, wanted)
            if path == last:
                raise KeyboardInterrupt
            return changed

        with mock.patch.object(tree, "put", interrupted), \
                self.assertRaises(KeyboardInterrupt):
            self.assemble()

    def test_interrupted_while_making_a_new_tree(self):
        self.interrupt("subprojects/ours/lib.c")
        self.assertFalse(self.fork.tree.exists())
        self.assemble()
        self.assert_whole()

    def test_interrupted_update(self):
        self.assemble()
        self.series("10-build.edit", EDIT.replace("remove-dir: old", ""))
        self.interrupt("old/loader.c")
        self.assertEqual(self.read("old/loader.c"), "int loader;\n")
        self.series("10-build.edit", EDIT)
        self.assemble()
        self.assert_whole()

    def test_damaged_stamp(self):
        self.assemble()
        (self.fork.tree / tree.STAMP).write_text("{")
        (self.fork.tree / "meson.build").write_text("damaged")
        self.assemble()
        self.assert_whole()

    def test_other_source(self):
        self.assemble()
        write_files(self.base_dir, {"hw/net/other.c": "int newer;\n"})
        self.fork.source = "toy-2"
        self.assemble()
        self.assertEqual(self.read("hw/net/other.c"), "int newer;\n")

    def test_other_source_is_newer_for_ninja(self):
        """Its files are older than what was built from the first one."""
        self.assemble()
        built = time.time() - 60
        for path in BASE_FILES:
            os.utime(self.base_dir / path, (built - 60, built - 60))
        self.fork.source = "toy-2"
        self.assemble()
        for path in ("hw/net/other.c", "VERSION"):
            self.assertGreater((self.fork.tree / path).stat().st_mtime, built)

    def test_edited_original_changes(self):
        """As by "git pull": the files that no rule touches, too."""
        self.assemble()
        write_files(self.base_dir, {
            "meson.build": "# new\n" + BASE_FILES["meson.build"],
            "hw/net/other.c": "int newer;\n"})
        self.assemble()
        self.assertIn("# new\n", self.read("meson.build"))
        self.assertEqual(self.read("hw/net/other.c"), "int newer;\n")

    def test_interrupted_update_needs_no_new_tree(self):
        self.assemble()
        before = (self.fork.tree / "hw/net/other.c").stat().st_ino
        self.series("10-build.edit", EDIT.replace("remove-dir: old", ""))
        with mock.patch.object(tree, "bring_up_to_date",
                               side_effect=KeyboardInterrupt):
            with self.assertRaises(KeyboardInterrupt):
                self.assemble()
        self.assemble()
        after = (self.fork.tree / "hw/net/other.c").stat().st_ino
        self.assertEqual(before, after)

    def test_again(self):
        self.assemble()
        (self.fork.tree / "hw/net/other.c").write_text("damaged")
        self.assemble(again=True)
        self.assert_whole()

    def test_link_must_not_hide_a_file(self):
        write_files(self.checkout, {"hw/net/other.c": "int mine;\n"})
        self.assert_refused("series/links", "hw/net/other.c")

    def test_base_is_never_written(self):
        self.assemble()
        for path, text in BASE_FILES.items():
            self.assertEqual((self.base_dir / path).read_text(), text)


class Exports(ForkTest):
    """diff and export tell the same as the tree."""

    def content(self, folder):
        return {str(path.relative_to(folder)): path.read_bytes()
                for path in folder.rglob("*") if path.is_file()
                and path.name != tree.STAMP
                and path.relative_to(folder).parts[0] not in
                (".pc", "debian", "patches")}

    def export(self):
        with contextlib.redirect_stdout(io.StringIO()):
            return patches.export(self.fork)

    def test_export_equals_tree(self):
        if not shutil.which("quilt"):
            self.skipTest("quilt is not installed")
        self.series("40-more.cocci", COCCI.replace("drop_me", "keep_me")
                    .split("@call_ours@")[0].replace("@drop@", "@drop_more@"))
        self.assemble()
        pushed = self.top / "pushed"
        shutil.copytree(self.base_dir, pushed)
        shutil.rmtree(pushed / ".pc")
        shutil.copytree(self.export(), pushed / "patches")
        done = subprocess.run(["quilt", "--quiltrc=-", "push", "-a"],
                              cwd=pushed, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual(self.content(pushed), self.content(self.fork.tree))

    def test_patches_give_the_reason(self):
        text = (self.export() / "30-net.patch").read_text()
        self.assertTrue(text.startswith(
            "Description: net: drop a function\n Nobody needs it.\n"))

    def test_export_is_the_same_each_time(self):
        first = self.content(self.export())
        self.assertEqual(self.content(self.export()), first)

    def test_diff(self):
        sources = tree.apply_series(self.fork)
        lines, diff = patches.differences(self.fork, sources)
        self.assertEqual(lines, [
            "edited   hw/net/virtio-net.c", "edited   meson.build",
            "removed  old/loader.c",
            "ours     hw/net/ours.c -> hw/net/ours.c",
            "ours     subprojects/ours/lib.c -> lib/lib.c"])
        self.assertIn(b"-static int drop_me(int n)\n", diff)


class Bases(ForkTest):
    """Which versions there are, and what was downloaded."""

    def test_unknown_version(self):
        done = subprocess.run([TOP / "scripts/fork", "fetch", "--base=6.0"],
                              text=True, stderr=subprocess.PIPE)
        self.assertNotEqual(done.returncode, 0)
        for word in ("6.0", "7.2", "10.0", "10.2"):
            self.assertIn(word, done.stderr)

    def test_version_of_a_source(self):
        self.assertEqual(base.base_of_source(self.base_dir), "7.2")
        write_files(self.base_dir, {"VERSION": "6.0.0\n"})
        with self.assertRaisesRegex(ForkError, "6.0 is not known"):
            base.base_of_source(self.base_dir)
        with self.assertRaisesRegex(ForkError, "not an unpacked QEMU"):
            base.base_of_source(self.checkout)

    def make_package(self):
        if not shutil.which("dpkg-source"):
            self.skipTest("dpkg-dev is not installed")
        folder = self.top / "toy-1"
        write_files(folder, {
            "file.c": "int x;\n",
            "debian/source/format": "3.0 (native)\n",
            "debian/control": "Source: toy\nMaintainer: A <a@b.invalid>\n"
                              "\nPackage: toy\nArchitecture: all\n"
                              "Description: toy\n",
            "debian/changelog": "toy (1) unstable; urgency=low\n\n  * x\n\n"
                                " -- A <a@b.invalid>  "
                                "Thu, 01 Jan 2026 00:00:00 +0000\n"})
        subprocess.run(["dpkg-source", "-b", "toy-1"], cwd=self.top,
                       check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        return self.top / "toy_1.dsc"

    def unpack(self, dsc):
        target = self.top / "unpacked"
        with contextlib.redirect_stdout(io.StringIO()):
            base.unpack(dsc, target)
        return target

    def test_unpack(self):
        dsc = self.make_package()
        write_files(self.top, {"unpacked.partial/rest": "of an earlier run"})
        target = self.unpack(dsc)
        self.assertEqual((target / "file.c").read_text(), "int x;\n")
        self.assertFalse((target / "rest").exists())

    def test_tampered_download(self):
        dsc = self.make_package()
        file = next(self.top.glob("toy_1.tar.*"))
        data = bytearray(file.read_bytes())
        data[-10] ^= 1
        file.write_bytes(data)
        with self.assertRaisesRegex(ForkError, "checksum"):
            self.unpack(dsc)
        self.assertFalse((self.top / "unpacked").exists())

    def test_lost_download(self):
        dsc = self.make_package()
        next(self.top.glob("toy_1.tar.*")).unlink()
        with self.assertRaisesRegex(ForkError, "No such file"):
            self.unpack(dsc)

    def test_unpacked_source_needs_no_lock(self):
        """So a cache that others have filled may be read-only."""
        write_files(self.top, {"base/qemu_7.2.9/VERSION": "7.2.9\n",
                               "base/lock/is": "no file to be opened\n"})
        with mock.patch.object(privateapt, "cache_dir", lambda: self.top), \
                mock.patch.object(privateapt, "download_source",
                                  lambda *_: [Path("qemu_7.2.9.dsc")]):
            self.assertEqual(base.fetch("7.2"), ("qemu_7.2.9", self.top
                                                 / "base/qemu_7.2.9"))

    def test_no_mirror_names_the_way_out(self):
        with mock.patch.object(privateapt, "download_source",
                               side_effect=privateapt.AptError("no mirror")):
            with self.assertRaisesRegex(ForkError, "--qemu-source=DIR"):
                base.fetch("7.2")


if __name__ == "__main__":
    unittest.main()
