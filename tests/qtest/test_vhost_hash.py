#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Hash reports with vhost=on, from a vhost-net that has them.

    test (AF_PACKET) ─▶ tap ─▶ eBPF program ─▶ vhost: the other program
                                                └▶ a queue's ring, with hashes

The tier kernels runs this in virtual hosts that have /dev/vhost-net-hash
(docs/devel/vhost_net_hash.rst).  The driver is the test, so that it sees each
header as it is.

RSS_TEST_PACKETS=N: so many, under load, and a thousandth of it swaps.
"""

import itertools
import os
import random
import stat
import subprocess
import tempfile
import unittest

from harness.functional import nobody
from harness.functional.vhost_card import HASH, STOCK
from harness.qtest import rig
from harness.qtest.faults import Refusal, delete_tap
from harness.qtest.kernel_objects import (OWN, REPORT, STEERING, names_of,
                                          objects_of, wait_gone)
from harness.qtest.machine import Machine, ebpf_rss_fds
from harness.qtest.migration import MigrationCase
from harness.qtest.ring_load import ANY_QUEUE, FAULTS, RingLoad
from harness.qtest.rig import (AUTO, AUTOMATIC, EBPF, QUEUES, SOFTWARE, Card,
                               OwnCardsCase, all_to, flows, rows, run_tests,
                               spread)
from harness.qtest.virtio_net import (ERR, FEATURES, HASH_CONFIG, HASHES,
                                      HASHES_ALONE, OK, RSS_CONFIG,
                                      hash_config, rss_config)
from harness.rss_reference import (ALL_TYPES, IPV4, IPV6, KEY, NON_EX_TYPES,
                                   UDPV4, Config)
from harness.vm import traffic
from harness.vm.process import wait_until
from harness.vm.tapnet import OpenTapNet, TapNet

import test_last_command
import test_packets
from test_killed import IN_TAP

IN_FORCE_TIMEOUT = 30
PACKETS = int(os.environ.get("RSS_TEST_PACKETS") or 100000)
SWAPS = PACKETS // 1000     # of the programs
ENDLESS = 1 << 40           # packets
PAUSE = 0.0002              # s between two looks at the control queue
STOPS = 50                  # swaps between two stops of the machine
MEMLOCK = 128 << 10         # what the message speaks of
NO_NODE = "hash-node=/nonexistent"
NOT_OFFERED = "net0: hash reports are not offered to the guest: "


def setUpModule():
    """Without the node no test of this file runs: one skip tells of it."""
    if not os.access(HASH, os.R_OK | os.W_OK):
        raise unittest.SkipTest(f"there is no {HASH}")


def hash_of(packet):
    """Return (value, report code) as the header has them."""
    return (int.from_bytes(packet.header[12:16], "little"),
            int.from_bytes(packet.header[16:18], "little"))


class Waits:
    """Tests that ask for what is in force, not for what is going to be."""

    def wait_settled(self):
        """Wait until no configuration is on its way."""
        def settled():
            rss = self.card.machine.rss()
            return not any("in force" in rss[name]
                           for name in ("reason", "hash-reason"))

        self.assertTrue(wait_until(settled, IN_FORCE_TIMEOUT, 0.001))

    def wait_in_force(self, _config, _queues=QUEUES):
        self.wait_settled()

    def assert_hashes(self, config, queues=QUEUES, steers=True):
        """Queue and hash of each packet are the reference's."""
        for packet in self.receive(flows()):
            self.assertEqual(hash_of(packet), config.hash(packet.frame),
                             packet.frame.hex())
            if steers:
                self.assertEqual(packet.queue,
                                 config.queue(packet.frame) % queues)

    def assert_reporter(self, reporter, engine=EBPF):
        rss = self.card.machine.rss()
        self.assertEqual((rss["hash-reporter"], rss["engine"]),
                         (reporter, engine), rss)
        self.assertIn(f"hash reporter {reporter} (",
                      self.card.machine.info_rss())
        return rss


class Shared(Waits):
    """A card that all tests of a class share."""

    engine = EBPF

    @classmethod
    def card_of(cls):
        return Card(EBPF, cls.options, vhost=True)


class HashConfigVhost(Shared, test_last_command.HashConfig):
    """HASH_CONFIG beside the other commands."""

    def hash_config(self, *arguments, **more):
        answer = super().hash_config(*arguments, **more)
        self.wait_settled()
        return answer


