# SPDX-License-Identifier: GPL-2.0-or-later
"""Tiers "build", which builds QEMU, and "qtest", "base" and "base-long", its
tests, and "targets", which does both for other machines.
"""

import json
import os
from pathlib import Path

from harness.check.library import build_lib
from harness.check.results import FAIL, failed, passed, read_tap, skipped
from harness.check.run import each, run, run_folder
from harness.fork.base import locked
from harness.vm.qemu import STOCK

TIMEOUT = 300       # seconds, for one test program
BASE_TIMEOUT = 1800     # for one of QEMU's: 10.0's migration-test takes eight
                        # minutes without KVM
BUILD_TIMEOUT = 1800    # with two processors it takes five minutes

EMULATORS = "qemu-system-aarch64", "qemu-system-s390x"  # of tier "targets"

# QEMU's own tests that virtio-net takes part in, and which parts of them
# (words in the names of tests; none: all).
BASE_TESTS = {
    # Its queues and its control queue; vhost-user behind it.
    "qos-test": ["virtio-net", "vhost-user"],
    # Failover: the feature bit beside ours, hot plug, migration.
    "virtio-net-failover": [],
    # Network filters and netboot, with virtio-net as the card.
    "test-netfilter": [],
    "pxe-test": ["virtio-net"],
    # Every device's properties; every query command, ours too.
    "device-introspect-test": [],
    "device-plug-test": [],
    "qmp-cmd-test": [],
    "test-hmp": [],
    # What our migration state and our properties are built on.
    "test-vmstate": [],
    "test-qdev-global-props": [],
}

# Of the tests in BASE_TESTS, those that tier "base-long" runs whole: the
# PCI bus, virtio and vhost under all devices, beside the network card.
WHOLE_TESTS = ["qos-test"]

# It takes a processor away from all others.
FLOOD = "test_flood.py"

SUITE = "qemu:qtest-x86_64"

# Tests that fail with Debian's QEMU, too.
BROKEN_TESTS = {
    "bios-tables-test": "Debian's patch v7.2.16.diff changes ACPI tables, but"
                        " cannot change the binary files of those expected",
}


def build_qemu(tier, log, *options):
    """Builds QEMU, that of the tier's base; a case for how it went."""
    base = [f"--base={tier.base}"] if tier.base else []
    done = run([tier.top / "scripts/build", *base, *options], log,
               timeout=BUILD_TIMEOUT, each_line=tier.say)
    if done.status == 0:
        return passed("build QEMU")
    return failed("build QEMU", done.output + done.errors)


def build(tier, log):
    """QEMU itself is built, where it is not up to date."""
    if tier.base:
        done = run([tier.top / "scripts/fork", "fetch", "--base", tier.base],
                   log, timeout=BUILD_TIMEOUT)
        if done.status != 0:
            return [skipped("build QEMU", done.errors.strip())]
    return [build_qemu(tier, log)]


def stock(tier, log):
    """QEMU without the series is built, where Debian has no binary of it."""
    if tier.base in STOCK:
        return [passed("stock QEMU is Debian's")]
    return [build_qemu(tier, log, "--stock")]


def qtest(tier, log):
    """The card as a guest's driver sees it (tests/qtest)."""
    if not tier.qemu.exists():
        return [skipped("tests/qtest", tier.NOT_BUILT)]
    return build_lib(tier, log) + run_folder(
        tier, tier.top / "tests/qtest", log, alone=[FLOOD], timeout=TIMEOUT,
        env={"QTEST_QEMU_BINARY": str(tier.qemu)})


def targets(tier, log):
    """The card in machines of aarch64, and of s390x, which is big-endian."""
    cases = [*build_lib(tier, log), build_qemu(tier, log, "--targets")]
    if cases[-1].outcome == FAIL:
        return cases
    for name in EMULATORS:
        tier.say(f"{name}:")
        emulator = tier.qemu_build.with_name("build-targets") / name
        cases += [case._replace(name=f"{name}: {case.name}")
                  for case in run_folder(
                      tier, tier.top / "tests/qtest", log, timeout=TIMEOUT,
                      env={"QTEST_QEMU_BINARY": str(emulator)})]
    return cases


