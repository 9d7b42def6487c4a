# SPDX-License-Identifier: GPL-2.0-or-later
"""A small virtio-net driver: receive queues, and the control queue.

It sends whatever control command it is told to, right or wrong, and says on
which queue each packet arrived.  Numbers are from the virtio specification,
"Network Device".
"""

import struct
import time
from collections import namedtuple

from harness.qtest.virtio import DESC_WRITE, F_INDIRECT, F_VERSION_1

F_MAC, F_MRG_RXBUF, F_CTRL_VQ, F_MQ = 5, 15, 17, 22
F_HASH_REPORT, F_RSS = 57, 60
FEATURES = sum(1 << bit for bit in (F_MAC, F_CTRL_VQ, F_MQ, F_RSS,
                                    F_INDIRECT))
WITHOUT_RSS = FEATURES & ~(1 << F_RSS)
HASHES = FEATURES | 1 << F_HASH_REPORT
HASHES_ALONE = WITHOUT_RSS | 1 << F_HASH_REPORT

OK, ERR = 0, 1                  # what the device acknowledges with
CLASS_MQ = 4
VQ_PAIRS_SET, RSS_CONFIG, HASH_CONFIG = 0, 1, 2
MAX_PAIRS, RSS_KEY_MAX, RSS_TABLE_MAX, RSS_TYPES = 8, 17, 18, 20

BUFFER_SIZE = 2048

# A packet in a receive buffer. frame: without the header.
Received = namedtuple("Received", "queue frame header")


def rss_config(types, table, key, pairs, unclassified=0, mask=None,
               key_len=None):
    """Return an RSS_CONFIG without class and command.

    mask, key_len: what these fields say, if not the truth.
    """
    mask = len(table) - 1 if mask is None else mask
    key_len = len(key) if key_len is None else key_len
    return (struct.pack("<IHH", types, mask, unclassified)
            + struct.pack(f"<{len(table)}H", *table)
            + struct.pack("<HB", pairs, key_len) + key)


def hash_config(types, key, key_len=None):
    key_len = len(key) if key_len is None else key_len
    return struct.pack("<I8xB", types, key_len) + key


def cut(data, lengths):
    """Cut bytes into pieces of these lengths; the last takes the rest."""
    pieces = []
    for length in lengths:
        pieces.append(data[:length])
        data = data[length:]
    return pieces + [data] if data else pieces


class VirtioNet:
    """The card in a slot of a machine."""

    def __init__(self, machine, slot=4, device=None):
        self.machine = machine
        self.device = device or machine.board.driver(machine, slot)

    def start(self, features=FEATURES, buffers=True, ready=None):
        """Reset the card and set all of it up; buffers for all queues.

        ready: so many queue pairs only
        """
        device = self.device
        device.negotiate(features)
        self.multi = device.has(F_MQ) or device.has(F_RSS)
        self.max_pairs = device.config("w", MAX_PAIRS)
        pairs = self.max_pairs if self.multi else 1
        ready = pairs if ready is None else ready
        for index in range(2 * ready):
            device.add_queue(index)
        self._find_queues(ready)
        if device.has(F_CTRL_VQ):
            self.control = device.add_queue(2 * pairs)
            self.command_at = device.allocate(4096)
            self.ack_at = device.allocate(1)
        self.buffers = [{} for _ in range(ready)]
        if buffers:
            for queue in range(ready):
                self.add_buffers(queue)
        device.ready()
        for queue in self.receive_queues:
            queue.kick()
        return self

    def _find_queues(self, pairs):
        self.receive_queues = [self.device.queues[2 * pair]
                               for pair in range(pairs)]

    @property
    def header_len(self):
        if not self.device.has(F_VERSION_1):
            return 12 if self.device.has(F_MRG_RXBUF) else 10
        return 20 if self.device.has(F_HASH_REPORT) else 12

    def add_buffers(self, queue, count=None, size=BUFFER_SIZE):
        """Give a receive queue buffers, as many as it takes by default."""
        ring = self.receive_queues[queue]
        for _ in range(len(ring.free_descs) if count is None else count):
            address = self.device.allocate(size)
            head = ring.add_chain([(address, size, DESC_WRITE)])
            self.buffers[queue][head] = address

    def give_buffers(self, queue, count=None, size=BUFFER_SIZE):
        """The same to a card that is up."""
        self.add_buffers(queue, count, size)
        self.receive_queues[queue].kick()

    def collect(self):
        """Return what arrived since last time; the buffers go back."""
        answer = []
        for number, ring in enumerate(self.receive_queues):
            for head, length in ring.used(keep=True):
                start = self.buffers[number][head]
                data = self.machine.memory[start:start + length]
                answer.append(Received(number, data[self.header_len:],
                                       data[:self.header_len]))
                ring.offer(head)
        return answer

    def wait_packets(self, count, timeout=5):
        """Return `count` packets, or what arrived before the deadline."""
        answer = []
        deadline = time.monotonic() + timeout
        while len(answer) < count and time.monotonic() < deadline:
            new = self.collect()
            answer += new
            if not new:
                self.machine.check_alive()
                time.sleep(0.0002)
        return answer

    def command(self, kind, data, pieces=(), indirect=False, klass=CLASS_MQ,
                tail=b""):
        """Send a control command; return the acknowledgement, None if none.

        pieces: lengths of the descriptors that the command is cut into, class
        and command bytes included; () is one.  tail: bytes behind it.
        """
        head = bytes((klass, kind)) if kind is not None else bytes((klass,))
        return self.raw_command(cut(head + data + tail, pieces), indirect)

    def raw_command(self, pieces, indirect=False, ack_size=1, timeout=5):
        """Send the command that these pieces of bytes make up."""
        memory = self.machine.memory
        parts = []
        address = self.command_at
        for piece in pieces:
            memory[address:address + len(piece)] = piece
            parts.append((address, len(piece), 0))
            address += len(piece)
        memory[self.ack_at] = 0xff
        if ack_size:
            parts.append((self.ack_at, ack_size, DESC_WRITE))
        free = self.device.free
        self.control.add_chain(parts, indirect)
        self.control.kick()
        done = self.control.wait(timeout)
        self.device.free = free         # of an indirect table
        return memory[self.ack_at] if done else None

    def set_pairs(self, pairs):
        """VQ_PAIRS_SET: this many queue pairs, automatic steering."""
        return self.command(VQ_PAIRS_SET, struct.pack(
            self.device.order + "H", pairs))

    def set_rss(self, config, pairs):
        """RSS_CONFIG with a Config of rss_reference."""
        return self.command(RSS_CONFIG, rss_config(
            config.types, config.table, config.key, pairs,
            config.unclassified))

    def moved_to(self, machine):
        """Return this driver on a machine that the guest migrated to."""
        other = VirtioNet(machine, device=self.device.moved_to(machine))
        for name in ("multi", "max_pairs", "command_at", "ack_at"):
            setattr(other, name, getattr(self, name))
        other.buffers = [dict(each) for each in self.buffers]
        other._find_queues(len(self.receive_queues))
        other.control = other.device.queues[self.control.index]
        return other
