#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A Linux guest on a card that reports hashes (hash=on, vhost=off).

The reported hashes themselves are compared in tests/qtest/test_packets.py.
"""

from harness.functional.guests import (AUTOMATIC, SOFTWARE, Case, RssGuest,
                                       flows, run_tests, steering, why_not)

FEATURE_HASH_REPORT = 57


class HashReport(Case):
    """The engine is left to QEMU, which has to take the software."""

    @classmethod
    def setUpClass(cls):
        if not why_not():
            cls.counting_runs()
            cls.guest = cls.enterClassContext(
                RssGuest("hash=on,rss-counters=on"))

    def negotiated(self, feature):
        bits = self.guest.shell("cat /sys/class/net/eth0/device/features")
        return bits.strip()[feature] == "1"

    def assert_software(self, config):
        """The software engine steers by this configuration."""
        rss = self.assert_query(SOFTWARE, config)
        self.assertTrue(rss["hash-report"])
        self.assertEqual(rss["reason"], "hash reports need the software engine")
        runs = self.guest.program_runs()
        self.assert_each_received(flows(64), config.queue)
        self.assertEqual(self.guest.program_runs(), runs,
                         "a steering program runs, too")

    def test_both_features_are_negotiated(self):
        self.assertTrue(self.negotiated(FEATURE_HASH_REPORT))
        self.assertTrue(self.negotiated(steering.FEATURE_RSS))
        self.assertEqual(self.guest.warnings(), [])

    def test_steering_follows_the_table(self):
        for weights in ("1 1 1 1", "6 1 1 0", "0 0 0 1"):
            self.guest.shell("ethtool -X eth0 weight " + weights)
            self.assert_software(self.guest.config())

    def test_steering_follows_key_and_types(self):
        self.guest.set_key(5)
        self.guest.shell("ethtool -K eth0 rxhash on")
        self.guest.shell("ethtool -N eth0 rx-flow-hash udp6 sd")
        self.assert_software(self.guest.config())
        self.guest.shell("ethtool -N eth0 rx-flow-hash udp6 sdfn")
        self.assert_software(self.guest.config())

    def test_rxhash_off_and_on(self):
        """Off: no hashes, and no steering by them."""
        self.guest.shell("ethtool -K eth0 rxhash on")
        self.guest.shell("ethtool -X eth0 weight 0 1 2 1")
        for _ in range(2):
            self.guest.shell("ethtool -K eth0 rxhash off")
            config = self.guest.config()
            config.types = 0
            self.assert_software(config)
            self.guest.shell("ethtool -K eth0 rxhash on")
            self.assert_software(self.guest.config())

    def test_L_turns_steering_off(self):
        self.guest.shell("ethtool -X eth0 equal 1")
        self.guest.shell("ethtool -L eth0 combined 3")
        self.addCleanup(self.guest.shell, "ethtool -L eth0 combined 4")
        self.assertEqual(self.guest.rss()["engine"], AUTOMATIC)
        self.assertGreater(sum(1 for count in self.receive(flows(64, seed=1))
                               if count), 1)
        self.guest.shell("ethtool -X eth0 equal 3")
        self.assert_software(self.guest.config())


if __name__ == "__main__":
    run_tests(__file__)