def _known_tests(build):
    text = (build / "meson-info/intro-tests.json").read_text()
    return {test["name"].split("/")[-1]: test for test in json.loads(text)}


def _build_tests(tier, tests, log):
    """Builds test programs in QEMU's tree; a failed case if that fails."""
    build = tier.qemu_build
    programs = [str(Path(test["cmd"][0]).relative_to(build.resolve()))
                for test in tests]
    tier.say(f"build {len(programs)} test programs")
    with locked(build.parent / "build.lock", "building QEMU"):
        done = run(["ninja", "-C", build] + programs, log, timeout=1800)
    if done.status == 0:
        return []
    return [failed("build QEMU's own tests", done.output + done.errors)]


def chosen_paths(listed, words):
    """Options that choose the tests with one of the words in their names.

    listed: what -l prints; that of Debian 13's GLib begins with "# "
    """
    paths = [line.removeprefix("# ") for line in listed.splitlines()]
    chosen = [path for path in paths
              if path.startswith("/") and any(word in path for word in words)]
    return [option for path in chosen for option in ("-p", path)]


def _without_kvm(command):
    """The command where it finds no KVM, which need not run guests here.

    A test that asks for KVM, or else TCG, takes a /dev/kvm that answers for
    one that works.  Hiding it takes root; others cannot open it anyway.
    """
    if os.geteuid() or not os.path.exists("/dev/kvm"):
        return command
    return ["unshare", "--mount", "sh", "-c",
            'mount --bind /dev/null /dev/kvm && exec "$@"', "sh"] + command


def _run_base_test(tier, name, test, words, log):
    how = {"cwd": tier.qemu_build, "timeout": BASE_TIMEOUT,
           "env": {**test["env"], "QTEST_QEMU_BINARY": str(tier.qemu)}}
    command = list(test["cmd"])
    if words:
        options = chosen_paths(run([command[0], "-l"], log, **how).output,
                               words)
        if not options:
            return [skipped(name, "this build of QEMU has none about "
                            + " or ".join(words))]
        command += options
    tier.say(name)
    done = run(_without_kvm(command), log, **how)
    return (read_tap(name, done.output, done.status, done.errors) or
            [skipped(name, "it has no test for this build of QEMU")])


def _run_base_tests(tier, chosen, known, log):
    """Builds and runs tests: name -> words, as in BASE_TESTS."""
    trouble = _build_tests(tier, [known[name] for name in chosen], log)
    if trouble:
        return trouble
    found = each(lambda name, log: _run_base_test(tier, name, known[name],
                                                  chosen[name], log),
                 chosen, log)
    return [case for cases in found for case in cases]


def base(tier, log):
    """QEMU's own tests that virtio-net takes part in."""
    if not tier.qemu.exists():
        return [skipped("QEMU's own tests", tier.NOT_BUILT)]
    known = _known_tests(tier.qemu_build)
    cases = [skipped(name, "this build of QEMU does not have it: it takes an"
                     " option of configure that is off (slirp)")
             for name in BASE_TESTS if name not in known]
    present = {name: words for name, words in BASE_TESTS.items()
               if name in known}
    return cases + _run_base_tests(tier, present, known, log)


def base_long(tier, log):
    """All other tests of a machine that QEMU brings, such as migration."""
    if not tier.qemu.exists():
        return [skipped("QEMU's own tests", tier.NOT_BUILT)]
    known = _known_tests(tier.qemu_build)
    names = [name for name, test in known.items() if SUITE in test["suite"]
             and (name not in BASE_TESTS or name in WHOLE_TESTS)]
    cases = [skipped(name, BROKEN_TESTS[name]) for name in names
             if name in BROKEN_TESTS]
    chosen = {name: [] for name in names if name not in BROKEN_TESTS}
    return cases + _run_base_tests(tier, chosen, known, log)
