# SPDX-License-Identifier: GPL-2.0-or-later
"""A vDPA network card, which is us, and QEMU's card in front of it.

    device = Device(hash_types=IPV4)
    card = VdpaCard(device, "hash-ipv4=on")
    nic = card.start(); nic.set_rss(...); device.commands

No machine at hand has such a device, and Linux's simulators know no RSS.  So
QEMU is given a socket in its place: see vdpa_device.c.  The device passes no
packets.  It takes the commands of its control queue, a split ring of QEMU's (a
shadow queue) or of the guest's, from QEMU's memory, where the IOTLB says, and
accepts or refuses them.  From <linux/vhost.h> and the virtio specification.
"""

import contextlib
import enum
import errno
import os
import select
import socket
import struct
import tempfile
import threading
from pathlib import Path

from harness.qtest.boards import SLOT, option
from harness.qtest.faults import preloaded
from harness.qtest.machine import BOARD, Machine
from harness.qtest.virtio import (DESC_NEXT, DESC_WRITE, DRIVER_OK,
                                  F_VERSION_1)
from harness.qtest.virtio_net import (ERR, F_CTRL_VQ, F_HASH_REPORT, F_MAC,
                                      F_MQ, F_RSS, OK, VirtioNet)
from harness.rss_reference import ALL_TYPES
from harness.vm.process import Closing

SOURCE = Path(__file__).resolve().with_name("vdpa_device.c")
F_ACCESS_PLATFORM = 33
FEATURES = sum(1 << bit for bit in (F_MAC, F_CTRL_VQ, F_MQ, F_HASH_REPORT,
                                    F_RSS, F_VERSION_1, F_ACCESS_PLATFORM))
BACKEND_V2, BACKEND_ASID = 1 << 1, 1 << 3
NETWORK_CARD = 1
IOTLB, IOTLB_UPDATE, IOTLB_INVALIDATE = 2, 2, 3


class Ask(enum.IntEnum):
    """The ioctls that QEMU uses."""

    GET_FEATURES = 0x8008af00
    SET_FEATURES = 0x4008af00
    SET_OWNER = 0xaf01
    SET_VRING_NUM = 0x4008af10
    SET_VRING_ADDR = 0x4028af11
    SET_VRING_BASE = 0x4008af12
    GET_VRING_BASE = 0xc008af12
    SET_VRING_KICK = 0x4008af20
    SET_VRING_CALL = 0x4008af21
    SET_BACKEND_FEATURES = 0x4008af25
    GET_BACKEND_FEATURES = 0x8008af26
    GET_DEVICE_ID = 0x8004af70
    GET_STATUS = 0x8001af71
    SET_STATUS = 0x4001af72
    GET_CONFIG = 0x8008af73
    SET_CONFIG = 0x4008af74
    SET_VRING_ENABLE = 0x4008af75
    GET_VRING_NUM = 0x8002af76
    SET_CONFIG_CALL = 0x4004af77
    GET_IOVA_RANGE = 0x8010af78
    GET_VRING_GROUP = 0xc008af7b
    SET_GROUP_ASID = 0x4008af7c


