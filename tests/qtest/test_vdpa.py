#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""RSS and hash reports by a vDPA device, which is the test.

    guest's driver (test) ─▶ QEMU: card, shadow queue ─▶ device (test)

What the guest is offered, that its commands reach the device as it wrote them,
and what the device is told when it starts again, here or on another host.
"""

import functools
import os
import struct

from harness.qtest.machine import QEMU, is_from
from harness.qtest.migration import FILE, MigrationCase
from harness.qtest.rig import KEY, Config, rows, run_tests, spread
from harness.qtest.vdpa import FEATURES, Ask, Device, VdpaCard
from harness.qtest.virtio_net import (CLASS_MQ, ERR, F_HASH_REPORT, F_MQ,
                                      F_RSS, HASH_CONFIG, HASHES,
                                      HASHES_ALONE, OK, RSS_CONFIG,
                                      VQ_PAIRS_SET, RSS_KEY_MAX,
                                      RSS_TABLE_MAX, RSS_TYPES, hash_config,
                                      rss_config)
from harness.rss_reference import (ALL_TYPES, IPV4, NON_EX_TYPES, TCPV6,
                                   UDPV4)
from harness.vm.process import run

RSS, HASH = 1 << F_RSS, 1 << F_HASH_REPORT
RSS_FROM = "10.0"       # by a vDPA device
PAIRS = 4
TABLE = spread(unclassified=2)


@functools.cache
def has_vdpa():
    """Tell whether the QEMU that is tested has the backend."""
    if not os.access(QEMU, os.X_OK):
        return True                     # Machine says what is missing
    return "vhost-vdpa" in run(QEMU, "-machine", "none", "-accel", "qtest",
                               "-netdev", "help")


def pairs_set(pairs):
    return bytes((CLASS_MQ, VQ_PAIRS_SET)) + struct.pack("<H", pairs)


def rss_of(config, pairs=PAIRS):
    return bytes((CLASS_MQ, RSS_CONFIG)) + rss_config(
        config.types, config.table, config.key, pairs, config.unclassified)


def hash_of(types):
    return bytes((CLASS_MQ, HASH_CONFIG)) + hash_config(types, KEY)


class VdpaCase(MigrationCase):
    """A test that starts cards of its own. No tap is needed."""

    @staticmethod
    def why_not():
        return "" if has_vdpa() else "this QEMU is built without vhost-vdpa"

    def open(self, device=None, options="", **how):
        """Start a QEMU."""
        how.setdefault("svq", is_from("10.0"))
        return self.enterContext(VdpaCard(device, options, **how))

    def begin(self, device=None, options="", features=HASHES, **how):
        """And the driver of its card."""
        self.card = self.open(device, options, **how)
        self.nic = self.card.start(features=features)

    def send(self, *commands):
        """The guest sends commands; return what it is answered."""
        return [self.nic.raw_command([command]) for command in commands]

    def assert_told(self, *commands):
        """This is all that the device was told since it was reset last."""
        self.assertEqual(self.card.device.commands, list(commands))


class Offered(VdpaCase):
    """The device decides what the guest is offered."""

    @rows({
        "all": (FEATURES, {}, RSS | HASH),
        "some hash types": (FEATURES, {"hash_types": IPV4 | UDPV4},
                            RSS | HASH),
        "a short key and table": (FEATURES, {"key_size": 16, "table_len": 64},
                                  RSS | HASH),
        "no RSS": (FEATURES & ~RSS, {}, HASH),
        "no hash reports": (FEATURES & ~HASH, {}, RSS),
        "neither": (FEATURES & ~RSS & ~HASH, {}, 0),
    })
    def check_offered(self, features, how, offered):
        """And its sizes and hash types are what the guest sees."""
        expected = {"hash_types": ALL_TYPES, "key_size": 40, "table_len": 128,
                    **how}
        self.begin(Device(features, **how))
        if not is_from(RSS_FROM):
            offered &= ~RSS
        self.assertEqual(self.nic.device.offered() & (RSS | HASH), offered)
        self.assertEqual(self.nic.max_pairs, PAIRS)
        if offered:
            config = self.nic.device.config
            self.assertEqual(
                {"hash_types": config("l", RSS_TYPES),
                 "key_size": config("b", RSS_KEY_MAX),
                 "table_len": config("w", RSS_TABLE_MAX)}, expected)

    @rows({
        "auto, some hash types": ("", IPV4 | UDPV4, IPV4 | UDPV4),
        "on, and the device has it": ("hash-udp4=on", IPV4 | UDPV4,
                                      IPV4 | UDPV4),
        "on, and the device lacks it": ("hash-tcp6=on", IPV4 | UDPV4, None),
        "off": ("hash-ipv4=off", ALL_TYPES, ALL_TYPES & ~IPV4),
    })
    def check_properties(self, options, has, offered):
        """10.2's properties of hash types."""
        if not is_from("10.2"):
            self.skipTest("there are hash-ipv4 and so on from 10.2 on")
        self.begin(Device(hash_types=has), options)
        self.assertEqual(self.nic.device.offered() & (RSS | HASH),
                         0 if offered is None else RSS | HASH)
        if offered is not None:
            self.assertEqual(self.nic.device.config("l", RSS_TYPES), offered)

    def test_no_more_than_QEMU_keeps(self):
        """What is more it would refuse, when the device has accepted it."""
        self.begin(Device(key_size=52, table_len=512))
        self.assertEqual((self.nic.device.config("b", RSS_KEY_MAX),
                          self.nic.device.config("w", RSS_TABLE_MAX)),
                         (40, 128))

    def test_no_more_pairs_than_QEMU_has(self):
        """Without MQ that is one, and RSS makes a guest look for more."""
        self.begin(Device(FEATURES & ~(1 << F_MQ)))
        self.assertEqual(self.nic.max_pairs, 1)


