#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""bpfhv-pci as a guest's driver sees it, and as one sees it that lies.

    driver (harness/qtest/bpfhv.py) ─ bpfhv-pci ─ netdev socket ─ test
"""

import select
import socket
import struct
import subprocess

from harness.cases import Case
from harness.qtest import bpfhv
from harness.qtest.bpfhv import Bpfhv
from harness.qtest.boards import SLOT, Pc
from harness.qtest.machine import BOARD, MEMORY, QEMU, Machine
from harness.qtest.randomly import Steps
from harness.qtest.rig import only_pci, rows, run_tests
from harness.vm import VmError
from harness.vm.process import wait_until
from harness.vm.tapnet import TapNet, why_not

MODELS = ("sring", "sring_gso", "vring_packed")
MAC = "52:54:00:12:34:56"
TIMEOUT = 30
COUNT = 200
BATCH = 50              # packets, which the card takes while they are sent
FEW = 12                # packets, which a socket has room for: a quarter of it,
                        # from there on Python waits
ETH_P_ALL = 3


def packet(number, length=None):
    """Return a packet that tells what it is."""
    length = length or 60 + number * 37 % 1400
    return bytes.fromhex(MAC.replace(":", "")) + struct.pack(
        f"!6xHI{length - 18}s", 0x88b5, number,
        bytes((number + at) % 256 for at in range(length - 18)))


@only_pci("the device is one")
class BpfhvCase(Case):
    """A test with a card of its own."""

    model = "sring_gso"

    @staticmethod
    def why_not():
        if not QEMU.exists():
            return "QEMU is not built"
        told = subprocess.run([QEMU, "-device", "help"], text=True,
                              stdout=subprocess.PIPE, check=False).stdout
        return "" if '"bpfhv-pci"' in told else "QEMU has no bpfhv-pci"

    def setUp(self):
        super().setUp()
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
    def setUp(self):
        Case.setUp(self)

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


@only_pci("the device is one")
class Tap(Case):
    """Four queue pairs, and a netdev that takes checksums."""

    why_not = staticmethod(lambda: BpfhvCase.why_not() or why_not())

    def test_queues(self):
        net = self.enterContext(TapNet(4))
        machine = self.enterContext(Machine(
            ["-netdev", net.netdev("net0"), "-device",
             f"bpfhv-pci,netdev=net0,mac={MAC},addr={SLOT:#x}"], netns=net))
        nic = Bpfhv(machine, SLOT)
        self.assertEqual(nic.reg(bpfhv.NUM_TX_QUEUES), 4)
        self.assertEqual(nic.reg(bpfhv.FEATURES), 0x7f)
        nic.start(0x7f)
        with net.entered():
            sock = self.enterContext(socket.socket(
                socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)))
            sock.bind((net.name, ETH_P_ALL))
        sock.settimeout(TIMEOUT)
        for pair in range(4):
            nic.send([packet(pair)], pair)
            while (got := sock.recv(2000))[12:14] != b"\x88\xb5":
                pass
            self.assertEqual(got, packet(pair))
        sock.send(packet(9))
        self.assertTrue(wait_until(
            lambda: packet(9) in sum(map(nic.received, range(4)), []),
            TIMEOUT))


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
        nic, machine = self.nic, self.machine
        position = nic.pci_config("b", 0x34)
        while nic.pci_config("b", position) != 0x11:
            position = nic.pci_config("b", position + 1)
        self.assertEqual(nic.pci_config("w", position + 2) & 0x7ff, 2)
        for vector in range(3):
            entry = nic.bars[2] + 16 * vector
            machine.out("writel", entry,
                        machine.board.ram + self.MESSAGES + 4 * vector)
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
    def setUp(self):
        Case.setUp(self)

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
            self.machine.qmp("device_add", {"driver": driver, name: value})


class Hostile(BpfhvCase):
    """A guest that writes what it likes, wherever it likes."""

    def setUp(self):
        Case.setUp(self)

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


if __name__ == "__main__":
    run_tests(__file__)
