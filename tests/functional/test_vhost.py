#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""vhost=on: the tests of a guest, of fallbacks, of faults, of migration.

They run on this machine if it has vhost-net; else in a virtual host
(docs/devel/testbed.rst), all of them in one.  In both cases by this same
file, started with FUNCTIONAL_VHOST=on, whose results are told here.
"""

import contextlib
import os
import subprocess

from harness.functional.elsewhere import command, in_virtual_host, tell
from harness.functional.guests import (EBPF, NO_HELPER, VHOST, Case,
                                       Unprivileged, VmError, flows,
                                       run_tests, tested_qemu)
from harness.vm.steering import rx_packets

import test_fallback
import test_guest
import test_guest_migration
from test_fallback import NOT_PERMITTED, started
from vhost_faults import BpfRefusedVhost, TakenAwayVhost    # noqa: F401

TIMEOUT = 1000


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

    def configured(self):
        """Let the guest set RSS; return what it has set and received.

        It migrates then, and in the end goes on here.
        """
        self.make_folder()
        self.guest.set_key(4)
        self.ethtool("-X eth0 weight 4 1 2 1")
        self.addCleanup(self.guest.qmp, "cont")
        return self.guest.config(), rx_packets(self.guest)

    def saved(self):
        """Save the guest; return the path, what it has set and received."""
        config, received = self.configured()
        return self.save(self.guest, "saved"), config, received

    def test_migration(self):
        path, config, received = self.saved()
        guest = self.restored(path)
        self.assert_goes_on(guest, EBPF, config, received)
        config = self.set_another(guest)
        self.assert_query(EBPF, config, guest)
        self.assert_received(flows(), config.queue, guest)

    def test_migration_by_socket(self):
        """Into a QEMU that waits for it."""
        config, received = self.configured()
        guest = self.incoming()
        uri = f"unix:{self.folder}/socket"
        guest.qmp("migrate-incoming", {"uri": uri})
        self.guest.migrate(uri)
        test_guest_migration.arrived(guest)
        self.assert_goes_on(guest, EBPF, config, received)

    def test_migration_to_a_host_without_eBPF_is_an_error(self):
        """The guest uses what is not there: QEMU refuses it, and says so.

        The guest that was saved goes on as if nothing had happened.
        """
        path = self.saved()[0]
        guest = self.incoming(options=NO_HELPER,
                              qemu=Unprivileged(tested_qemu()))
        with contextlib.suppress(VmError):      # it may end while it is asked
            guest.qmp("migrate-incoming", {"uri": f"exec:cat {path}"})
        self.assertEqual(guest.process.wait(30), 1)
        errors = [line for line in guest.messages() if "warning" not in line]
        self.assertIn("with vhost it needs the eBPF engine", errors[0])
        self.assertIn(NOT_PERMITTED, errors[0])
        self.guest.qmp("cont")
        self.assert_on()


class FallbackVhost(test_fallback.FallbackCase):
    """vhost=on: QEMU sees no packet, so the kernel must steer."""

    def test_no_capability_RSS_is_not_offered(self):
        with started(NO_HELPER, without_bpf=True) as machine:
            self.assert_one_warning(machine.warnings(), "RSS is not offered",
                                    "with vhost", NOT_PERMITTED)
            rss = machine.rss()
            self.assertFalse(rss["offered"])
            self.assertIn(NOT_PERMITTED, rss["reason"])

    def test_hash_report_is_not_offered(self):
        """RSS is, and by eBPF."""
        with started("hash=on,hash-node=/nonexistent") as machine:
            self.assert_one_warning(
                machine.warnings(), "hash reports are not offered",
                "not supported with vhost", "cannot open /nonexistent")
            rss = machine.rss()
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
            self.assertEqual(machine.warnings(), [])
            self.assertTrue(machine.rss()["offered"])


# --- where the tests above run ---

def output():
    environment = {"FUNCTIONAL_VHOST": "on"}
    if os.access("/dev/vhost-net", os.R_OK | os.W_OK):
        return subprocess.run(command(__file__, environment),
                              stdout=subprocess.PIPE, text=True,
                              timeout=TIMEOUT, check=False).stdout
    return in_virtual_host(
        __file__, {**environment, "FUNCTIONAL_ACCEL": "kvm"}, TIMEOUT)


def load_tests(_loader, tests, _pattern):
    return tests if VHOST else tell(tests, output)


if __name__ == "__main__":
    run_tests(__file__)
