# SPDX-License-Identifier: GPL-2.0-or-later
"""The series as a distribution takes it (tier "series"); takes minutes."""

import contextlib
import io
import shutil
import subprocess
import unittest

from harness import TOP, privateapt
from harness.fork import patches, tree
from harness.fork.series import encode

from toyfork import ForkTest


class Handed(ForkTest):
    """quilt on each QEMU in the cache gives the tree."""

    def push_all(self, export, folder):
        shutil.copytree(export, folder / "patches")
        done = subprocess.run(["quilt", "--quiltrc=-", "push", "-a",
                               "--fuzz=0"], cwd=folder, text=True,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, 0, done.stdout)

    def check_base(self, version):
        cache = privateapt.cache_dir() / "base"
        unpacked = sorted(path for path in cache.glob(f"qemu_{version}*")
                          if path.suffix != ".partial")
        if not unpacked or not shutil.which("quilt"):
            self.skipTest("needs quilt, and this QEMU in the cache: "
                          f"scripts/fork fetch --base={version}")
        checkout = self.top / "ours"
        checkout.mkdir()
        for path in TOP.iterdir():
            if path.name != "build":
                (checkout / path.name).symlink_to(path)
        fork = tree.Fork(version, "real", unpacked[-1], checkout)
        with contextlib.redirect_stdout(io.StringIO()):
            export = patches.export(fork)
        sources = tree.apply_series(fork)
        pushed = self.top / "pushed"
        for path in set(sources.edited) | sources.removed:
            if (fork.base_dir / path).exists():
                (pushed / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(fork.base_dir / path, pushed / path)
        self.push_all(export, pushed)
        links = tree.find_links(fork, sources)
        for path in sources.removed - set(links):
            self.assertFalse((pushed / path).exists(), path)
        for path, text in sources.edited.items():
            self.assertEqual((pushed / path).read_bytes(), encode(text), path)
        for path, ours in links.items():
            self.assertEqual((pushed / path).read_bytes(), ours.read_bytes())

    def test_pushed_on_7_2(self):
        self.check_base("7.2")

    def test_pushed_on_10_0(self):
        self.check_base("10.0")

    def test_pushed_on_10_2(self):
        self.check_base("10.2")


if __name__ == "__main__":
    unittest.main()
