# SPDX-License-Identifier: GPL-2.0-or-later
"""A small driver for bpfhv-pci, which knows no format of rings.

    nic = Bpfhv(machine, slot=4)
    nic.start()
    nic.send([packet, …]); nic.sent()  ->  how many buffers came back
    nic.received()  ->  [packet, …]

Written from docs/bpfhv_abi.rst.  It reads the programs from their window and
interprets them.  No interrupts: who waits for a queue looks at it.  An address
is a place in machine.memory.
"""

import struct

from harness.qtest.pci import PciFunction

VENDOR, DEVICE = 0x1b36, 0x000e

(STATUS, CTRL, MAC_LO, MAC_HI, NUM_RX_QUEUES, NUM_TX_QUEUES, NUM_RX_BUFS,
 NUM_TX_BUFS, RX_CTX_SIZE, TX_CTX_SIZE, DOORBELL_SIZE, QUEUE_SELECT,
 CTX_PADDR_LO, CTX_PADDR_HI, PROG_SELECT, PROG_SIZE) = range(0, 64, 4)
VERSION, FEATURES, DUMP_LEN, DUMP_INPUT, DUMP_OFS = range(72, 92, 4)

LINK, UPGRADE, RX_ENABLED, TX_ENABLED = 1, 2, 4, 8
RX_ENABLE, TX_ENABLE, RX_DISABLE, TX_DISABLE, UPGRADE_READY, DUMP = (
    1 << bit for bit in range(6))
PUBLISH, COMPLETE, INTERRUPTS = 1, 2, 3     # of receive; 5 more of transmit
PROGRAMS = (1, 2, 3, 6, 7, 8)
SG = 1
NEXT = 1
KICK = 1
CTX_BUFS, BUFS_OFFSET = 64, 128

MEMORY_BASE = 1 << 20           # where contexts and buffers are put
BUFFER = 2048
RX_BUFFERS = 64
MASK64 = (1 << 64) - 1
STACK = 1 << 60                 # an address that is not in memory


def signed(value, bits):
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> bits - 1 else value


ALU = {0x00: lambda a, b, n: a + b, 0x10: lambda a, b, n: a - b,
       0x20: lambda a, b, n: a * b, 0x30: lambda a, b, n: a // b if b else 0,
       0x40: lambda a, b, n: a | b, 0x50: lambda a, b, n: a & b,
       0x60: lambda a, b, n: a << b % n, 0x70: lambda a, b, n: a >> b % n,
       0x80: lambda a, b, n: -a, 0x90: lambda a, b, n: a % b if b else a,
       0xa0: lambda a, b, n: a ^ b, 0xb0: lambda a, b, n: b,
       0xc0: lambda a, b, n: signed(a, n) >> b % n}
JUMPS = {0x00: lambda a, b, n: True,
         0x10: lambda a, b, n: a == b, 0x20: lambda a, b, n: a > b,
         0x30: lambda a, b, n: a >= b, 0x40: lambda a, b, n: a & b,
         0x50: lambda a, b, n: a != b,
         0x60: lambda a, b, n: signed(a, n) > signed(b, n),
         0x70: lambda a, b, n: signed(a, n) >= signed(b, n),
         0xa0: lambda a, b, n: a < b, 0xb0: lambda a, b, n: a <= b,
         0xc0: lambda a, b, n: signed(a, n) < signed(b, n),
         0xd0: lambda a, b, n: signed(a, n) <= signed(b, n)}
SIZES = {0x00: "<I", 0x08: "<H", 0x10: "<B", 0x18: "<Q"}