QUEUES = {"shadow queues": (True, False),
          "a shadow control queue": (False, True),
          "the guest's control queue": (False, False)}


class Commands(VdpaCase):
    """What the guest writes is what the device gets, and answers."""

    def begin_by(self, svq, isolated):
        if svq and not is_from("10.0"):
            self.skipTest("7.2 has no shadow queues for a device with RSS")
        self.begin(Device(isolated=isolated), svq=svq)

    @rows(QUEUES, "by ")
    def check_command(self, *queues):
        self.begin_by(*queues)
        commands = [pairs_set(3), hash_of(UDPV4), pairs_set(PAIRS)]
        if is_from(RSS_FROM):
            commands += [rss_of(TABLE), rss_of(Config(IPV4, KEY, [3], 3)),
                         hash_of(UDPV4), rss_of(spread(seed=1), 2),
                         rss_of(Config(0, b"", [0], 0))]
        before = self.card.device.commands[:]
        self.assertEqual(self.send(*commands), [OK] * len(commands))
        self.assert_told(*before, *commands)

    @rows(QUEUES, "refused by ")
    def check_refused(self, *queues):
        """And nothing changes in QEMU."""
        self.begin_by(*queues)
        self.send(rss_of(TABLE) if is_from(RSS_FROM) else hash_of(UDPV4))
        rss = self.card.machine.rss()
        for command in (pairs_set(1), hash_of(IPV4), rss_of(spread(seed=1))):
            self.card.device.refuses = command[:2]
            self.assertEqual(self.send(command), [ERR])
            self.assertEqual(self.card.device.commands[-1], command)
            self.assertEqual(self.card.machine.rss(), rss)


# What a guest has negotiated and asked for -> what a device is told later.
TOLD = {
    "nothing": (HASHES, [], [pairs_set(1)]),
    "queues": (HASHES, [pairs_set(3)], [pairs_set(3)]),
    "RSS": (HASHES & ~HASH, [rss_of(TABLE)],
            [pairs_set(PAIRS), rss_of(TABLE)]),
    "RSS, hash reports": (HASHES, [rss_of(TABLE)],
                          [pairs_set(PAIRS), rss_of(TABLE)]),
    "RSS, then other hash types": (
        HASHES, [rss_of(TABLE), hash_of(IPV4)],
        [pairs_set(PAIRS), rss_of(Config(IPV4, KEY, TABLE.table, 2))]),
    "RSS without hash types": (
        HASHES, [rss_of(Config(0, KEY, [0, 3], 2))],
        [pairs_set(PAIRS), rss_of(Config(0, KEY, [0, 3], 2))]),
    "RSS, off": (HASHES, [rss_of(TABLE), pairs_set(3)], [pairs_set(3)]),
    "hash reports": (HASHES_ALONE, [pairs_set(PAIRS), hash_of(NON_EX_TYPES)],
                     [pairs_set(PAIRS), hash_of(NON_EX_TYPES)]),
    "hash reports, RSS negotiated": (
        HASHES, [pairs_set(PAIRS), hash_of(NON_EX_TYPES)],
        [pairs_set(PAIRS), hash_of(NON_EX_TYPES)]),
}


