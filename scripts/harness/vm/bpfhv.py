# SPDX-License-Identifier: GPL-2.0-or-later
"""The process that serves a bpfhv card's queues, and QEMU's netdev for it.

    with Backends() as place:
        ... QEMU with place.arguments() ...
        backend = place.start("--sink", model="sring")
        backend.ctl("upgrade", "vring_packed")
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from harness import TOP

from .process import Closing, run, spawn, stop

TOOLS = TOP / "build/lib/tools"
DAMAGED = TOP / "build/lib/tests"       # the programs of tests/bpf/bpfhv


def why_not():
    """Return why there can be no backend here, or an empty string."""
    return "" if os.access(TOOLS / "bpfhv-backend", os.X_OK) else \
        "bpfhv-backend is not built"


def why_no_xdp():
    """Return why that backend has no --xdp, or an empty string."""
    said = subprocess.run([TOOLS / "bpfhv-backend", "--socket=/", "--xdp="],
                          text=True, stderr=subprocess.PIPE).stderr
    return said.strip() if "built without" in said else ""


def shared_memory(megabytes):
    """Return QEMU's arguments for memory that it shares with a backend."""
    return ["-object", f"memory-backend-memfd,id=shared,size={megabytes}M,"
            "share=on", "-M", "memory-backend=shared"]


class Backend:
    """A process that runs."""

    def __init__(self, process, control):
        self.process, self.control = process, control

    def ctl(self, *words):
        return run(TOOLS / "bpfhv-ctl", self.control, *words)

    def stop(self):
        """End it as an administrator does; return its exit status."""
        stop(self.process)
        return self.process.returncode

    def signal(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        if number == signal.SIGKILL:
            self.process.wait()


class Backends(Closing):
    """A folder of sockets, and the backends that are started there."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="bpfhv-"))
        self.socket = self.folder / "qemu"
        self.started = []

    def arguments(self, queues=1):
        """Return QEMU's arguments for the netdev "net0"."""
        return ["-chardev", f"socket,id=backend,path={self.socket},server=on,"
                "wait=off", "-netdev",
                f"bpfhv-proxy,id=net0,chardev=backend,queues={queues}"]

    def start(self, *options, model="sring_gso", net=None):
        """Start a backend, in the namespace of a TapNet or here."""
        control = self.folder / f"control{len(self.started)}"
        with net.entered() if net else contextlib.nullcontext():
            process = spawn([TOOLS / "bpfhv-backend", "--socket", self.socket,
                             "--control", control, "--model", model,
                             *options])
        self.started.append(process)
        return Backend(process, control)

    def close(self):
        for process in self.started:
            stop(process)
        shutil.rmtree(self.folder, ignore_errors=True)
