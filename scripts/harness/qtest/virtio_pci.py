# SPDX-License-Identifier: GPL-2.0-or-later
"""A small driver for modern virtio devices on PCI, with split rings.

    device = VirtioPci(machine, slot=4)
    device.negotiate(wanted_features)
    queue = device.add_queue(0)
    device.ready()
    head = queue.add([b"bytes to read"], [16]); queue.kick()
    queue.used()  ->  [(head, bytes written), …]

Written from the virtio specification 1.2, "Virtio Over PCI Bus" and "Split
Virtqueues".  No interrupts: who waits for a ring looks at it.
"""

import struct
import time

VENDOR = 0x1af4
BAR_BASE = 0xe0000000           # free between memory and the chipset
MEMORY_BASE = 1 << 20           # where rings and buffers are put

ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK, NEEDS_RESET = 1, 2, 4, 8, 64
F_INDIRECT, F_VERSION_1, F_RING_RESET = 28, 32, 40
DESC_NEXT, DESC_WRITE, DESC_INDIRECT = 1, 2, 4
NO_INTERRUPT = 1

COMMON, NOTIFY, DEVICE = 1, 2, 4        # capabilities' cfg_type
# Fields of the common configuration.
FEATURE_SELECT, FEATURE, GUEST_SELECT, GUEST = 0, 4, 8, 12
STATUS = 20
QUEUE_SELECT, QUEUE_SIZE, QUEUE_ENABLE, QUEUE_NOTIFY_OFF = 22, 24, 28, 30
QUEUE_DESC, QUEUE_AVAIL, QUEUE_USED = 32, 40, 48
QUEUE_RESET = 58


class VirtioPci:
    """A virtio device and its queues.

    always  features that a driver of today takes, whatever else it wants
    """

    always = 1 << F_VERSION_1

    def __init__(self, machine, slot, scan=True):
        self.machine = machine
        self.slot = slot
        self.queues = {}
        self.features = 0
        self.free = MEMORY_BASE
        if scan:
            self.scan()

    def _config(self, name, offset, value=None):
        """Read or write the PCI configuration space."""
        address = 1 << 31 | self.slot << 11 | offset & ~3
        self.machine.out("outl", 0xcf8, address)
        if value is None:
            return self.machine.io("in" + name, 0xcfc + offset % 4)
        return self.machine.out("out" + name, 0xcfc + offset % 4, value)

    def scan(self):
        """Place the BARs and find the capabilities, as firmware would."""
        if self._config("w", 0) != VENDOR:
            raise ValueError(f"there is no virtio device in slot {self.slot}")
        bars = self._place_bars()
        self._config("w", 4, 0x0006)    # memory, bus master
        self.areas = {}
        position = self._config("b", 0x34)
        while position:
            if self._config("b", position) == 0x09:
                kind = self._config("b", position + 3)
                bar = self._config("b", position + 4)
                offset = self._config("l", position + 8)
                if kind == NOTIFY:
                    self.notify_step = self._config("l", position + 16)
                if kind in (COMMON, NOTIFY, DEVICE):
                    self.areas[kind] = bars[bar] + offset
            position = self._config("b", position + 1)

    def _place_bars(self):
        """Give each memory BAR an address; return {number: address}."""
        bars = {}
        following = BAR_BASE
        number = 0
        while number < 6:
            register = 0x10 + 4 * number
            self._config("l", register, 0xffffffff)
            value = self._config("l", register)
            if value and not value & 1:
                size = (~(value & ~0xf) & 0xffffffff) + 1
                following = (following + size - 1) & -size
                bars[number] = following
                self._config("l", register, following)
                following += size
                if value & 4:           # 64 bits: two registers
                    self._config("l", register + 4, 0)
                    number += 1
            number += 1
        return bars

    def read(self, area, name, offset):
        """Read a field of COMMON or DEVICE by "b", "w" or "l"."""
        return self.machine.io("read" + name, self.areas[area] + offset)

    def common(self, name, offset, value):
        """Write a field of the common configuration."""
        self.machine.out("write" + name, self.areas[COMMON] + offset, value)

    @property
    def status(self):
        return self.read(COMMON, "b", STATUS)

    def reset(self):
        """Reset the device; its rings and buffers are forgotten."""
        self.common("b", STATUS, 0)
        if self.status != 0:
            raise ValueError("the device does not come out of its reset")
        self.queues = {}
        self.free = MEMORY_BASE

    def offered(self):
        answer = 0
        for word in range(2):
            self.common("l", FEATURE_SELECT, word)
            answer |= self.read(COMMON, "l", FEATURE) << 32 * word
        return answer

    def negotiate(self, wanted):
        """Reset, and settle on those wanted features that are offered."""
        self.reset()
        self.accept(wanted)

    def accept(self, wanted):
        """Settle on features; without a reset, as no driver should."""
        self.common("b", STATUS, ACKNOWLEDGE | DRIVER)
        self.features = self.offered() & (wanted | self.always)
        for word in range(2):
            self.common("l", GUEST_SELECT, word)
            self.common("l", GUEST, self.features >> 32 * word & 0xffffffff)
        self.common("b", STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK)
        if not self.status & FEATURES_OK:
            raise ValueError(f"features {self.features:#x} were refused")

    def has(self, bit):
        return bool(self.features >> bit & 1)

    def allocate(self, size, align=16):
        """Return the address of unused memory, which is zeroed."""
        address = (self.free + align - 1) & -align
        self.free = address + size
        if self.free > len(self.machine.memory):
            raise ValueError("the machine has too little memory")
        self.machine.memory[address:self.free] = bytes(size)
        return address

    def add_queue(self, index):
        self.common("w", QUEUE_SELECT, index)
        size = self.read(COMMON, "w", QUEUE_SIZE)
        if not size:
            raise ValueError(f"the device has no queue {index}")
        step = self.read(COMMON, "w", QUEUE_NOTIFY_OFF) * self.notify_step
        queue = Virtqueue(self, size, index, self.areas[NOTIFY] + step)
        for field, address in ((QUEUE_DESC, queue.desc),
                               (QUEUE_AVAIL, queue.avail),
                               (QUEUE_USED, queue.ring_used)):
            self.common("q", field, address)
        self.common("w", QUEUE_ENABLE, 1)
        self.queues[index] = queue
        return queue

    def reset_queue(self, index):
        """Take one queue back; add_queue() sets it up anew."""
        self.common("w", QUEUE_SELECT, index)
        self.common("w", QUEUE_RESET, 1)
        if self.read(COMMON, "w", QUEUE_RESET):
            raise ValueError(f"queue {index} does not come out of its reset")
        del self.queues[index]

    def ready(self):
        """All queues are set up: the device may begin."""
        self.common("b", STATUS,
                    ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK)

    def moved_to(self, machine):
        """Return this driver on a machine that the guest migrated to."""
        other = VirtioPci(machine, self.slot, scan=False)
        other.areas = self.areas
        other.notify_step = self.notify_step
        other.features = self.features
        other.free = self.free
        for index, queue in self.queues.items():
            other.queues[index] = queue.moved_to(other)
        return other


