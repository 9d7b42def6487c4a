# SPDX-License-Identifier: GPL-2.0-or-later
"""A card on vhost-net without a machine: this process is QEMU and the guest.

    packet socket ─▶ tap ─▶ vhost ─▶ buffers of this process

So a test sees each byte of what vhost writes into a guest's memory.
"""

import ctypes
import dataclasses
import fcntl
import mmap
import os
import struct

from harness.vm import VmError
from harness.vm.process import Descriptor, wait_until

STOCK, HASH = "/dev/vhost-net", "/dev/vhost-net-hash"
RX = 0                          # the receive queue

MRG_RXBUF, VERSION_1, HASH_REPORT = 1 << 15, 1 << 32, 1 << 57
LOG_ALL = 1 << 26               # vhost notes the pages that it writes
VHOST_HEADER = 1 << 27          # vhost writes the header, not the tap
HEADER = 20                     # bytes: struct virtio_net_hdr_v1_hash

TUNSETVNETHDRSZ = 0x400454d8


def _ioctl(direction, number, size):
    return direction << 30 | size << 16 | 0xaf << 8 | number


GET_FEATURES = _ioctl(2, 0x00, 8)
SET_FEATURES = _ioctl(1, 0x00, 8)
SET_OWNER = _ioctl(0, 0x01, 0)
RESET_OWNER = _ioctl(0, 0x02, 0)
SET_MEM_TABLE = _ioctl(1, 0x03, 8)
SET_LOG_BASE = _ioctl(1, 0x04, 8)
SET_VRING_NUM = _ioctl(1, 0x10, 8)
SET_VRING_ADDR = _ioctl(1, 0x11, 40)
SET_VRING_BASE = _ioctl(1, 0x12, 8)
SET_VRING_KICK = _ioctl(1, 0x20, 8)
SET_VRING_CALL = _ioctl(1, 0x21, 8)
SET_BACKEND = _ioctl(1, 0x30, 8)
SET_HASH_PROG = _ioctl(1, 0x3f, 4)

NEXT, WRITE = 1, 2              # flags of a descriptor
ENTRIES = 256
RING_SIZE = 0x4000              # memory for a ring: table, avail, used
TABLE, AVAIL, USED = 0, 0x1000, 0x2000
BUFFERS = RING_SIZE
MEMORY = 1 << 20


@dataclasses.dataclass
class Received:
    """A packet as it is in the guest's memory."""
    header: bytes
    frame: bytes
    buffers: int                # how many it took

    @property
    def num_buffers(self):
        return struct.unpack_from("<H", self.header, 10)[0]

    @property
    def value(self):
        return struct.unpack_from("<I", self.header, 12)[0]

    @property
    def report(self):
        return struct.unpack_from("<H", self.header, 16)[0]

    @property
    def padding(self):
        return struct.unpack_from("<H", self.header, 18)[0]


def refused(function, *arguments):
    """Call a function; return the errno that it ends with, or 0."""
    try:
        function(*arguments)
    except OSError as error:
        return error.errno
    return 0


class Node(Descriptor):
    """An open node of vhost-net's."""

    def __init__(self, path=HASH):
        self.fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def ioctl(self, number, data=0):
        return fcntl.ioctl(self.fd, number, data)

    def features(self):
        return struct.unpack("=Q", self.ioctl(GET_FEATURES, bytes(8)))[0]

    def set_features(self, features):
        self.ioctl(SET_FEATURES, struct.pack("=Q", features))

    def set_program(self, fd):
        self.ioctl(SET_HASH_PROG, struct.pack("=i", fd))


class VhostCard(Node):
    """A card whose receive queue has buffers of the given sizes.

    chains: for each buffer the sizes of its descriptors; the last one is
    repeated as long as there is memory and room in the ring
    """

    def __init__(self, tap_fd, features=MRG_RXBUF | VERSION_1 | HASH_REPORT,
                 chains=((2048,),), path=HASH, header=HEADER):
        super().__init__(path)
        self.tap_fd = tap_fd
        fcntl.ioctl(tap_fd, TUNSETVNETHDRSZ, struct.pack("=i", header))
        self.header = header
        self.mergeable = bool(features & MRG_RXBUF)
        self.memory = mmap.mmap(-1, MEMORY)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(
            self.memory))
        self.kick = os.eventfd(0)
        self.posted = self.seen = 0
        self.chains = {}        # number of the first descriptor -> [(at, size)]
        self.ioctl(SET_OWNER)
        self.ioctl(SET_MEM_TABLE, struct.pack(
            "=II4Q", 1, 0, 0, MEMORY, self.address, 0))
        self.set_features(features)
        self._set_up_ring()
        self._make_buffers(chains)
        self.start()

    def close(self):
        super().close()
        if self.kick >= 0:
            os.close(self.kick)
            os.close(self.tap_fd)
        self.kick = -1

    def _set_up_ring(self):
        self.ioctl(SET_VRING_NUM, struct.pack("=II", RX, ENTRIES))
        self.ioctl(SET_VRING_BASE, struct.pack("=II", RX, 0))
        self.ioctl(SET_VRING_ADDR, struct.pack(
            "=II4Q", RX, 0, self.address + TABLE, self.address + USED,
            self.address + AVAIL, 0))
        self.ioctl(SET_VRING_KICK, struct.pack("=Ii", RX, self.kick))

    def _make_buffers(self, chains):
        """Make as many buffers as there is room for, and give them away."""
        number, at = 0, BUFFERS
        while True:
            sizes = chains[min(len(self.chains), len(chains) - 1)]
            if number + len(sizes) > ENTRIES or at + sum(sizes) > MEMORY:
                break
            self.chains[number] = []
            for place, size in enumerate(sizes, number):
                more = place + 1 < number + len(sizes)
                struct.pack_into("<QIHH", self.memory, TABLE + 16 * place, at,
                                 size, WRITE | more * NEXT, more * (place + 1))
                self.chains[number].append((at, size))
                at += size
            self._post(number)
            number += len(sizes)

    def _post(self, number):
        struct.pack_into("<H", self.memory,
                         AVAIL + 4 + 2 * (self.posted % ENTRIES), number)
        self.posted += 1
        struct.pack_into("<H", self.memory, AVAIL + 2, self.posted & 0xffff)

    def start(self):
        self.ioctl(SET_BACKEND, struct.pack("=Ii", RX, self.tap_fd))
        os.eventfd_write(self.kick, 1)

    def stop(self):
        self.ioctl(SET_BACKEND, struct.pack("=Ii", RX, -1))

    def _have_used(self):
        return struct.unpack_from("<H", self.memory, USED + 2)[0] != \
            self.seen & 0xffff

    def _next_buffer(self):
        """Return what is in the next buffer, and give it away again."""
        number, length = struct.unpack_from(
            "<II", self.memory, USED + 4 + 8 * (self.seen % ENTRIES))
        self.seen += 1
        data = b"".join(self.memory[at:at + size]
                        for at, size in self.chains[number])
        self._post(number)
        os.eventfd_write(self.kick, 1)
        return data[:length]

    def _next_packet(self):
        data, buffers = self._next_buffer(), 1
        while self.mergeable and (len(data) < HEADER or buffers <
                                  struct.unpack_from("<H", data, 10)[0]):
            data += self._next_buffer()
            buffers += 1
        return Received(data[:self.header], data[self.header:], buffers)

    def receive(self, count, timeout=120):
        """Return the next `count` packets."""
        packets = []
        while len(packets) < count:
            if not wait_until(self._have_used, timeout, 0.001):
                raise VmError(f"{len(packets)} of {count} packets came")
            packets.append(self._next_packet())
        return packets
