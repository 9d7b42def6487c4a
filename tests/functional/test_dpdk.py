#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""DPDK's virtio driver configures RSS: Debian's testpmd in a guest.

After each step x-query-rss must tell what testpmd has set, and each packet
must be received on the queue that the reference says.

It is the only driver here that polls, that asks for the _EX hash types, and
that leaves names of queues in the table which it has switched off.  It knows
no hash reports (DPDK 22.11: drivers/net/virtio does not have the feature).
"""

import random
import struct

from harness.functional.dpdk import DpdkGuest, Testpmd
from harness.functional.guests import (AUTOMATIC, EBPF, QUEUES, SOFTWARE, Case,
                                       flows, run_tests, traffic, why_not)
from harness.rss_reference import (ALL_TYPES, IPV4, IPV6, IP_EX, KEY, UDPV4,
                                   UDPV6, UDP_EX, Config)

TABLE = [entry % QUEUES for entry in range(128)]
# What testpmd's --rss-ip and --rss-udp stand for.
IP_TYPES, UDP_TYPES = IPV4 | IPV6 | IP_EX, UDPV4 | UDPV6 | UDP_EX
DESTINATION, ROUTING = 60, 43       # IPv6 extension headers


def mobile_frame(rng, protocol, extension):
    """Return an IPv6 frame with a Home Address, or with a way to one."""
    src, dst, home = (b"\xfd\0" + rng.randbytes(14) for _ in range(3))
    middle = (b"\1\2\0\0\xc9\x10" if extension == DESTINATION
              else b"\2\1\0\0\0\0")
    body = (struct.pack("BB", protocol, 2) + middle + home
            + traffic.transport(protocol, src, dst,
                                (rng.randrange(65536), 9), b"data"))
    return traffic.frame(0x86dd, struct.pack("!IHBB", 6 << 28, len(body),
                                             extension, 64) + src + dst + body)


def frames():
    """Return frames to which all hash types apply."""
    rng = random.Random(7)
    return flows(32, seed=7) + [
        mobile_frame(rng, protocol, extension)
        for protocol in (traffic.TCP, traffic.UDP, 59)
        for extension in (DESTINATION, ROUTING) for _ in range(4)]


class DpdkSteps:
    """The tests; the engines follow."""

    engine = None
    options = ""

    @classmethod
    def setUpClass(cls):
        if not why_not():
            cls.guest = cls.enterClassContext(
                DpdkGuest(f"rss-engine={cls.engine},{cls.options}"))
            cls.testpmd = Testpmd(cls.guest)
            cls.testpmd.start()

    def commands(self, *commands):
        """Have testpmd run these commands, which must not fail."""
        for command in commands:
            answer = self.testpmd.run(command)
            for word in ("error", "failed", "Bad arguments", "Cannot"):
                self.assertNotIn(word, answer)

    def assert_on(self, config=None, queues=QUEUES):
        """The device has what testpmd says, and packets obey."""
        config = config or self.testpmd.config()
        rss = self.assert_query(self.engine, config)
        self.assertEqual(rss["queue-pairs"], queues)
        sent = frames()
        self.assertEqual(self.testpmd.receive(sent),
                         [config.queue(frame) % queues for frame in sent])
        return config

    def assert_started(self, types):
        """What testpmd has begun with is in force."""
        config = self.assert_on()
        self.assertEqual((config.types, config.key, config.table),
                         (types, KEY, TABLE))   # DPDK's own key is that one

    def test_types(self):
        for name in ("ip", "udp", "tcp", "ipv4", "ipv6-tcp", "ipv6-ex",
                     "ipv6-tcp-ex", "ipv6-udp-ex"):
            self.commands(f"port config all rss {name}")
            self.assert_on()
        self.commands("port config all rss default")
        self.assertEqual(self.assert_on().types, ALL_TYPES)

    def test_no_types(self):
        """All packets are on the unclassified queue, which is 0."""
        before = self.testpmd.config()
        self.commands("port config 0 rss reta (0,1),(1,2),(2,3),(3,1)",
                      "port config all rss none")
        config = self.testpmd.config()
        self.assertEqual(config.types, 0)
        self.assert_on(Config(0, before.key, config.table))

    def test_key(self):
        self.commands("port config all rss default")
        for seed in (1, 2):
            key = random.Random(seed).randbytes(40)
            self.commands(f"port config 0 rss-hash-key ipv4 {key.hex()}")
            self.assertEqual(self.assert_on().key, key)

    def test_reta(self):
        """The table, of which testpmd changes a few entries at a time."""
        self.commands("port config all rss default")
        rng = random.Random(3)
        for _ in range(3):
            pairs = [(rng.randrange(128), rng.randrange(QUEUES))
                     for _ in range(12)]
            self.commands("port config 0 rss reta " + ",".join(
                f"({entry},{queue})" for entry, queue in pairs))
            table = self.assert_on().table
            for entry, queue in dict(pairs).items():
                self.assertEqual(table[entry], queue)

    def test_port_stop_and_start(self):
        """Which does not reset the device."""
        key = random.Random(4).randbytes(40)
        self.commands(f"port config 0 rss-hash-key ipv4 {key.hex()}",
                      "port config 0 rss reta (0,3),(1,3),(2,0)",
                      "port stop all", "port start all")
        self.assertEqual(self.assert_on().key, key)

    def test_fewer_queues(self):
        """DPDK 22.11 leaves the old queues in the table."""
        self.commands("port config all rss default",
                      "port config 0 rss reta (0,0),(1,1),(2,2),(3,3)")
        table = self.testpmd.config().table
        for queues in (2, 3, QUEUES):
            self.commands("port stop all", f"port config all rxq {queues}",
                          f"port config all txq {queues}", "port start all")
            self.assertEqual(self.assert_on(queues=queues).table, table)

    def test_quit_and_start(self):
        """Nobody steers in between; a driver without RSS has none.

        One with RSS has it from the start, not only in its own books.
        """
        self.testpmd.quit()
        rss = self.assert_query(AUTOMATIC)
        self.assertFalse(rss["negotiated"])
        self.testpmd.start("--disable-rss")
        rss = self.assert_query(AUTOMATIC)
        self.assertEqual(rss["queue-pairs"], QUEUES)
        self.assertNotIn(None, self.testpmd.receive(frames()))
        self.testpmd.quit()
        self.testpmd.start("--rss-udp")
        self.assert_started(UDP_TYPES)

    def test_killed_and_started_again(self):
        """The next one finds the card as the last has left it."""
        self.commands("port config 0 rss reta (0,3),(1,3),(2,0)", "start")
        self.testpmd.kill()
        for frame in frames():
            self.guest.sender.send(frame)
        self.testpmd.start("--rss-ip")
        self.assert_started(IP_TYPES)


class DpdkEbpf(DpdkSteps, Case):
    engine = EBPF


class DpdkSoftware(DpdkSteps, Case):
    """With packed rings, and with hash reports, which are not taken."""

    engine = SOFTWARE
    options = "packed=on,hash=on"

    def test_packed_rings_without_hash_reports(self):
        status = self.guest.qmp("x-query-virtio-status", {
            "path": "/machine/peripheral/card/virtio-backend"})
        self.assertIn("VIRTIO_F_RING_PACKED",
                      str(status["guest-features"]["transports"]))
        rss = self.guest.rss()
        self.assertTrue(rss["negotiated"])
        self.assertFalse(rss["hash-report"])


if __name__ == "__main__":
    run_tests(__file__)
