#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the card offers, what start-up says, and commands with one queue.

Most of it needs neither root nor a tap.
"""

import os
import re
import socket
import struct
import tempfile
import threading

from harness.qtest.boards import option
from harness.qtest.machine import (BOARD, QEMU, Machine, VmError, ebpf_rss_fds,
                                   is_from)
from harness.qtest.rig import (AUTO, EBPF, KEY, NO_HELPER, QUEUES, SLOT,
                               SOFTWARE, Card, Case, OwnCardsCase, TapNet,
                               only_pci, rows, run_tests, spread)
from harness.qtest.virtio_net import (
    ERR, FEATURES, F_HASH_REPORT, F_RSS, HASHES, HASHES_ALONE, HASH_CONFIG, OK,
    RSS_CONFIG, RSS_KEY_MAX, RSS_TABLE_MAX, RSS_TYPES, VirtioNet, hash_config,
    rss_config)
from harness.rss_reference import ALL_TYPES, NON_EX_TYPES

DEVICE_ARGUMENT = option(BOARD.card, "netdev=net0,")


def machine_with(options):
    """Return a Machine with a card of one queue; any user may do that."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        return Machine(["-netdev", "dgram,id=net0,local.type=fd,"
                        f"local.str={theirs.fileno()}",
                        "-device", DEVICE_ARGUMENT + options],
                       pass_fds=[theirs.fileno()])


# Device options, and whether RSS and hash report are offered.
OFFERS = {
    "nothing asked for": ("rss=off", False, False),
    "rss=on": ("rss=on", True, False),
    "hash=on": ("hash=on", False, True),
    "rss=on,hash=on": ("rss=on,hash=on", True, True),
}

# The properties for hash types, in the order of their bits.
HASH_TYPES = ("hash-ipv4", "hash-tcp4", "hash-udp4", "hash-ipv6", "hash-tcp6",
              "hash-udp6", "hash-ipv6ex", "hash-tcp6ex", "hash-udp6ex")

# Device options, and the hash types that are offered.
TYPES = {name + "=off": (f"rss=on,{name}=off", ALL_TYPES & ~(1 << bit))
         for bit, name in enumerate(HASH_TYPES)}
TYPES["all of them on"] = (
    "rss=on," + ",".join(name + "=on" for name in HASH_TYPES), ALL_TYPES)
TYPES["with hash=on alone"] = (
    "hash=on,hash-tcp4=off,hash-udp6ex=off", ALL_TYPES & ~(2 | 256))

# Wrong options, and what the message must say.
WRONG = {
    "unknown engine": ("rss=on,rss-engine=magic",
                       "'rss-engine' does not accept value 'magic'"),
    "eBPF without rss=on": ("rss-engine=ebpf",
                            "rss-engine=ebpf requires rss=on"),
    "software without rss=on": ("rss-engine=software",
                                "rss-engine=software requires rss=on"),
    "counters without rss=on": ("rss-counters=on",
                                "rss-counters=on requires rss=on"),
    "counters with hash=on alone": ("hash=on,rss-counters=on",
                                    "rss-counters=on requires rss=on"),
    "eBPF with hash=on": ("rss=on,hash=on,rss-engine=ebpf",
                          "rss-engine=ebpf does not support hash=on"),
    "RSS without a control queue": ("rss=on,ctrl_vq=off",
                                    "rss=on requires ctrl_vq=on"),
    "hash report without a control queue": ("hash=on,ctrl_vq=off",
                                            "hash=on requires ctrl_vq=on"),
    "eBPF with a backend that is no tap": (
        "rss=on,rss-engine=ebpf",
        "the backend does not support steering programs"),
    "software with a legacy device": (
        "rss=on,rss-engine=software," + BOARD.legacy,
        "RSS is not offered to the guest: a legacy virtio device"),
}

