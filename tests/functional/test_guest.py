#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A Linux guest changes its RSS by all means that it has.

After each step x-query-rss must tell what the guest has set, and packets must
go where the reference says; where RSS is off, no program may run.

Every test begins with a table of its own, so each can run alone.  Linux 6.1
sends its table only with the first "ethtool -X", 6.12 when its driver starts.
"""

from harness.functional.guests import (AUTOMATIC, EBPF, QUEUES, SOFTWARE, Case,
                                       RssGuest, flows, run_tests, why_not)
from harness.qtest.rig import predicted
from harness.vm.steering import ADDRESS_TYPES, PORT_TYPES

UNBIND = "/sys/bus/virtio/drivers/virtio_net/unbind"
BIND = "/sys/bus/virtio/drivers/virtio_net/bind"
CARD = "/machine/peripheral/card"


class GuestSteps:
    """The tests; the engines follow."""

    engine = None

    @classmethod
    def setUpClass(cls):
        if not why_not():
            cls.counting_runs()
            cls.boot()

    @classmethod
    def boot(cls):
        cls.guest = cls.enterClassContext(
            RssGuest(f"rss-engine={cls.engine},rss-counters=on"))
        cls.from_start = cls.guest.rss()["engine"]

    def setUp(self):
        super().setUp()
        self.ethtool("-L eth0 combined 4", "-K eth0 rxhash on",
                     "-X eth0 equal 4")

    def ethtool(self, *commands):
        """Run ethtool in the guest, each time with these arguments."""
        self.guest.shell("set -e\n" + "\n".join(
            "ethtool " + command for command in commands))

    def refused(self, command):
        """The guest must refuse this call of ethtool by itself.

        ethtool 6.1 ends with status 0 where "-N" is refused.
        """
        status, text = self.guest.try_shell("ethtool " + command)
        if "Cannot change RX network flow hashing" not in text:
            self.assertNotEqual(status, 0, command)

    def assert_on(self, each=False):
        """Device and guest agree, and packets obey; return the Config."""
        config = self.guest.config()
        self.assert_query(self.engine, config)
        check = self.assert_each_received if each else self.assert_received
        check(flows(64), config.queue)
        return config

    def assert_off(self):
        """No steering is left: several queues receive, no program runs."""
        self.assert_query(AUTOMATIC)
        runs = self.guest.program_runs()
        counted = self.guest.rss()["counters"]
        seen = self.receive(flows(64, seed=1))
        self.assertEqual(self.guest.program_runs(), runs,
                         "a steering program still runs")
        self.assertEqual(self.guest.rss()["counters"], counted)
        return seen

    def assert_nobody_steers(self):
        """The same of packets that no driver receives."""
        rss = self.assert_query(AUTOMATIC)
        self.assertFalse(rss["negotiated"])
        self.assertEqual(rss["queue-pairs"], 1)
        runs = self.guest.program_runs()
        for frame in flows():
            self.guest.sender.send(frame)
        self.assertEqual(self.guest.program_runs(), runs,
                         "a steering program still runs")

    def assert_automatic(self):
        """The same, where the guest has more queues than one."""
        seen = self.assert_off()
        self.assertGreater(sum(1 for count in seen if count), 1, seen)

    def assert_started(self):
        """The driver started anew, and did as it had when it was booted."""
        self.guest.settle()
        self.assertTrue(self.guest.rss()["negotiated"])
        if self.from_start == AUTOMATIC:
            self.assert_automatic()
        else:
            self.assert_on()

    def only_queue(self, queue):
        """A table by which all packets go to one queue."""
        weights = ["0"] * QUEUES
        weights[queue] = "1"
        self.ethtool("-X eth0 weight " + " ".join(weights))

    def test_X_equal(self):
        for queues in (1, 2, 3, 4):
            self.ethtool(f"-X eth0 equal {queues}")
            self.assert_on()

    def test_X_equal_of_the_upper_queues(self):
        self.ethtool("-X eth0 equal 2 start 2")
        self.assertEqual(set(self.assert_on(each=True).table), {2, 3})

    def test_X_hfunc_and_contexts(self):
        """There is Toeplitz alone, and one table; RSS must not notice."""
        self.ethtool("-X eth0 weight 1 0 3 1")
        before = self.guest.rss()
        for what in ("-X eth0 hfunc xor", "-X eth0 hfunc crc32",
                     "-X eth0 context new equal 4", "-x eth0 context 1",
                     "-X eth0 context 1 delete", "-X eth0 hkey 11:22:33",
                     "-X eth0 weight 0 0 0 0", "-X eth0 weight 1 1 1 1 1",
                     "-X eth0 equal 4 start 1"):
            self.refused(what)
        self.ethtool("-X eth0 hfunc toeplitz")
        self.assertEqual(self.guest.rss(), before)
        self.assert_on()

    def test_X_weight(self):
        for weights in ("6 1 1 0", "0 0 0 1", "1 2 3 4"):
            self.ethtool("-X eth0 weight " + weights)
            self.assert_on()

    def test_X_hkey(self):
        for seed in (1, 2):
            self.guest.set_key(seed)
            self.assert_on(each=True)

    def test_X_default(self):
        self.only_queue(2)
        self.ethtool("-X eth0 default")
        self.assert_on(each=True)

    def test_x_shows_what_the_device_has(self):
        self.guest.set_key(3)
        self.ethtool("-X eth0 weight 1 0 3 1")
        config = self.assert_on(each=True)
        self.assertEqual(self.guest.rss()["table"], config.table)

    def test_K_rxhash_off_and_on(self):
        """Off: no hash types, all packets are on the unclassified queue."""
        self.only_queue(3)
        self.ethtool("-K eth0 rxhash off")
        config = self.guest.config()
        config.types = 0
        self.assert_query(self.engine, config)
        self.assert_received(flows(), lambda frame: 0)
        self.ethtool("-K eth0 rxhash on")
        self.assert_on()

    def test_N_rx_flow_hash(self):
        for flow, bit in PORT_TYPES.items():
            self.ethtool(f"-N eth0 rx-flow-hash {flow} sd")
            self.assertEqual(self.assert_on().types & bit, 0, flow)
            self.ethtool(f"-N eth0 rx-flow-hash {flow} sdfn")
        self.assertEqual(self.assert_on().types & sum(PORT_TYPES.values()),
                         sum(PORT_TYPES.values()))

    def test_N_each_set_of_fields(self):
        """Addresses and ports, addresses, or nothing; RSS has no more."""
        for flow, bit in PORT_TYPES.items():
            address = ADDRESS_TYPES[flow[-1]]
            for fields, types in (("r", 0), ("sd", address),
                                  ("sdfn", address | bit)):
                self.ethtool(f"-N eth0 rx-flow-hash {flow} {fields}")
                config = self.guest.config()
                self.assert_query(self.engine, config)
                self.assertEqual(config.types & (address | bit), types,
                                 f"{flow} {fields}")
                if fields == "r":
                    self.assert_received(flows(32), config.queue)
        for what in ("rx-flow-hash tcp4 s", "rx-flow-hash udp6 fn",
                     "rx-flow-hash udp4 sdfnv", "rx-flow-hash sctp4 sd",
                     "flow-type udp4 dst-port 9 action 1"):
            self.refused("-N eth0 " + what)
        self.assert_on()

    def test_N_while_rxhash_is_off(self):
        """Nothing changes until it is on again: Linux keeps it so long."""
        self.addCleanup(self.ethtool, "-N eth0 rx-flow-hash udp4 sdfn")
        self.ethtool("-K eth0 rxhash off", "-N eth0 rx-flow-hash udp4 sd")
        self.assertEqual(self.guest.rss()["hash-types"], [])
        self.ethtool("-K eth0 rxhash on")
        self.assertEqual(self.assert_on().types & PORT_TYPES["udp4"], 0)

    def test_n_shows_what_the_device_has(self):
        self.ethtool("-N eth0 rx-flow-hash udp4 sd",
                     "-N eth0 rx-flow-hash tcp6 sd")
        self.addCleanup(self.ethtool, "-N eth0 rx-flow-hash udp4 sdfn",
                        "-N eth0 rx-flow-hash tcp6 sdfn")
        self.assertEqual(self.guest.rss()["hash-types"],
                         ["ipv4", "tcpv4", "ipv6", "udpv6"])
        self.assert_on()

    def test_L_turns_RSS_off_and_X_on_again(self):
        """VQ_PAIRS_SET after RSS_CONFIG, and the other way round."""
        self.only_queue(1)
        self.assert_on()
        self.ethtool("-L eth0 combined 3", "-L eth0 combined 4")
        self.assert_automatic()
        self.ethtool("-X eth0 equal 4")
        self.assert_on()

    def test_L_with_fewer_and_more_queues(self):
        for queues in (2, 3, 1, 4):
            self.ethtool("-X eth0 equal 1", f"-L eth0 combined {queues}")
            self.assertEqual(len(self.assert_off()), queues)
            self.ethtool(f"-X eth0 equal {queues}")
            self.assert_on()

    def test_L_with_too_few_queues_is_refused(self):
        """The guest's own rule; RSS must not notice."""
        self.refused("-L eth0 combined 2")
        self.refused("-L eth0 combined 5")
        self.refused("-X eth0 equal 5")
        self.assert_on()

    def test_interface_down_and_up(self):
        self.ethtool("-X eth0 weight 1 0 3 1")
        self.guest.shell("ip link set eth0 down && ip link set eth0 up")
        self.assert_on()

    def test_changes_while_the_interface_is_down(self):
        self.addCleanup(self.ethtool, "-N eth0 rx-flow-hash tcp4 sdfn")
        self.guest.shell("ip link set eth0 down")
        self.ethtool("-X eth0 weight 0 1 1 0",
                     "-N eth0 rx-flow-hash tcp4 sd")
        self.guest.shell("ip link set eth0 up")
        self.assert_on()

    def test_G_ring_sizes(self):
        """Each queue is reset in turn, which must not touch RSS."""
        self.addCleanup(self.ethtool, "-G eth0 rx 256 tx 256")
        self.ethtool("-X eth0 weight 3 0 1 2")
        for sizes in ("rx 128", "tx 64", "rx 256 tx 256"):
            self.ethtool("-G eth0 " + sizes)
            self.assert_on()
        self.refused("-G eth0 rx 4096")
        self.assert_on()

    def test_what_has_nothing_to_do_with_RSS(self):
        self.addCleanup(self.ethtool, "-K eth0 rx-gro-hw on tso on")
        self.ethtool("-X eth0 weight 1 0 3 1")
        before = self.guest.rss()
        self.ethtool("-K eth0 rx-gro-hw off", "-K eth0 tso off", "-i eth0",
                     "-C eth0 rx-frames 1", "-s eth0 speed 1000 duplex full",
                     "-l eth0", "-g eth0", "-k eth0", "-S eth0")
        self.guest.shell("ip link set eth0 mtu 1400; "
                         "ip link set eth0 promisc on; "
                         "ip link set eth0 promisc off")
        self.assertEqual(self.guest.rss(), before)
        self.assert_on()

    def bind(self, file):
        self.guest.shell(f"echo $(cat /tmp/card) > {file}")

    def unbind(self):
        self.guest.shell("basename $(readlink -f /sys/class/net/eth0/device) "
                         "> /tmp/card")
        self.bind(UNBIND)

    def test_driver_unbind_and_rebind(self):
        self.only_queue(2)
        self.unbind()
        self.assert_nobody_steers()
        self.bind(BIND)
        self.guest.shell("ip link set eth0 up")
        self.assert_started()
        self.ethtool("-X eth0 equal 4")
        self.assert_on()

    def test_driver_rebind_many_times(self):
        self.guest.shell("basename $(readlink -f /sys/class/net/eth0/device) "
                         "> /tmp/card")
        self.guest.shell(f"""set -e; card=$(cat /tmp/card)
            for i in 1 2 3 4 5 6 7 8; do
                echo $card > {UNBIND}; echo $card > {BIND}
                ip link set eth0 up; ethtool -X eth0 weight 0 0 1 0
            done""", timeout=60)
        self.assert_on()

    def test_system_reset(self):
        """No steering from the reset to the new kernel's first command."""
        self.only_queue(2)
        self.guest.qmp("set-action", {"reboot": "reset"})
        self.guest.qmp("stop")
        self.guest.qmp("system_reset")
        self.guest.wait_event("RESET")
        self.assert_nobody_steers()
        self.boot_again()
        self.assert_started()
        self.ethtool("-X eth0 equal 4")
        self.assert_on()

    def boot_again(self):
        """Go on after a reset.

        Every third time QEMU 7.2's TCG does not survive that the kernel is
        unpacked over the old one, which it has translated: a processor stays
        at one instruction for ever.  Then it takes a new machine.
        """
        if self.guest.accel == "tcg":
            self.guest.stop()
            self.boot()
        else:
            self.guest.qmp("cont")
            self.guest.wait_boot()

    def test_suspend_and_wake(self):
        """To memory, which resets the device; Linux 6.1 then forgets RSS.

        It has forgotten the configuration, too, so that what it sends with
        the next "ethtool -X" is broken: its driver has to begin anew.
        """
        self.only_queue(2)
        self.guest.shell("(sleep 0.2; echo mem > /sys/power/state) "
                         ">/dev/null 2>&1 &")
        self.guest.wait_event("SUSPEND")
        self.assert_nobody_steers()
        self.guest.qmp("system_wakeup")
        self.guest.wait_event("WAKEUP")
        self.guest.settle()
        self.assert_automatic()
        self.unbind()
        self.bind(BIND)
        self.guest.shell("ip link set eth0 up")
        self.ethtool("-X eth0 equal 4")
        self.assert_on()

    # --- counters ---

    def counters(self):
        """Return (packets per queue, packets per report code)."""
        counters = self.guest.rss()["counters"]
        return counters["queues"], [counters["unclassified"]] + [
            row["packets"] for row in counters["hash-types"]]

    def assert_counted(self, frames, config):
        """The counters tell of these frames, and of no others."""
        before = self.counters()
        self.assert_received(frames, config.queue)
        queues = predicted(frames, config.queue)
        reports = predicted(frames, lambda frame: config.hash(frame)[1], 10)
        gained = [[new - old for new, old in zip(*lists)]
                  for lists in zip(self.counters(), before)]
        self.assertEqual(gained, [queues, reports])

    def odd_frames(self):
        frame = flows(4)[0]                     # TCP/IPv4
        return [frame[:12] + b"\x08\x06" + frame[14:],      # now ARP
                frame[:20] + b"\x20\0" + frame[22:]]        # a fragment

    def test_counters(self):
        """Per queue and per hash type they are what was sent."""
        self.assert_counted(flows(64) + self.odd_frames(),
                            self.guest.config())
        self.ethtool("-N eth0 rx-flow-hash udp4 sd",
                     "-X eth0 weight 1 0 2 1")
        self.addCleanup(self.ethtool, "-N eth0 rx-flow-hash udp4 sdfn")
        self.assert_counted(flows(64, seed=3), self.guest.config())

    def test_counters_of_unclassified_packets(self):
        self.ethtool("-K eth0 rxhash off")
        config = self.guest.config()
        config.types = 0
        self.assert_counted(flows(), config)

    def switch_counters(self, value):
        self.guest.qmp("qom-set", {"path": CARD, "property": "rss-counters",
                                   "value": value})

    def test_counters_are_switched_while_it_runs(self):
        self.addCleanup(self.switch_counters, True)
        self.switch_counters(False)
        self.assertFalse(self.guest.rss()["counting"])
        before = self.counters()
        self.assert_on()
        self.assertEqual(self.counters(), before)
        self.switch_counters(True)
        self.assertTrue(self.guest.rss()["counting"])
        self.assert_counted(flows(), self.guest.config())

    def test_info_rss(self):
        """HMP tells the same in words."""
        self.ethtool("-X eth0 weight 0 1 0 0")
        text = self.guest.info_rss()
        self.assertIn(f"card: engine {self.engine} (", text)
        self.assertIn("table: 0-127:1", text)
        self.assertIn("hash types: ipv4 tcpv4 udpv4 ipv6 tcpv6 udpv6;", text)


class GuestEbpf(GuestSteps, Case):
    engine = EBPF


class GuestSoftware(GuestSteps, Case):
    engine = SOFTWARE


if __name__ == "__main__":
    run_tests(__file__)
