# SPDX-License-Identifier: GPL-2.0-or-later
"""A QEMU that an ordinary user runs, with a tap that root made for it.

    root: test ─▶ namespace, tap, descriptors of its queues ─┐
    user "nobody", no capability: QEMU ◀─────────────────────┘

The rest is as in tests/qtest: no guest runs, and the test is the card's
driver.
"""

import contextlib
import functools
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
from pathlib import Path

from harness.functional import libbpf
from harness.qtest import rig
from harness.qtest.machine import QEMU, Machine
from harness.vm.tapnet import OpenTapNet


HELPER = QEMU.parent / "subprojects/qemu-ebpf/tools/qemu-rss-helper"
NOBODY = 65534
CAP_PERFMON, CAP_BPF = 38, 39
DEVICE = {"driver": "virtio-net-pci", "id": "card", "netdev": "net0",
          "addr": f"{rig.SLOT:#x}", "mq": True, "rss": True, "romfile": "",
          "disable-legacy": "on"}
FILE_CAPS_VERSION, FILE_CAPS_EFFECTIVE = 0x02000000, 1


def why_not():
    """Return why these tests cannot run here, or an empty string."""
    if rig.why_not():
        return rig.why_not()
    if not HELPER.exists():
        return f"this build of QEMU has no eBPF: no {HELPER.name}"
    return libbpf.why_not()


@functools.cache
def place():
    """Return the Place of this run."""
    return Place()


class Place:
    """A folder in which nobody may run programs, and QEMU's copy in it.

    The checkout may be in a folder that is root's alone.  The folder is gone
    when we are.
    """

    def __init__(self):
        self.folder = self._make_folder()
        self.path = Path(self.folder.name)
        self.qemu = Path(shutil.copy(QEMU, self.path))

    @staticmethod
    def _make_folder():
        for parent in (tempfile.gettempdir(), "/var/tmp", HELPER.parent):
            folder = tempfile.TemporaryDirectory(prefix="qemu-ebpf-nobody-",
                                                 dir=parent)
            os.chmod(folder.name, 0o755)
            flags = os.statvfs(folder.name).f_flag
            if not flags & (os.ST_NOEXEC | os.ST_NOSUID):
                return folder
            folder.cleanup()
        raise OSError("no folder for temporary files lets programs have "
                      "privileges")

    def helper(self, name, mode=0o755, capabilities=()):
        """Return the path of a copy of the helper.

        capabilities: numbers. As "setcap …+ep" does; see capabilities(7),
        "File capability extended attribute versioning".
        """
        path = Path(shutil.copy(HELPER, self.path / name))
        os.chmod(path, mode)
        if capabilities:
            bits = sum(1 << number for number in capabilities)
            os.setxattr(path, "security.capability", struct.pack(
                "<5I", FILE_CAPS_VERSION | FILE_CAPS_EFFECTIVE,
                bits & 0xffffffff, 0, bits >> 32, 0))
        return path

    def privileged_helper(self, name="with-capabilities"):
        """Return the path of a helper that can do its work."""
        return self.helper(name, capabilities=(CAP_BPF, CAP_PERFMON))


class NobodyMachine(Machine):
    """A Machine whose QEMU is run by nobody."""

    def __init__(self, arguments, no_new_privs=False, **how):
        self.no_new_privs = no_new_privs
        super().__init__(arguments, **how)

    def _command(self, *fds):
        # A new user is a new beginning for the signal, too.
        become = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}",
                  "--clear-groups", "--inh-caps=-all", "--pdeathsig", "KILL"]
        become += ["--no-new-privs"] if self.no_new_privs else []
        return become + [str(place().qemu)] + super()._command(*fds)[1:]

    def pass_fd(self, name, fd):
        """Give QEMU a descriptor, by QMP's getfd."""
        socket.send_fds(self._qmp.sock, [b" "], [fd])
        self.qmp("getfd", {"fdname": name})

    def status(self, field):
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        lines = dict(line.split(":", 1) for line in text.splitlines())
        return lines[field].split()


def device_text(options):
    if isinstance(options, dict):
        return json.dumps({**DEVICE, **options})
    words = [f"{name}={value}" if isinstance(value, str) else
             f"{name}={'on' if value else 'off'}"
             for name, value in DEVICE.items()]
    return ",".join(words + ([options] if options else []))


class NobodyCard(rig.Card):
    """The card of tests/qtest in a machine that nobody runs.

    options    more of the device's: text, or a dictionary, which makes JSON
    fds        descriptors that they speak of
    node       of vhost-net, which root opens for it; without it vhost=off
    arguments  more of QEMU's
    """

    def __init__(self, options="", fds=(), node=None, **how):
        with contextlib.ExitStack() as undo:
            self.net = undo.enter_context(OpenTapNet(rig.QUEUES, node))
            self.sender = undo.enter_context(self.net.packet_socket())
            self.nic = None
            self._start(options, undo, fds, **how)
            self.undo = undo.pop_all()

    def _start(self, options, undo, fds, arguments=(), **how):
        self.machine = undo.enter_context(NobodyMachine(
            arguments=["-netdev", self.net.netdev(), "-device",
                       device_text(options), *arguments],
            netns=self.net, pass_fds=(*self.net.fds, *fds), **how))

    def warnings(self):
        """Return the warnings and errors that QEMU has printed.

        Also of the service, whose answer a query waits for.
        """
        self.machine.qmp("x-query-rss")
        return [line for line in self.machine.messages().splitlines()
                if "warning:" in line or "error:" in line]

    def close(self):
        self.undo.close()


class HotPluggedCard(NobodyCard):
    """A card that a machine gets while it runs, by QMP.

    options  of the device, a dictionary
    fds      {name: descriptor}
    node     as for NobodyCard
    """

    def _start(self, options, undo, fds, arguments=(), **how):
        self.machine = undo.enter_context(NobodyMachine(
            arguments=arguments, netns=self.net, **how))
        backend = {"fds": self._pass_fds("queue", self.net.queue_fds)}
        if self.net.node_fds:
            backend["vhostfds"] = self._pass_fds("vhost", self.net.node_fds)
        else:
            backend["vhost"] = False
        for name, fd in dict(fds).items():
            self.machine.pass_fd(name, fd)
        self.machine.qmp("netdev_add", {"type": "tap", "id": "net0",
                                        **backend})
        self.machine.qmp("device_add", {**DEVICE, **options})

    def _pass_fds(self, name, fds):
        """Pass descriptors to QEMU; return their names as an option."""
        for number, fd in enumerate(fds):
            self.machine.pass_fd(f"{name}{number}", fd)
        return ":".join(f"{name}{number}" for number in range(len(fds)))


@contextlib.contextmanager
def loaded(*options):
    """Give descriptors of what the helper loads for root, by its options."""
    helper = place().helper("root-runs-it")
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, its:
        subprocess.run([helper, f"--fd={its.fileno()}", "--name=by-root",
                        *options], pass_fds=[its.fileno()], check=True,
                       timeout=20)
        fds = socket.recv_fds(ours, 512, 8)[1]
    try:
        yield fds
    finally:
        for fd in fds:
            os.close(fd)