# RSS_CONFIG for a card with one queue pair.
ONE_QUEUE = {
    "valid": (rss_config(NON_EX_TYPES, [0] * 128, KEY, 1), OK),
    "all hash types": (rss_config(ALL_TYPES, [0], KEY, 1), OK),
    "entry 1": (rss_config(NON_EX_TYPES, [0, 1], KEY, 1), ERR),
    "unclassified queue 1": (rss_config(NON_EX_TYPES, [0], KEY, 1, 1), ERR),
    "max_tx_vq 0": (rss_config(NON_EX_TYPES, [0], KEY, 0), ERR),
    "max_tx_vq 2": (rss_config(NON_EX_TYPES, [0], KEY, 2), ERR),
    "three entries": (rss_config(NON_EX_TYPES, [0, 0, 0], KEY, 1), ERR),
    "key of 41 bytes": (rss_config(NON_EX_TYPES, [0], KEY + b"\0", 1), ERR),
    "no key": (rss_config(NON_EX_TYPES, [0], b"", 1), ERR),
    "RSS off as Windows does it": (rss_config(0, [0], b"", 1), OK),
    "unknown hash type": (rss_config(1 << 9, [0], KEY, 1), ERR),
}


class Offers(Case):
    """Features and the configuration space."""

    @rows(OFFERS, "offered with ")
    def check_offer(self, options, rss, hash_report):
        machine = self.enterContext(machine_with(options))
        device = VirtioNet(machine, SLOT).device
        device.reset()
        features = device.offered()
        self.assertEqual(bool(features >> F_RSS & 1), rss)
        self.assertEqual(bool(features >> F_HASH_REPORT & 1), hash_report)
        if rss or hash_report:
            self.assertEqual(device.config("b", RSS_KEY_MAX), 40)
            self.assertEqual(device.config("l", RSS_TYPES), ALL_TYPES)
        if rss:
            self.assertEqual(device.config("w", RSS_TABLE_MAX), 128)

    @rows(TYPES, "hash types: ")
    def check_types(self, options, types):
        if not is_from("10.2"):
            self.skipTest("no such properties before QEMU 10.2")
        machine = self.enterContext(machine_with(options))
        rss = options.startswith("rss=on")
        nic = VirtioNet(machine, SLOT).start(
            FEATURES if rss else HASHES_ALONE)
        self.assertEqual(nic.device.config("l", RSS_TYPES), types)
        command, data = ((RSS_CONFIG, lambda types: rss_config(
            types, [0], KEY, 1)) if rss else
            (HASH_CONFIG, lambda types: hash_config(types, KEY)))
        if types != ALL_TYPES:
            self.assertEqual(nic.command(command, data(ALL_TYPES)), ERR)
        self.assertEqual(nic.command(command, data(types)), OK)

    @rows(WRONG, "error: ")
    def check_wrong(self, options, words):
        with self.assert_error("status 1", words):
            machine_with(options).stop()

    def test_descriptors_need_RSS(self):
        machine = self.enterContext(Machine([]))
        for options in ({}, {"hash": True}):
            with self.assert_error("ebpf-rss-fds requires rss=on"):
                machine.plug("virtio-net-pci", romfile="", **options,
                             **ebpf_rss_fds(7, 8, 9))


class Backend(threading.Thread):
    """A vhost-user backend that has all features and handles no packet."""

    GET_FEATURES = 1

    def __init__(self, listener):
        super().__init__(daemon=True)
        self.listener = listener

    def run(self):
        connection = self.listener.accept()[0]
        with connection:
            while True:
                head = connection.recv(12, socket.MSG_WAITALL)
                if len(head) < 12:
                    return
                request, _, size = struct.unpack("<3I", head)
                if size:
                    connection.recv(size, socket.MSG_WAITALL)
                if request == self.GET_FEATURES:
                    extensions = 1 << 30        # it has none of them
                    connection.sendall(struct.pack(
                        "<3IQ", request, 5, 8, (1 << 64) - 1 & ~extensions))


class VhostUser(Case):
    """A backend without QEMU and without a tap: nobody can steer or hash."""

    def test_neither_RSS_nor_hash_report_is_offered(self):
        folder = self.enterContext(
            tempfile.TemporaryDirectory(prefix="qtest-vhost-user-"))
        path = f"{folder}/socket"
        listener = self.enterContext(socket.socket(socket.AF_UNIX))
        listener.bind(path)
        listener.listen()
        Backend(listener).start()
        machine = self.enterContext(Machine([
            "-chardev", f"socket,id=backend,path={path}",
            "-netdev", "vhost-user,id=net0,chardev=backend",
            "-device", DEVICE_ARGUMENT + "rss=on,hash=on"]))
        device = VirtioNet(machine, SLOT).device
        device.reset()
        self.assertFalse(device.offered() >> F_RSS & 1)
        self.assertFalse(device.offered() >> F_HASH_REPORT & 1)
        warnings = "".join(machine.warnings())
        self.assertEqual(warnings.count("warning: "), 2, warnings)
        self.assertIn("net0: hash reports are not offered", warnings)
        self.assertIn("net0: RSS is not offered", warnings)
        self.assertEqual(
            machine.traces("virtio_net_rss_fallback"),
            ["reason: with vhost it needs the eBPF engine: the backend does "
             "not support steering programs (a tap does)",
             "reason: not supported with vhost"])