class Device(Closing):
    """A device that serves one QEMU.

    features, pairs, hash_types, key_size, table_len    what it has
    isolated  its control queue may have a translation of its own
    fails     ioctls that it answers with an error
    refuses   it refuses commands with this class and command
    commands  those that it got since it was reset last, accepted or not
    """

    def __init__(self, features=FEATURES, pairs=4, hash_types=ALL_TYPES,
                 key_size=40, table_len=128, isolated=False, fails=()):
        self.features = features
        self.control = 2 * pairs if features >> F_MQ & 1 else 2
        self.config = struct.pack("<6s3H4xBBHI", b"\x52\x54\0\0\0\1", 1, pairs,
                                  0, 0, key_size, table_len, hash_types)
        self.isolated = isolated
        self.fails = fails
        self.refuses = None
        self.iotlb = {0: {}, 1: {}}
        self.kick = None
        self._reset()
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="qtest-vdpa-"))
            library = preloaded(SOURCE, folder)
            self.socket, self.qemus = map(
                stack.enter_context,
                socket.socketpair(type=socket.SOCK_SEQPACKET))
            self.closing = stack.pop_all()
        self.fd = self.qemus.fileno()
        self.prefix = ["env", f"LD_PRELOAD={library}",
                       f"VDPA_DEVICE={self.fd}"]

    def serve(self, pid):
        """QEMU is this process, and has its end of the socket."""
        self.qemus.close()
        self.memory = os.open(f"/proc/{pid}/mem", os.O_RDWR)
        self.closing.callback(os.close, self.memory)

    def begin(self):
        """Answer, in a thread; before QEMU starts."""
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        self.closing.callback(thread.join)

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.closing.close()

    def _reset(self):
        self.status = self.seen = 0
        self.size = self.ring = None
        self.asid = 0
        self.commands = []
        if self.kick is not None:
            os.close(self.kick)
        self.kick = None

    def _run(self):
        """Take what comes until the socket is closed."""
        while True:
            waits = [self.socket]
            if self.kick is not None and self.status & DRIVER_OK:
                waits.append(self.kick)
            ready = select.select(waits, [], [])[0]
            if self.socket in ready:
                data, fds, _, _ = socket.recv_fds(self.socket, 2048, 1)
                if not data:
                    break
                self._take(data, *fds)
            elif ready:
                os.read(self.kick, 8)
                self._take_commands()
        self._reset()

    def _take(self, data, *fds):
        number = struct.unpack_from("<I", data)[0]
        if number == IOTLB:
            self._translate(data)
            return
        number, argument = Ask(number), data[8:]
        if number in self.fails:
            self.socket.send(struct.pack("<Q", errno.EIO))
            return
        answer = self._answer(number, argument, *fds)
        self.socket.send(bytes(8) + answer.ljust(len(argument), b"\0"))

    def _translate(self, data):
        asid, iova, size, address, _, kind = struct.unpack_from("<4xI3QBB",
                                                                data)
        table = self.iotlb[asid]
        if kind == IOTLB_UPDATE:
            table[iova] = size, address
        elif kind == IOTLB_INVALIDATE:
            for start in [at for at in table if iova <= at < iova + size]:
                del table[start]

    def _answer(self, number, argument, fd=None):
        """Return what an ioctl leaves in its argument."""
        index, value = struct.unpack_from("<II", argument.ljust(8, b"\0"))
        if number == Ask.SET_STATUS:
            if argument == b"\0":
                self._reset()
            self.status = argument[0]
        elif number == Ask.SET_VRING_NUM and index == self.control:
            self.size = value
        elif number == Ask.SET_VRING_ADDR and index == self.control:
            self.ring = struct.unpack_from("<QQQ", argument, 8)
        elif number == Ask.SET_VRING_BASE and index == self.control:
            self.seen = value
        elif number == Ask.SET_GROUP_ASID and index:
            self.asid = value
        elif number == Ask.SET_VRING_KICK:
            if self.kick is not None and index == self.control:
                os.close(self.kick)
            if index == self.control:
                self.kick = fd
            elif fd is not None:
                os.close(fd)
        return {
            Ask.GET_FEATURES: struct.pack("<Q", self.features),
            Ask.GET_BACKEND_FEATURES: struct.pack(
                "<Q", BACKEND_V2 | self.isolated * BACKEND_ASID),
            Ask.GET_DEVICE_ID: struct.pack("<I", NETWORK_CARD),
            Ask.GET_STATUS: bytes([self.status]),
            Ask.GET_CONFIG: argument[:8] + self.config[index:index + value],
            Ask.GET_VRING_NUM: struct.pack("<H", 256),
            Ask.GET_IOVA_RANGE: struct.pack("<QQ", 0, (1 << 48) - 1),
            Ask.GET_VRING_GROUP: struct.pack("<II", index,
                                             index == self.control),
            Ask.GET_VRING_BASE: struct.pack("<II", index, self.seen),
        }.get(number, b"")

    def _at(self, iova):
        """Return the address in QEMU's memory."""
        for start, (size, address) in self.iotlb[self.asid].items():
            if start <= iova < start + size:
                return address + iova - start
        raise ValueError(f"the device has no translation of {iova:#x}")

    def _read(self, form, iova):
        data = os.pread(self.memory, struct.calcsize(form), self._at(iova))
        return struct.unpack(form, data)

    def _write(self, form, iova, *values):
        os.pwrite(self.memory, struct.pack(form, *values), self._at(iova))

    def _take_commands(self):
        desc, used, avail = self.ring
        while self.seen != self._read("<H", avail + 2)[0]:
            place = self.seen % self.size
            head, = self._read("<H", avail + 4 + 2 * place)
            command, number, flags = b"", head, DESC_NEXT
            while flags & DESC_NEXT:
                address, length, flags, following = self._read(
                    "<QIHH", desc + 16 * number)
                if flags & DESC_WRITE:
                    break
                command += self._read(f"{length}s", address)[0]
                number = following
            self.commands.append(command)
            self._write("<B", address, ERR if command[:2] == self.refuses
                        else OK)
            self._write("<II", used + 4 + 8 * place, head, 1)
            self.seen = (self.seen + 1) & 0xffff
            self._write("<H", used + 2, self.seen)


class VdpaCard(Closing):
    """QEMU's card for a Device, with RSS and hash reports.

    svq  QEMU stands between the guest and all queues; else only, where the
         device is isolated, the control queue
    """

    def __init__(self, device=None, options="", arguments=(), svq=True, **how):
        with contextlib.ExitStack() as stack:
            self.device = stack.enter_context(device or Device())
            self.device.begin()
            self.machine = stack.enter_context(Machine(
                ["-netdev", f"vhost-vdpa,id=net0,vhostfd={self.device.fd}"
                 + (",x-svq=on" if svq else ""), "-device",
                 option(BOARD.card, "id=card", "netdev=net0", "mq=on",
                        "rss=on", "hash=on") + (options and "," + options),
                 *arguments],
                pass_fds=[self.device.fd], prefix=self.device.prefix, **how))
            self.device.serve(self.machine.process.pid)
            self.closing = stack.pop_all()

    def start(self, **how):
        """Have a driver, from the beginning."""
        return VirtioNet(self.machine, SLOT).start(**how)

    def close(self):
        self.closing.close()