class HashReportVhost(Shared, test_packets.HashReportTap):
    """The header of each packet has the reference's hash and type."""


class Life(Waits, OwnCardsCase):
    """What a card goes through."""

    def begin_hashes(self, **how):
        self.begin(EBPF, "hash=on", HASHES, vhost=True, **how)

    def assert_none(self):
        self.assertEqual({hash_of(packet) for packet in self.receive(flows())},
                         {(0, 0)})

    def set_hashes(self, types=NON_EX_TYPES, key=KEY):
        self.assertEqual(self.nic.command(HASH_CONFIG,
                                          hash_config(types, key)), OK)
        self.wait_settled()

    def test_both_are_told(self):
        self.begin_hashes()
        self.set_rss(spread())
        self.assert_hashes(spread())
        rss = self.assert_reporter("vhost")
        self.assertEqual(rss["hash-reason"],
                         "the program is attached to vhost-net")
        self.assertEqual(self.card.machine.warnings(), [])

    def test_hash_reports_alone(self):
        """Without rss=on; the tap steers as it likes."""
        with TapNet(QUEUES) as net, Card(
                None, "rss=off,hash=on", net=net, vhost=True) as self.card:
            self.nic = self.card.start(features=HASHES_ALONE)
            self.assertEqual(self.nic.set_pairs(QUEUES), OK)
            self.set_hashes()
            self.assert_hashes(Config(NON_EX_TYPES, KEY, [0]), steers=False)
            self.assert_automatic()
            self.assert_reporter("vhost", AUTOMATIC)
            self.assertEqual(self.card.machine.warnings(), [])

    def test_RSS_CONFIG_while_hashes_are_reported(self):
        self.begin_hashes()
        self.assertEqual(self.nic.set_pairs(QUEUES), OK)
        self.set_hashes(UDPV4, KEY[::-1])
        self.assert_reporter("vhost", AUTOMATIC)
        self.set_rss(spread())
        self.assert_hashes(spread())
        self.set_rss(spread(types=0))
        self.assert_none()
        self.assert_reporter("none")
        self.set_hashes()
        self.assert_hashes(spread())

    def test_reset(self):
        self.begin_hashes()
        for seed in range(3):
            config = spread(types=ALL_TYPES, seed=seed,
                            key=random.Random(seed).randbytes(40))
            self.set_rss(config)
            self.assert_hashes(config)
            self.nic = self.card.start(features=HASHES)
            self.assert_none()
            self.assert_reporter("none", AUTOMATIC)

    def test_a_driver_that_has_no_hash_reports(self):
        """After one that had, and before another."""
        self.begin_hashes()
        self.set_rss(spread())
        self.nic = self.card.start(features=FEATURES)
        self.set_rss(spread())
        self.assert_steers(spread())
        self.assertEqual(self.card.machine.rss()["hash-reporter"], "none")
        self.nic = self.card.start(features=HASHES)
        self.set_rss(spread())
        self.assert_hashes(spread())

    def test_queue_pairs_that_grow_and_shrink(self):
        self.begin_hashes()
        for pairs in (1, 2, 4, 3, 4, 1):
            self.set_rss(spread(seed=pairs), pairs)
            self.assert_hashes(spread(seed=pairs), pairs)

    def test_many_configurations(self):
        """Each packet has hash and queue of the last one."""
        self.begin_hashes()
        for seed in range(40):
            key = random.Random(seed).randbytes(40)
            self.assertEqual(self.nic.set_rss(spread(seed=seed, key=key),
                                              QUEUES), OK)
        self.wait_settled()
        self.assert_hashes(spread(seed=seed, key=key))

    def test_hot_plug(self):
        """A card that insists, first on a host without the node."""
        net = self.enterContext(TapNet(QUEUES))
        machine = self.enterContext(Machine([], net))
        machine.qmp("netdev_add", {
            "type": "tap", "id": "net0", "ifname": net.name, "vhost": True,
            "script": "no", "downscript": "no", "queues": QUEUES})
        card = {"driver": "virtio-net-pci", "id": "card", "netdev": "net0",
                "mq": True, "rss": True, "hash": True, "rss-engine": EBPF,
                "romfile": ""}
        with self.assert_error("hash reports are unavailable"):
            machine.plug(**card, **{"hash-node": "/nonexistent"})
        machine.plug(**card)
        self.assertEqual(machine.warnings(), [])
        self.assertTrue(machine.rss()["offered"])

    def test_netdev_deleted(self):
        self.begin_hashes()
        self.set_rss(spread())
        self.card.machine.qmp("netdev_del", {"id": "net0"})
        rss = self.card.machine.rss()
        self.assertEqual((rss["hash-reporter"], rss["hash-reason"]),
                         ("none", "the netdev was deleted"))
        self.assertEqual(self.nic.set_rss(all_to(1), QUEUES), OK)
        self.nic = self.card.start(features=HASHES)
        self.assertEqual(self.card.machine.warnings(), [])

    def test_tap_deleted(self):
        self.begin_hashes()
        self.set_rss(spread())
        delete_tap(self.card)
        self.set_hashes(UDPV4)
        self.nic = self.card.start(features=HASHES)
        self.assertEqual(self.nic.set_rss(spread(), QUEUES), ERR)

    def test_killed(self):
        """vhost keeps nothing; on the same tap the next QEMU is right."""
        with TapNet(QUEUES) as net:
            self.begin_hashes(net=net, netdev=OWN)
            self.set_rss(spread())
            self.assertEqual(objects_of(OWN),
                             names_of(OWN, STEERING + REPORT))
            self.card.machine.process.kill()
            self.card.machine.process.wait(10)
            self.assertIn(wait_gone(OWN, IN_TAP), ([], IN_TAP))
            self.begin_hashes(net=net)
            self.set_rss(spread(seed=1))
            self.assert_hashes(spread(seed=1))

    def test_the_module_stays_while_a_card_is_there(self):
        self.begin_hashes()
        self.set_rss(spread())
        done = subprocess.run(["rmmod", "vhost_net_hash"], check=False,
                              capture_output=True, text=True)
        self.assertIn("in use", done.stderr)
        self.assert_hashes(spread())

    def test_a_refused_RSS_CONFIG_changes_no_hash(self):
        """The tap takes no program; hashes are reported already."""
        refusal = self.enterContext(Refusal())
        self.begin_hashes(prefix=refusal.prefix)
        self.assertEqual(self.nic.set_pairs(QUEUES), OK)
        self.set_hashes()
        refusal.begin()
        self.assertEqual(self.nic.set_rss(
            spread(types=UDPV4, key=KEY[::-1]), QUEUES), ERR)
        self.wait_settled()
        self.assert_hashes(Config(NON_EX_TYPES, KEY, [0]), steers=False)
        self.assert_one_warning(self.card.machine.warnings(),
                                "RSS and hash reports are unchanged")


