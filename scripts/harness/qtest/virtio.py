# SPDX-License-Identifier: GPL-2.0-or-later
"""A small driver for virtio devices with split rings, on whatever bus.

    device = driver(machine, slot=4)
    device.negotiate(wanted_features)
    queue = device.add_queue(0)
    device.ready()
    head = queue.add_chain([(address, 16, DESC_WRITE)]); queue.kick()
    queue.used()  ->  [(head, bytes written), …]

Written from the virtio specification 1.2, "Basic Facilities of a Virtio
Device" and "Split Virtqueues".  No interrupts: who waits for a ring looks at
it.  An address is a place in machine.memory; what the device is told is as
much more as the board's memory begins.
"""

import copy
import struct
import time

MEMORY_BASE = 1 << 20           # where rings and buffers are put

ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK, NEEDS_RESET = 1, 2, 4, 8, 64
F_INDIRECT, F_VERSION_1, F_RING_RESET = 28, 32, 40
DESC_NEXT, DESC_WRITE, DESC_INDIRECT = 1, 2, 4
NO_INTERRUPT = 1
PAGE = 4096
LAST_ADDRESS = (1 << 64) - 1


class VirtioDevice:
    """A virtio device and its queues.

    always  features that a driver of today takes, whatever else it wants

    How to reach it is a subclass's, by the rules of its bus:

    find()                  makes it accessible, as firmware would
    config(name, offset)    reads a field of its configuration by "b", "w" or
                            "l"
    status                  the device status
    set_status(value)       writes it; 0 resets the device
    read_features(word)     reads 32 bits of what is offered
    write_features(word, value)     accepts 32 bits of it
    queue_size(index)       the size of a queue; 0 if there is none
    set_queue(queue)        tells the device where a Virtqueue is
    kick(queue)             tells the device to look at it
    """

    always = 1 << F_VERSION_1

    def __init__(self, machine, slot):
        self.machine = machine
        self.slot = slot
        self.queues = {}
        self.features = 0
        self.free = MEMORY_BASE
        self.find()

    @property
    def order(self):
        """The byte order of rings and headers, in struct's language."""
        big = self.machine.board.big_endian and not self.has(F_VERSION_1)
        return ">" if big else "<"

    def reset(self):
        """Reset the device; its rings and buffers are forgotten."""
        self.set_status(0)
        if self.status != 0:
            raise ValueError("the device does not come out of its reset")
        self.queues = {}
        self.free = MEMORY_BASE

    def offered(self):
        """Return the features that the device offers."""
        return sum(self.read_features(word) << 32 * word for word in range(2))

    def negotiate(self, wanted):
        """Reset, and settle on those wanted features that are offered."""
        self.reset()
        self.accept(wanted)

    def accept(self, wanted):
        """Settle on features; without a reset, as no driver should."""
        self.set_status(ACKNOWLEDGE | DRIVER)
        self.features = self.offered() & (wanted | self.always)
        for word in range(2):
            self.write_features(word, self.features >> 32 * word & 0xffffffff)
        self.set_status(ACKNOWLEDGE | DRIVER | FEATURES_OK)
        if not self.status & FEATURES_OK:
            raise ValueError(f"features {self.features:#x} were refused")

    def has(self, bit):
        """Tell whether a feature was negotiated."""
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
        """Set up a queue."""
        size = self.queue_size(index)
        if not size:
            raise ValueError(f"the device has no queue {index}")
        queue = self.queues[index] = Virtqueue(self, size, index)
        self.set_queue(queue)
        return queue

    def ready(self):
        """All queues are set up: the device may begin."""
        self.set_status(ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK)

    def moved_to(self, machine):
        """Return this driver on a machine that the guest migrated to."""
        other = copy.copy(self)
        other.machine = machine
        other.queues = {index: queue.moved_to(other)
                        for index, queue in self.queues.items()}
        return other


class Virtqueue:
    """A split ring. Chains are given back to `free_heads` by used().

    pause: s between two looks while wait() waits; else it does so busily
    """

    pause = 0

    def __init__(self, device, size, index):
        self.device = device
        self.size = size
        self.index = index
        self.order = device.order
        # Where drivers older than virtio 1.0 must have them.
        self.desc = device.allocate(16 * size, PAGE)
        self.avail = device.allocate(6 + 2 * size, 2)
        self.ring_used = device.allocate(6 + 8 * size, PAGE)
        self.free_descs = list(range(size))
        self.chains = {}
        self.avail_idx = self.used_idx = 0
        self._map()

    def _map(self):
        self.memory = self.device.machine.memory
        self.words = memoryview(self.memory).cast("H")
        self.write_word(self.avail, NO_INTERRUPT)

    def _swapped(self, word):
        """Return a 16-bit word as it is in memory, or the reverse."""
        return word if self.order == "<" else word >> 8 | (word & 0xff) << 8

    def read_word(self, address):
        """Read 16 bits of the ring."""
        return self._swapped(self.words[address // 2])

    def write_word(self, address, word):
        """Write 16 bits of the ring as a whole: QEMU may be looking."""
        self.words[address // 2] = self._swapped(word)

    def moved_to(self, device):
        """Return this ring on a machine that the guest migrated to."""
        other = copy.copy(self)
        other.device = device
        other.free_descs = list(self.free_descs)
        other.chains = dict(self.chains)
        other._map()
        return other

    def descriptor(self, table, number, address, length, flags, following=0):
        """Write a descriptor of a table: the ring's, or an indirect one."""
        address = self.device.machine.board.ram + address & LAST_ADDRESS
        struct.pack_into(self.order + "QIHH", self.memory, table + 16 * number,
                         address, length, flags, following)

    def _fill(self, table, numbers, parts):
        """Write a chain of descriptors; parts: (address, length, flags)."""
        for place, (address, length, flags) in enumerate(parts):
            last = place + 1 == len(parts)
            self.descriptor(table, numbers[place], address, length,
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
        self.write_word(self.avail + 4 + 2 * (self.avail_idx % self.size),
                        head)
        self.avail_idx = (self.avail_idx + 1) & 0xffff
        self.write_word(self.avail + 2, self.avail_idx)

    def offer_all_again(self):
        """Where each entry of the ring holds a chain: offer them anew.

        Those that the device has used since last time, without a look at
        them.
        """
        self.avail_idx = (self.read_word(self.ring_used + 2)
                          + self.size) & 0xffff
        self.write_word(self.avail + 2, self.avail_idx)

    def kick(self):
        """Tell the device to look at the ring."""
        self.device.kick(self)

    def used(self, keep=False):
        """Return [(head, bytes written), …] that are new since last time.

        keep: the chains stay, to be offered again.
        """
        answer = []
        while self.used_idx != self.read_word(self.ring_used + 2):
            head, length = struct.unpack_from(
                self.order + "II", self.memory,
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
            if self.pause:
                time.sleep(self.pause)