class Again(VdpaCase):
    """A device that starts is told what the guest has configured before."""

    def setUp(self):
        super().setUp()
        if not is_from(RSS_FROM):
            self.skipTest("before, a device is told how many queues only")

    def ask(self, features, commands):
        """Start a card, and configure it."""
        self.begin(features=features)
        self.assertEqual(self.send(*commands), [OK] * len(commands))

    @rows(TOLD, "after a stop: ")
    def check_stop(self, features, commands, told):
        self.ask(features, commands)
        self.card.machine.qmp("stop")
        self.card.machine.qmp("cont")
        self.assert_told(*told)

    @rows(TOLD, "after a reset: ")
    def check_reset(self, features, commands, _):
        """What was before is forgotten."""
        self.ask(features, commands)
        self.nic = self.card.start(features=features)
        self.assert_told(pairs_set(1))

    @rows(TOLD, "after a migration: ")
    def check_migration(self, features, commands, told):
        self.ask(features, commands)
        self.go_on_with(self.open(arguments=["-incoming", "defer"]), FILE)
        self.assert_told(*told)
        self.assertEqual(self.send(pairs_set(2)), [OK])
        self.assert_told(*told, pairs_set(2))


class Shown(VdpaCase):
    """x-query-rss and info rss tell who steers."""

    def need_rss(self):
        if not is_from(RSS_FROM):
            self.skipTest("before, there is no RSS by a vDPA device")

    def test_device(self):
        self.need_rss()
        self.begin()
        self.assertEqual(self.send(rss_of(TABLE)), [OK])
        rss = self.card.machine.rss()
        self.assertEqual((rss["engine"], rss["hash-reporter"]),
                         ("device", "device"))
        self.assertEqual((rss["table"], rss["unclassified-queue"]),
                         (TABLE.table, 2))
        self.assert_words(self.card.machine.info_rss(),
                          "engine device (the vDPA device steers by itself)",
                          "hash reporter device")
        self.assertEqual(self.card.machine.warnings(), [])

    def test_past_QEMU(self):
        """It does not know what the guest asked for, and says so."""
        self.begin(svq=False)
        rss = self.card.machine.rss()
        self.assertEqual(rss["hash-reporter"], "device")
        self.assert_words(rss["hash-reason"], "past QEMU")
        self.need_rss()
        self.assertEqual(rss["engine"], "device")
        self.assert_words(rss["reason"], "past QEMU")

    @rows({
        "no RSS": (FEATURES & ~RSS, "", ["RSS is not offered to the guest",
                                         "the vDPA device does not support"]),
        "no hash reports": (FEATURES & ~HASH, "",
                            ["hash reports are not offered to the guest",
                             "the vDPA device does not support"]),
        "a type that is on is missing": (
            FEATURES, "hash-tcp6=on",
            ["RSS is not offered", "hash reports are not offered",
             "does not offer all hash types that are on"]),
    })
    def check_warnings(self, features, options, words):
        """What was asked for and is not to be had is said."""
        self.need_rss()
        if options and not is_from("10.2"):
            self.skipTest("there are hash-ipv4 and so on from 10.2 on")
        card = self.open(Device(features, hash_types=ALL_TYPES & ~TCPV6),
                         options)
        self.assert_words("".join(card.machine.warnings()), *words)
        rss = card.machine.rss()
        self.assertIn(words[-1], rss["reason"] + rss["hash-reason"])

    def test_software(self):
        """It never sees a packet."""
        with self.assert_error("rss-engine=software", "vhost-vdpa"):
            self.open(options="rss-engine=software")


class Bad(VdpaCase):
    """A device that is out of order does not end QEMU."""

    def test_no_config(self):
        """It is not known which hash types it has: none are offered."""
        self.begin(Device(FEATURES & ~(1 << F_MQ), fails=[Ask.GET_CONFIG]))
        self.assertEqual(self.nic.device.offered() & (RSS | HASH), 0)

    def test_no_sizes(self):
        self.begin(Device(hash_types=0, key_size=0, table_len=0))
        self.assertEqual(self.send(pairs_set(2), pairs_set(3)), [OK, OK])

    @rows({"a stop": ("stop", {}),
           "a link that goes down": ("set_link", {"name": "net0",
                                                  "up": False})})
    def check_left_over(self, command, arguments):
        """What a device that is gone has not taken is QEMU's when it ends."""
        self.begin(svq=False)
        self.card.device.close()
        self.nic.raw_command([pairs_set(2)], timeout=0)
        self.card.machine.qmp(command, arguments)
        self.assertEqual(self.card.machine.rss()["queue-pairs"], 2)


if __name__ == "__main__":
    run_tests(__file__)
