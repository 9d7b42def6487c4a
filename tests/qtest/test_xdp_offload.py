#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""XDP offload: a chardev between a port of the guest and the helper.

    test ── serial port ──▶ QEMU ── socket ──▶ helper ──▶ tap
      └───────────────────── packets ──────────────────────▲

The port is an old serial one, which is simpler to drive than virtio-serial.
The helper is the real one, or one that misbehaves.
"""

import errno
import random
import struct
import time

from harness.library import BUILD
from harness.qtest.boards import Pci
from harness.qtest.machine import BOARD, QEMU, Machine, VmError
from harness.qtest.rig import (QUEUES, SOFTWARE, Card, Case, TapNet, rows,
                               run_tests, why_not)
from harness.vm.process import wait_until
from harness.vm.xdp import Helper, Listener, chardev, passes

# That of the library, where QEMU was built alone, with sanitizers
HELPER = next((file for file in [
    QEMU.parent / "subprojects/qemu-ebpf/tools/qemu-xdp-helper",
    BUILD / "tools/qemu-xdp-helper"] if file.exists()), None)
PORT, STATUS = 0x3f8, 0x3fd
HELLO, MAP_CREATE, PROG_SET, PROG_UNSET, LOOKUP = range(1, 6)
XDP_DROP, XDP_PASS, XDP_TX = 1, 2, 3
READY = b"xdp 2, 8 counters"        # of a helper
TIMEOUT = 20
FRAME = bytes.fromhex("020000000001" "020000000002" "0800") + bytes(50)


def request(operation, body=b""):
    return struct.pack("<4sHHII", b"XDPO", 1, operation, 1, len(body)) + body


def hello():
    return request(HELLO, bytes(32))


def program(verdict, name=b"drops"):
    """A program that always returns one verdict."""
    insns = struct.pack("<BBhiBBhi", 0xb7, 0, 0, verdict, 0x95, 0, 0, 0)
    return request(PROG_SET, struct.pack("<III16s", 1, 1, 2, name) + insns)


def skip_reason():
    if not issubclass(BOARD, Pci) or "x86" not in QEMU.name:
        return "this machine has no old serial port"
    if not HELPER:
        return "qemu-xdp-helper is not built"
    return why_not()


class Rig:
    """A card on a tap, a port, and a helper."""

    def __init__(self, case, serve=None, options="", **how):
        net = case.enterContext(TapNet(QUEUES))
        self.helper = case.enterContext(Listener(serve) if serve else
                                        Helper(HELPER, net))
        self.card = case.enterContext(Card(SOFTWARE, net=net, arguments=[
            "-chardev", chardev(self.helper, options),
            "-device", "isa-serial,chardev=xo0"], **how))
        self.machine = self.card.machine

    def write(self, data):
        for byte in data:
            self.machine.out("outb", PORT, byte)

    def read(self, length):
        data = bytearray()
        end = time.monotonic() + TIMEOUT
        while len(data) < length:
            if self.machine.io("inb", STATUS) & 1:
                data.append(self.machine.io("inb", PORT))
            elif time.monotonic() > end:
                raise VmError(f"{length - len(data)} bytes did not come")
        return bytes(data)

    def ask(self, data):
        """Return the error and the rest of the answer to a request."""
        self.write(data)
        return self.read_answer()

    def read_answer(self):
        header = self.read(16)
        magic, _, operation, _, length = struct.unpack("<4sHHII", header)
        assert magic == b"XDPO" and operation & 0x8000, header
        body = self.read(length)
        return struct.unpack_from("<I", body)[0], body[4:]

    def info(self):
        return self.machine.qmp("x-query-xdp-offload")[0]

    def passes(self):
        """Tell whether a packet gets past the tap's egress."""
        return passes(self.card.sender, FRAME)


class XdpCase(Case):
    why_not = staticmethod(skip_reason)

    def offloading(self):
        rig = Rig(self)
        self.assertEqual(rig.ask(hello())[0], 0)
        self.assertEqual(rig.ask(program(XDP_DROP))[0], 0)
        self.assertFalse(rig.passes())
        return rig

    def assert_over(self, rig, state):
        self.assertTrue(wait_until(lambda: rig.info()["state"] == state,
                                   TIMEOUT), rig.info())
        self.assertNotIn("program", rig.info())
        self.assertTrue(wait_until(rig.passes, TIMEOUT))