class Program:
    """BPF instructions; no verifier: it comes from the QEMU under test."""

    def __init__(self, code):
        self.insns = list(struct.iter_unpack("<BBhi", code))

    def run(self, memory, ctx):
        """Call it with the address of a context; return its answer."""
        stack = bytearray(256)
        regs = [0] * 11
        regs[1], regs[10] = ctx, STACK + len(stack)

        def place(address):
            return ((stack, address - STACK) if address >= STACK else
                    (memory, address))

        at = 0
        while True:
            code, names, offset, imm = self.insns[at]
            at += 1
            dst, src, kind = names & 15, names >> 4, code & 7
            by = regs[src] if code & 8 else imm & MASK64
            bits = 64 if kind in (5, 7) else 32
            mask = (1 << bits) - 1
            if code == 0x95:
                return signed(regs[0], 32)
            if code == 0x18:
                high = self.insns[at][3] << 32
                regs[dst] = (imm & 0xffffffff | high) & MASK64
                at += 1
            elif kind in (4, 7):
                regs[dst] = ALU[code & 0xf0](regs[dst] & mask, by & mask,
                                             bits) & mask
            elif kind in (5, 6):
                if JUMPS[code & 0xf0](regs[dst] & mask, by & mask, bits):
                    at += offset
            else:
                form = SIZES[code & 0x18]
                limit = (1 << 8 * struct.calcsize(form)) - 1
                if kind == 1:
                    where = place(regs[src] + offset & MASK64)
                    regs[dst], = struct.unpack_from(form, *where)
                    continue
                where = place(regs[dst] + offset & MASK64)
                value = imm if kind == 2 else regs[src]
                if code & 0xe0 == 0xc0:         # the exchange
                    regs[src], = struct.unpack_from(form, *where)
                struct.pack_into(form, *where, value & limit)


class Queue:
    """A queue: its context, its programs, and which buffers are outstanding."""

    def __init__(self, nic, index):
        self.nic, self.index = nic, index
        self.receives = index < nic.pairs
        first = 0 if self.receives else 5
        self.programs = {number: nic.programs[first + number]
                         for number in (PUBLISH, COMPLETE, INTERRUPTS)}
        size = nic.reg(RX_CTX_SIZE if self.receives else TX_CTX_SIZE)
        self.ctx = nic.allocate(size, 128)
        self.free = [nic.allocate(BUFFER, 64) for _ in range(RX_BUFFERS)]
        self.outstanding = {}
        nic.set_ctx(index, self.ctx)

    def run(self, number):
        return self.programs[number].run(self.nic.machine.memory, self.ctx)

    def publish(self, lengths):
        """Publish free buffers, a packet each; return their addresses."""
        memory = self.nic.machine.memory
        addresses = []
        for place, length in enumerate(lengths):
            cookie, address = len(self.outstanding), self.free.pop()
            while cookie in self.outstanding:
                cookie = (cookie + 1) % 65536
            self.outstanding[cookie] = address
            struct.pack_into("<QIHH16x", memory,
                             self.ctx + BUFS_OFFSET + 32 * place,
                             self.nic.machine.board.ram + address, length,
                             cookie, 0)
            addresses.append(address)
        struct.pack_into("<I", memory, self.ctx, len(addresses))
        return addresses

    def give(self):
        """The host sees what was published."""
        if self.run(PUBLISH):
            raise ValueError(f"publish of queue {self.index} fails")
        if struct.unpack_from("<I", self.nic.machine.memory,
                              self.ctx + 4)[0] & KICK:
            self.nic.kick(self.index)

    def completed(self):
        """Return [(address, length, flags)] of the buffers that came back."""
        back = []
        while answer := self.run(COMPLETE):
            if answer != 1:
                raise ValueError(f"complete of queue {self.index} fails")
            count, = struct.unpack_from("<I", self.nic.machine.memory,
                                        self.ctx)
            for place in range(count):
                length, cookie, flags = struct.unpack_from(
                    "<IHH", self.nic.machine.memory,
                    self.ctx + BUFS_OFFSET + 32 * place + 8)
                address = self.outstanding.pop(cookie)
                self.free.append(address)
                back.append((address, length, flags))
        return back


