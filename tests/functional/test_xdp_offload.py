#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""XDP offload as a whole: a guest's tool, QEMU, the helper, and packets.

    test (AF_PACKET) ─▶ tap ─▶ guest's program ─▶ QEMU ─▶ guest's program, again
                         ▲ helper ◀─ QEMU ◀─ port ◀─ xdp-offload
                         └ in a network namespace of its own

xdp-offload and the programs are the library's (build/lib), as "scripts/check
--tier lib" builds them; the helper is QEMU's build's.
"""

import contextlib
import json
import os
import signal
import socket
import tempfile
from pathlib import Path

from harness import TOP
from harness.functional.guests import (BOOT_TIMEOUT, MEMORY, Case, best_accel,
                                       get_kernel, run_tests, tested_qemu)
from harness.qtest.machine import QEMU
from harness.vm import traffic
from harness.vm.process import run, wait_until
from harness.vm.tapnet import ETH_P_ALL, TapNet
from harness.vm.xdp import (CARD, NETDEV, PORT, Helper, IncomingXdpGuest,
                            Listener, XdpGuest, card, passes)

HELPER = QEMU.parent / "subprojects/qemu-ebpf/tools/qemu-xdp-helper"
TOOL = TOP / "build/lib/tools/xdp-offload"
OBJECTS = [TOP / "build/lib/tests" / f"{name}.bpf.o"
           for name in ("change", "filter", "functions", "xdp/offered")]
FILTER = Path("/usr/lib", f"{os.uname().machine}-linux-gnu",
              "bpf/xdpfilt_alw_udp.o")
UDP_DESTINATION = 2 | 8         # a value of xdp-filter's map of ports
TIMEOUT = 30
PACKETS = 50
DROPPED, PASSED = 5, 6          # ports; the program looks at the last four bits


def answer():
    """Return what the program "reflect" makes of datagram(DROPPED)."""
    data = traffic.datagram(DROPPED)
    return (data[6:12] + data[:6] + data[12:26] + data[30:34] + data[26:30]
            + data[36:38] + data[34:36] + data[38:])


def why_not():
    if Case.why_not():
        return Case.why_not()
    for path in (HELPER, TOOL, *OBJECTS):
        if not path.exists():
            return f"{path.name} is not built (scripts/check --tier lib)"
    return ""


class XdpCase(Case):
    """One guest, and a new one where a test has ended it."""

    why_not = staticmethod(why_not)
    guest = None
    objects, options, helper_options = OBJECTS, "", ()

    @classmethod
    def boot(cls):
        cls.closing = contextlib.ExitStack()
        cls.new_tap()
        cls.guest = cls.closing.enter_context(cls.new_guest(cls.options))

    @classmethod
    def new_tap(cls, serve=None):
        """Have a tap, and the helper or one of our own for it."""
        cls.net = cls.closing.enter_context(TapNet(1))
        cls.sender = cls.closing.enter_context(cls.net.packet_socket())
        cls.helper = cls.closing.enter_context(
            Listener(serve) if serve else
            Helper(HELPER, cls.net, *cls.helper_options))

    @classmethod
    def new_guest(cls, options, kind=XdpGuest):
        """Return a guest on the tap and the helper that there are."""
        qemu, kernel = tested_qemu(), get_kernel()
        return kind(qemu, kernel, cls.net, cls.helper, TOOL, cls.objects,
                    options=options, accel=best_accel(qemu, kernel), cpus=2,
                    memory=MEMORY, boot_timeout=BOOT_TIMEOUT)

    @classmethod
    def end(cls):
        cls.guest = None
        cls.closing.close()

    @classmethod
    def tearDownClass(cls):
        if cls.guest:
            cls.end()

    def setUp(self):
        super().setUp()
        if not self.guest:
            self.boot()

    def unload(self):
        self.guest.shell("xdp-offload unload eth0")

    def load(self, name="drop_port", path="/filter.bpf.o"):
        """Have it offloaded; drop_port drops packets to the port DROPPED."""
        self.guest.shell(f"xdp-offload load eth0 {path} sec {name}")
        if name == "drop_port":
            self.guest.shell("xdp-offload map update ports key "
                             f"{DROPPED} value 1")
        self.assertEqual(self.guest.offload()["program"], name)

    def assert_offloaded(self):
        self.assertTrue(wait_until(
            lambda: "program" in self.guest.offload(), TIMEOUT),
            self.guest.offload())

    def passes(self, port=DROPPED):
        """Send a packet; tell whether it gets into the tap."""
        return passes(self.sender, traffic.datagram(port))

    def received(self):
        """Return how many packets the guest's card has received."""
        return self.guest.statistic("rx_packets")


