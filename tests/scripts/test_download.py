#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of privateapt.py and vm/kernel.py, on a made-up mirror.

No network; nothing outside a temporary folder is written.
"""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from harness import privateapt
from harness.privateapt import AptError, PrivateApt
from harness.vm import VmError, kernel


BAD = 100, "Err:1 x\nE: Failed to fetch x  503  Service Unavailable"
DEBIAN = "Debian|http://mirror.invalid/debian/|bookworm"


class Attempts(unittest.TestCase):
    """A mirror's bad moment is waited for."""

    def setUp(self):
        folder = self.enterContext(
            tempfile.TemporaryDirectory(prefix="test-download-"))
        with mock.patch.dict(os.environ, XDG_CACHE_HOME=folder):
            self.apt = PrivateApt("bookworm", "deb")
        self.apt.home.mkdir(parents=True)
        self.apt.files.mkdir(parents=True)
        self.pauses = []
        for patch in (mock.patch.object(privateapt.time, "sleep",
                                        self.pauses.append),
                      mock.patch.object(privateapt, "say_fetch"),
                      mock.patch.object(privateapt, "PAUSES", (1, 2))):
            self.enterContext(patch)

    def answers(self, answers):
        """Let apt-get WHAT give answers; a list of some has them in turns."""
        def run(_tool, *arguments, cwd=None):
            answer = answers[arguments[0]]
            if isinstance(answer, list):
                answer = answer.pop(0)
            if arguments[0] == "download" and answer[0] == 0:
                (Path(cwd) / "a.deb").write_text("a")
            return answer

        self.apt.run = run

    def test_index_comes_later(self):
        self.answers({"update": BAD,
                      "indextargets": [(0, ""), (0, ""), (0, DEBIAN)]})
        self.apt.update()
        self.assertEqual(self.pauses, [1, 2])
        self.assertTrue(self.apt.updated.exists())

    def test_index_never_comes(self):
        self.answers({"update": BAD, "indextargets": (0, "")})
        with self.assertRaisesRegex(AptError, "503"):
            self.apt.update()
        self.assertEqual(self.pauses, [1, 2])

    def test_file_comes_later(self):
        """Even where no new index can be had in the meantime."""
        self.answers({"download": [BAD, BAD, (0, "")], "update": BAD,
                      "indextargets": (0, "")})
        paths = self.apt.fetch("a", "download", "a")
        self.assertEqual([path.name for path in paths], ["a.deb"])
        self.assertEqual(self.pauses, [1, 2])

    def test_file_never_comes(self):
        self.answers({"download": BAD, "update": (0, ""),
                      "indextargets": (0, DEBIAN)})
        with self.assertRaisesRegex(AptError, "503"):
            self.apt.fetch("a", "download", "a")
        self.assertEqual(self.pauses, [1, 2])

    def test_package_is_gone(self):
        """No pause brings it back."""
        gone = 100, "E: Unable to locate package a"
        self.answers({"download": [BAD, gone], "update": (0, ""),
                      "indextargets": (0, DEBIAN)})
        with self.assertRaisesRegex(AptError, "Unable to locate"):
            self.apt.fetch("a", "download", "a")
        self.assertEqual(self.pauses, [1])


class Ahead(unittest.TestCase):
    """Many packages by one call of apt."""

    def setUp(self):
        folder = self.enterContext(
            tempfile.TemporaryDirectory(prefix="test-download-"))
        home = Path(folder) / "qemu-ebpf/apt/bookworm-deb"
        home.mkdir(parents=True)
        (home / "private.sources").write_text("sources")
        (home / "updated").touch()
        self.calls = calls = []

        def run(_apt, _tool, *arguments, cwd=None):
            calls.append(arguments)
            if arguments[0] == "show":      # there is no package c
                return 0, "Package: a\nVersion: 1\n\nPackage: b\nVersion: 1\n"
            for name in arguments[1:]:
                (Path(cwd) / f"{name}_1_all.deb").write_text(name)
            return 0, ""

        for patch in (mock.patch.dict(os.environ, XDG_CACHE_HOME=folder),
                      mock.patch.object(PrivateApt, "run", run),
                      mock.patch.object(privateapt, "sources_text",
                                        lambda *unused: "sources"),
                      mock.patch.object(privateapt, "say_fetch")):
            self.enterContext(patch)

    def test_each_is_there_when_asked_for(self):
        privateapt.download_ahead(["a", "b", "c"], "bookworm")
        self.assertEqual(self.calls, [("show", "a", "b", "c"),
                                      ("download", "a", "b")])
        self.calls.clear()
        for name in "a", "b":
            path, = privateapt.download_binary(name, "bookworm")
            self.assertEqual(path.read_text(), name)
        privateapt.download_ahead(["a", "b"], "bookworm")
        self.assertEqual(self.calls, [])


class Kernels(unittest.TestCase):
    """A kernel is found, and its modules can be read."""

    def setUp(self):
        self.top = Path(self.enterContext(
            tempfile.TemporaryDirectory(prefix="test-download-")))

    def download(self, names):
        """Download a kernel whose meta package names these, one by one."""
        def download_binary(name, _suite):
            if name.endswith("-1-amd64"):
                raise AptError("404")
            return [Path(name + ".deb")]

        def depends(package, _suite):
            return [names.pop(0)] if package.startswith("meta") else []

        with mock.patch.object(privateapt, "depends", depends), \
                mock.patch.object(privateapt, "download_binary",
                                  download_binary):
            return kernel.download("meta", "sid")

    def test_newer_kernel_than_in_the_index(self):
        self.assertEqual(self.download(["linux-image-6-1-amd64",
                                        "linux-image-6-2-amd64"]),
                         [Path("linux-image-6-2-amd64.deb")])

    def test_kernel_that_cannot_be_had(self):
        with self.assertRaisesRegex(AptError, "404"):
            self.download(["linux-image-6-1-amd64"] * 2)

    def module(self, data):
        """Read a module from a file that has this in it."""
        path = self.top / "x.ko.zst"
        path.write_bytes(data)
        return kernel.Kernel.module_bytes(None, path)

    def test_module_compressed_with_zstd(self):
        try:
            packed = subprocess.run(["zstd", "-q"], input=b"\x7fELF module",
                                    stdout=subprocess.PIPE, check=True).stdout
        except FileNotFoundError:
            self.skipTest("zstd is not installed")
        self.assertEqual(self.module(packed), b"\x7fELF module")
        with self.assertRaisesRegex(VmError, "x.ko.zst"):
            self.module(packed[:-3])

    def test_module_without_zstd(self):
        with mock.patch.dict(os.environ, PATH="/nonexistent"):
            with self.assertRaisesRegex(VmError, "package zstd"):
                self.module(b"")


if __name__ == "__main__":
    unittest.main()