class Offload(XdpCase):
    def test_it_drops(self):
        rig = self.offloading()
        info = rig.info()
        self.assertEqual((info["chardev"], info["nic"], info["program"]),
                         ("xo0", "card", "drops"))
        self.assertEqual(info["packets"]["dropped"], 1)
        self.assertIn('program "drops"',
                      rig.machine.monitor("info xdp-offload"))
        self.assertEqual(rig.ask(request(PROG_UNSET))[0], 0)
        self.assertTrue(rig.passes())

    def test_it_counts(self):
        """What is shown is what became of packets since HELLO."""
        rig = self.offloading()
        for verdict, packets in (XDP_PASS, 3), (XDP_DROP, 4), (XDP_TX, 2):
            self.assertEqual(rig.ask(program(verdict))[0], 0)
            self.assertEqual([rig.passes() for _ in range(packets)],
                             packets * [verdict != XDP_DROP])
        self.assertEqual(rig.info()["packets"], {
            "passed": 3, "dropped": 1 + 4, "sent": 2, "unexamined": 0})
        self.assertIn("packets: 3 passed, 5 dropped, 2 sent back, 0 not "
                      "examined", rig.machine.monitor("info xdp-offload"))
        self.assertEqual(rig.ask(hello())[0], 0)
        self.assertEqual(set(rig.info()["packets"].values()), {0})

    def test_a_refused_program(self):
        rig = self.offloading()
        error, text = rig.ask(request(PROG_SET, struct.pack(
            "<III16s", 1, 1, 1, b"bad") + bytes.fromhex("95") + bytes(7)))
        self.assertEqual(error, errno.EINVAL)
        self.assertIn(text.decode(), rig.info()["reason"])
        self.assertFalse(rig.passes())

    def test_limits(self):
        rig = Rig(self, options=",maps=2,insns=100,memory=1M")
        error, body = rig.ask(hello())
        self.assertEqual(error, 0)
        self.assertEqual(struct.unpack("<IIIIIQ", body[:28])[1:3], (100, 2))
        self.assertEqual(struct.unpack("<IIIIIQ", body[:28])[5], 1 << 20)

    def test_the_netdev_has_the_name_of_the_card(self):
        rig = Rig(self, netdev="card")
        self.assertEqual(rig.ask(hello())[0], 0)

    def assert_migration(self, rig, status):
        self.assertTrue(wait_until(
            lambda: rig.machine.qmp("query-migrate")["status"] == status,
            TIMEOUT))

    def migrating(self):
        """Return a rig whose migration is under way, and stays so."""
        rig = self.offloading()
        rig.machine.qmp("migrate-set-capabilities", {"capabilities": [
            {"capability": "pause-before-switchover", "state": True}]})
        rig.machine.qmp("migrate", {"uri": "exec:cat >/dev/null"})
        self.assert_migration(rig, "pre-switchover")
        return rig

    def test_a_migration(self):
        """It leaves the tap as one begins; after one that fails it may come."""
        rig = self.migrating()
        self.assert_over(rig, "broken")
        self.assertEqual(rig.info()["reason"], "the VM migrates")
        rig.machine.qmp("system_reset")
        self.assert_over(rig, "closed")
        rig.write(hello())
        self.assert_over(rig, "broken")
        rig.machine.qmp("migrate_cancel")
        self.assert_migration(rig, "cancelled")
        rig.machine.qmp("system_reset")
        self.assertEqual(rig.ask(hello())[0], 0)

    def test_a_chardev_that_comes_with_a_migration_under_way(self):
        rig = self.migrating()
        rig.machine.qmp("chardev-change", {"id": "xo0", "backend": {
            "type": "xdp-offload", "data": {
                "nic": "card", "helper": rig.helper.path}}})
        rig.write(hello())
        self.assert_over(rig, "broken")

    def test_a_migration_in_another_mode(self):
        """Of QEMU 8.2 and newer: the VM goes on after a reboot of the host."""
        rig = self.offloading()
        try:
            rig.machine.qmp("migrate-set-parameters", {"mode": "cpr-reboot"})
        except VmError:
            self.skipTest("this QEMU has no modes")
        rig.machine.qmp("migrate", {"uri": "exec:cat >/dev/null"})
        self.assert_over(rig, "broken")

    def test_reset(self):
        rig = self.offloading()
        rig.machine.qmp("system_reset")
        self.assert_over(rig, "closed")
        self.assertEqual(rig.ask(hello())[0], 0)

    def test_netdev_del(self):
        rig = self.offloading()
        rig.machine.qmp("netdev_del", {"id": "net0"})
        self.assert_over(rig, "broken")

    def test_the_helper_is_killed(self):
        rig = self.offloading()
        rig.helper.processes[0].kill()
        self.assert_over(rig, "broken")

    def test_qemu_is_killed(self):
        rig = self.offloading()
        rig.machine.process.kill()
        self.assertTrue(wait_until(
            lambda: rig.helper.processes[0].poll() is not None, TIMEOUT))
        self.assertTrue(rig.passes())