class Bpfhv(PciFunction):
    """The card, and its driver."""

    def __init__(self, machine, slot):
        self.machine, self.slot = machine, slot
        if self.pci_config("l", 0) != DEVICE << 16 | VENDOR:
            raise ValueError(f"there is no bpfhv device in slot {slot}")
        self.bars = self.place_bars()
        self.pci_config("w", 4, 0x0006)         # memory, bus master
        self.free = MEMORY_BASE

    def allocate(self, size, align):
        """Return the address of unused memory, which is zeroed."""
        address = (self.free + align - 1) & -align
        self.free = address + size
        self.machine.memory[address:self.free] = bytes(size)
        return address

    def reg(self, offset, value=None):
        """Read or write a register."""
        if value is None:
            return self.machine.io("readl", self.bars[0] + offset)
        return self.machine.out("writel", self.bars[0] + offset, value)

    def control(self, *bits):
        for bit in bits:
            self.reg(CTRL, bit)

    @property
    def status(self):
        return self.reg(STATUS)

    def kick(self, index):
        step = self.reg(DOORBELL_SIZE)
        self.machine.out("writel", self.bars[1] + step * index, 0)

    def set_ctx(self, index, address):
        """Tell where a context is; None: nowhere."""
        value = 0 if address is None else self.machine.board.ram + address
        self.reg(QUEUE_SELECT, index)
        self.reg(CTX_PADDR_LO, value & 0xffffffff)
        self.reg(CTX_PADDR_HI, value >> 32)

    def read_program(self, number):
        self.reg(PROG_SELECT, number)
        size = 8 * self.reg(PROG_SIZE)
        return bytes.fromhex(self.machine.ask(
            f"read {self.bars[3]:#x} {size:#x}")[2:])

    def prepare(self, features=0):
        """Do all but enable the queues."""
        self.free = MEMORY_BASE
        self.pairs = self.reg(NUM_RX_QUEUES)
        self.reg(FEATURES, features)
        self.programs = {number: Program(self.read_program(number))
                         for number in PROGRAMS}
        self.queues = [Queue(self, index) for index in range(2 * self.pairs)]

    def start(self, features=0):
        """Be a driver, from the beginning."""
        self.prepare(features)
        for queue in self.queues[:self.pairs]:
            self.fill(queue)
        self.control(RX_ENABLE, TX_ENABLE)
        return self

    def stop(self):
        """Take everything back from the device."""
        self.control(RX_DISABLE, TX_DISABLE)
        for index in range(len(self.queues)):
            self.set_ctx(index, None)

    @staticmethod
    def fill(queue):
        """Publish all of a receive queue's free buffers."""
        while queue.free:
            queue.publish([BUFFER] * min(len(queue.free), CTX_BUFS))
            queue.give()

    def send(self, packets, pair=0):
        """Send packets, each in a buffer, as many as there are buffers for."""
        queue = self.queues[self.pairs + pair]
        for packet, address in zip(packets,
                                   queue.publish(map(len, packets))):
            self.machine.memory[address:address + len(packet)] = packet
        queue.give()

    def sent(self, pair=0):
        """Return how many buffers came back."""
        return len(self.queues[self.pairs + pair].completed())

    def received(self, pair=0):
        """Return the packets that came, and publish their buffers anew."""
        queue = self.queues[pair]
        packets, parts = [], b""
        for address, length, flags in queue.completed():
            parts += self.machine.memory[address:address + length]
            if not flags & NEXT:
                packets.append(parts)
                parts = b""
        if packets:
            self.fill(queue)
        return packets

    def dump(self):
        """Return the dump of the queues, as text."""
        self.control(DUMP)
        words = []
        for at in range(0, self.reg(DUMP_LEN), 4):
            self.reg(DUMP_OFS, at)
            words.append(self.reg(DUMP_INPUT))
        text = struct.pack(f"<{len(words)}I", *words)
        return text[:self.reg(DUMP_LEN)].decode()
