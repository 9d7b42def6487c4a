#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The source of linux/vhost-net-hash: which Linux it is made of, and rules.

No network.  The rules are tried on each source of Linux that is in the cache.
"""

import shutil
import subprocess
import tarfile
import tempfile
import threading
import unittest
from pathlib import Path

from harness import TOP, privateapt
from harness.cases import Case, rows
from harness.fork import ForkError, module, series
from harness.fork.cocci import parse
from harness.vm import module as vm_module

from toyfork import write_files

RULES = TOP / "linux/vhost-net-hash"
INSTALLED = TOP / "debian/vhost-net-hash-dkms.install"
SOURCE = "${env:DKMS_SOURCE}"           # in it, the folder below /usr/src
CACHED = sorted((privateapt.cache_dir() / "base").glob("linux-[0-9]*.[0-9]"
                                                       "*[0-9]"))


class ModuleCase(Case):

    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def make_linux(self, version):
        """Make a source of Linux with nothing but a version."""
        names = "VERSION", "PATCHLEVEL", "SUBLEVEL"
        write_files(self.folder, {
            "Makefile": "# SPDX-License-Identifier: GPL-2.0\n" + "".join(
                f"{name} = {number}\n" for name, number in
                zip(names, version))})

    def make_headers(self, version):
        major, minor, sublevel = version
        code = (major << 16) + (minor << 8) + min(sublevel, 255)
        write_files(self.folder, {
            "include/generated/uapi/linux/version.h":
            f"#define LINUX_VERSION_CODE {code}\n"})


class Versions(ModuleCase):
    """The source must be the kernel's own."""

    @rows({"the same": ((6, 1, 192), (6, 1, 192)),
           "more than headers can count": ((5, 10, 262), (5, 10, 262))})
    def check_taken(self, source, headers):
        self.make_linux(source)
        self.make_headers(headers)
        module.check_same(self.folder, self.folder)

    @rows({"newer": ((6, 1, 193), (6, 1, 192)),
           "older": ((6, 1, 191), (6, 1, 192)),
           "another series": ((6, 12, 192), (6, 1, 192))})
    def check_refused(self, source, headers):
        self.make_linux(source)
        self.make_headers(headers)
        with self.assertRaises(ForkError) as caught:
            module.check_same(self.folder, self.folder)
        self.assert_words(str(caught.exception), "linux-source",
                          "{}.{}.{}".format(*source),
                          "{}.{}.{}".format(*headers))

    def test_no_source(self):
        with self.assertRaisesRegex(ForkError, "not a source of Linux"):
            module.source_version(self.folder)

    def test_no_headers(self):
        with self.assertRaisesRegex(ForkError, "no headers of a kernel"):
            module.headers_version(self.folder)


class Rules(ModuleCase):
    """Each rule finds its place in each Linux, or is told of."""

    def setUp(self):
        super().setUp()
        if not CACHED:
            self.skipTest("no source of Linux is in the cache: make modules")

    def copy_of(self, source):
        write_files(self.folder, {name: (source / name).read_text()
                                  for name in module.MEMBERS})
        return self.folder

    def test_they_apply(self):
        for source in CACHED:
            with self.subTest(source.name):
                text = module.apply_rules(source, RULES)
                for word in ("vhost_net_hash_recvmsg", "vhost_net_hash_ioctl",
                             "vhost_net_hash_refuses", "vhost-net-hash",
                             "vhost_net_hash_release",
                             "virtio_net_hdr_v1_hash", "MISC_DYNAMIC_MINOR"):
                    self.assertIn(word, text)
                self.assertNotIn("MODULE_ALIAS", text)

    def test_a_place_that_is_gone(self):
        linux = self.copy_of(CACHED[0])
        file = linux / module.NET_C
        file.write_text(file.read_text().replace("recvmsg(", "receive("))
        with self.assertRaises(ForkError) as caught:
            module.apply_rules(linux, RULES)
        self.assert_words(str(caught.exception), "vhost-net-hash/10-",
                          "rule receive", "matches 0 times", "Linux ")

    def test_each_rule_is_for_some_linux(self):
        for file in series.read_series(RULES, "Linux"):
            for section in parse(file)[1]:
                for rule in section.rules:
                    counts = [series.expected(section.expect.get(rule.name,
                                                                 "1"), base)
                              for base in ("5.10", "6.1", "6.12", "7.2")
                              if rule in section.rules_for(base)]
                    self.assertGreater(max(counts), 0, rule.name)


class Built(ModuleCase):
    """A module is built for all who ask for it, and once."""

    # A second build in the folder would find the first one's `busy`.
    MAKEFILE = """modules:
\tmkdir "$(M)/busy" && sleep 0.5 && rmdir "$(M)/busy" && touch "$(M)/a.ko"
\techo built >>"$(M)/../builds"
"""

    def test_two_at_the_same_time(self):
        write_files(self.folder, {"headers/Makefile": self.MAKEFILE})
        target = self.folder / "modules/6.1"
        found = []

        def build():
            found.append(vm_module.build(
                "a.ko", self.folder / "headers", target, lambda folder: None,
                "the same"))

        threads = [threading.Thread(target=build) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(found, 2 * [target / "a.ko"])
        self.assertEqual((self.folder / "modules/builds").read_text(),
                         "built\n")


class Package(ModuleCase):
    """What vhost-net-hash-dkms installs is all that DKMS needs, and no more."""

    def setUp(self):
        super().setUp()
        self.package = self.folder / "package"
        for line in INSTALLED.read_text().splitlines():
            names, target = line.split()
            if target.startswith(SOURCE):
                self.install(names, target.removeprefix(SOURCE).lstrip("/"))

    def install(self, names, target):
        files = sorted(TOP.glob(names))
        self.assertTrue(files, names)
        (self.package / target).mkdir(parents=True, exist_ok=True)
        for file in files:
            shutil.copy(file, self.package / target)

    def prepare(self, *archive):
        """As dkms.conf has it, with nothing of this machine's variables."""
        return subprocess.run(
            [self.package / "prepare", self.folder, *archive],
            cwd=self.package, env={"PATH": "/usr/bin:/bin"},
            capture_output=True, text=True, check=False)

    def test_a_kernel_without_source(self):
        """The postinst shows the line that begins with the package's name."""
        self.make_headers((0, 99, 1))
        done = self.prepare()
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stderr, "(?m)^vhost-net-hash: there is no .*"
                         "install the package linux-source-0.99$")
        self.assertFalse((self.package / "net.c").exists())

    def test_it_makes_the_source(self):
        if not CACHED:
            self.skipTest("no source of Linux is in the cache: make modules")
        version = module.source_version(CACHED[0])
        self.make_headers(version)
        name = "linux-source-{}.{}".format(*version)
        archive = self.folder / f"{name}.tar.xz"
        with tarfile.open(archive, "w:xz") as tar:
            for member in module.MEMBERS:
                tar.add(CACHED[0] / member, f"{name}/{member}")
        done = self.prepare(archive)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("vhost_net_hash_recvmsg",
                      (self.package / "net.c").read_text())
        for made in ("vhost.h", *module.OURS):
            self.assertTrue((self.package / made).exists(), made)


if __name__ == "__main__":
    unittest.main()
