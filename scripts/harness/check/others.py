# SPDX-License-Identifier: GPL-2.0-or-later
"""Tier "scripts": our own scripts.  The others: guests that run."""

import os

from harness.check.results import skipped
from harness.check.run import run, run_folder, run_program, unittest_command

_SUDO = ["sh", "-c", "sudo -n true"]    # where there may be no sudo
DEMO_TIMEOUT = 1200     # seconds; the first one downloads kernels
FILE_TIMEOUT = 2400     # for each file; some start virtual hosts again
# Virtual hosts: they need both processors, and their emulation fails more often
# where others do.
VIRTUAL_HOSTS = "test_memlock.py", "test_vhost.py"
BPFHV_TIMEOUT = 7200    # for each of these
BPFHV_RUNS = {
    "a guest of trixie": {"BPFHV_SUITE": "trixie"},
    "a guest of sid": {"BPFHV_SUITE": "sid"},
    "a guest under KVM": {"BPFHV_KVM": "on"},
    "many packets": {"BPFHV_PACKETS": "70000", "BPFHV_UPGRADES": "1000"},
}


def scripts(tier, log):
    """The project's own scripts, and the tests' reference in Python."""
    return run_folder(tier, tier.top / "tests/scripts", log)


def series(tier, log):
    """The exported series, pushed by quilt on each QEMU in the cache."""
    file = tier.top / "tests/scripts/handed.py"
    return run_program(file.name, unittest_command(file), log,
                       timeout=FILE_TIMEOUT)


def _demo(tier, log, *settings):
    """The demo, which ends with status 0 only if all is as predicted."""
    name = ", ".join(["demo", *settings])
    if not tier.qemu.exists():
        return [skipped(name, tier.NOT_BUILT)]
    if os.geteuid() != 0 and run(_SUDO, log).status != 0:
        return [skipped(name, "a tap in a network namespace needs root")]
    return run_program(name, [tier.top / "scripts/demo",
                              *(f"--{setting}" for setting in settings),
                              f"--qemu={tier.qemu}"], log,
                       timeout=DEMO_TIMEOUT,
                       each_line=lambda line: tier.say("  " + line))


def demo(tier, log):
    """The demo with vhost=off."""
    return _demo(tier, log, "vhost=off")


def demo_vhost(tier, log):
    """The demo with vhost=on."""
    return _demo(tier, log, "vhost=on")


def demo_hash(tier, log):
    """The demo with vhost=on, and the hash of each packet."""
    return _demo(tier, log, "vhost=on", "hash=on")


def bpfhv(tier, log):
    """bpfhv in guests of other kernels; 1,000 upgrades; many packets."""
    if not tier.qemu.exists():
        return [skipped("bpfhv", tier.NOT_BUILT)]
    file = tier.top / "tests/functional/test_bpfhv.py"
    cases = []
    for what, settings in BPFHV_RUNS.items():
        tier.say(what)
        cases += [case._replace(name=f"{what}: {case.name}")
                  for case in run_program(
                      file.name, unittest_command(file), log,
                      timeout=BPFHV_TIMEOUT, each_line=lambda line:
                      "packets" in line and tier.say("  " + line),
                      env={"QTEST_QEMU_BINARY": str(tier.qemu), **settings})]
    return cases


def functional(tier, log):
    """Real guests: tests/functional."""
    if not tier.qemu.exists():
        return [skipped("functional tests", tier.NOT_BUILT)]

    def show(line):
        """A virtual host that is started again must not go unseen."""
        if line.startswith("[host]"):
            tier.say("  " + line)

    return run_folder(tier, tier.top / "tests/functional", log,
                      alone=VIRTUAL_HOSTS, timeout=FILE_TIMEOUT,
                      each_line=show,
                      env={"QTEST_QEMU_BINARY": str(tier.qemu)})