OPTIONS = "netdev=net0,rss=on,hash=on"
LEGACY = {BOARD.card["driver"]: (
    "-device", option(BOARD.card, BOARD.legacy, OPTIONS))}
if BOARD.mmio is not None:
    LEGACY["virtio-mmio"] = (
        *BOARD.mmio, "-device", "virtio-net-device," + OPTIONS)


class Shown(Case):
    """What x-query-rss and "info rss" tell."""

    def machine(self, *arguments):
        return self.enterContext(Machine(arguments))

    def test_cards_in_the_order_in_which_they_were_made(self):
        names = [f"n{number}" for number in range(6)]
        machine = self.machine(*[
            word for name in names for word in
            ("-device", f"virtio-net-pci,id={name},romfile=,rss=on")])
        self.assertEqual([card["device"] for card in
                          machine.qmp("x-query-rss")], names)
        machine.plug("virtio-net-pci", id="Z", romfile="", rss=True)
        self.assertEqual([card["device"] for card in
                          machine.qmp("x-query-rss")], names + ["Z"])

    def test_a_card_whose_transport_has_no_id(self):
        if BOARD.mmio is None:
            self.skipTest("no such machine has virtio-mmio")
        machine = self.machine(*BOARD.mmio, "-global",
                               "virtio-mmio.force-legacy=off", "-device",
                               "virtio-net-device,id=n0,rss=on")
        self.assertEqual(machine.rss()["device"], "n0")
        self.assertIn("n0: engine automatic", machine.info_rss())

    def test_a_card_without_any_id(self):
        machine = self.machine("-device", option(BOARD.card))
        self.assertTrue(machine.rss()["device"]
                        .startswith("/machine/peripheral-anon/"))

    def test_counting_needs_RSS(self):
        machine = self.machine("-device", "virtio-net-pci,id=n,romfile=")
        with self.assert_error("rss-counters=on requires rss=on"):
            machine.qmp("qom-set", {"path": "n", "value": True,
                                    "property": "rss-counters"})
        self.assertFalse(machine.rss()["counting"])
        machine.qmp("qom-set", {"path": "n", "value": False,
                                "property": "rss-counters"})

    def test_descriptions(self):
        """"-device virtio-net-pci,help" prints these."""
        machine = self.machine()
        described = {
            entry["name"]: entry.get("description", "") for entry in
            machine.qmp("device-list-properties",
                        {"typename": "virtio-net-pci"})}
        for name, words in (("rss", "receive-side scaling"),
                            ("hash", "hash reports"),
                            ("rss-engine", "auto"),
                            ("ebpf-rss-fds", "descriptors"),
                            ("ebpf-rss-helper", "loads the steering program"),
                            ("hash-node", "reports hashes"),
                            ("rss-counters", "count")):
            self.assertIn(words, described[name], name)

    @rows(LEGACY, "legacy: ")
    def check_legacy(self, *arguments):
        """Neither RSS nor hash report can be negotiated: not offered."""
        machine = self.machine("-netdev", "hubport,id=net0,hubid=0",
                               *arguments)
        rss = machine.rss()
        self.assertFalse(rss["offered"])
        self.assertIn("a legacy virtio device", rss["reason"])
        self.assertIn(BOARD.legacy.split(",")[-1].split("=")[0],
                      rss["reason"], "what to look at")
        warnings = machine.warnings()
        self.assertEqual(len(warnings), 2, warnings)
        for warning, words in zip(warnings, ("RSS is", "hash reports are")):
            self.assertIn(f"net0: {words} not offered to the guest: a legacy "
                          "virtio device", warning)

    def test_the_table(self):
        machine = self.enterContext(machine_with("rss=on"))
        nic = VirtioNet(machine, SLOT).start()
        self.assertEqual(nic.command(RSS_CONFIG, ONE_QUEUE["valid"][0]), OK)
        self.assertIn("\r\n  table: 0-127:0\r\n", machine.info_rss())
        data = rss_config(0, [0], KEY, 1)
        self.assertEqual(nic.command(RSS_CONFIG, data), OK)
        self.assertIn("\r\n  hash types: none; unclassified queue 0\r\n"
                      "  table: 0:0\r\n", machine.info_rss())

    def test_hash_types_of_hash_reports_alone(self):
        machine = self.enterContext(machine_with("hash=on"))
        nic = VirtioNet(machine, SLOT).start(HASHES)
        self.assertNotIn("hash types", machine.info_rss())
        self.assertEqual(nic.command(HASH_CONFIG, hash_config(5, KEY)), OK)
        self.assertIn("\r\n  hash types: ipv4 udpv4\r\n", machine.info_rss())
        self.assertNotIn("table", machine.info_rss())


