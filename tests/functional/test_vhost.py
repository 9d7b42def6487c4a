#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""vhost=on: the tests of a guest, of fallbacks, of faults, of migration.

They run on this machine if it has vhost-net; else in a virtual host
(docs/devel/testbed.rst), all of them in one.  In both cases by this same
file, started with FUNCTIONAL_VHOST=on, whose results are told here.
"""

import contextlib
import os
import re
import shlex
import subprocess
import sys
import unittest
from pathlib import Path

import test_fallback
import test_guest
import test_guest_migration
from guests import (EBPF, NO_HELPER, TOP, VHOST, Case, Unprivileged, VmError,
                    find_qemu, flows, get_kernel, run_tests)
from test_fallback import NOT_PERMITTED, started
from vhost_faults import BpfRefusedVhost, TakenAwayVhost    # noqa: F401

import privateapt
from vmlib import virthost
from vmlib.steering import rx_packets

TIMEOUT = 900
HERE = Path(__file__).resolve()


class GuestVhost(test_guest.GuestSteps, test_guest_migration.Migrating, Case):
    """A guest that changes its RSS, and migrates."""

    engine = EBPF

    # In these vhost has no part.
    test_info_rss = None
    test_n_shows_what_the_device_has = None
    test_x_shows_what_the_device_has = None
    test_L_with_too_few_queues_is_refused = None
    test_X_default = None
    test_interface_down_and_up = None
    test_X_hfunc_and_contexts = None
    test_X_equal_of_the_upper_queues = None
    test_N_each_set_of_fields = None
    test_N_while_rxhash_is_off = None
    test_changes_while_the_interface_is_down = None
    test_what_has_nothing_to_do_with_RSS = None
    # vhost-net cannot reset a single queue, so Linux does not resize rings.
    test_G_ring_sizes = None

    def saved(self):
        """Save the guest; return the path, what it has set and received."""
        self.make_folder()
        self.guest.set_key(4)
        self.ethtool("-X eth0 weight 4 1 2 1")
        config, received = self.guest.config(), rx_packets(self.guest)
        self.addCleanup(self.guest.qmp, "cont")
        return self.save(self.guest, "saved"), config, received

    def test_migration(self):
        path, config, received = self.saved()
        guest = self.restored(path)
        self.assert_goes_on(guest, EBPF, config, received)
        config = self.set_another(guest)
        self.assert_query(EBPF, config, guest)
        self.assert_received(flows(), config.queue, guest)

    def test_migration_to_a_host_without_eBPF_is_an_error(self):
        """The guest uses what is not there: QEMU refuses it, and says so.

        The guest that was saved goes on as if nothing had happened.
        """
        path = self.saved()[0]
        guest = self.incoming(options=NO_HELPER,
                              qemu=Unprivileged(find_qemu()))
        with contextlib.suppress(VmError):      # it may end while it is asked
            guest.qmp("migrate-incoming", {"uri": f"exec:cat {path}"})
        self.assertEqual(guest.process.wait(30), 1)
        errors = [line for line in guest.messages() if "warning" not in line]
        self.assertIn("with vhost=on takes the eBPF engine", errors[0])
        self.assertIn(NOT_PERMITTED, errors[0])
        self.guest.qmp("cont")
        self.assert_on()


class FallbackVhost(test_fallback.FallbackCase):
    """vhost=on: QEMU sees no packet, so the kernel must steer."""

    def test_no_capability_RSS_is_not_offered(self):
        with started(NO_HELPER, without_bpf=True) as machine:
            self.assert_one_warning(machine, "rss=on is not offered",
                                    "vhost=on", NOT_PERMITTED)
            rss = machine.qmp("x-query-rss")[0]
            self.assertFalse(rss["offered"])
            self.assertIn(NOT_PERMITTED, rss["reason"])

    def test_hash_report_is_not_offered(self):
        """RSS is, and by eBPF."""
        with started("hash=on") as machine:
            self.assert_one_warning(machine, "hash=on is not offered",
                                    "vhost=on")
            rss = machine.qmp("x-query-rss")[0]
            self.assertTrue(rss["offered"])
            self.assertFalse(rss["hash-report"])

    def test_no_capability_but_eBPF_is_insisted_on(self):
        self.assert_refused(f"rss-engine={EBPF}," + NO_HELPER, NOT_PERMITTED,
                            without_bpf=True)

    def test_software_is_refused(self):
        self.assert_refused("rss-engine=software", "rss-engine=software",
                            "vhost=on")

    def test_all_is_well_nothing_is_said(self):
        with started("") as machine:
            self.assertEqual(self.warnings(machine), [])
            self.assertTrue(machine.qmp("x-query-rss")[0]["offered"])


# --- where the tests above run ---

def command(accel):
    """Return the command that runs the tests above where it is started."""
    cache = privateapt.cache_dir().parent
    environment = [f"XDG_CACHE_HOME={cache}", "FUNCTIONAL_VHOST=on",
                   "PYTHONUNBUFFERED=1"]
    if accel:
        environment.append(f"FUNCTIONAL_ACCEL={accel}")
    runner = TOP / "scripts/checklib/unittest_tap.py"
    return ["env", *environment, sys.executable, str(runner), str(HERE)]


def output():
    """Run the tests with vhost=on; return the TAP that they print."""
    if os.access("/dev/vhost-net", os.R_OK | os.W_OK):
        return subprocess.run(command(None), stdout=subprocess.PIPE, text=True,
                              timeout=TIMEOUT, check=False).stdout
    get_kernel()
    print("# in a virtual host", flush=True)
    return virthost.try_again(output_of_virtual_host)


def output_of_virtual_host():
    """Return the TAP that the tests print in a virtual host."""
    with virthost.VirtualHost() as host:
        return host.try_shell(
            "ln -sfn /proc/self/fd /dev/fd; " + shlex.join(command("kvm")),
            TIMEOUT,
            line=lambda text: print("# there: " + text, flush=True))[1]


def read_results(text):
    """Return {test: (passed, reason to skip, what it printed)}."""
    results, lines = {}, []
    for line in text.splitlines():
        match = re.match(r"(not )?ok \d+ (.*?)(?: # SKIP (.*))?$", line)
        if match:
            results[match[2]] = not match[1], match[3], "\n".join(lines)
            lines = []
        else:
            lines.append(line)
    results[""] = False, None, "\n".join(lines)
    return results


class There(unittest.TestCase):
    """One of the tests above, which ran elsewhere."""

    results = None

    def __init__(self, test):
        super().__init__("told")
        self.name = str(test)

    def __str__(self):
        return self.name

    @classmethod
    def setUpClass(cls):
        if os.geteuid() == 0:
            cls.results = read_results(output())

    def told(self):
        """Tell what became of the test."""
        if self.results is None:
            self.skipTest("a tap in a network namespace needs root")
        passed, skipped, text = self.results.get(self.name,
                                                 self.results[""])
        if skipped:
            self.skipTest(skipped)
        if not passed:
            self.fail(text or "it was not run")


def load_tests(_loader, tests, _pattern):
    """Called by unittest: what to run."""
    if VHOST:
        return tests
    return unittest.TestSuite(There(test) for suite in tests
                              for test in suite)


if __name__ == "__main__":
    run_tests(__file__)
