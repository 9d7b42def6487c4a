#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Run the tests that a kernel can break in a virtual host with that kernel.

    run_in_kernel.py HOST-SUITE GUEST-SUITE BUILD-LIB QEMU

The kernels are those of these Debian suites.  It prints TAP: the tests of the
suites "bpf", "tap", "steer" and "xdp" of BUILD-LIB, where the library was
built, but those that are in "once", too; test_vhost_net_hash.py, with the
module for this kernel; what QEMU counts of XDP offload at a tap; some tests again
with one processor, and while one comes and goes, each time with preempt=full; and
tests/functional/test_vhost.py: a guest under KVM, with vhost=on.

RSS_TEST_PACKETS=N: so many through cards that are configured without a pause
(tests/qtest/test_vhost_hash.py).
XDP_FRAMES=N: so many for each program of tests/bpf/test-bpf-xdp.c.
"""

import functools
import json
import os
import shlex
import subprocess
import sys
import time

from harness import TOP
from harness.check.results import print_tap, read_tap
from harness.check.run import SLOW
from harness.privateapt import AptError
from harness.vm import virthost
from harness.vm.guest import fetch_guest
from harness.vm.kernel import get_kernel
from harness.vm.module import get_module
from harness.vm.process import stop_on_signals


LOAD = {name: value for name, value in os.environ.items()
        if name == "RSS_TEST_PACKETS"}
FRAMES = os.environ.get("XDP_FRAMES", "").split()
# Seconds, for each program
TIMEOUT = (1000 + int(LOAD.get("RSS_TEST_PACKETS") or 0) // 1000
           + sum(map(int, FRAMES)) // 20)
UNITTEST = TOP / "scripts/harness/check/unittest_tap.py"
SUITES = {"bpf", "tap", "steer", "xdp"}
SHORTER = "RSS_TEST_SECONDS=4"          # for each test under load
LONGER = "RSS_TEST_SECONDS=12"          # where a fault is seldom
SEED = [f"{name}={value}" for name, value in os.environ.items()
        if name == "RSS_TEST_SEED"]
CPU1 = "/sys/devices/system/cpu/cpu1/online"
ONE_PROCESSOR = f"""
    echo 0 >{CPU1}; "$@"; status=$?
    echo 1 >{CPU1}; exit $status"""
COMES_AND_GOES = f"""
    while sleep 0.3; do echo 0 >{CPU1}; sleep 0.3; echo 1 >{CPU1}; done &
    "$@"; status=$?
    kill $!; wait; echo 1 >{CPU1}; exit $status"""
MODULES = ("8021q", "sch_ingress", "cls_bpf",       # for the tap's tests
           "cls_u32", "act_gact", "act_skbedit", "veth")    # for tap-steer's


def library_programs(build, how_long):
    text = subprocess.run(["/usr/bin/meson", "introspect", build, "--tests"],
                          check=True, stdout=subprocess.PIPE,
                          text=True).stdout
    programs = {}
    for test in json.loads(text):
        suites = {suite.split(":")[-1] for suite in test["suite"]}
        if suites <= SUITES:
            env = [f"{name}={value}" for name, value in test["env"].items()]
            programs[test["name"]] = ["env", *env, how_long, *SEED,
                                      *test["cmd"]]
    # Linux 5.10 tells each processor of each run: 2,000 frames take a third of
    # the time.
    programs["bpf-xdp"] = ["sh", "-c", ONE_PROCESSOR, "sh",
                           *programs["bpf-xdp"], *FRAMES]
    return programs


def processor_programs(programs):
    reconfigure = programs["bpf-reconfigure"]
    return {
        "one processor": ["sh", "-c", ONE_PROCESSOR, "sh", *reconfigure],
        "a processor comes and goes": [
            "sh", "-c", COMES_AND_GOES, "sh", *reconfigure],
        "a processor comes and goes, three descriptors": [
            "sh", "-c", COMES_AND_GOES, "sh", *reconfigure, "--three"],
    }


def module_program(kernel, suite, build):
    """Return none if Debian has this kernel's headers no more."""
    try:
        module = get_module(kernel, suite)
    except AptError as error:
        print(f"# without vhost_net_hash: {error}", flush=True)
        return {}
    return {"vhost_net_hash": virthost.our_command(
        UNITTEST, TOP / "tests/kernels/test_vhost_net_hash.py",
        HASH_MODULE=module, HASH_LOADER=f"{build}/tests/load-report")}


def hash_programs(kernel, suite, guest, qemu):
    """QEMU's cards, and guests, where the module is loaded."""
    try:
        module = get_module(kernel, suite)
    except AptError:            # module_program() has told of it
        return {}
    load = ["sh", "-c", 'insmod "$1" && shift && exec "$@"', "sh", str(module)]
    return {
        "vhost_net_hash, QEMU": load + virthost.our_command(
            UNITTEST, TOP / "tests/qtest/test_vhost_hash.py",
            QTEST_QEMU_BINARY=qemu, **LOAD),
        f"vhost_net_hash, guest {guest}": virthost.our_command(
            UNITTEST, TOP / "tests/functional/test_hash_report.py",
            QTEST_QEMU_BINARY=qemu, FUNCTIONAL_VHOST="on",
            FUNCTIONAL_ACCEL="kvm", FUNCTIONAL_SUITE=guest),
    }


def xdp_program(qemu):
    """What QEMU shows of packets, by the helper's counters, at a tap."""
    return {"XDP offload, QEMU": virthost.our_command(
        UNITTEST, TOP / "tests/qtest/test_xdp_offload.py",
        "Offload.test_it_counts", QTEST_QEMU_BINARY=qemu)}


def vhost_program(guest, qemu):
    return {f"vhost=on, guest {guest}": virthost.our_command(
        UNITTEST,
        TOP / "tests/functional/test_vhost.py", QTEST_QEMU_BINARY=qemu,
        FUNCTIONAL_VHOST="on", FUNCTIONAL_ACCEL="kvm",
        FUNCTIONAL_SUITE=guest)}


def cases_in_kernel(kernel, programs, append):
    """Run the programs in a virtual host; return their test cases."""
    cases = []
    with virthost.VirtualHost(kernel, modules=MODULES,
                              append=append) as host:
        print(f"# Linux {host.shell('uname -r')}", flush=True)
        for name, command in programs.items():
            print(f"# {name}", flush=True)
            start = time.monotonic()
            status, output = host.try_shell(
                f"cd {shlex.quote(str(TOP))} && {shlex.join(command)}",
                TIMEOUT, line=lambda text: print("#   " + text, flush=True))
            if time.monotonic() - start >= SLOW:
                print(f"# {name}: {time.monotonic() - start:.0f} s")
            cases += read_tap(name, output, status)
    return cases


def main():
    stop_on_signals()
    suite, guest, build, qemu = sys.argv[1:]
    kernel = get_kernel(suite)
    fetch_guest(guest)          # while this machine's file system is writable
    cases = []
    for programs, append in (
            ({**library_programs(build, SHORTER),
              **module_program(kernel, suite, build),
              **xdp_program(qemu)}, ""),
            (processor_programs(library_programs(build, LONGER)),
             "preempt=full"),
            (hash_programs(kernel, suite, guest, qemu), ""),
            (vhost_program(guest, qemu), "")):
        if not programs:
            continue
        cases += virthost.try_again(functools.partial(cases_in_kernel, kernel,
                                                      programs, append))
    return print_tap(cases)


if __name__ == "__main__":
    sys.exit(main())