class OneQueue(Case):
    """Commands, by a user without privileges."""

    @classmethod
    def setUpClass(cls):
        cls.machine = cls.enterClassContext(machine_with("rss=on"))

    @rows(ONE_QUEUE)
    def check_command(self, data, answer):
        nic = VirtioNet(self.machine, SLOT).start()
        self.assertEqual(nic.command(RSS_CONFIG, data), answer)

    def test_each_truncation(self):
        nic = VirtioNet(self.machine, SLOT).start()
        data = ONE_QUEUE["valid"][0]
        for length in range(len(data)):
            self.assertEqual(nic.command(RSS_CONFIG, data[:length]), ERR)
        self.assertEqual(nic.command(RSS_CONFIG, data), OK)


# What a virtio-net-pci with failover=on cannot be realized with.
UNREALIZABLE = {
    "rx_queue_size=0": {"rx_queue_size": 0},
    "rx_queue_size=2048": {"rx_queue_size": 2048},
    "tx_queue_size=0": {"tx_queue_size": 0},
    "tx_queue_size=2048": {"tx_queue_size": 2048},
    "duplex=none": {"duplex": "none"},
    "speed=-2": {"speed": -2},
    "rss-engine=magic": {"rss": True, "rss-engine": "magic"},
    "rss-engine=ebpf": {"rss": True, "rss-engine": EBPF},
    "rss=on,ctrl_vq=off": {"rss": True, "ctrl_vq": False},
    "neither legacy nor modern": {"disable-legacy": "on",
                                  "disable-modern": True},
    "romfile": {"romfile": "/nonexistent"},
    "romfile and rss=on": {"romfile": "/nonexistent", "rss": True},
    "failover_pair_id": {"failover_pair_id": "primary"},
    "addr": {"addr": "0x0"},
}


@only_pci("failover")
class Unrealizable(Case):
    """A card that cannot be realized leaves nothing behind in QEMU."""

    @classmethod
    def setUpClass(cls):
        cls.machine = cls.enterClassContext(machine_with("rss=on"))

    def add(self, **properties):
        self.machine.plug("virtio-net-pci", failover=True,
                          **{"romfile": "", **properties})

    @rows(UNREALIZABLE, "device_add twice, ")
    def check_device(self, wrong):
        for _ in range(2):
            with self.assertRaises(VmError):
                self.add(id="wrong", **wrong)
            self.machine.check_alive()
        self.add(id=f"good-{list(UNREALIZABLE.values()).index(wrong)}")
        self.machine.migrate("exec:cat > /dev/null")
        self.machine.qmp("cont")


# A tap that cannot be had, and a word of the error: for descriptors, "null"
# is one of a file that is no vhost device, and "tap" one of a tap.
BAD_TAPS = {
    "no vhost device": ({"vhost": True}, "vhost"),
    "no vhost device, vhostforce": ({"vhostforce": True}, "vhost"),
    "vhostfd is another device": ({"vhostfd": "null"}, "vhost-net"),
    "vhostfd is not open": ({"vhostfd": "999"}, "descriptor"),
    "vhostfd has an unknown name": ({"vhostfd": "nobody"}, "nobody"),
    "fds are not open": ({"fds": "998:999"}, "998"),
    "one of fds is not open": ({"fds": "tap:999"}, "999"),
    "one of vhostfds is not open": ({"fds": "tap:tap", "vhost": True,
                                     "vhostfds": "null:999"}, "vhost-net"),
}


