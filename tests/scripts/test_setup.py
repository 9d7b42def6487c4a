#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of ./configure, scripts/deps and scripts/build's settings.

Nothing is installed, and nothing outside a temporary folder is written.
"""

import contextlib
import importlib.machinery
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from harness import TOP, privateapt
from harness.cases import rows
from harness.fork import tree
from harness.fork.base import BASES, default_base
from harness.vm import VmError, root

from toyfork import write_files


def load(name):
    """Import one of scripts/, which have no .py at the end."""
    loader = importlib.machinery.SourceFileLoader(
        name, str(TOP / "scripts" / name))
    module = importlib.util.module_from_spec(
        importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


def run_main(module, *arguments, patches=(), **replaced):
    """Run a script with parts of it replaced; return (status, output)."""
    out = io.StringIO()
    with contextlib.ExitStack() as stack:
        for patch in (mock.patch.object(sys, "argv", ["it", *arguments]),
                      mock.patch.multiple(module, **replaced), *patches,
                      mock.patch("signal.signal"),
                      contextlib.redirect_stdout(out),
                      contextlib.redirect_stderr(out)):
            stack.enter_context(patch)
        try:
            return module.main() or 0, out.getvalue()
        except SystemExit as end:
            return end.code, out.getvalue()


class Configure(unittest.TestCase):
    """./configure records what it is told, and refuses what it is not."""

    def setUp(self):
        self.top = Path(self.enterContext(
            tempfile.TemporaryDirectory(prefix="test-setup-")))
        shutil.copy(TOP / "configure", self.top)

    def configure(self, *options):
        return subprocess.run([self.top / "configure", *options], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def settings(self, *options, base=None):
        """Return what scripts/build makes of ./configure's options."""
        self.assertEqual(self.configure(*options).returncode, 0)
        build = load("build")
        with mock.patch.object(build, "CONFIG", self.top / "build/config"):
            settings, more = build.read_config(base)
        return settings, build.qemu_command(settings, more)

    def test_defaults(self):
        settings, command = self.settings()
        self.assertEqual(settings, load("build").DEFAULTS)
        self.assertIn("--target-list=x86_64-softmmu", command)
        self.assertIn("--without-default-features", command)
        self.assertIn("--enable-bpf", command)

    def test_options_arrive(self):
        _, command = self.settings(
            "--prefix=/opt/a b", "--target-list=aarch64-softmmu",
            "--disable-bpf", "--full", "--enable-debug", "--cc=clang", "--",
            "--libdir=/x='y'", "--enable-gtk")
        for word in ("--prefix=/opt/a b", "--target-list=aarch64-softmmu",
                     "--disable-bpf", "--enable-debug", "--cc=clang"):
            self.assertIn(word, command)
        self.assertNotIn("--without-default-features", command)
        self.assertEqual(command[-2:], ["--libdir=/x='y'", "--enable-gtk"])

    def write_source(self, version, file="hw/net/virtio-net.c"):
        """Write what looks like an unpacked QEMU of a version."""
        write_files(self.top / "q", {file: "", "VERSION": version + "\n"})

    def test_another_base(self):
        """All is the same, but QEMU's source."""
        self.write_source("7.2.9")
        settings, _ = self.settings("--cc=clang", "--disable-bpf",
                                    f"--qemu-source={self.top}/q", base="10.0")
        self.assertEqual([settings[name] for name in
                          ("base", "qemu-source", "cc", "bpf")],
                         ["10.0", "", "clang", "no"])

    def test_sanitizers_come_last(self):
        """Whatever compiler was chosen, they take theirs."""
        build = load("build")
        for base, word in (("7.2", "--enable-sanitizers"),
                           ("10.0", "--enable-ubsan")):
            command = build.qemu_command(
                {**build.DEFAULTS, "base": base, "cc": "gcc"}, [],
                "sanitize")
            chosen = [word for word in command if word.startswith("--cc=")]
            self.assertEqual(chosen[-1], "--cc=clang")
            self.assertIn(word, command)

    def test_qemu_source_tells_the_base(self):
        self.write_source("10.0.2")
        settings, _ = self.settings(f"--qemu-source={self.top}/q")
        self.assertEqual(settings["base"], "10.0")

    def test_qemu_source_of_a_wrong_version(self):
        self.write_source("6.0.1")
        done = self.configure(f"--qemu-source={self.top}/q")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("QEMU 6.0 is not known", done.stderr)
        self.write_source("7.2.9")
        done = self.configure(f"--qemu-source={self.top}/q", "--base=10.0")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("is QEMU 7.2, not 10.0", done.stderr)

    @rows({"another program": ("10.0.2", "src/main.c"),
           "an empty version": ("", "hw/net/virtio-net.c"),
           "words": ("unknown", "hw/net/virtio-net.c"),
           "two numbers": ("10.0", "hw/net/virtio-net.c")}, "--qemu-source: ")
    def check_no_source(self, version, file):
        """It is said here, not by make."""
        self.write_source(version, file)
        done = self.configure(f"--qemu-source={self.top}/q")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(f"{self.top}/q is no unpacked QEMU tree", done.stderr)
        self.assertFalse((self.top / "build").exists())

    def run_here(self, *command, status=0):
        """Return what a command says in a copy of the scripts."""
        shutil.copy(TOP / "Makefile", self.top)
        shutil.copytree(TOP / "scripts", self.top / "scripts",
                        dirs_exist_ok=True)
        done = subprocess.run(command, cwd=self.top, text=True,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, status, done.stdout)
        return done.stdout

    def run_make(self, config):
        """Return what "make -n check" runs with this build/config."""
        (self.top / "build").mkdir(exist_ok=True)
        (self.top / "build/config").write_text(config)
        return self.run_here("make", "-n", "check")

    def test_qemu_source_is_that_of_all(self):
        """scripts/fork, and so make series, takes no other one."""
        self.write_source("10.0.2")
        self.settings(f"--qemu-source={self.top}/q")
        self.assertIn(f"QEMU 10.0 is in {self.top}/q\n",
                      self.run_here("scripts/fork", "fetch"))
        self.assertNotIn("--base", self.run_here("make", "-n", "series"))

    def test_base_of_make(self):
        """It is not ignored."""
        self.assertIn("export --base=10.2\n",
                      self.run_here("make", "-n", "series", "BASE=10.2"))
        self.assertIn("./configure --base=10.2",
                      self.run_here("make", "-n", "demo", "BASE=10.2",
                                    status=2))

    def test_base_is_written_once(self):
        self.write_source("7.2.9")
        self.settings("--base=7.2", f"--qemu-source={self.top}/q")
        text = (self.top / "build/config").read_text()
        self.assertEqual(text.count("base="), 1)
        self.assertIn("build/qemu-7.2/build\n", self.run_make(text))

    def test_make_takes_the_last_base(self):
        self.assertIn("build/qemu-10.0/build\n",
                      self.run_make("base=7.2\nbase=10.0\n"))
        for release, base in (("bookworm", "7.2"), ("trixie", "10.0"),
                              ("other", "10.2")):
            with mock.patch("harness.privateapt.host_release",
                            lambda: release), \
                    mock.patch("harness.fork.base.TOP", self.top / "none"):
                self.assertEqual(default_base(), base)

    def test_refusals(self):
        for option, word in (("--base=6.0", "7.2"),
                             ("--prefix=here", "absolute"),
                             ("--qemu-source=/nonexistent", "/nonexistent"),
                             ("--enable-gtk", "--enable-gtk")):
            done = self.configure(option)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(word, done.stderr)
        self.assertFalse((self.top / "build").exists())

    def test_help_names_every_option(self):
        text = self.configure("--help").stdout
        source = (TOP / "configure").read_text()
        for line in source.split("while [")[1].splitlines():
            if line.startswith("    --") and line.strip() != "--)":
                option = line.strip().split("=")[0].split("|")[0].rstrip(")")
                self.assertIn(option, text)

    def test_bases_are_those_of_fork(self):
        text = (TOP / "configure").read_text()
        self.assertIn("    " + "|".join(BASES) + ") ;;\n", text)
        for name in BASES:
            self.assertIn(name, text.split("--base=VERSION")[1]
                          .split("--qemu-source")[0])


