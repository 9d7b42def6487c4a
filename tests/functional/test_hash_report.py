#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A Linux guest on a card that reports hashes (hash=on).

The reported hashes themselves are compared in tests/qtest/test_packets.py, and
with vhost=on in test_vhost_hash.py; here it is what the guest's driver has made
of them.  With FUNCTIONAL_VHOST=on it takes /dev/vhost-net-hash.
"""

import hashlib
import os
import random
import re
import socket
import time
from itertools import chain

from harness.functional import guests
from harness.functional.guests import (AUTOMATIC, EBPF, SOFTWARE, VHOST, Case,
                                       RssGuest, flows, run_tests, steering)
from harness.functional.vhost_card import HASH
from harness.rss_reference import NAMES
from harness.vm import hashes, traffic
from harness.vm.process import run

ENGINE, REPORTER = (EBPF, "vhost") if VHOST else (SOFTWARE, "software")
TRACING = "/sys/kernel/tracing"
EVENT = f"{TRACING}/events/net/napi_gro_receive_entry"
# enum xdp_rss_hash_type of Linux
XDP_TYPES = {"IPv4": 0x1, "TCPv4": 0x19, "UDPv4": 0x29,
             "IPv6": 0x2, "TCPv6": 0x1a, "UDPv6": 0x2a}
HERE, THERE, PORT = "192.0.2.1", "192.0.2.2", 5001
STREAM = random.Random(12).randbytes(8 << 20)
SEGMENT = 1448              # bytes of TCP in a packet, without offloads
TCP_TIMEOUT = 60            # s


def why_not():
    if VHOST and not os.access(HASH, os.R_OK | os.W_OK):
        return f"there is no {HASH}"
    return guests.why_not()


class HashReport(Case):
    """The engine is left to QEMU.

    It has to take the software without vhost, and eBPF with it.
    """

    why_not = staticmethod(why_not)

    @classmethod
    def setUpClass(cls):
        if not why_not():
            cls.counting_runs()
            cls.guest = cls.enterClassContext(
                RssGuest("hash=on,rss-counters=on"))

    def assert_steers(self, config):
        """The engine steers by this configuration, and no other does."""
        rss = self.assert_query(ENGINE, config)
        self.assertTrue(rss["hash-report"])
        self.assertEqual(rss["hash-reporter"],
                         REPORTER if config.types else "none")
        runs = self.guest.program_runs()
        self.assert_each_received(flows(64), config.queue)
        if not VHOST:
            self.assertEqual(rss["reason"],
                             "hash reports need the software engine")
            self.assertEqual(self.guest.program_runs(), runs,
                             "a steering program runs, too")

    def traced(self, frames):
        """Send frames of lengths that differ; return {length: (hash, L4)}.

        It is what the driver has put into the packet; L4: the report says that
        ports are in the hash.
        """
        self.guest.shell(f"mkdir -p {TRACING}; mountpoint -q {TRACING} ||"
                         f" mount -t tracefs tracefs {TRACING};"
                         f" echo >{TRACING}/trace; echo 1 >{EVENT}/enable")
        self.receive(frames)
        text = self.guest.shell(f"echo 0 >{EVENT}/enable; cat {TRACING}/trace")
        return {int(length): (int(value, 16), ports == "1")
                for value, ports, length in re.findall(
                    r"hash=(0x\w+) l4_hash=(\d) len=(\d+)", text)}

    def test_both_features_are_negotiated(self):
        for feature in (steering.FEATURE_HASH_REPORT, steering.FEATURE_RSS):
            self.assertTrue(steering.has_feature(self.guest, feature))
        self.assertEqual(self.guest.warnings(), [])

    def test_the_driver_has_the_hashes(self):
        """Those of the key and the types that the guest has set."""
        self.guest.shell("ethtool -K eth0 rxhash on")
        self.guest.shell("ethtool -N eth0 rx-flow-hash udp6 sd")
        self.addCleanup(self.guest.shell,
                        "ethtool -N eth0 rx-flow-hash udp6 sdfn")
        for seed in (1, 2):
            self.guest.set_key(seed)
            config = self.guest.config()
            frames = [frame + bytes(place) for place, frame in
                      enumerate(sorted(flows(64, seed), key=len))]
            expected = {}
            for frame in frames:
                value, report = config.hash(frame)
                expected[len(frame) - 14] = (
                    value, NAMES[report].startswith(("TCP", "UDP")))
            self.assertEqual(self.traced(frames), expected)

    def test_an_XDP_program_has_hash_and_report_code(self):
        release = re.match(r"(\d+)\.(\d+)", self.guest.shell("uname -r"))
        if tuple(map(int, release.groups())) < (6, 10):
            self.skipTest("Linux tells XDP programs the hash from 6.10 on")
        self.guest.shell("ethtool -K eth0 rxhash on")
        some = traffic.flows(5, 12, traffic.CLASSES + traffic.OTHER_CLASSES)
        frames = [frame + bytes(place) for place, frame in
                  enumerate(sorted(chain(*some.values()), key=len))]
        hashes.begin(self.guest, len(frames), "xdphash")
        self.guest.set_key(3)       # for attaching may turn RSS off
        config = self.guest.config()
        self.receive(frames)
        expected = {}
        for frame in frames:
            value, report = config.hash(frame)
            expected[len(frame)] = value, XDP_TYPES[NAMES[report]], 0
        self.assertEqual({
            int(length): (int(value, 16), int(kind, 16), int(error))
            for length, value, kind, error in hashes.end(self.guest)},
            expected)

    def test_steering_follows_the_table(self):
        for weights in ("1 1 1 1", "6 1 1 0", "0 0 0 1"):
            self.guest.shell("ethtool -X eth0 weight " + weights)
            self.assert_steers(self.guest.config())

    def test_steering_follows_key_and_types(self):
        self.guest.set_key(5)
        self.guest.shell("ethtool -K eth0 rxhash on")
        self.guest.shell("ethtool -N eth0 rx-flow-hash udp6 sd")
        self.assert_steers(self.guest.config())
        self.guest.shell("ethtool -N eth0 rx-flow-hash udp6 sdfn")
        self.assert_steers(self.guest.config())

    def connect(self):
        """Return a connection to the guest, as soon as it listens."""
        deadline = time.monotonic() + TCP_TIMEOUT
        while True:
            try:
                return socket.create_connection((THERE, PORT), TCP_TIMEOUT)
            except ConnectionRefusedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def assert_large(self, name, before):
        """Segmentation was left to the other side, at least at times."""
        self.assertLess(self.guest.statistic(name) - before,
                        len(STREAM) // SEGMENT)

    def test_TCP_both_ways_with_offloads(self):
        """The longer header changes neither segments nor checksums."""
        net = self.guest.netns
        self.enterContext(net.entered())
        run("ip", "addr", "add", f"{HERE}/24", "dev", net.name)
        self.addCleanup(run, "ip", "addr", "flush", "dev", net.name)
        self.guest.shell(f"ip addr add {THERE}/24 dev eth0; rm -f /tmp/in; "
                         f"nc -l -p {PORT} >/tmp/in 2>/dev/null &")
        self.addCleanup(self.guest.shell, "ip addr flush dev eth0")
        before = self.guest.statistic("rx_packets")
        with self.connect() as connection:
            connection.sendall(STREAM)
        text = self.guest.shell("while pidof nc >/dev/null; do sleep 0.1; "
                                "done; sha256sum </tmp/in", TCP_TIMEOUT)
        self.assertEqual(text.split()[0], hashlib.sha256(STREAM).hexdigest())
        self.assert_large("rx_packets", before)
        before = self.guest.statistic("tx_packets")
        with socket.create_server((HERE, PORT)) as server:
            server.settimeout(TCP_TIMEOUT)
            self.guest.shell(f"nc {HERE} {PORT} </tmp/in >/dev/null 2>&1 &")
            connection, _ = server.accept()
        connection.settimeout(TCP_TIMEOUT)
        with connection, connection.makefile("rb") as stream:
            self.assertEqual(hashlib.sha256(stream.read()).digest(),
                             hashlib.sha256(STREAM).digest())
        self.assert_large("tx_packets", before)

    def test_rxhash_off_and_on(self):
        """Off: no hashes, and no steering by them."""
        self.guest.shell("ethtool -K eth0 rxhash on")
        self.guest.shell("ethtool -X eth0 weight 0 1 2 1")
        for _ in range(2):
            self.guest.shell("ethtool -K eth0 rxhash off")
            config = self.guest.config()
            config.types = 0
            self.assert_steers(config)
            self.guest.shell("ethtool -K eth0 rxhash on")
            self.assert_steers(self.guest.config())

    def test_L_turns_steering_off(self):
        self.guest.shell("ethtool -X eth0 equal 1")
        self.guest.shell("ethtool -L eth0 combined 3")
        self.addCleanup(self.guest.shell, "ethtool -L eth0 combined 4")
        self.assertEqual(self.guest.rss()["engine"], AUTOMATIC)
        self.assertGreater(sum(1 for count in self.receive(flows(64, seed=1))
                               if count), 1)
        self.guest.shell("ethtool -X eth0 equal 3")
        self.assert_steers(self.guest.config())


if __name__ == "__main__":
    run_tests(__file__)