class BadTaps(OwnCardsCase):
    """A netdev that cannot be made is an error with the reason."""

    def setUp(self):
        super().setUp()
        self.net = self.enterContext(TapNet(QUEUES))
        self.good = {"ifname": self.net.name, "queues": QUEUES,
                     "script": "no", "downscript": "no"}

    def options(self, row):
        """Return netdev_add's arguments, with descriptors of ours."""
        if os.access("/dev/vhost-net", os.F_OK) and not any(
                "fd" in name for name in row):
            self.skipTest("this machine has a /dev/vhost-net")
        options = dict(row)
        self.fds = []
        for name in ("fds", "vhostfd", "vhostfds"):
            if name in row:
                options[name] = ":".join(map(self.descriptor,
                                             row[name].split(":")))
        if "fds" not in row:
            options.update(self.good)
        return {"type": "tap", "id": "net0", **options}

    def descriptor(self, name):
        """Return a descriptor's number; other words stay as they are."""
        if name not in ("null", "tap"):
            return name
        fd = (os.open("/dev/null", os.O_RDWR) if name == "null"
              else self.net.open_queue())
        self.addCleanup(os.close, fd)
        self.fds.append(fd)
        return str(fd)

    @rows(BAD_TAPS, "at start, ")
    def check_start(self, options, word):
        text = ",".join(f"{name}={value}" for name, value
                        in self.options(options).items())
        text = text.replace("type=tap", "tap").replace("=True", "=on")
        with self.assert_error("status 1", word):
            Machine(["-netdev", text], self.net, self.fds).stop()

    @rows(BAD_TAPS, "netdev_add, ")
    def check_running(self, options, word):
        options = self.options(options)
        machine = self.enterContext(Machine([], self.net, self.fds))
        for words in ([word], []):
            with self.assert_error(*words):
                machine.qmp("netdev_add", options)
        machine.qmp("netdev_add", {"type": "tap", "id": "net0", **self.good})
        machine.plug("virtio-net-pci", mq=True, netdev="net0", romfile="")


class Privileges(OwnCardsCase):
    """QEMU without the right to load a program, and without a helper."""

    engine = SOFTWARE

    def test_one_warning_and_the_software_engine(self):
        self.begin(AUTO, NO_HELPER, without_bpf=True)
        self.set_rss(spread())
        self.assert_steers(spread())
        warnings = self.card.machine.warnings()
        self.assert_one_warning(
            warnings, "RSS falls back to QEMU: cannot create the steering "
            "program's maps: Operation not permitted (needs CAP_BPF and "
            "CAP_PERFMON, or root); ")
        self.assertNotIn("MEMLOCK", warnings[0])
        self.assertNotIn("libbpf:", self.card.machine.messages())

    def test_the_default_helper_is_the_one_of_this_QEMU(self):
        """In the folder where it is built; the helper has no privilege."""
        bundle = QEMU.resolve().parent / "qemu-bundle"
        if not list(bundle.glob("**/qemu-rss-helper")):
            self.skipTest("this QEMU is not where it was built")
        card = self.enterContext(Card(AUTO, without_bpf=True))
        warnings = card.machine.warnings()
        self.assertEqual(len(warnings), 1, warnings)
        self.assertRegex(warnings[0], rf"; {re.escape(str(bundle))}\S*"
                         "qemu-rss-helper has no privileges either$")

    def test_insisting_on_eBPF_is_an_error(self):
        with self.assert_error("status 1", "not permitted"):
            Card(EBPF, NO_HELPER, without_bpf=True).close()

    @only_pci("failover")
    def test_a_refused_device_with_failover_leaves_nothing_behind(self):
        """QEMU asks all such devices when another is plugged."""
        card = self.enterContext(Card(SOFTWARE, without_bpf=True))
        new = {"driver": "virtio-net-pci", "failover": True, "rss": True,
               "rss-engine": EBPF, "ebpf-rss-helper": "/nonexistent"}
        for number in range(20):
            with self.assert_error("is unavailable"):
                card.machine.plug(**new, id=f"new{number}")
        card.machine.plug("virtio-rng-pci")
        card.machine.migrate("exec:cat > /dev/null")

    def test_insisting_on_eBPF_for_a_legacy_device_is_an_error(self):
        with self.assert_error("RSS is not offered to the guest: a legacy "
                               "virtio device"):
            Card(EBPF, BOARD.legacy).close()

    def test_insisting_on_software_warns_of_nothing(self):
        for without_bpf in (False, True):
            card = self.enterContext(Card(SOFTWARE, without_bpf=without_bpf))
            self.assertNotIn("warning", card.machine.messages())


if __name__ == "__main__":
    run_tests(__file__)