class Virtqueue:
    """A split ring. Chains are given back to `free_heads` by used()."""

    def __init__(self, device, size, index, notify):
        self.device = device
        self.size = size
        self.index = index
        self.notify = notify
        self.desc = device.allocate(16 * size)
        self.avail = device.allocate(6 + 2 * size, 2)
        self.ring_used = device.allocate(6 + 8 * size, 4)
        self.free_descs = list(range(size))
        self.chains = {}
        self.avail_idx = self.used_idx = 0
        self._map()

    def _map(self):
        self.memory = self.device.machine.memory
        # Stored as a whole: QEMU may be looking.
        self.words = memoryview(self.memory).cast("H")
        self.words[self.avail // 2] = NO_INTERRUPT

    def moved_to(self, device):
        """Return this ring on a machine that the guest migrated to."""
        other = Virtqueue.__new__(Virtqueue)
        other.__dict__.update(self.__dict__)
        other.device = device
        other.free_descs = list(self.free_descs)
        other.chains = dict(self.chains)
        other._map()
        return other

    def _descriptor(self, table, number, address, length, flags, following):
        struct.pack_into("<QIHH", self.memory, table + 16 * number, address,
                         length, flags, following)

    def _fill(self, table, numbers, parts):
        """Write a chain of descriptors; parts: (address, length, flags)."""
        for place, (address, length, flags) in enumerate(parts):
            last = place + 1 == len(parts)
            self._descriptor(table, numbers[place], address, length,
                             flags | (0 if last else DESC_NEXT),
                             0 if last else numbers[place + 1])

    def add_chain(self, parts, indirect=False):
        """Offer a chain of (address, length, flags); return its head."""
        if indirect:
            table = self.device.allocate(16 * len(parts))
            self._fill(table, range(len(parts)), parts)
            parts = [(table, 16 * len(parts), DESC_INDIRECT)]
        if len(parts) > len(self.free_descs):
            raise ValueError(f"queue {self.index} has no room for a chain of "
                             f"{len(parts)} descriptors")
        numbers = [self.free_descs.pop() for _ in parts]
        self._fill(self.desc, numbers, parts)
        self.chains[numbers[0]] = numbers
        self.offer(numbers[0])
        return numbers[0]

    def offer(self, head):
        """Put a chain that is written already into the ring."""
        self.words[self.avail // 2 + 2 + self.avail_idx % self.size] = head
        self.avail_idx = (self.avail_idx + 1) & 0xffff
        self.words[self.avail // 2 + 1] = self.avail_idx

    def offer_all_again(self):
        """Where each entry of the ring holds a chain: offer them anew.

        Those that the device has used since last time, without a look at
        them.
        """
        self.avail_idx = (self.words[self.ring_used // 2 + 1]
                          + self.size) & 0xffff
        self.words[self.avail // 2 + 1] = self.avail_idx

    def kick(self):
        self.device.machine.out("writew", self.notify, self.index)

    def used(self, keep=False):
        """Return [(head, bytes written), …] that are new since last time.

        keep: the chains stay, to be offered again.
        """
        answer = []
        while self.used_idx != self.words[self.ring_used // 2 + 1]:
            head, length = struct.unpack_from(
                "<II", self.memory,
                self.ring_used + 4 + 8 * (self.used_idx % self.size))
            self.used_idx = (self.used_idx + 1) & 0xffff
            if not keep:
                self.free_descs += self.chains.pop(head)
            answer.append((head, length))
        return answer

    def wait(self, timeout=5):
        """Return what used() does once there is something; [] if late."""
        deadline = time.monotonic() + timeout
        while True:
            answer = self.used()
            if answer or time.monotonic() > deadline:
                return answer
            self.device.machine.check_alive()
