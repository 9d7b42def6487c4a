# SPDX-License-Identifier: GPL-2.0-or-later
"""A network namespace of our own with a multiqueue tap in it.

The namespace has no name: it lives as long as our descriptor of it and the
QEMU in it, so nothing can be left behind, whatever ends us.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import socket
import struct

from . import VmError
from .process import Descriptor, run

CLONE_NEWNET = 0x40000000
CLONE_NEWNS = 0x00020000
TUNSETIFF = 0x400454ca
IFF_TAP, IFF_MULTI_QUEUE = 0x0002, 0x0100
IFF_NO_PI, IFF_VNET_HDR = 0x1000, 0x4000
ETH_P_ALL = 3

libc = ctypes.CDLL(None, use_errno=True)


def _check(result, what):
    if result != 0:
        number = ctypes.get_errno()
        raise VmError(f"{what}: {os.strerror(number)} (are you root?)")


def why_not():
    """Return why there can be no TapNet here, or an empty string."""
    if os.geteuid() != 0:
        return "a tap in a network namespace needs root"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "there is no /dev/net/tun"
    return ""


class Namespace(Descriptor):
    """A network namespace that is quiet: nothing sends a packet by itself."""

    def __init__(self):
        home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _check(libc.unshare(CLONE_NEWNET), "cannot make a network "
                   "namespace")
            self.fd = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            _check(libc.setns(home, CLONE_NEWNET), "cannot go back to the "
                   "host's network namespace")
        finally:
            os.close(home)
        with self.entered():
            self._set_up()

    def _set_up(self):
        with contextlib.suppress(FileNotFoundError):
            for which in ("all", "default"):
                with open(f"/proc/sys/net/ipv6/conf/{which}/disable_ipv6",
                          "w") as file:
                    file.write("1")

    @contextlib.contextmanager
    def entered(self):
        """Be in the namespace; what is started meanwhile stays in it.

        Counts for the calling thread only.
        """
        home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _check(libc.setns(self.fd, CLONE_NEWNET), "cannot enter the "
                   "network namespace")
            yield
        finally:
            _check(libc.setns(home, CLONE_NEWNET), "cannot go back to the "
                   "host's network namespace")
            os.close(home)

    def ip(self, words):
        """Run ip(8) in the namespace; return its output."""
        with self.entered():
            return run("ip", *words.split())

    def path(self):
        """Return a path of the namespace, for ip link."""
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    def packet_socket(self, device, protocol=0):
        """Return a socket that sends whole frames into a device.

        protocol: of what it receives, or ETH_P_ALL
        """
        with self.entered():
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW,
                                 socket.htons(protocol))
            sock.bind((device, protocol))
        return sock


class TapNet(Namespace):
    """A namespace, and in it the tap `name` with `queues` queues.

    The guest's counters count exactly what was sent on purpose.
    """

    # One tap queue holds a whole burst of the demo's, even if all of it
    # goes to one queue: a slow guest delays packets, it does not lose them.
    QUEUE_LENGTH = 4096

    def __init__(self, queues=4, name="tap0"):
        self.queues = queues
        self.name = name
        super().__init__()

    def _set_up(self):
        super()._set_up()
        multi = "multi_queue" if self.queues > 1 else ""
        self.ip(f"tuntap add dev {self.name} mode tap vnet_hdr {multi}")
        self.ip(f"link set {self.name} txqueuelen {self.QUEUE_LENGTH} up")

    def packet_socket(self, device=None, protocol=0):
        """Return a socket that sends whole frames into the tap."""
        return super().packet_socket(device or self.name, protocol)

    def open_queue(self):
        """Return a descriptor of a queue of the tap."""
        request = struct.pack("16sH22x", self.name.encode(), IFF_TAP
                              | IFF_NO_PI | IFF_MULTI_QUEUE | IFF_VNET_HDR)
        with self.entered():
            fd = os.open("/dev/net/tun",
                         os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            fcntl.ioctl(fd, TUNSETIFF, request)
        return fd

    def counters(self):
        """Return the tap's own counters: {"packets": …, "dropped": …}."""
        text = self.ip(f"-json -stats link show {self.name}")
        return json.loads(text)[0]["stats64"]["tx"]

    def netdev(self, identifier="net0", vhost=False):
        """Return QEMU's -netdev for this tap."""
        return (f"tap,id={identifier},ifname={self.name},script=no,"
                f"downscript=no,queues={self.queues},"
                f"vhost={'on' if vhost else 'off'}")


class OpenTapNet(TapNet):
    """A TapNet whose queues are opened here, for QEMUs to inherit.

    queue_fds, node_fds  the descriptors; those of vhost-net, one for each
                         queue, if a node of it is named
    """

    def __init__(self, queues, node=None):
        super().__init__(queues)
        self.queue_fds = [self.open_queue() for _ in range(queues)]
        self.node_fds = [os.open(node, os.O_RDWR | os.O_CLOEXEC)
                         for _ in range(queues) if node]

    @property
    def fds(self):
        return self.queue_fds + self.node_fds

    def netdev(self, identifier="net0", vhost=False):
        queues, nodes = (":".join(map(str, fds))
                         for fds in (self.queue_fds, self.node_fds))
        return (f"tap,id={identifier},fds={queues},"
                + (f"vhostfds={nodes}" if nodes else "vhost=off"))

    def close(self):
        for fds in self.queue_fds, self.node_fds:
            while fds:
                os.close(fds.pop())
        super().close()
