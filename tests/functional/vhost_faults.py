# SPDX-License-Identifier: GPL-2.0-or-later
"""What QEMU cannot have, and what is taken away from it, with vhost=on.

test_vhost.py runs these.  No guest runs: the test is the card's driver.
"""

from harness.functional.guests import EBPF, NO_HELPER
from harness.qtest import rig
from harness.qtest.faults import (DENY, Refusal, delete_tap, leave_free,
                                  open_numbers)
from harness.qtest.migration import MigrationCase
from harness.qtest.rig import QUEUES, all_to, rows, spread
from harness.qtest.virtio_net import ERR, OK

from test_fallback import FallbackCase, started

REFUSED = "cannot attach the steering program to the tap: "
NO_QUEUE = "cannot enable queue 2: "


class BpfRefusedVhost(FallbackCase):
    """bpf() is refused, as in a container: RSS is not offered."""

    @rows({
        "bpf() answers EPERM": ("EPERM", "Operation not permitted"),
        "bpf() answers ENOSYS": ("ENOSYS", "Function not implemented"),
    })
    def check_refused(self, error, words):
        with started(NO_HELPER, prefix=[DENY, error]) as machine:
            self.assert_one_warning(machine.warnings(), "RSS is not offered",
                                    words)
            rss = machine.rss()
            self.assertFalse(rss["offered"])
            self.assertIn(words, rss["reason"])
        self.assert_refused(f"rss-engine={EBPF}," + NO_HELPER, words,
                            prefix=[DENY, error])


class TakenAwayVhost(MigrationCase):
    """The tap, or that it takes the program, or all descriptors."""

    def setUp(self):
        super().setUp()
        self.refusal = self.enterContext(Refusal())
        self.begin(EBPF, vhost=True, prefix=self.refusal.prefix)

    def assert_stays(self, pairs, warnings, words=REFUSED):
        """RSS is off as it was, with so many queues; why is told once."""
        rss = self.card.machine.rss()
        self.assertEqual((rss["engine"], rss["table"], rss["queue-pairs"]),
                         ("automatic", [], pairs))
        found = self.card.machine.warnings()
        self.assertEqual(len(found), warnings, found)
        self.assertIn("net0: " + words, found[-1])
        if words == REFUSED:
            self.assertIn(words, rss["reason"])

    @rows({
        "program refused, the same queues": (QUEUES, QUEUES),
        "program refused, more queues": (2, QUEUES),
        "program refused, fewer queues": (QUEUES, 2),
    })
    def check_refused(self, before, after):
        """RSS_CONFIG is refused as long as the tap refuses the program."""
        for round_number in (1, 2):
            self.assertEqual(self.nic.set_pairs(before), OK)
            self.refusal.begin()
            for count in range(3 * round_number - 2, 3 * round_number + 1):
                self.assertEqual(self.nic.set_rss(spread(), after), ERR)
                self.assert_stays(before, round_number)
                refused = self.card.machine.traces("virtio_net_rss_refuse")
                self.assertEqual(len(refused), count)
                self.assertIn(REFUSED, refused[-1])
            places = self.pass_frames(rig.flows(64, seed=1))
            self.assertEqual(set(places.values()), set(range(before)))
            self.refusal.end()
            self.set_rss(spread(), after)
            self.assert_steers(spread(), queues=after)

    def test_tap_deleted(self):
        """What steers goes on; what is new is refused."""
        self.set_rss(spread())
        delete_tap(self.card)
        self.assertEqual(self.nic.set_rss(all_to(1), QUEUES), OK)
        self.assertEqual(self.card.machine.rss()["table"], [1])
        self.assertEqual(self.nic.set_pairs(QUEUES), OK)
        for _ in range(2):
            self.assertEqual(self.nic.set_rss(spread(), QUEUES), ERR)
            self.assert_stays(QUEUES, 1)

    def test_tap_deleted_then_more_queues(self):
        self.assertEqual(self.nic.set_pairs(2), OK)
        delete_tap(self.card)
        self.assertEqual(self.nic.set_rss(spread(), QUEUES), ERR)
        self.assert_stays(2, 1, NO_QUEUE)
        self.assertEqual(self.nic.set_pairs(QUEUES), ERR)
        self.assert_stays(2, 1, NO_QUEUE)

    def test_tap_deleted_then_a_reset(self):
        self.set_rss(spread())
        delete_tap(self.card)
        for _ in range(2):
            self.card.machine.qmp("system_reset")
            self.nic = self.card.start()
            self.assertEqual(self.nic.set_rss(spread(), QUEUES), ERR)

    def test_no_descriptors(self):
        """The guest does not notice."""
        self.set_rss(spread())
        leave_free(self.card.machine, 0)
        before = open_numbers(self.card.machine)
        for seed in range(20):
            self.assertEqual(self.nic.set_rss(spread(seed=seed), QUEUES), OK)
        self.assertEqual(self.nic.set_pairs(QUEUES), OK)
        self.set_rss(spread(seed=3))
        self.assert_steers(spread(seed=3))
        self.assertEqual(open_numbers(self.card.machine), before)
        self.assertEqual(self.card.machine.warnings(), [])

    @rows({
        "migration to a host without eBPF, configured": True,
        "migration to a host without eBPF, nothing configured yet": False,
    })
    def check_migration(self, configured):
        """To a host without eBPF: an error that says why."""
        if configured:
            self.set_rss(spread())
        self.assert_not_taken(
            "the guest uses RSS, which is unavailable here: with vhost it "
            "needs the eBPF engine: ", NO_HELPER, without_bpf=True)
