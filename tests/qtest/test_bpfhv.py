#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""bpfhv-pci as a guest's driver sees it, and as one sees it that lies.

    driver (harness/qtest/bpfhv.py) ─ bpfhv-pci ─ netdev socket ─ test
                                         └─ bpfhv-proxy ─ bpfhv-backend, or
                                            a backend that lies
"""

import array
import contextlib
import enum
import os
import select
import signal
import socket
import struct
import threading

from harness.cases import Case
from harness.qtest import bpfhv
from harness.qtest.bpfhv import Bpfhv
from harness.qtest.boards import SLOT, Pc
from harness.qtest.machine import BOARD, MEMORY, QEMU, Machine
from harness.qtest.randomly import Steps
from harness.qtest.rig import only_pci, rows, run_tests
from harness.vm import VmError
from harness.vm import bpfhv as backends
from harness.vm.process import run, wait_until
from harness.vm.tapnet import ETH_P_ALL, TapNet, why_not

MODELS = ("sring", "sring_gso", "vring_packed", "sring_sum")
MAC = "52:54:00:12:34:56"
TIMEOUT = 30
COUNT = 200
BATCH = 50              # packets, which the card takes while they are sent
FEW = 12                # packets, which a socket has room for: a quarter of it,
                        # from there on Python waits


def packet(number, length=None):
    """Return a packet that tells what it is."""
    length = length or 60 + number * 37 % 1400
    return bytes.fromhex(MAC.replace(":", "")) + struct.pack(
        f"!6xHI{length - 18}s", 0x88b5, number,
        bytes((number + at) % 256 for at in range(length - 18)))


@only_pci("the device is one")
class BpfhvCase(Case):
    """A test with a card of its own.

    begins  with it; else it calls begin() itself
    """

    begins = True
    model = "sring_gso"

    @staticmethod
    def why_not():
        if not QEMU.exists():
            return "QEMU is not built"
        return ("" if '"bpfhv-pci"' in run(QEMU, "-device", "help")
                else "QEMU has no bpfhv-pci")

    def setUp(self):
        super().setUp()
        if self.begins:
            self.begin()

    def begin(self, model=None, device=True, machine_type=BOARD.type):
        self.peer, end = socket.socketpair()
        self.peer.settimeout(TIMEOUT)
        self.addCleanup(self.peer.close)
        card = f"bpfhv-pci,id=card,netdev=net0,mac={MAC},addr={SLOT:#x}"
        with end:
            self.machine = self.enterContext(Machine(
                ["-netdev", f"socket,id=net0,fd={end.fileno()}",
                 *(["-device", f"{card},model={model or self.model}"]
                   if device else [])], pass_fds=(end.fileno(),),
                machine_type=machine_type))
        self.nic = Bpfhv(self.machine, SLOT) if device else None

    def model_is(self, model):
        self.machine.qmp("qom-set", {"path": "card", "property": "model",
                                     "value": model})

    def to_guest(self, packets):
        for each in packets:
            self.peer.sendall(struct.pack("!I", len(each)) + each)

    def read_exactly(self, size):
        data = b""
        while len(data) < size:
            part = self.peer.recv(size - len(data))
            self.assertTrue(part, "QEMU has closed its end")
            data += part
        return data

    def from_guest(self, count):
        return [self.read_exactly(struct.unpack("!I", self.read_exactly(4))[0])
                for _ in range(count)]

    def wait_received(self, count):
        packets = []

        def all_there():
            packets.extend(self.nic.received())
            return len(packets) >= count

        wait_until(all_there, TIMEOUT)
        return packets

    def assert_passes(self, count=COUNT):
        """Packets go both ways, in order and unchanged."""
        for at in range(0, count, BATCH):
            some = [packet(at + number) for number in range(BATCH)]
            self.to_guest(some)
            self.assertEqual(self.wait_received(BATCH), some)
            self.nic.send(some)
            self.assertEqual(self.from_guest(BATCH), some)
            back = []
            wait_until(lambda: back.append(self.nic.sent())
                       or sum(back) == BATCH, TIMEOUT)
            self.assertEqual(sum(back), BATCH)
        self.assertEqual(self.nic.received(), [])


class Packets(BpfhvCase):
    begins = False

    @rows({model: model for model in MODELS})
    def check(self, model):
        self.begin(model)
        self.nic.start()
        self.assert_passes()

    def test_PCI_Express(self):
        if BOARD is not Pc:
            self.skipTest("the other machines have no other bus")
        self.begin(machine_type="q35")
        self.nic.start()
        self.assert_passes()

    def test_several_buffers(self):
        """A received packet in more buffers than one; without SG, none."""
        self.begin("sring_gso")
        long = packet(7, 9000)
        for features in (0, bpfhv.SG):
            self.nic.start(features)
            self.to_guest([long, packet(8)])
            expected = [long, packet(8)] if features else [packet(8)]
            self.assertEqual(self.wait_received(len(expected)), expected)
            self.nic.stop()

    def test_no_buffers(self):
        """Packets wait for the driver, and for its buffers."""
        self.begin("vring_packed")
        packets = [packet(number) for number in range(FEW)]
        self.to_guest(packets)
        self.nic.prepare()
        self.nic.control(bpfhv.RX_ENABLE)
        queue = self.nic.queues[0]
        queue.publish([bpfhv.BUFFER] * 3)
        queue.give()
        self.assertEqual(self.wait_received(FEW), packets)


def assert_each_queue(case, nic, net):
    """Packets pass by each queue of a tap, which takes checksums."""
    sock = case.enterContext(net.packet_socket(protocol=ETH_P_ALL))
    sock.settimeout(TIMEOUT)
    case.assertEqual(nic.reg(bpfhv.NUM_TX_QUEUES), net.queues)
    case.assertEqual(nic.reg(bpfhv.FEATURES), 0x7f)
    nic.start(0x7f)
    for pair in range(net.queues):
        nic.send([packet(pair)], pair)
        while (got := sock.recv(2000))[12:14] != b"\x88\xb5":
            pass
        case.assertEqual(got, packet(pair))
    sock.send(packet(9))
    case.assertTrue(wait_until(
        lambda: packet(9) in sum(map(nic.received, range(net.queues)), []),
        TIMEOUT))


@only_pci("the device is one")
class Tap(Case):
    """Four queue pairs, and a netdev that takes checksums."""

    why_not = staticmethod(lambda: BpfhvCase.why_not() or why_not())

    def test_queues(self):
        net = self.enterContext(TapNet(4))
        machine = self.enterContext(Machine(
            ["-netdev", net.netdev("net0"), "-device",
             f"bpfhv-pci,netdev=net0,mac={MAC},addr={SLOT:#x}"], netns=net))
        assert_each_queue(self, Bpfhv(machine, SLOT), net)


class Registers(BpfhvCase):
    def read_all(self, name, step=4):
        return {at: self.machine.io(name, self.nic.bars[0] + at)
                for at in range(0, 256, step)}

    def test_what_they_tell(self):
        values = {bpfhv.STATUS: bpfhv.LINK, bpfhv.MAC_LO: 0x00123456,
                  bpfhv.MAC_HI: 0x5254, bpfhv.NUM_RX_QUEUES: 1,
                  bpfhv.NUM_TX_QUEUES: 1, bpfhv.NUM_RX_BUFS: 256,
                  bpfhv.NUM_TX_BUFS: 256, bpfhv.DOORBELL_SIZE: 8,
                  bpfhv.RX_CTX_SIZE: 2176 + 384 + 256 * 32,
                  bpfhv.TX_CTX_SIZE: 2176 + 384 + 256 * 32,
                  bpfhv.VERSION: 2, bpfhv.FEATURES: bpfhv.SG}
        for at, value in self.read_all("readl").items():
            self.assertEqual(value, values.get(at, 0), f"register {at}")

    def test_other_widths(self):
        """They read as 0, and what is written so changes nothing."""
        for name, step in (("b", 1), ("w", 2), ("q", 8)):
            self.assertEqual(set(self.read_all("read" + name, step).values()),
                             {0})
            self.machine.out("write" + name,
                             self.nic.bars[0] + bpfhv.PROG_SELECT, 1)
        self.assertEqual(self.nic.reg(bpfhv.PROG_SIZE), 0)

    def test_programs(self):
        sizes = []
        for number in (*range(16), 0xffffffff):
            self.nic.reg(bpfhv.PROG_SELECT, number)
            sizes.append(bool(self.nic.reg(bpfhv.PROG_SIZE)))
        self.assertEqual([i for i, has in enumerate(sizes) if has],
                         list(bpfhv.PROGRAMS))
        self.nic.reg(bpfhv.PROG_SELECT, 1)
        end = self.nic.bars[3] + 8 * self.nic.reg(bpfhv.PROG_SIZE)
        self.assertEqual(self.machine.io("readl", end - 8), 0x95)
        self.assertEqual(self.machine.io("readl", end), 0)
        self.machine.out("writel", end - 8, 7)
        self.assertEqual(self.machine.io("readl", end - 8), 0x95)

    def enables(self):
        """Can the receive queues be enabled?  Then they are disabled."""
        self.nic.control(bpfhv.RX_ENABLE)
        enabled = bool(self.nic.status & bpfhv.RX_ENABLED)
        self.nic.control(bpfhv.RX_DISABLE)
        return enabled

    def test_contexts(self):
        """Only one of which the device reaches every byte."""
        size = self.nic.reg(bpfhv.RX_CTX_SIZE)
        last = MEMORY - size & -128
        nowhere = {"not aligned": 64, "behind the end": MEMORY,
                   "across the end": last + 128, "registers": self.nic.bars[0]
                   - self.machine.board.ram, "far": 1 << 52,
                   "at the end of all addresses": (1 << 64) - 128 -
                   self.machine.board.ram}
        self.assertFalse(self.enables())
        for name, address in nowhere.items():
            with self.subTest(name):
                self.nic.set_ctx(0, address)
                self.assertFalse(self.enables())
        self.nic.set_ctx(0, last)
        self.assertTrue(self.enables())
        for name, address in nowhere.items():
            self.nic.set_ctx(0, address)
            self.assertTrue(self.enables(), f"{name}: took the other away")
        self.nic.set_ctx(7, None)
        self.assertTrue(self.enables())
        self.nic.control(bpfhv.RX_ENABLE)
        self.nic.set_ctx(0, None)
        self.assertTrue(self.enables(), "taken away while it was enabled")
        self.nic.set_ctx(0, None)
        self.assertFalse(self.enables())

    def test_features(self):
        """Those that were not offered, or too late, are not chosen."""
        def chosen():
            line = self.nic.dump().splitlines()[0]
            return line.split("features ")[1].split()[0]

        for value, expected in ((2, "0"), (3, "0"), (1, "0x1"), (5, "0x1")):
            self.nic.reg(bpfhv.FEATURES, value)
            self.assertEqual(chosen(), expected)
        self.nic.start(bpfhv.SG)
        self.nic.reg(bpfhv.FEATURES, 0)
        self.assertEqual(chosen(), "0x1")

    def test_link(self):
        for up in (False, True):
            self.machine.qmp("set_link", {"name": "card", "up": up})
            self.assertEqual(self.nic.status & bpfhv.LINK, up)

    def test_dump(self):
        self.nic.start()
        self.assert_words(self.nic.dump(), "model sring_gso", "next none",
                          "0: rx sring_gso: ", "1: tx sring_gso: ", "works")

    def test_reset(self):
        self.nic.start(bpfhv.SG)
        self.model_is("sring")
        self.machine.qmp("system_reset")
        self.nic = Bpfhv(self.machine, SLOT)
        self.assertEqual(self.nic.status, bpfhv.LINK)
        self.assertFalse(self.enables())
        self.assert_words(self.nic.dump(), "model sring,", "features 0 of 0")
        self.nic.start()
        self.assert_passes()


class Interrupts(BpfhvCase):
    """MSI-X, whose messages here go to memory."""

    MESSAGES = 0x8000

    def setUp(self):
        super().setUp()
        self.use_vectors()

    def use_vectors(self):
        nic, machine = self.nic, self.machine
        position = nic.pci_config("b", 0x34)
        while nic.pci_config("b", position) != 0x11:
            position = nic.pci_config("b", position + 1)
        self.assertEqual(nic.pci_config("w", position + 2) & 0x7ff, 2)
        for vector in range(3):
            entry = nic.bars[2] + 16 * vector
            machine.out("writel", entry,
                        machine.board.ram + Interrupts.MESSAGES + 4 * vector)
            machine.out("writel", entry + 4, 0)
            machine.out("writel", entry + 8, 100 + vector)
            machine.out("writel", entry + 12, 0)
        nic.pci_config("w", position + 2, 0x8000)

    def fired(self):
        """Return the vectors that have fired since the last call."""
        found = struct.unpack_from("<3I", self.machine.memory, self.MESSAGES)
        struct.pack_into("<3I", self.machine.memory, self.MESSAGES, 0, 0, 0)
        return [vector for vector, value in enumerate(found) if value]

    def wait_for(self, vector):
        self.assertTrue(wait_until(lambda: vector in self.fired(), TIMEOUT))

    def ask(self, queue, count):
        struct.pack_into("<I", self.machine.memory, queue.ctx + 8, count)
        return queue.run(bpfhv.INTERRUPTS)

    def test_queues(self):
        self.nic.start()
        rx, tx = self.nic.queues
        self.assertEqual(self.ask(rx, 2), 0)
        self.to_guest([packet(1)])
        self.assertTrue(wait_until(lambda: "1 given" in self.nic.dump(),
                                   TIMEOUT))
        self.assertEqual(self.fired(), [])
        self.to_guest([packet(2)])
        self.wait_for(0)
        self.assertEqual(self.ask(tx, 1), 0)
        self.nic.send([packet(3)])
        self.wait_for(1)

    def test_status(self):
        self.machine.qmp("set_link", {"name": "card", "up": False})
        self.wait_for(2)
        self.model_is("sring")
        self.wait_for(2)


class Upgrade(BpfhvCase):
    def test_each_to_each(self):
        """While packets wait on both sides."""
        self.nic.start()
        for model in (*MODELS, *MODELS[::-1]):
            self.model_is(model)
            self.assertTrue(self.nic.status & bpfhv.UPGRADE)
            self.assert_passes(50)      # it works until the driver is ready
            self.nic.control(bpfhv.UPGRADE_READY)
            self.assertTrue(self.nic.status & bpfhv.UPGRADE,
                            "taken while queues are enabled")
            self.nic.stop()
            waiting = [packet(number) for number in range(20)]
            self.to_guest(waiting)
            self.nic.control(bpfhv.UPGRADE_READY)
            self.assertEqual(self.nic.status, bpfhv.LINK)
            self.assert_words(self.nic.dump(), f"model {model},")
            self.nic.start()
            self.assertEqual(self.wait_received(20), waiting)
            self.assert_passes(50)

    def test_unknown_model(self):
        with self.assertRaisesRegex(VmError, "model 'x' is unknown"):
            self.model_is("x")
        self.assertEqual(self.nic.status, bpfhv.LINK)

    def test_not_wanted(self):
        self.nic.prepare()
        self.nic.control(bpfhv.UPGRADE_READY)
        self.nic.control(bpfhv.RX_ENABLE)
        self.assertTrue(self.nic.status & bpfhv.RX_ENABLED)


class Life(BpfhvCase):
    begins = False

    def test_migration(self):
        self.begin()
        with self.assertRaisesRegex(VmError, "bpfhv-pci does not support"):
            self.machine.qmp("migrate", {"uri": "exec:cat > /dev/null"})

    def test_hot_plug(self):
        """Plugged, used and unplugged, twice."""
        if not issubclass(BOARD, Pc):
            self.skipTest("the register that ejects is the pc's")
        self.begin(device=False)
        for _ in range(2):
            self.machine.qmp("device_add", {
                "driver": "bpfhv-pci", "id": "card", "netdev": "net0",
                "mac": MAC, "addr": f"{SLOT:#x}"})
            self.nic = Bpfhv(self.machine, SLOT).start()
            self.assert_passes(50)
            self.machine.qmp("device_del", {"id": "card"})
            self.machine.out("outl", 0xae08, 1 << SLOT)     # ACPI's eject
            self.machine.wait_event("DEVICE_DELETED")

    @rows({"model": ("bpfhv-pci,model=x", "model 'x' is unknown")})
    def refuses(self, device, words):
        self.begin(device=False)
        driver, name = device.split(",")
        name, value = name.split("=")
        with self.assertRaisesRegex(VmError, words):
            self.machine.plug(driver, **{name: value})


class Hostile(BpfhvCase):
    """A guest that writes what it likes, wherever it likes."""

    begins = False

    @rows({model: model for model in MODELS})
    def check(self, model):
        self.begin(model)
        self.steps = Steps(self)
        self.rng = self.steps.random
        self.restart()
        actions = [(self.restart, 1), (self.register, 10), (self.doorbell, 10),
                   (self.context, 30), (self.move_on, 20), (self.to_card, 10),
                   (self.operator, 3), (self.read, 3)]
        for _ in self.steps:
            action, = self.rng.choices(*zip(*actions))
            with self.steps.told():
                action()
                self.machine.check_alive()
        self.machine.qmp("system_reset")
        self.model_is(model)
        self.machine.qmp("system_reset")
        self.peer.setblocking(False)
        while True:         # what the guest has sent
            try:
                self.peer.recv(1 << 16)
            except BlockingIOError:
                break
        self.peer.settimeout(TIMEOUT)
        self.nic = Bpfhv(self.machine, SLOT).start()
        self.machine.qmp("query-status")
        self.nic.received()
        self.assert_words(self.nic.dump(), "works")

    def number(self):
        return self.rng.choice([
            0, 1, 2, self.rng.randrange(1 << 32), self.rng.randrange(MEMORY),
            self.rng.randrange(512), 0xffffffff, self.nic.bars[0],
            1 << self.rng.randrange(32)])

    def restart(self):
        if self.nic.status & bpfhv.UPGRADE:
            self.nic.control(bpfhv.RX_DISABLE, bpfhv.TX_DISABLE,
                             bpfhv.UPGRADE_READY)
        self.nic.control(bpfhv.RX_DISABLE, bpfhv.TX_DISABLE)
        self.nic.start(self.nic.reg(bpfhv.FEATURES) & self.number())

    def register(self):
        name = self.rng.choice(["writel"] * 6 + ["writeb", "writew", "writeq"])
        at = self.rng.randrange(0, 256, self.rng.choice([1, 4, 4, 4]))
        self.machine.out(name, self.nic.bars[0] + at, self.number())

    def doorbell(self):
        name = self.rng.choice(["writeb", "writew", "writel", "writeq"])
        self.machine.out(name, self.nic.bars[1] + self.rng.randrange(16),
                         self.number())

    def read(self):
        bar = self.rng.choice([0, 1, 2, 3])
        name = self.rng.choice(["readb", "readw", "readl", "readq"])
        self.machine.io(name, self.nic.bars[bar] + self.rng.randrange(16))

    def context(self):
        """Write anywhere into a context; most of it is the ring."""
        queue = self.rng.choice(self.nic.queues)
        for _ in range(self.rng.randrange(20)):
            struct.pack_into("<I", self.machine.memory, queue.ctx + 2176 +
                             4 * self.rng.randrange(0, 1120), self.number())

    def move_on(self):
        """Let the device see some more entries of the ring."""
        queue = self.rng.choice(self.nic.queues)
        place = queue.ctx + 2176
        prod, = struct.unpack_from("<I", self.machine.memory, place)
        struct.pack_into("<I", self.machine.memory, place,
                         prod + self.rng.randrange(4) & 0xffffffff)
        self.nic.kick(queue.index)

    def to_card(self):
        """QEMU need not read what the guest has no room for."""
        if select.select([], [self.peer], [], 0)[1]:
            self.to_guest([packet(1), packet(2, 1400)])

    def operator(self):
        self.rng.choice([lambda: self.model_is(self.rng.choice(MODELS)),
                         lambda: self.machine.qmp("query-status"),
                         self.nic.dump])()


# What a request is, and how a backend answers that has no rings to serve.
Ask = enum.IntEnum(
    "Ask", "GET_FEATURES SET_FEATURES SET_PARAMETERS GET_PROGRAM SET_MEMORY "
    "SET_QUEUE_CTX SET_QUEUE_KICK SET_QUEUE_IRQ SET_UPGRADE RX_ENABLE "
    "TX_ENABLE RX_DISABLE TX_DISABLE UPGRADE")
VERSION = 2
REFUSED = 8
HEADER = struct.Struct("<III")
ANSWERS = {Ask.GET_FEATURES: struct.pack("<Q", 1),
           Ask.SET_PARAMETERS: struct.pack("<4I", 2176, 2176, 16, 16),
           Ask.GET_PROGRAM: struct.pack("<4I", 0xb4, 0, 0x95, 0)}


class Liar(threading.Thread):
    """A backend that answers one kind of request in its own way.

    lie(answer) returns what to send; None: it closes
    """

    def __init__(self, path, kind=None, lie=None):
        super().__init__(daemon=True)
        self.kind, self.lie = kind, lie
        self.asked = []
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(TIMEOUT)
        self.socket.connect(os.fspath(path))
        self.start()

    def take(self, size):
        """Read so many bytes, and close what came with them."""
        data = b""
        while len(data) < size:
            part, others, *_ = self.socket.recvmsg(size - len(data), 256)
            for *_, fds in others:
                for fd in array.array("i", fds):
                    os.close(fd)
            if not part:
                raise EOFError
            data += part
        return data

    def run(self):
        with contextlib.suppress(EOFError, OSError), self.socket:
            while True:
                kind, _, size = HEADER.unpack(self.take(12))
                self.take(size)
                self.asked.append(kind)
                body = ANSWERS.get(kind, b"")
                answer = HEADER.pack(kind, VERSION, len(body)) + body
                if kind == self.kind:
                    answer = self.lie(answer)
                if answer is None:
                    return
                self.socket.sendall(answer)
                if 0 < len(answer) < HEADER.size:
                    return


LIES = {"closes": lambda answer: None,
        "closes within its answer": lambda answer: answer[:5],
        "another type": lambda answer: bytes([answer[0] % 14 + 1]) +
        answer[1:],
        "an unknown type": lambda answer: b"\xff" + answer[1:],
        "version 1": lambda answer: answer[:4] + b"\1" + answer[5:],
        "a byte more": lambda answer: answer[:8] + struct.pack(
            "<I", len(answer) - 11) + answer[12:] + b"x",
        "very long": lambda answer: answer[:8] + b"\0\0\1\0" + answer[12:],
        "refuses": lambda answer: answer[:4] + bytes([VERSION | REFUSED]) +
        answer[5:8] + struct.pack("<I", 2) + b"no",
        "not printable": lambda answer: answer[:4] + bytes(
            [VERSION | REFUSED]) + answer[5:8] + struct.pack("<I", 1) + b"\n"}


class ProxyCase(BpfhvCase):
    """A card whose queues another process serves."""

    queues = 1

    def begin(self, arguments=(), **how):
        self.place = self.enterContext(backends.Backends())
        self.machine = self.enterContext(Machine(
            [*self.place.arguments(self.queues), "-device",
             f"bpfhv-pci,id=card,netdev=net0,mac={MAC},addr={SLOT:#x}",
             *arguments], **how))
        self.nic = Bpfhv(self.machine, SLOT)

    def wait_status(self, bit, value=True):
        self.assertTrue(wait_until(
            lambda: bool(self.nic.status & bit) == value, TIMEOUT))

    def take(self):
        """Be a driver that is asked for an upgrade."""
        self.wait_status(bpfhv.UPGRADE)
        self.nic.control(bpfhv.RX_DISABLE, bpfhv.TX_DISABLE,
                         bpfhv.UPGRADE_READY)

    def serve(self, *options, model="sring_gso", **how):
        """Have a backend serve the card, which its driver starts."""
        backend = self.place.start(*options, model=model, **how)
        self.take()
        self.nic.start()
        return backend


class Proxy(ProxyCase):
    why_not = staticmethod(lambda: BpfhvCase.why_not() or backends.why_not())

    def assert_source(self):
        """Each packet of the backend's is there, once, in order."""
        packets = self.wait_received(COUNT)
        first = struct.unpack_from("<Q", packets[0], 14)[0]
        self.assertEqual([struct.unpack_from("<Q", each, 14)[0]
                          for each in packets],
                         list(range(first, first + len(packets))))

    def assert_sink(self, backend):
        """The backend takes what is sent."""
        before = self.counted(backend, "tx0")
        self.nic.send([packet(number) for number in range(BATCH)])
        self.assertTrue(wait_until(
            lambda: self.counted(backend, "tx0") == before + BATCH, TIMEOUT))
        self.assertTrue(wait_until(lambda: self.nic.sent(), TIMEOUT))

    @staticmethod
    def counted(backend, queue):
        """Return how many packets bpfhv-ctl says that a queue has had."""
        line, = (line for line in backend.ctl("stats").splitlines()
                 if line.startswith(queue))
        return int(line.split()[2])

    @rows({model: model for model in MODELS}, "packets: ")
    def check(self, model):
        backend = self.serve("--source", "200", model=model)
        self.assert_source()
        self.assert_sink(backend)
        self.assert_words(backend.ctl("stats"), f"model {model}", "works")

    def test_nobody_there(self):
        """The driver starts; nothing is served until there is a backend."""
        self.assertEqual(self.nic.status, 0)
        self.nic.start()
        self.assertEqual(self.nic.status, bpfhv.RX_ENABLED | bpfhv.TX_ENABLED)
        self.nic.send([packet(1)])
        self.assertEqual((self.nic.sent(), self.nic.received()), (0, []))
        self.serve("--source", "60", model="vring_packed")
        self.assert_source()
        self.assertEqual(self.machine.warnings(), [])

    def test_reset(self):
        backend = self.serve("--source", "60")
        for _ in range(3):
            self.machine.qmp("system_reset")
            self.nic = Bpfhv(self.machine, SLOT)
            self.assertEqual(self.nic.status, bpfhv.LINK)
            self.nic.start()
            self.assert_source()
        self.assert_sink(backend)

    def test_upgrades(self):
        """Each model to each, while packets wait."""
        backend = self.serve("--source", "60")
        for model in (*MODELS, *MODELS[::-1]):
            self.assert_source()
            backend.ctl("upgrade", model)
            self.wait_status(bpfhv.UPGRADE)
            self.assert_source()        # until the driver is ready
            self.take()
            self.assertEqual(self.nic.status, bpfhv.LINK)
            self.nic.start()
            self.assert_sink(backend)
            self.assert_words(backend.ctl("stats"), f"model {model}", "works")

    def test_killed(self):
        """And so is each that comes after it."""
        for model in MODELS:
            backend = self.serve("--source", "60", model=model)
            self.assert_source()
            backend.signal()
            self.wait_status(bpfhv.LINK, False)
            self.nic.send([packet(1)])
        self.assertEqual(len(self.machine.warnings()), len(MODELS))
        self.assert_words(self.machine.warnings()[0], "net0", "link is down",
                          "closed the connection")

    def test_stopped(self):
        """The machine waits for it, but not for ever."""
        backend = self.serve("--source", "60")
        backend.signal(signal.SIGSTOP)
        self.nic.stop()
        self.assertFalse(self.nic.status & bpfhv.LINK)
        self.assert_one_warning(self.machine.warnings(), "does not answer "
                                "RX_DISABLE in time")
        # It has used up the time that a backend may take at once.
        self.assertTrue(wait_until(
            lambda: self.serve("--source", "60") and
            self.nic.status & bpfhv.LINK, TIMEOUT))
        self.assert_source()

    def test_link_and_machine(self):
        """Queues rest while the link is down, and while the machine is."""
        backend = self.serve("--sink")
        for command, arguments, works in (
                ("set_link", {"name": "card", "up": False}, False),
                ("set_link", {"name": "card", "up": True}, True),
                ("stop", None, False), ("cont", None, True)):
            self.machine.qmp(command, arguments)
            self.assertIn("works" if works else "disabled",
                          backend.ctl("stats"))
        self.assert_sink(backend)

    def test_contexts(self):
        """Only those that the backend reaches are taken."""
        self.serve("--sink")
        self.nic.stop()
        for address in (64, MEMORY, MEMORY - 128):
            self.nic.set_ctx(0, address)
            self.nic.control(bpfhv.RX_ENABLE)
            self.assertFalse(self.nic.status & bpfhv.RX_ENABLED)
        self.nic.start()
        self.nic.control(bpfhv.RX_DISABLE)      # of one direction only
        self.nic.set_ctx(0, self.nic.queues[0].ctx)
        self.nic.control(bpfhv.RX_ENABLE)
        self.assertEqual(self.nic.status, bpfhv.LINK | bpfhv.RX_ENABLED |
                         bpfhv.TX_ENABLED)

    def test_bus_master_off(self):
        """Contexts that the card may not reach any more are gone."""
        backend = self.serve("--source", "60")
        self.nic.pci_config("w", 4, 0x0002)
        self.assertEqual(self.nic.status, bpfhv.LINK)
        self.assertIn("disabled", backend.ctl("stats"))

    def test_interrupts(self):
        self.serve("--source", "60")
        rx = self.nic.queues[0]
        messages = Interrupts.MESSAGES
        Interrupts.use_vectors(self)
        while True:
            self.nic.received()
            struct.pack_into("<I", self.machine.memory, rx.ctx + 8, 1)
            if rx.run(bpfhv.INTERRUPTS) == 0:
                break
        self.assertTrue(wait_until(
            lambda: struct.unpack_from("<I", self.machine.memory,
                                       messages)[0], TIMEOUT))

    def test_reset_in_an_upgrade(self):
        """The driver has drained its queues, and never says so."""
        backend = self.serve("--source", "60")
        backend.ctl("upgrade", "sring")
        self.wait_status(bpfhv.UPGRADE)
        self.nic.stop()
        self.machine.qmp("system_reset")
        self.nic = Bpfhv(self.machine, SLOT)
        self.assertEqual(self.nic.status, bpfhv.LINK)
        self.nic.start()
        self.assert_source()
        self.assert_words(backend.ctl("stats"), "model sring,", "works")

    def test_netdev_del(self):
        """The backend ends, and the card is as without one."""
        backend = self.serve("--source", "60")
        self.machine.qmp("netdev_del", {"id": "net0"})
        self.assertFalse(self.nic.status & bpfhv.LINK)
        self.assert_ends(backend)
        self.nic.stop()
        self.nic.start()
        self.assertEqual(self.machine.warnings(), [])

    def test_netdev_del_while_stopped(self):
        """A backend that did not answer does not go on afterwards."""
        backend = self.serve("--source", "60")
        backend.signal(signal.SIGSTOP)
        self.machine.qmp("netdev_del", {"id": "net0"})
        self.assert_one_warning(self.machine.warnings(), "does not answer")
        backend.signal(signal.SIGCONT)
        self.assert_ends(backend)

    def assert_ends(self, backend):
        self.assertTrue(wait_until(
            lambda: backend.process.poll() is not None, TIMEOUT))

    def test_hot_unplug(self):
        """The backend rests, and serves the next card."""
        if not issubclass(BOARD, Pc):
            self.skipTest("the register that ejects is the pc's")
        backend = self.serve("--source", "60")
        self.machine.qmp("device_del", {"id": "card"})
        self.machine.out("outl", 0xae08, 1 << SLOT)
        self.machine.wait_event("DEVICE_DELETED")
        self.assertIn("no guest", backend.ctl("stats"))