class Package(unittest.TestCase):
    """debian/ names again what is known elsewhere."""

    BUILD_ESSENTIAL = {"dpkg-dev", "gcc", "libc6-dev", "linux-libc-dev"}

    @rows({"all": ("", ["library", "qemu"]),
           "no emulator": ("pkg.qemu-ebpf.noemulator", ["library"])},
          "build depends: ")
    def names(self, profiles, groups):
        deps = load("deps")
        with mock.patch.dict(os.environ, DEB_BUILD_PROFILES=profiles):
            named = set(deps.build_depends())
        self.assertEqual(set(deps.wanted_packages(groups)) - named
                         - self.BUILD_ESSENTIAL, set())
        self.assertEqual("coccinelle" in named, "qemu" in groups)

    @rows({base: base for base in BASES}, "QEMU knows each feature: ")
    def features(self, base):
        known = sorted((privateapt.cache_dir() / "base").glob(
            f"qemu_{base}*/scripts/meson-buildoptions.sh"))
        if not known:
            self.skipTest("needs this QEMU in the cache: "
                          f"scripts/fork fetch --base={base}")
        for name in load("build").package_features(base):
            self.assertIn(f"  --enable-{name}) ", known[-1].read_text())

    def test_version(self):
        version = (TOP / "debian/changelog").read_text().split()[1]
        self.assertIn(f"        version: '{version.strip('()')}',\n",
                      (TOP / "meson.build").read_text())


