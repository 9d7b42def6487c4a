# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine without a guest: QEMU with "-accel qtest", and we are its CPU.

Debian's QEMUs lack that accelerator: there, TCG has a CPU that halts at once.
Which machine it is goes by the emulator's name: see boards.py.

The machine's memory is shared with us, so that rings and buffers are read and
written here without asking QEMU.  Ports, device memory and the clock go over
QEMU's qtest protocol, one line of text each way.
"""

import contextlib
import functools
import mmap
import os
import re
import socket
import tempfile
import time
import unittest
from pathlib import Path

from harness.fork.base import default_base, emulator
from harness.fork.series import matches_base
from harness.qtest.boards import board_of
from harness.vm import VmError
from harness.vm.channel import Asked, Channel, Qmp
from harness.vm.process import Closing, run, spawn, stop
from harness.vm.qemu import get_stock, has_stock

QEMU = Path(os.environ.get("QTEST_QEMU_BINARY") or emulator())
BOARD = board_of(QEMU.name)
MEMORY = 16 << 20
ANSWER_TIMEOUT = 30
START_TIMEOUT = 60          # it may wait 10 s for a helper
WITHOUT_BPF = ("setpriv", "--bounding-set", "-bpf,-sys_admin", "--inh-caps",
               "-bpf,-sys_admin")


def unnamed_file(name, size):
    """Return the descriptor of a file in memory that has no path."""
    fd = os.memfd_create(name)
    os.truncate(fd, size)
    return fd


@functools.cache
def tested_base():
    """Return the version, such as "10.0", of the QEMU that is tested."""
    if not QEMU.exists():
        return default_base()
    return re.search(r"version (\d+\.\d+)\.", run(QEMU, "--version"))[1]


def stock_qemu(base=None):
    """Return the stock Qemu of a version, by default of that which is tested."""
    base = base or tested_base()
    if not has_stock(base):
        raise unittest.SkipTest(f"Debian has no binary of QEMU {base}, and"
                                f" \"scripts/build --base={base} --stock\""
                                " has not run")
    return get_stock(base)


def is_from(version):
    """Tell whether the QEMU that is tested is of this version, or later."""
    return matches_base(version + "+", tested_base())


def ebpf_rss_fds(*names):
    """Return the property ebpf-rss-fds, for device_add or -device in JSON."""
    names = list(map(str, names))
    return {"ebpf-rss-fds": names if is_from("9.0") else ":".join(names)}


class Machine(Closing, Asked):
    """One QEMU process.

    board        what its machine is like
    arguments    its devices and backends
    netns        TapNet in whose namespace it runs
    pass_fds     descriptors that the arguments speak of
    without_bpf  take the right to load BPF programs away from it
    prefix       words before its command
    qemu         harness.vm.qemu.Qemu, if not the QEMU that is tested
    machine_type  for -M, if not the board's
    """

    board = BOARD

    def __init__(self, arguments, netns=None, pass_fds=(), without_bpf=False,
                 prefix=(), qemu=None, machine_type=BOARD.type):
        self.binary = qemu.binary if qemu else QEMU
        self.environment = qemu.environment() if qemu else None
        self.machine_type = machine_type
        prefix = [*prefix, *(WITHOUT_BPF if without_bpf else ())]
        self.n_plugged = 0
        self.closing = contextlib.ExitStack()
        try:
            self._start(list(arguments), netns, tuple(pass_fds), prefix)
        except BaseException:
            self.stop()
            raise

    def _start(self, arguments, netns, pass_fds, prefix):
        if not os.access(self.binary, os.X_OK):
            raise unittest.SkipTest("QEMU is not built: no "
                                    f"{self.binary.name} in "
                                    f"{self.binary.parent}")
        self.memory_fd = unnamed_file("guest-memory", MEMORY)
        self.closing.callback(os.close, self.memory_fd)
        self.memory = mmap.mmap(self.memory_fd, MEMORY)
        firmware_fd = unnamed_file("firmware", len(BOARD.firmware))
        self.closing.callback(os.close, firmware_fd)
        os.pwrite(firmware_fd, BOARD.firmware, 0)
        self.log = self.closing.enter_context(tempfile.TemporaryFile())

        sockets = [socket.socketpair() for _ in range(2)]
        (qtest, qtest_qemu), (qmp, qmp_qemu) = sockets
        fds = (self.memory_fd, firmware_fd, qtest_qemu.fileno(),
               qmp_qemu.fileno())
        command = prefix + self._command(*fds) + arguments
        inside = netns.entered() if netns else contextlib.nullcontext()
        with inside, qtest_qemu, qmp_qemu:
            self.process = spawn(command, stdout=self.log, stderr=self.log,
                                 pass_fds=fds + pass_fds,
                                 env=self.environment)
        self.closing.callback(stop, self.process)
        self._qtest = Channel(qtest, self.check_alive, "QEMU's qtest socket")
        self._qmp = Qmp(qmp, self.check_alive)
        self.closing.callback(self._qtest.close)
        self.closing.callback(self._qmp.close)
        self.qmp("query-status", timeout=START_TIMEOUT)

    def _command(self, memory_fd, firmware_fd, qtest_fd, qmp_fd):
        firmware = ([BOARD.firmware_option, f"/dev/fd/{firmware_fd}"]
                    if BOARD.firmware else [])
        return [str(self.binary), *BOARD.accelerators,
                "-M", f"{self.machine_type},memory-backend=ram", *firmware,
                "-object", f"memory-backend-file,id=ram,size={MEMORY},"
                f"mem-path=/dev/fd/{memory_fd},share=on",
                "-m", f"{MEMORY >> 20}M",
                "-nodefaults", "-display", "none",
                "-chardev", f"socket,id=qtest,fd={qtest_fd}",
                "-qtest", "chardev:qtest", "-qtest-log", "none",
                "-chardev", f"socket,id=qmp,fd={qmp_fd}",
                "-mon", "chardev=qmp,mode=control",
                "-trace", "virtio_net_rss_*", *BOARD.arguments]

    def check_alive(self):
        if self.process.poll() is not None:
            raise VmError(f"QEMU has ended with status "
                          f"{self.process.returncode}:\n{self.messages()}")

    def messages(self):
        # Not seek(): QEMU writes at the same place in the file.
        size = os.fstat(self.log.fileno()).st_size
        return os.pread(self.log.fileno(), size, 0).decode(errors="replace")

    def warnings(self):
        """Return the warnings that QEMU has printed.

        Without those of a backend without a card, which QEMU keeps to itself
        with the accelerator qtest alone.
        """
        return [line for line in self.messages().splitlines()
                if "warning: " in line
                and not line.endswith((" has no peer",
                                       " is not connected to host network"))]

    def traces(self, event):
        """Return the arguments of each time that a trace event happened."""
        return re.findall(rf"\b{event} n \w+ ?(.*)", self.messages())

    def ask(self, text):
        """Run a command of the qtest protocol; return its answer."""
        self._qtest.write(text.encode() + b"\n")
        line = self._qtest.read_line(time.monotonic() + ANSWER_TIMEOUT)
        if not line.startswith("OK"):
            raise VmError(f"qtest command '{text}': {line}")
        return line[3:]

    def io(self, name, address):
        """Read by "inb", "inw", "inl", "readb", "readw" or "readl"."""
        return int(self.ask(f"{name} {address:#x}"), 0)

    def out(self, name, address, value):
        """Write by "outl", "writeb", "writew", "writel" or "writeq"."""
        self.ask(f"{name} {address:#x} {value:#x}")

    def qmp(self, command, arguments=None, timeout=ANSWER_TIMEOUT):
        return self._qmp.command(command, arguments, timeout)

    def plug(self, driver, **properties):
        """Add a device while the machine runs."""
        place = {}
        if BOARD.plug_bus:
            place = {"bus": BOARD.plug_bus, "addr": f"{self.n_plugged + 1:#x}"}
        self.qmp("device_add", {"driver": driver, **place, **properties})
        self.n_plugged += 1

    def wait_event(self, name):
        self._qmp.wait_event(name, ANSWER_TIMEOUT)

    def stop(self):
        """End QEMU; may be called at any time, also twice."""
        self.closing.close()

    close = stop