class ProxyTap(ProxyCase):
    """Two queue pairs on a tap."""

    why_not = staticmethod(lambda: Proxy.why_not() or why_not())
    queues = 2

    def test_queues(self):
        net = self.enterContext(TapNet(2))
        with net.entered():
            self.place.start("--tap", net.name, "--queues", "2")
        self.take()
        assert_each_queue(self, self.nic, net)


class HostileBackend(ProxyCase):
    """It is given up, which is told; the machine goes on."""

    def drive(self):
        """Do what has QEMU send each kind of request."""
        self.take()
        with contextlib.suppress(ValueError):   # its programs are no good
            self.nic.start(self.nic.reg(bpfhv.FEATURES))
        self.nic.stop()

    def test_honest(self):
        """The one that the others are like is taken."""
        liar = Liar(self.place.socket)
        self.drive()
        self.assertEqual(self.nic.status, bpfhv.LINK)
        self.assertEqual(set(liar.asked), set(range(1, 15)))
        self.assertEqual(self.nic.reg(bpfhv.NUM_RX_BUFS), 16)
        self.assertEqual(self.machine.warnings(), [])

    @rows({kind.name: kind for kind in Ask})
    def check(self, kind):
        for name, lie in LIES.items():
            with self.subTest(name):
                before = len(self.machine.warnings())
                liar = Liar(self.place.socket, kind, lie)
                self.drive()
                self.wait_status(bpfhv.LINK, False)
                self.assertIn(kind, liar.asked)
                liar.join(TIMEOUT)
                self.assert_one_warning(self.machine.warnings()[before:],
                                        "net0", kind.name)
        self.machine.qmp("query-status")

    def test_told_a_few_times_only(self):
        for _ in range(20):
            Liar(self.place.socket, Ask.UPGRADE, LIES["refuses"])
            self.take()
            self.wait_status(bpfhv.LINK, False)
            self.wait_status(bpfhv.UPGRADE, False)
        self.assertEqual(len(self.machine.warnings()), 16)
        self.assertIn("not told", self.machine.warnings()[-1])

    def test_silent(self):
        """It costs the machine seconds, but not for each that comes."""
        for number in range(10):
            liar = Liar(self.place.socket, Ask.UPGRADE, lambda answer: b"")
            self.take()
            liar.join(TIMEOUT)
            self.assertFalse(self.nic.status & bpfhv.LINK)
            self.assertRegex(self.machine.warnings()[number],
                             r"does not answer \w+ in time")

    def test_floods(self):
        """What nobody has asked for is no answer."""
        liar = Liar(self.place.socket)
        self.drive()
        liar.socket.sendall(HEADER.pack(Ask.SET_MEMORY, VERSION, 0) * 1000)
        self.nic.start()
        self.wait_status(bpfhv.LINK, False)
        self.assert_one_warning(self.machine.warnings(), "makes no sense")