class Hostile(XdpCase):
    """What a guest and a helper should not say."""

    @rows({
        "no frame": (b"x" * 16,),
        "another version": (b"XDPO\2\0" + bytes(10),),
        "too long": (struct.pack("<4sHHII", b"XDPO", 1, 1, 1, 65521),),
        "an answer": (request(HELLO | 0x8000, bytes(4)),),
        "no patience": (hello() + hello(),),
    })
    def check(self, data):
        rig = self.offloading()
        rig.write(data)
        self.assert_over(rig, "broken")
        rig.machine.qmp("system_reset")
        self.assertEqual(rig.ask(hello())[0], 0)

    def test_at_random(self):
        rig = Rig(self)
        rng = random.Random(1)
        for _ in range(30):
            data = bytearray(rng.choice((hello(), program(XDP_PASS))))
            for _ in range(rng.randrange(4)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            rig.write(data)
            rig.machine.qmp("system_reset")
        self.assertEqual(rig.ask(hello())[0], 0)

    def test_connections_without_end(self):
        """After some of them the guest is made to wait."""
        rig = Rig(self)
        for _ in range(50):
            rig.write(hello())
            info = rig.info()
            if info["state"] == "connects" and "tap" not in info:
                break
            rig.read_answer()
            rig.machine.qmp("system_reset")
        else:
            self.fail("it never has to wait")
        self.assertEqual(rig.read_answer()[0], 0)

    def test_redirected(self):
        """What the helper says of redirected packets is shown."""
        def serve(connection):
            with connection:
                for messages in ([READY], [request(HELLO | 0x8000, bytes(36))],
                                 [b"redirected: not examined: it loops",
                                  request(PROG_SET | 0x8000, bytes(4))], []):
                    connection.recv(4096)
                    for message in messages:
                        connection.send(message)

        rig = Rig(self, serve)
        self.assertEqual(rig.ask(hello())[0], 0)
        self.assertNotIn("redirected", rig.info())
        self.assertEqual(rig.ask(program(XDP_DROP))[0], 0)
        self.assertEqual(rig.info()["redirected"], "not examined: it loops")
        self.assertIn("by XDP: not examined: it loops",
                      rig.machine.monitor("info xdp-offload"))
        rig.machine.qmp("system_reset")
        self.assertNotIn("redirected", rig.info())

    @rows({
        "nothing": ([], "ended"),
        "another text": ([b"no room"], "no room"),
        "no descriptor": ([READY], "ended"),
        "half an answer": ([READY, request(HELLO | 0x8000, bytes(5))],
                           "no answer"),
    })
    def helper(self, messages, reason):
        """The request is answered, with the reason."""
        def serve(connection):
            with connection:
                for message in messages:
                    connection.recv(4096)
                    connection.send(message)
                connection.recv(4096)

        rig = Rig(self, serve)
        rig.write(hello())
        self.assertTrue(wait_until(lambda: "reason" in rig.info(), TIMEOUT))
        self.assertIn(reason, rig.info()["reason"])
        self.assertIn(rig.info()["state"], ("closed", "broken"))


class Start(Case):
    """Options that are wrong."""

    @rows({
        "no card": ("", "the network card is missing"),
        "gso": (",nic=card,gso=drop", "drop"),
        "maps": (",nic=card,maps=many", "maps"),
        "too many maps": (",nic=card,maps=17", "maps must be from 1 to 16"),
        "maps beyond 32 bits": (",nic=card,maps=4294967297", "maps must be"),
        "no maps": (",nic=card,maps=0", "maps must be"),
        "too many instructions": (",nic=card,insns=4097", "insns must be"),
        "too much memory": (",nic=card,memory=5G", "memory must be"),
    })
    def check(self, options, text):
        with self.assertRaisesRegex(VmError, text):
            Machine(["-chardev", "xdp-offload,id=xo0" + options]).stop()


if __name__ == "__main__":
    run_tests(__file__)
