# SPDX-License-Identifier: GPL-2.0-or-later
"""The series as a distribution takes it (tier "series"); takes minutes."""

import contextlib
import io
import os
import shutil
import subprocess
import unittest

from harness import TOP, privateapt
from harness.fork import patches, tree
from harness.fork.base import BASES
from harness.fork.series import encode

from toyfork import ForkTest


# A small QEMU; Debian's source has no firmware to install
CONFIGURE = ["../configure", "--target-list=x86_64-softmmu",
             "--without-default-features", "--disable-install-blobs",
             "--disable-debug-info",    # sooner built
             "--enable-fdt=system", "--enable-kvm", "--enable-bpf",
             "--enable-vhost-net", "--enable-vhost-kernel"]
PROGRAM = "qemu-system-x86_64"


class Handed(ForkTest):
    """quilt on each QEMU in the cache gives the tree, and that builds."""

    def succeed(self, *command, folder, **env):
        """Run a command without what else this user has installed."""
        done = subprocess.run(
            command, cwd=folder, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PATH": "/usr/bin:/bin:/usr/sbin:/sbin", **env})
        self.assertEqual(done.returncode, 0, done.stdout[-4000:])

    def push_all(self, export, folder):
        """Put our patches behind the distribution's, and push them."""
        theirs = folder / "debian/patches"
        theirs.mkdir(parents=True, exist_ok=True)
        for patch in export.glob("*.patch"):
            shutil.copy(patch, theirs)
        with open(theirs / "series", "a") as series:
            series.write((export / "series").read_text())
        self.succeed("quilt", "--quiltrc=-", "push", "-a", "--fuzz=0",
                     folder=folder, QUILT_PATCHES="debian/patches")

    def check_base(self, version, whole=False):
        """Push on the files that the series touches, or on all."""
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
        if whole:
            shutil.copytree(fork.base_dir, pushed, symlinks=True)
        else:
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
        return pushed

    def test_pushed_on_7_2(self):
        self.check_base("7.2")

    def test_pushed_on_10_0(self):
        self.check_base("10.0")

    def test_pushed_on_10_2(self):
        self.check_base("10.2")

    def test_built_on_the_release_that_has_it(self):
        release = privateapt.host_release()
        own = [base for base in BASES if BASES[base] == release]
        if not own:
            self.skipTest(f"no QEMU of the table is in Debian {release}")
        folder = self.check_base(own[0], whole=True) / "build-handed"
        folder.mkdir()
        self.succeed(*CONFIGURE, folder=folder)
        self.succeed("ninja", PROGRAM, folder=folder)
        self.succeed("python3", TOP / "tests/qtest/test_commands.py",
                     folder=folder, QTEST_QEMU_BINARY=str(folder / PROGRAM))


if __name__ == "__main__":
    unittest.main()