class Load(Waits, OwnCardsCase):
    """What a stream meets while its card is configured without a pause."""

    frames = [frame for frames in traffic.flows(
        7, 8, traffic.CLASSES + traffic.OTHER_CLASSES).values()
        for frame in frames]

    def begin_stream(self, choices, packets):
        """Start it on a card that has the first choice in force."""
        self.begin(EBPF, "hash=on", HASHES, vhost=True)
        self.nic.control.pause = PAUSE
        self.set_rss(choices[0])
        return self.enterContext(RingLoad(
            self.card, self.frames,
            [choice if callable(choice) else self.choice_of(choice)
             for choice in choices], packets))

    @staticmethod
    def choice_of(config):
        return lambda frame: (*config.hash(frame), config.queue(frame))

    @staticmethod
    def rss_command(config):
        return RSS_CONFIG, rss_config(config.types, config.table, config.key,
                                      QUEUES)

    def end_stream(self, load, what):
        """Nothing may have happened to a packet; return the counts."""
        counts, errors = load.end()
        print(f"# {what}: {counts}", flush=True)
        self.assertTrue(counts, errors)
        self.assertEqual([name for name in FAULTS if counts[name]], [],
                         f"{counts}\n{errors}")
        self.assertEqual(self.card.machine.warnings(), [])
        return counts

    def test_configurations_that_replace_each_other(self):
        """Each packet's hash is of one of them, and its queue, too."""
        configs = [spread(), spread(types=IPV4 | IPV6, seed=1, key=KEY[::-1])]
        for frame in self.frames[:32]:      # TCP and UDP
            whole = {config.hash(frame) for config in configs}
            for types, key in ((configs[0].types, configs[1].key),
                               (configs[1].types, configs[0].key)):
                self.assertNotIn(Config(types, key, [0]).hash(frame), whole)
        # HASH_CONFIG leaves the table of the last RSS_CONFIG.
        a_b, b_a = [Config(one.types, one.key, other.table)
                    for one, other in (configs, configs[::-1])]
        load = self.begin_stream([configs[0], b_a, configs[1], a_b], PACKETS)
        commands = [command for config in configs for command in (
            (HASH_CONFIG, hash_config(config.types, config.key)),
            self.rss_command(config))]
        for changes in itertools.count():
            if not load.runs():
                break
            self.assertEqual(self.nic.command(*commands[changes % 4]), OK)
        counts = self.end_stream(load, f"{changes} configurations")
        self.assertEqual(counts["packets"], PACKETS)
        self.assertGreater(min(counts["choice 0"], counts["choice 1"]), 0)
        self.set_rss(configs[1])
        self.assert_hashes(configs[1])

    def test_programs_that_come_and_go(self):
        """A packet has the one hash, or none; vhost stops at times, too."""
        config = spread()
        load = self.begin_stream(
            [config, lambda frame: (0, 0, ANY_QUEUE)], ENDLESS)
        swap = (lambda: self.nic.command(HASH_CONFIG, hash_config(0, b"")),
                lambda: self.nic.command(*self.rss_command(config)),
                lambda: self.nic.set_pairs(QUEUES),
                lambda: self.nic.command(*self.rss_command(config)))
        while self.times_attached() <= SWAPS:
            for _ in range(STOPS // 2):
                self.assertEqual([command() for command in swap], [OK] * 4)
            self.card.machine.qmp("stop")
            self.card.machine.qmp("cont")
        counts = self.end_stream(load, f"{self.times_attached()} swaps")
        self.assertGreater(min(counts["choice 0"], counts["choice 1"]), 0)
        self.set_rss(config)
        self.assert_hashes(config)

    def times_attached(self):
        """Return how often the program was given to vhost-net."""
        return self.card.machine.traces("virtio_net_rss_report").count("on 1")


# Options of a card, and why vhost reports no hashes then.
NOT_REPORTED = {
    "no node": (NO_NODE, "cannot open /nonexistent: No such file or"
                " directory"),
    "the stock node": (f"hash-node={STOCK}",
                       f"{STOCK} does not report hashes"),
    "no vhost-net": ("hash-node=/dev/null", "/dev/null does not report hashes"),
}


class Nodes(Waits, OwnCardsCase):
    """Which vhost-net a card is on."""

    @rows(NOT_REPORTED, "hash-node: ")
    def check_node(self, options, reason):
        """RSS is there, with one warning; or it is an error."""
        self.begin(AUTO, "hash=on," + options, vhost=True)
        self.assert_one_warning(self.card.machine.warnings(), NOT_OFFERED
                                + "not supported with vhost: " + reason)
        self.engine = EBPF
        self.set_rss(spread())
        self.assert_steers(spread())
        self.assertIn(reason, self.card.machine.rss()["hash-reason"])
        with self.assert_error("hash reports are unavailable", reason):
            Card(EBPF, "hash=on," + options, vhost=True)

    @rows({"of the node that reports hashes": (HASH, True),
           "of the stock node": (STOCK, False)}, "vhostfd: ")
    def check_descriptor(self, node, reported):
        """As libvirt hands it over."""
        net = self.enterContext(OpenTapNet(QUEUES, node))
        self.begin(AUTO, "hash=on", HASHES if reported else FEATURES, net=net,
                   pass_fds=net.fds)
        self.engine = EBPF
        self.set_rss(spread())
        self.assert_steers(spread())
        if reported:
            self.assertEqual(self.card.machine.warnings(), [])
            self.assert_reporter("vhost")
        else:
            self.assert_one_warning(self.card.machine.warnings(), NOT_OFFERED,
                                    "vhostfd= does not report hashes")


class Unprivileged(Waits, OwnCardsCase):
    """An ordinary user's QEMU, with a node that root has opened.

    As libvirt hands it over for <backend vhost=…/>; QEMU cannot open it.
    """

    engine = EBPF

    @staticmethod
    def why_not():
        return rig.why_not() or nobody.why_not()

    def begin_as_nobody(self, options, fds=(), features=HASHES,
                        card=nobody.NobodyCard):
        """It has as much locked memory as Linux 5.10 is said to take."""
        self.assertEqual(os.stat(HASH).st_mode & stat.S_IRWXO, 0)
        self.card = self.enterContext(card(
            {"hash": True, **options}, fds, node=HASH,
            prefix=["prlimit", f"--memlock={MEMLOCK}:{MEMLOCK}"]))
        self.nic = self.card.start(features=features)
        self.set_rss(spread())

    def assert_reported(self):
        self.assert_hashes(spread())
        self.assert_reporter("vhost")
        self.assertEqual(self.card.warnings(), [])

    def test_helper(self):
        self.begin_as_nobody({
            "rss-engine": EBPF,
            "ebpf-rss-helper": str(nobody.place().privileged_helper())})
        self.assert_reported()

    def test_hot_plug(self):
        """What virsh attach-device does."""
        self.begin_as_nobody({
            "rss-engine": EBPF,
            "ebpf-rss-helper": str(nobody.place().privileged_helper())},
            card=nobody.HotPluggedCard)
        self.assert_reported()

    def test_a_helper_that_does_not_answer(self):
        """It is asked once: QEMU stands still meanwhile."""
        folder = self.enterContext(
            tempfile.TemporaryDirectory(prefix="qtest-silent-"))
        helper, asked = f"{folder}/helper", f"{folder}/asked"
        with open(helper, "x") as file:
            file.write(f"#!/bin/sh\necho >> {asked}\nexec sleep 60\n")
        os.chmod(helper, 0o755)
        with Card(AUTO, f"hash=on,ebpf-rss-helper={helper}", vhost=True,
                  without_bpf=True) as card:
            warnings = card.machine.warnings()
            self.assertEqual(len(warnings), 2, warnings)
            for warning in warnings:
                self.assertIn("did not answer within 10 s", warning)
        with open(asked) as file:
            self.assertEqual(file.read(), "\n")

    @rows({"the report program": 4, "the hash tables": 5}, "not fitting: ")
    def check_six_descriptors(self, position):
        """It is an error: who hands over six insists."""
        with nobody.loaded("--report") as fds:
            os.dup2(fds[2], fds[position])
            with self.assert_error("the eBPF engine is unavailable",
                                   "ebpf-rss-fds", f" {fds[position]} "):
                nobody.NobodyCard({"hash": True, **ebpf_rss_fds(*fds)}, fds,
                                  node=HASH).close()

    def test_six_descriptors(self):
        with nobody.loaded("--report") as fds:
            self.begin_as_nobody(ebpf_rss_fds(*fds), fds)
        self.assert_reported()

    def test_four_descriptors(self):
        """RSS, and a warning that tells why no hash is reported."""
        with nobody.loaded() as fds:
            self.begin_as_nobody(ebpf_rss_fds(*fds), fds, FEATURES)
        self.assert_steers(spread())
        self.assert_one_warning(
            self.card.warnings(), NOT_OFFERED
            + "not supported with vhost: ebpf-rss-fds has no program for them")


class MigrationVhost(Waits, MigrationCase):
    """From and to hosts with the node and without, vhost=on and off."""

    def begin_with_hashes(self, vhost):
        self.begin(EBPF if vhost else AUTO, "hash=on", HASHES, vhost=vhost)
        self.set_rss(spread())
        self.assert_reports(spread())

    @rows({"vhost=on to vhost=on": (True, True),
           "vhost=on to vhost=off": (True, False),
           "vhost=off to vhost=on": (False, True)})
    def check_route(self, there, here):
        self.begin_with_hashes(there)
        self.migrate(EBPF if here else AUTO, options="hash=on", vhost=here)
        self.wait_settled()
        self.assert_reports(spread())
        if here:
            self.assert_reporter("vhost")
        else:
            self.assert_reporter("software", SOFTWARE)

    def test_to_a_host_without_the_node_is_an_error(self):
        """The guest that was saved goes on as if nothing had happened."""
        self.begin_with_hashes(True)
        self.assert_not_taken(
            "the guest uses hash reporting, which is unavailable here: not "
            "supported with vhost: cannot open ", "hash=on," + NO_NODE)
        self.card.machine.qmp("cont")
        self.assert_reports(spread())

    def test_a_guest_without_hash_reports_to_a_host_without_the_node(self):
        self.begin(EBPF, "hash=on", FEATURES, vhost=True)
        self.set_rss(spread())
        self.migrate(AUTO, options="hash=on," + NO_NODE, vhost=True)
        self.engine = EBPF
        self.wait_settled()
        self.assert_steers(spread())


if __name__ == "__main__":
    run_tests(__file__)