class Offload(XdpCase):
    """Programs of tests/bpf/xdp, and everything that can end them."""

    options = ",rewrite=on,maps=1"

    def shown(self):
        """Return what the guest's tool tells of its card."""
        return json.loads(self.guest.shell("xdp-offload show eth0 --json"))[0]

    def receiver(self):
        """Return a socket that receives what comes out of the tap."""
        sock = self.net.packet_socket(protocol=ETH_P_ALL)
        sock.settimeout(TIMEOUT)
        return sock

    def assert_over(self, reason=""):
        """All packets flow, and nothing is left in the host.

        For this reason, unless the guest has closed the port before.
        """
        self.assertTrue(wait_until(self.passes, TIMEOUT))
        info = self.guest.offload()
        self.assertIn(info["state"], ("closed", "broken"))
        self.assertNotIn("program", info)
        if info["state"] == "broken":
            self.assertIn(reason, info.get("reason", ""))
        self.assert_nothing_left()

    def assert_nothing_left(self):
        for process in self.helper.processes:
            process.wait(TIMEOUT)
        with self.net.entered():
            self.assertEqual(run("tc", "filter", "show", "dev", self.net.name,
                                 "egress"), "")

    def test_it_drops(self):
        self.load()
        before = self.received()
        self.assertFalse(any(self.passes() for _ in range(PACKETS)))
        self.assertEqual(self.received(), before)
        info = self.guest.offload()
        self.assertEqual(info["packets"]["dropped"], PACKETS)
        self.assertEqual(info["tap"], self.net.name)
        shown = self.shown()
        self.assertTrue(shown["offloaded"])
        self.assertEqual(shown["dropped"], PACKETS)
        self.assertTrue(self.passes(PASSED))
        self.assert_words(self.guest.monitor("info xdp-offload"),
                          "xo0: network card card",
                          f'program "drop_port" at tap {self.net.name}',
                          f"{PACKETS} dropped")
        self.guest.shell(f"xdp-offload map delete ports key {DROPPED}")
        self.assertTrue(self.passes())
        self.unload()
        self.assert_over()

    def test_it_answers_while_the_guest_stands_still(self):
        self.load("reflect", "/change.bpf.o")
        self.guest.qmp("stop")
        with self.receiver() as receiver:
            self.passes()
            frame, (_, _, kind, *_) = receiver.recvfrom(65536)
            while kind == socket.PACKET_OUTGOING:
                frame, (_, _, kind, *_) = receiver.recvfrom(65536)
        self.assertEqual(frame, answer())
        self.guest.qmp("cont")
        self.unload()

    def test_bpftool_shows_fields(self):
        self.load("structures", "/offered.bpf.o")
        packets = int.from_bytes(os.urandom(4), "little")
        value = packets.to_bytes(8, "little") + bytes(24)
        self.guest.shell("xdp-offload map update senders key hex "
                         "20 0 0 0 c0 0 2 1 value hex " + value.hex(" "))
        shown = [json.loads(run("bpftool", "-j", "map", "dump", "id",
                                str(one["id"])))
                 for one in json.loads(run("bpftool", "-j", "map", "show"))
                 if one.get("name") == "senders"]
        found = [entry.get("formatted", entry) for entries in shown
                 for entry in entries]
        self.assertIn(({"len": 32, "bytes": [192, 0, 2, 1]}, packets),
                      [(one["key"], one["value"]["packets"]) for one in found])
        self.unload()

    def test_a_migration_that_fails(self):
        """The program has left the host, and comes back."""
        self.load()
        self.guest.qmp("migrate", {"uri": "exec:exit 1"})
        self.assertTrue(wait_until(
            lambda: self.guest.qmp("query-migrate")["status"] == "failed",
            TIMEOUT))
        self.assert_offloaded()
        self.assertFalse(self.passes())
        self.unload()

    def test_a_refused_program(self):
        """It runs in the guest; the reason is told there, and in the host."""
        status, text = self.guest.try_shell(
            "xdp-offload load eth0 /functions.bpf.o sec globals")
        self.assertEqual(status, 2, text)
        shown = self.shown()
        self.assertEqual(shown["name"], "globals")
        self.assertFalse(shown["offloaded"])
        reason = self.guest.offload()["reason"]
        self.assert_words(reason, "maps")
        self.assert_words(text, reason)
        self.unload()

    def test_the_card_is_replaced(self):
        """The new card has nothing of the old one's."""
        self.load()
        self.guest.qmp("device_del", {"id": CARD})
        self.guest.wait_event("DEVICE_DELETED")
        self.guest.qmp("netdev_del", {"id": NETDEV})
        self.guest.qmp("netdev_add", {
            "type": "tap", "id": NETDEV, "ifname": self.net.name,
            "script": "no", "downscript": "no"})
        self.guest.qmp("device_add", card())
        self.assert_over("card was removed")
        self.guest.shell("while pidof xdp-offload || ! ip link set eth0 up; "
                         "do sleep 0.2; done")
        self.load()
        self.assertFalse(self.passes())
        self.unload()

    def test_the_port_is_closed(self):
        """The guest's own program stays and drops."""
        self.load()
        self.guest.shell("killall -9 xdp-offload")
        self.assert_over()
        self.assertEqual(self.shown()["name"], "drop_port")
        self.unload()

    def test_the_helper_is_killed(self):
        """The guest's tool offers its program again to the next one."""
        self.load()
        os.kill(self.helper.processes[-1].pid, signal.SIGKILL)
        self.assertTrue(wait_until(self.passes, TIMEOUT))
        self.assertTrue(wait_until(lambda: not self.passes(), TIMEOUT))
        self.assert_offloaded()
        self.unload()

    def test_the_helper_is_killed_while_the_vm_is_stopped(self):
        """The guest's tool hears of it when the machine goes on."""
        self.load()
        self.guest.qmp("stop")
        os.kill(self.helper.processes[-1].pid, signal.SIGKILL)
        self.assertTrue(wait_until(
            lambda: self.guest.offload()["state"] == "broken", TIMEOUT))
        self.guest.qmp("cont")
        self.assert_offloaded()
        self.unload()

    def test_the_vm_is_killed(self):
        self.load()
        os.kill(self.guest.pid, signal.SIGKILL)
        self.guest.process.wait(TIMEOUT)
        self.assertTrue(wait_until(self.passes, TIMEOUT))
        self.assert_nothing_left()
        self.end()

    def test_the_vm_is_reset(self):
        self.load()
        self.guest.qmp("set-action", {"reboot": "reset"})
        self.guest.qmp("system_reset")
        self.assert_over()
        self.end()


