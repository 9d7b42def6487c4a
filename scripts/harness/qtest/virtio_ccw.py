# SPDX-License-Identifier: GPL-2.0-or-later
"""Virtio devices on channel I/O, as s390x has them: virtio 1.2, 4.3.

Only instructions reach a subchannel, so the machine's processor runs a program
of ours, which waits until the operator presses "restart" (QEMU's inject-nmi).
It takes three registers from the mailbox, executes one instruction, the one
that belongs to the address in the restart PSW, and puts registers and
condition code back.  What the words mean is in the z/Architecture Principles
of Operation (SA22-7832): "I/O Instructions", "Program-Status Word".
"""

import struct
import time

from harness.qtest.virtio import F_RING_RESET, VirtioDevice

# Where things are in memory; QEMU's CPU writes to none of the code's pages.
RESTART_PSW = 0x1a0
WAIT_PSW = 0x800
CODE, CODE_SIZE = 0x3000, 0x40              # of each instruction
MAILBOX, ANSWER, DONE = 0x4000, 0x4020, 0x4040
SCHIB, ORB, CCW, IRB, DATA = 0x4100, 0x4180, 0x41a0, 0x4200, 0x4400
DATA_SIZE = 0x1000

WAIT = 0x0202000180000000                   # 64 bits; I/O interrupts wake it
RUN = 0x0000000180000000

# Operands: a subchannel in register 1, an address in register 2.
INSTRUCTIONS = {
    "stsch": "b2342000", "msch": "b2322000", "ssch": "b2332000",
    "tsch": "b2352000",
    "hypercall": "83000500",                # diag 0x500
}
NOTIFY = 3                                  # which hypercall
TIMEOUT = 30

ENABLED, VALID = 0x80, 0x01                 # of a subchannel's flags
FORMAT_1 = 0x80                             # of an ORB
ANY_LENGTH = 0x20                           # of a CCW
ENDED = 0x0c, 0                             # device and subchannel status

SET_REVISION, RESET = 0x83, 0x33
READ_STATUS, WRITE_STATUS = 0x72, 0x31
READ_FEATURES, WRITE_FEATURES = 0x12, 0x11
READ_CONFIG, READ_QUEUE, SET_QUEUE = 0x22, 0x32, 0x13


def _program():
    """Return what is in memory from address 0 when the machine starts."""
    load = "eb1300000404"                   # lmg %r1,%r3,MAILBOX
    store = ("b2220040"                     # ipm %r4
             "eb2400200424"                 # stmg %r2,%r4,ANSWER
             "eb0100400452")                # mviy DONE,1
    wait = "b2b20800"                       # lpswe WAIT_PSW
    image = bytearray(CODE)
    struct.pack_into(">II", image, 0, 0x00080000, 0x80000000 | CODE)
    struct.pack_into(">QQ", image, WAIT_PSW, WAIT, 0)
    for code in [wait, *(load + instruction + store + wait
                         for instruction in INSTRUCTIONS.values())]:
        image += bytes.fromhex(code).ljust(CODE_SIZE, b"\0")
    return bytes(image)


PROGRAM = _program()
ENTRIES = {name: CODE + (place + 1) * CODE_SIZE
           for place, name in enumerate(INSTRUCTIONS)}


class VirtioCcw(VirtioDevice):
    """A virtio device at a device number.

    revision  of virtio-ccw: 0 is what drivers older than virtio 1.0 take
    """

    revision = 1

    def _execute(self, name, first, second, third=0):
        """Have an instruction executed; return the condition code."""
        memory = self.machine.memory
        struct.pack_into(">3Q", memory, MAILBOX, first, second, third)
        struct.pack_into(">QQ", memory, RESTART_PSW, RUN, ENTRIES[name])
        memory[DONE] = 0
        self.machine.qmp("inject-nmi")
        deadline = time.monotonic() + TIMEOUT
        while not memory[DONE]:
            self.machine.check_alive()
            if time.monotonic() > deadline:
                raise ValueError(f"{name} does not end")
        return memory[ANSWER + 20] >> 4 & 3

    def _io(self, name, address):
        """Have an I/O instruction executed for this subchannel."""
        return self._execute(name, self.subchannel, address)

    def find(self):
        self.subchannel = 1 << 16
        while self._io("stsch", SCHIB) == 0:
            flags, number = struct.unpack_from(">4xHH", self.machine.memory,
                                               SCHIB)
            if flags & VALID and number == self.slot:
                return
            self.subchannel += 1
        raise ValueError(f"there is no device fe.0.{self.slot:04x}")

    def _enable(self, enabled):
        """Turn the subchannel on or off."""
        self._io("stsch", SCHIB)
        flags, = struct.unpack_from(">H", self.machine.memory, SCHIB + 4)
        struct.pack_into(">H", self.machine.memory, SCHIB + 4,
                         flags & ~ENABLED | (ENABLED if enabled else 0))
        if self._io("msch", SCHIB) != 0:
            raise ValueError("the subchannel cannot be changed")

    def _channel(self, command, data=b"", size=None):
        """Run a channel command with data; return `size` bytes of it."""
        memory = self.machine.memory
        size = len(data) if size is None else size
        memory[DATA:DATA + DATA_SIZE] = data.ljust(DATA_SIZE, b"\0")
        struct.pack_into(">BBHI", memory, CCW, command, ANY_LENGTH, size, DATA)
        struct.pack_into(">IHBBI", memory, ORB, 0, FORMAT_1, 0xff, 0, CCW)
        started, ended = self._io("ssch", ORB), self._io("tsch", IRB)
        if (started, ended) != (0, 0) or tuple(memory[IRB + 8:IRB + 10]
                                               ) != ENDED:
            raise ValueError(f"channel command {command:#x} failed: "
                             f"{memory[IRB:IRB + 12].hex()}")
        return memory[DATA:DATA + size]

    def config(self, name, offset):
        size = {"b": 1, "w": 2, "l": 4}[name]
        data = self._channel(READ_CONFIG, size=offset + size)
        little = self.order == "<"
        return int.from_bytes(data[offset:], "little" if little else "big")

    @property
    def status(self):
        return self._channel(READ_STATUS, size=1)[0]

    def set_status(self, value):
        if value:
            self._channel(WRITE_STATUS, bytes((value,)))
            return
        self._enable(False)             # forgets the revision
        self._enable(True)
        self._channel(SET_REVISION, struct.pack(">HH", self.revision, 0))
        self._channel(RESET)

    def read_features(self, word):
        data = self._channel(READ_FEATURES, struct.pack("<IB", 0, word))
        # Rings are not reset one by one here.
        unusable = 1 << F_RING_RESET >> 32 * word
        return struct.unpack_from("<I", data)[0] & ~unusable

    def write_features(self, word, value):
        self._channel(WRITE_FEATURES, struct.pack("<IB", value, word))

    def queue_size(self, index):
        data = self._channel(READ_QUEUE, struct.pack(">HH", index, 0))
        return struct.unpack(">HH", data)[1]

    def set_queue(self, queue):
        if self.revision:
            data = struct.pack(">QIHHQQ", queue.desc, 0, queue.index,
                               queue.size, queue.avail, queue.ring_used)
        else:
            data = struct.pack(">QIHH", queue.desc, 4096, queue.index,
                               queue.size)
        self._channel(SET_QUEUE, data)

    def kick(self, queue):
        self._execute("hypercall", NOTIFY, self.subchannel, queue.index)