class ProxyRefused(ProxyCase):
    """What the administrator is told."""

    begins = False

    def begin(self, arguments=()):
        self.place = self.enterContext(backends.Backends())
        self.machine = self.enterContext(Machine(
            [*self.place.arguments(), *arguments]))

    def test_memory(self):
        self.begin(["-object", f"memory-backend-ram,id=own,size={MEMORY}",
                    "-M", "memory-backend=own"])
        with self.assert_error("'own'", "not shared", "share=on"):
            self.machine.plug("bpfhv-pci", netdev="net0")

    def test_model(self):
        self.begin()
        with self.assert_error("backend", "chooses the model"):
            self.machine.plug("bpfhv-pci", netdev="net0", model="sring")

    def test_other_cards(self):
        self.begin()
        with self.assert_error("bpfhv-pci only"):
            self.machine.plug("e1000", netdev="net0")

    @rows({"no chardev": ({"chardev": "none"}, "no chardev 'none'"),
           "not a socket": ({"chardev": "null"}, "not a unix socket"),
           "too many queues": ({"chardev": "backend", "queues": 33},
                               "1 to 32")})
    def refuses(self, options, words):
        self.begin(["-chardev", "null,id=null"])
        with self.assert_error(words):
            self.machine.qmp("netdev_add", {"type": "bpfhv-proxy",
                                            "id": "other", **options})


if __name__ == "__main__":
    run_tests(__file__)
