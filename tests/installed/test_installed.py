#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The library as others take it: installed, found by pkg-config.

The environment's LIBRARY_BUILD says where it was built (build/lib).  It is
installed into a temporary folder.
"""

import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from harness import TOP
from harness.check.unittest_tap import run_tests
from harness.vm.process import run

STEER = TOP / "tests/installed/steer.c"
SKIP = 77
TIMEOUT = 120               # s, for what compiles
WARNINGS = ["-Wall", "-Wextra", "-Werror"]
COMPILERS = {"c": ("cc", "-std=gnu11"), "c++": ("c++", "-std=gnu++14")}
BUILD = os.environ.get("LIBRARY_BUILD", TOP / "build/lib")


class Installed(unittest.TestCase):
    """One installation for all tests."""

    @classmethod
    def setUpClass(cls):
        cls.root = Path(cls.enterClassContext(
            tempfile.TemporaryDirectory(prefix="qemu-ebpf-installed-")))
        run("meson", "install", "-C", BUILD, "--no-rebuild",
            "--destdir", cls.root, timeout=TIMEOUT)
        (found,) = cls.root.rglob("qemu-ebpf.pc")
        text = found.read_text()
        prefix = re.search("^prefix=(.*)", text, re.MULTILINE)[1]
        cls.prefix = f"{cls.root}{prefix}"
        found.write_text(text.replace(f"prefix={prefix}",
                                      f"prefix={cls.prefix}"))
        cls.env = dict(os.environ, PKG_CONFIG_PATH=str(found.parent))

    def pkg_config(self, what):
        return run("pkg-config", what, "qemu-ebpf", env=self.env).split()

    def build(self, language):
        compiler, standard = COMPILERS[language]
        if not shutil.which(compiler):
            self.skipTest(f"no compiler {compiler}")
        program = self.root / f"steer-{language}"
        run(compiler, "-x", language, standard, *WARNINGS,
            *self.pkg_config("--cflags"), STEER, "-o", program,
            *self.pkg_config("--libs"), cwd=self.root, timeout=TIMEOUT)
        return program

    def check_steers(self, language):
        program = self.build(language)
        done = subprocess.run([program], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=60)
        if done.returncode == SKIP:
            self.skipTest(done.stdout.strip())
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_a_program_in_C_steers_a_tap(self):
        self.check_steers("c")

    def test_a_program_in_Cxx_steers_a_tap(self):
        self.check_steers("c++")

    def test_headers_have_a_folder_of_their_own(self):
        folder = Path(self.prefix) / "include"
        self.assertEqual([path.name for path in folder.iterdir()],
                         ["qemu-ebpf"])
        self.assertEqual(
            sorted(str(path.relative_to(folder / "qemu-ebpf"))
                   for path in folder.rglob("*.h")),
            ["ebpf/ebpf_rss.h", "ebpf/ebpf_rss_fds.h", "net/rss.h",
             "net/rss_defs.h", "net/tap_steering.h"])


if __name__ == "__main__":
    run_tests(__file__)