class Build(unittest.TestCase):
    """scripts/build, with a made-up build of QEMU in a temporary folder."""

    def setUp(self):
        self.build = load("build")
        self.build.DEFAULTS["base"] = "7.2"
        self.top = Path(self.enterContext(
            tempfile.TemporaryDirectory(prefix="test-setup-")))
        self.home = self.top / "build/qemu-7.2"
        self.command = self.build.qemu_command(self.build.DEFAULTS, [])
        program = f"{self.home}/build/program"
        write_files(self.top, {"series/links": ""})
        write_files(self.home, {
            "tree/configure": "", "configured": "\n".join(self.command),
            "build/program": "",
            "build/meson-info/intro-installed.json":
            json.dumps({program: "/x/program"}),
            "build/meson-info/intro-targets.json":
            json.dumps([{"filename": [program]}])})
        self.write_stamp(tree.digest(self.top / "series"))

    def write_stamp(self, series):
        (self.home / "tree" / tree.STAMP).write_text(json.dumps({
            "complete": True, "base": "7.2", "links": {},
            "series": series}))

    def run_build(self, *arguments, uid=None):
        """Run it as the builder or another; return (status, output, steps)."""
        steps = []

        def step(name):
            return lambda *unused, **unused_too: steps.append(name)

        patches = [mock.patch.dict(os.environ)]
        if uid is not None:
            patches.append(mock.patch.object(os, "geteuid", lambda: uid))
        status, out = run_main(
            self.build, *arguments, patches=patches, TOP=self.top,
            CONFIG=self.top / "none", LOGS=self.top / "log",
            link_firmware=mock.Mock(),
            **{name: step(name)
               for name in ("assemble", "configure", "ninja", "run")})
        return status, out, steps

    def test_install_builds_first(self):
        self.assertEqual(self.run_build("--install")[2],
                         ["assemble", "configure", "ninja", "run"])

    def test_another_user_only_installs(self):
        """As "sudo make install" does: the source is in another's cache."""
        status, _, steps = self.run_build("--install", uid=os.getuid() + 1)
        self.assertEqual((status, steps), (0, ["run"]))

    def test_another_user_does_not_install_what_is_old(self):
        def refused():
            status, _, steps = self.run_build("--install",
                                              uid=os.getuid() + 1)
            self.assertEqual(steps, [])
            self.assertIn("run \"make\" first", status)

        (self.home / "build/program").unlink()
        refused()
        (self.home / "build/program").write_text("")
        self.write_stamp("older")
        refused()

    def test_a_log_of_root_is_no_obstacle(self):
        """It cannot be written, but replaced."""
        (self.top / "log").mkdir()
        log = self.top / "log/x.log"
        log.write_text("")
        before = log.stat().st_ino
        other = log.open()          # keeps the number from being used again
        self.addCleanup(other.close)
        with mock.patch.object(self.build, "LOGS", self.top / "log"):
            self.build.run("x", ["true"], self.top, "x.log")
        self.assertNotEqual(log.stat().st_ino, before)

    def test_what_cannot_be_written_is_said(self):
        error = PermissionError(13, "Permission denied", "/a/file")
        with mock.patch.object(self.build, "locked", side_effect=error):
            status, _, _ = self.run_build()
        self.assertEqual(status, "build: /a/file: Permission denied")

    def test_a_new_target_is_made(self):
        """What the tree's meson.build has got since, in the same run."""
        folder = self.top / "toy/build"
        folder.mkdir(parents=True)
        (self.top / "toy/x.c").write_text("int main(void) { return 0; }")
        meson = self.top / "toy/meson.build"
        for name in "one", "two":
            with meson.open("a") as file:
                file.write("project('toy', 'c')\n" * (name == "one") +
                           f"executable('{name}', 'x.c', install: true)\n")
            if name == "one":
                subprocess.run(["meson", "setup", folder, self.top / "toy"],
                               check=True, stdout=subprocess.DEVNULL)
            with mock.patch.object(self.build, "LOGS", self.top / "log"), \
                    contextlib.redirect_stdout(io.StringIO()):
                self.build.ninja(folder, self.build.DEFAULTS, [])
            self.assertTrue((folder / name).exists(), name)

    def test_a_newer_tree_is_configured_again(self):
        folder = self.home / "build"
        self.assertTrue(self.build.is_configured(folder, self.command))
        new = (self.home / "configured").stat().st_mtime + 1
        os.utime(self.home / "tree/configure", (new, new))
        self.assertFalse(self.build.is_configured(folder, self.command))


