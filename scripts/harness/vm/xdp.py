# SPDX-License-Identifier: GPL-2.0-or-later
"""XDP offload around a QEMU: the helper behind its socket, and a guest.

    with TapNet(1) as net, Helper(program, net) as helper, \\
            XdpGuest(qemu, kernel, net, helper, tool, objects) as guest:
        guest.shell("xdp-offload load eth0 /filter.bpf.o sec drop_port")
"""

import contextlib
import errno
import os
import socket
import subprocess
import tempfile
import threading

from . import initramfs
from .channel import Asked
from .guest import Guest, guest_initramfs
from .process import Closing, spawn, stop
from .traffic import GUEST_MAC

CHARDEV, CARD, NETDEV = "xo0", "card", "net0"
PORT = "org.qemu-ebpf.xdp.0"
BEGIN = f"""
mount -t bpf bpf /sys/fs/bpf
mkdir /dev/virtio-ports
until grep -s {PORT} /sys/class/virtio-ports/vport*/name; do sleep 0.1; done
ln -s ../$(basename $(dirname $(grep -l {PORT} \\
    /sys/class/virtio-ports/vport*/name))) /dev/virtio-ports/{PORT}
"""


class Listener(Closing):
    """A socket in a folder of its own; gives each connection to a function."""

    def __init__(self, serve):
        self.folder = tempfile.TemporaryDirectory(prefix="qemu-ebpf-")
        self.path = os.path.join(self.folder.name, "socket")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.bind(self.path)
        self.socket.listen()
        self.serve = serve
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        with contextlib.suppress(OSError):
            while True:
                self.serve(self.socket.accept()[0])

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.socket.close()
        self.folder.cleanup()


class Helper(Listener):
    """Starts a qemu-xdp-helper in a TapNet's namespace for each connection.

    options: more of the helper's
    processes: all that were started
    """

    def __init__(self, program, net, *options):
        self.command, self.net = [program, "--inetd", *options], net
        self.processes = []
        super().__init__(self.start)

    def start(self, connection):
        with connection, self.net.entered():
            self.processes.append(spawn(self.command, stdin=connection,
                                        stderr=subprocess.DEVNULL))

    def close(self):
        super().close()
        for process in self.processes:
            stop(process)


def passes(sock, frame):
    """Send a frame into a tap; tell whether it gets past the egress."""
    try:
        sock.send(frame)
    except OSError as error:
        if error.errno != errno.ENOBUFS:
            raise
        return False
    return True


def chardev(helper, options):
    """Return QEMU's -chardev."""
    return f"xdp-offload,id={CHARDEV},nic={CARD},helper={helper.path}{options}"


def card():
    """Return the card as -device and device_add have it."""
    return {"driver": "virtio-net-pci", "id": CARD, "netdev": NETDEV,
            "mac": GUEST_MAC, "bus": "root-port", "romfile": ""}


class XdpGuest(Guest, Asked):
    """A guest with xdp-offload, and a card in a slot for hotplug.

    tool     the program xdp-offload
    objects  files for the guest's root folder
    options  more of the chardev
    arguments  more of QEMU's
    how      see Guest
    """

    def __init__(self, qemu, kernel, net, helper, tool, objects, options="",
                 arguments=(), **how):
        device = ",".join(f"{key}={value}" for key, value in card().items()
                          if key != "driver")
        super().__init__(
            qemu, kernel,
            ["-device", "pcie-root-port,id=root-port",
             "-netdev", net.netdev(NETDEV),
             "-device", f"{card()['driver']},{device}",
             "-chardev", chardev(helper, options),
             "-device", f"virtserialport,chardev={CHARDEV},name={PORT},nr=2",
             *arguments],
            net, initrd=guest_initramfs(kernel, others={
                "bin/xdp-offload": tool,
                **{path.name: path for path in objects},
                **{path[1:]: path for path in initramfs.libraries(tool)}}),
            **how)

    def start(self):
        super().start()
        if not self.arrives:
            self.shell(BEGIN)
        return self

    def offload(self):
        """Return what QEMU tells of the offload."""
        return self.qmp("x-query-xdp-offload")[0]


class IncomingXdpGuest(XdpGuest):
    """The other side of a migration: it waits for migrate-incoming."""

    arrives = True

    def __init__(self, *args, **how):
        super().__init__(*args, arguments=["-incoming", "defer"], **how)
