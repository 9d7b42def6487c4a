#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The last command wins: VQ_PAIRS_SET, RSS_CONFIG, HASH_CONFIG and resets.

Where RSS is off, the kernel's automatic steering is what puts different
flows on different queues.
"""

import struct

from harness.qtest.rig import (AUTOMATIC, EBPF, KEY, QUEUES, SOFTWARE, Config,
                               TapCase, all_to, flows, rows, run_tests, spread)
from harness.qtest.virtio_net import (ERR, FEATURES, F_CTRL_VQ, F_MQ, F_RSS,
                                      HASHES, HASHES_ALONE, HASH_CONFIG, OK,
                                      RSS_CONFIG, VQ_PAIRS_SET, WITHOUT_RSS,
                                      hash_config, rss_config)
from harness.rss_reference import NON_EX_TYPES, UDPV4

# What a driver may send, and must not.
REFUSED_PAIRS = {
    "0 pairs": struct.pack("<H", 0),
    "n + 1 pairs": struct.pack("<H", QUEUES + 1),
    "32768 pairs": struct.pack("<H", 0x8000),
    "32769 pairs": struct.pack("<H", 0x8001),
    "65535 pairs": struct.pack("<H", 0xffff),
    "one byte": b"\x02",
    "no bytes": b"",
}

# Windows: RSS off, so many queue pairs. (table, pairs, answer)
WINDOWS_OFF = {
    "4 pairs": ([0], QUEUES, OK),
    "1 pair": ([0], 1, OK),
    "with a table": ([0, 1, 2, 3], QUEUES, OK),
    "0 pairs": ([0], 0, ERR),
    "n + 1 pairs": ([0], QUEUES + 1, ERR),
    "entry n": ([QUEUES], QUEUES, ERR),
}


class LastCommand:
    """The tests; engines follow."""

    def setUp(self):
        super().setUp()
        self.before = all_to(2)
        self.set_rss(self.before)

    def assert_off(self, pairs=QUEUES):
        """RSS is off in every respect."""
        self.assertIsNone(self.card.engine())
        attached = self.card.machine.traces("virtio_net_rss_attach")
        detached = self.card.machine.traces("virtio_net_rss_detach")
        self.assertEqual(len(attached), len(detached),
                         "a program is still attached")
        if pairs == QUEUES:
            self.assert_automatic()
        elif pairs == 1:
            self.assertEqual(set(self.pass_frames(flows()).values()), {0})

    def test_VQ_PAIRS_SET_turns_RSS_off(self):
        self.assertEqual(self.nic.set_pairs(QUEUES), OK)
        self.assert_off()

    def test_VQ_PAIRS_SET_1_turns_RSS_off(self):
        self.assertEqual(self.nic.set_pairs(1), OK)
        self.assert_off(pairs=1)

    def test_RSS_CONFIG_turns_it_on_again(self):
        for queue in (3, 0, 2):
            self.assertEqual(self.nic.set_pairs(QUEUES), OK)
            self.set_rss(all_to(queue))
            self.assert_steers(all_to(queue))

    def test_RSS_CONFIG_after_fewer_pairs(self):
        """The table names queues that are not there before it."""
        for pairs in (1, 3, 2):
            self.assertEqual(self.nic.set_pairs(pairs), OK)
            self.set_rss(spread())
            self.assert_steers(spread())

    @rows(REFUSED_PAIRS, "refused: VQ_PAIRS_SET, ")
    def check_refused_pairs(self, data):
        self.assertEqual(self.nic.command(VQ_PAIRS_SET, data), ERR)
        self.assert_steers(self.before)

    @rows(WINDOWS_OFF, "Windows' RSS off: ")
    def check_windows_off(self, table, pairs, answer):
        data = rss_config(0, table, b"", pairs)
        self.assertEqual(self.nic.command(RSS_CONFIG, data), answer)
        if answer == OK:
            self.assert_off(pairs)
        else:
            self.assert_steers(self.before)

    def test_pairs_change_while_RSS_is_on(self):
        """Up and down, with tables that name only what there is."""
        for pairs in (1, 4, 2, 3, 1, 2, 4):
            config = spread(range(pairs), seed=pairs)
            self.set_rss(config, pairs)
            self.assert_steers(config, flows(64), pairs)

    def test_fewer_pairs_than_the_table_names(self):
        """A queue that is not active: the one with its number modulo pairs."""
        for pairs in (3, 2, 1):
            self.set_rss(spread(), pairs)
            self.assert_steers(spread(), flows(64), pairs)

    def test_many_changes_in_a_row(self):
        """Only the last one counts, whatever came before it."""
        for step in range(50):
            self.assertEqual(self.nic.set_pairs(step % QUEUES + 1), OK)
            self.assertEqual(self.nic.set_rss(all_to(step % QUEUES),
                                              QUEUES), OK)
        self.set_rss(spread(seed=5))
        self.assert_steers(spread(seed=5))
        for step in range(50):
            self.assertEqual(self.nic.set_rss(all_to(step % QUEUES),
                                              QUEUES), OK)
        self.assertEqual(self.nic.set_pairs(QUEUES), OK)
        self.assert_off()

    def test_HASH_CONFIG_without_hash_report(self):
        """Not negotiated: refused, and RSS stays."""
        self.assertEqual(self.nic.command(
            HASH_CONFIG, hash_config(NON_EX_TYPES, KEY)), ERR)
        self.assert_steers(self.before)

    def test_device_reset(self):
        """A driver that comes later and wants no RSS has none."""
        self.nic.device.reset()
        self.assertIsNone(self.card.engine())
        self.nic.start(WITHOUT_RSS)
        self.assert_off(pairs=1)
        self.assertEqual(self.nic.set_pairs(QUEUES), OK)
        self.assert_off()

    def test_device_reset_and_a_driver_with_RSS(self):
        self.nic.start()
        self.assert_off(pairs=1)
        self.set_rss(spread())
        self.assert_steers(spread())

    def test_features_that_go_away(self):
        """Without a reset: what they allow ends with them."""
        for gone, pairs in (((F_RSS,), QUEUES), ((F_RSS, F_MQ), 1),
                            ((F_CTRL_VQ,), 1)):
            self.nic.start()
            self.set_rss(self.before)
            self.nic.device.accept(FEATURES & ~sum(1 << bit for bit in gone))
            self.assertIsNone(self.card.engine())
            told, = self.card.machine.qmp("x-query-rss")
            self.assertEqual((told["engine"], told["table"],
                              told["queue-pairs"]), (AUTOMATIC, [], pairs))

    def test_system_reset(self):
        self.card.machine.qmp("system_reset")
        self.card.machine.wait_event("RESET")
        self.assertIsNone(self.card.engine())
        self.nic = self.card.start()
        self.assert_off(pairs=1)
        self.assertEqual(self.nic.set_pairs(QUEUES), OK)
        self.assert_off()

    def test_packets_before_the_reset_do_not_come_after_it(self):
        self.card.send(flows(64, seed=7))
        self.nic.start()
        self.card.settle()
        self.nic.collect()                  # what was read after the reset
        self.set_rss(spread())
        self.assert_steers(spread())


class LastCommandEbpf(LastCommand, TapCase):
    engine = EBPF


class LastCommandSoftware(LastCommand, TapCase):
    engine = SOFTWARE


class LastCommandHashReport(LastCommand, TapCase):
    """hash=on, but the driver does not want hashes."""

    engine = EBPF
    insist = False
    options = "hash=on"


class HashConfig(TapCase):
    """HASH_CONFIG beside the other commands, hash reports negotiated."""

    engine = SOFTWARE
    options = "hash=on"
    features = HASHES

    def hash_config(self, types=NON_EX_TYPES, key=KEY, **more):
        return self.nic.command(HASH_CONFIG, hash_config(types, key, **more))

    def report_codes(self):
        """Return the kinds of hashes that packets are reported with."""
        return {packet.header[16] for packet in self.receive(flows())}

    def test_without_RSS_steering_stays_automatic(self):
        """It says what to hash, not where packets go."""
        self.assertEqual(self.nic.set_pairs(QUEUES), OK)
        self.assertEqual(self.hash_config(), OK)
        self.assert_automatic()
        self.assertEqual(self.report_codes(), {2, 3, 5, 6})

    def test_where_RSS_was_not_negotiated(self):
        self.nic.start(HASHES_ALONE)
        self.assertEqual(self.nic.set_pairs(QUEUES), OK)
        self.assertEqual(self.hash_config(), OK)
        self.assert_automatic()
        self.assertEqual(self.report_codes(), {2, 3, 5, 6})

    def test_with_one_pair(self):
        self.nic.start(HASHES_ALONE & ~(1 << F_MQ))
        self.assertEqual(self.hash_config(), OK)
        self.assertEqual(set(self.pass_frames(flows()).values()), {0})

    def test_after_RSS_CONFIG_the_table_stays(self):
        """There is one hash: new types and key steer, too."""
        self.set_rss(spread())
        self.assertEqual(self.hash_config(UDPV4, KEY[:20]), OK)
        self.assert_steers(Config(UDPV4, KEY[:20], spread().table))

    def test_VQ_PAIRS_SET_turns_it_off_where_RSS_is_negotiated(self):
        for turn_on in (self.hash_config,
                        lambda: self.nic.set_rss(spread(), QUEUES)):
            self.assertEqual(turn_on(), OK)
            self.assertEqual(self.nic.set_pairs(QUEUES), OK)
            self.assertEqual(self.report_codes(), {0})

    def test_VQ_PAIRS_SET_leaves_it_where_RSS_is_not_negotiated(self):
        self.nic.start(HASHES_ALONE)
        self.assertEqual(self.hash_config(), OK)
        self.assertEqual(self.nic.set_pairs(QUEUES), OK)
        self.assertEqual(self.report_codes(), {2, 3, 5, 6})

    def test_refused_ones_change_nothing(self):
        self.set_rss(spread())
        good = hash_config(NON_EX_TYPES, KEY)
        bad = [good[:length] for length in range(len(good))] + [
            hash_config(1 << 9, KEY), hash_config(1 << 31, KEY),
            hash_config(NON_EX_TYPES, b""),
            hash_config(NON_EX_TYPES, KEY + b"\0"),
            hash_config(NON_EX_TYPES, KEY, key_len=255)]
        for data in bad:
            self.assertEqual(self.nic.command(HASH_CONFIG, data), ERR,
                             data.hex())
        self.assert_steers(spread())
        self.assertEqual(self.report_codes(), {2, 3, 5, 6})

    def test_no_hash_types_and_no_key(self):
        self.assertEqual(self.hash_config(), OK)
        self.assertEqual(self.hash_config(0, b""), OK)
        self.assertEqual(self.report_codes(), {0})

    def test_after_a_reset_there_are_no_hashes(self):
        self.set_rss(spread())
        self.nic.start(HASHES)
        self.assertEqual(self.report_codes(), {0})


if __name__ == "__main__":
    run_tests(__file__)