class Migration(XdpCase):
    """A guest goes on elsewhere."""

    LATER = "--timeout 600"     # the tool itself would wait for so long

    def tearDown(self):
        if self.guest:
            self.end()

    def boot(self):
        """A test does that itself."""

    def begin(self, serve=None, options=""):
        """Boot, with a helper of our own if that is said."""
        cls = type(self)
        cls.closing = contextlib.ExitStack()
        cls.new_tap(serve)
        cls.guest = cls.closing.enter_context(cls.new_guest(options))

    def go_on(self):
        """Go on in another QEMU, on another tap, with a good helper."""
        cls, old = type(self), self.guest
        folder = cls.closing.enter_context(tempfile.TemporaryDirectory())
        old.qmp("stop")         # see test_guest_migration.py
        old.migrate(f"exec:cat >{folder}/stream")
        cls.new_tap()
        cls.guest = cls.closing.enter_context(
            cls.new_guest("", IncomingXdpGuest))
        self.guest.qmp("migrate-incoming", {
            "uri": f"exec:cat {folder}/stream"})
        self.assertTrue(wait_until(
            lambda: self.guest.qmp("query-status")["status"] == "paused",
            TIMEOUT))
        self.guest.qmp("cont")

    def test_a_program_in_the_host(self):
        """It goes from the old one, and comes into the new one."""
        self.begin()
        self.load()
        processes = list(self.helper.processes)
        self.assertTrue(processes)
        self.go_on()
        self.assertTrue(wait_until(lambda: all(
            process.poll() is not None for process in processes), TIMEOUT))
        self.assert_offloaded()
        self.assertFalse(self.passes())
        self.unload()

    def monitor(self, command):
        self.assertEqual(self.guest.monitor(command), "")

    def add_disk(self):
        """Add one that snapshots are made in."""
        folder = self.closing.enter_context(tempfile.TemporaryDirectory())
        file = {"driver": "file", "filename": f"{folder}/disk"}
        Path(file["filename"]).touch()
        self.guest.qmp("blockdev-add", {**file, "node-name": "file"})
        self.guest.qmp("blockdev-create", {
            "job-id": "create",
            "options": {"driver": "qcow2", "file": "file", "size": 1 << 20}})
        self.assertTrue(wait_until(
            lambda: self.guest.qmp("query-jobs")[0]["status"] == "concluded",
            TIMEOUT))
        self.guest.qmp("job-dismiss", {"id": "create"})
        self.guest.qmp("blockdev-add", {
            "driver": "qcow2", "file": "file", "node-name": "disk"})

    def test_a_snapshot(self):
        """The program stays while one is made; back at it, it comes anew."""
        self.begin()
        self.load()
        self.add_disk()
        self.monitor("savevm one")
        self.assertFalse(self.passes())
        processes = list(self.helper.processes)
        self.monitor("loadvm one")
        self.assertTrue(wait_until(lambda: all(
            process.poll() is not None for process in processes), TIMEOUT))
        self.assert_offloaded()
        self.assertFalse(self.passes())
        self.unload()

    def begin_unanswered(self):
        """Have a request under way; return the connections to the helper."""
        connections = []
        self.begin(lambda connection: connections.append(
            self.closing.enter_context(connection)))
        self.guest.shell("xdp-offload load eth0 /filter.bpf.o sec drop_port "
                         f"{self.LATER} >/load.log 2>&1 &")
        self.assertTrue(wait_until(lambda: connections, TIMEOUT))
        return connections

    def test_a_snapshot_while_the_vm_is_stopped(self):
        """Back at it, a request that was under way is not waited for."""
        connections = self.begin_unanswered()
        self.add_disk()
        self.monitor("savevm one")
        self.guest.qmp("stop")
        self.monitor("loadvm one")
        self.guest.qmp("cont")
        self.assertTrue(wait_until(lambda: len(connections) > 1, TIMEOUT),
                        self.guest.offload())

    def test_a_request_under_way(self):
        """It is not waited for: the new host is asked."""
        self.begin_unanswered()
        self.go_on()
        self.assert_offloaded()
        self.assertIn("nobody is at the other end",
                      self.guest.shell("cat /load.log"))
        self.unload()

    def test_half_a_request(self):
        """The rest of it is not taken for another."""
        self.begin()
        self.guest.shell(f"(exec 7<>/dev/virtio-ports/{PORT}; "
                         "printf 'XDPO\\1\\0\\1\\0' >&7; touch /sent; "
                         "cat <&7; touch /ended) >/dev/null 2>&1 &")
        self.guest.shell("until [ -e /sent ]; do sleep 0.1; done")
        self.go_on()
        self.guest.shell("until [ -e /ended ]; do sleep 0.1; done")
        self.load()
        self.unload()

    def test_what_the_old_host_has_refused(self):
        """The new one is asked."""
        self.begin(options=",insns=2")
        status, _ = self.guest.try_shell(
            f"xdp-offload load eth0 /filter.bpf.o sec drop_port {self.LATER}")
        self.assertEqual(status, 2)
        self.go_on()
        self.assert_offloaded()
        self.unload()


class XdpFilter(XdpCase):
    """Debian's xdp-filter, which calculates with pointers."""

    objects, options, helper_options = [FILTER], ",trusted=on", ("--trusted",)

    @staticmethod
    def why_not():
        if not FILTER.exists():
            return "there is no xdp-filter (scripts/deps tests)"
        return why_not()

    def test_it_blocks_a_port(self):
        self.load(FILTER.stem, "/" + FILTER.name)
        self.assertTrue(self.passes())
        self.assertTrue(wait_until(self.received, TIMEOUT))
        key = socket.htons(DROPPED)
        self.guest.shell("xdp-offload map update filter_ports "
                         f"key {key} value {UDP_DESTINATION}")
        before = self.received()
        self.assertFalse(any(self.passes() for _ in range(PACKETS)))
        self.assertEqual(self.received(), before)
        self.assertEqual(self.guest.offload()["packets"]["dropped"], PACKETS)
        self.assertTrue(self.passes(PASSED))
        self.assertTrue(wait_until(lambda: self.received() > before, TIMEOUT))
        self.unload()
        before = self.received()
        self.assertTrue(self.passes())
        self.assertTrue(wait_until(lambda: self.received() > before, TIMEOUT))


if __name__ == "__main__":
    run_tests(__file__)