class Root(unittest.TestCase):
    """What needs root asks for it first, and becomes it last."""

    def test_no_sudo(self):
        with mock.patch.object(root.os, "geteuid", lambda: 1000), \
                mock.patch.dict(os.environ, PATH="/nonexistent"):
            with self.assertRaisesRegex(VmError, "run this as root"):
                root.check_privilege("taps")

    def test_sudo_keeps_the_cache(self):
        with mock.patch.object(root.os, "geteuid", lambda: 1000), \
                mock.patch.object(root.os, "execvp") as execvp, \
                mock.patch.object(sys, "argv", ["/x/demo", "--vhost=on"]), \
                mock.patch.dict(os.environ, XDG_CACHE_HOME="/a/cache"), \
                contextlib.redirect_stdout(io.StringIO()):
            root.become_root("demo", "taps", "--more")
        self.assertEqual(execvp.call_args[0][1], [
            "sudo", "-n", "env", "XDG_CACHE_HOME=/a/cache", sys.executable,
            "/x/demo", "--more", "--vhost=on"])

    def test_bench_builds_as_the_user(self):
        bench = load("bench")
        for argument, wanted in ((), ["check", "build", "fetch", "root"]), \
                (("--prepared",), ["check", "root"]):
            steps = []

            def step(name, result=None):
                return lambda *unused: steps.append(name) or result

            patches = [
                mock.patch.object(bench.programs, "build", step("build")),
                mock.patch.object(bench.peers, "fetch_for", step("fetch"))]
            self.assertEqual(run_main(
                bench, *argument, patches=patches,
                check_privilege=step("check"), become_root=step("root"),
                run_all=lambda options: 0), (0, ""))
            self.assertEqual(steps, wanted)


class Deps(unittest.TestCase):
    """scripts/deps installs what is missing, or says how to."""

    def setUp(self):
        self.deps = load("deps")

    def run_deps(self, *arguments, root=True, have=()):
        calls = []

        def apt_get(prefix, *words):
            calls.append(words)
            return True

        status, out = run_main(self.deps, *arguments, patches=[
            mock.patch.object(os, "geteuid", lambda: 0 if root else 1000),
            mock.patch.object(shutil, "which", lambda name: None
                              if name == "sudo" else "/usr/bin/" + name)],
            installed=lambda names: set(names) & set(have), apt_get=apt_get)
        return status, out, calls

    def test_nothing_missing(self):
        have = self.deps.wanted_packages(["library"])
        status, out, calls = self.run_deps("library", have=have)
        self.assertEqual((status, calls), (0, []))
        self.assertIn("nothing is missing", out)

    def test_only_the_missing_is_installed(self):
        have = set(self.deps.wanted_packages(["library"])) - {"clang"}
        status, _, calls = self.run_deps("library", have=have)
        self.assertEqual(status, 0)
        self.assertEqual(calls, [("install", "--no-install-recommends",
                                  "clang")])

    def test_without_root_the_command_is_printed(self):
        error, _, calls = self.run_deps("library", root=False)
        self.assertEqual(calls, [])
        self.assertIn("apt-get install --no-install-recommends bpftool clang",
                      error)

    def test_busybox_of_the_machine_stays(self):
        """busybox-static would replace it; guests take it from the cache."""
        self.assertNotIn("busybox-static", self.deps.wanted_packages(
            list(self.deps.GROUPS)))

    def test_unknown_group(self):
        status, out, _ = self.run_deps("library", "nonsense")
        self.assertNotEqual(status, 0)
        self.assertIn("nonsense", out)


if __name__ == "__main__":
    unittest.main()
