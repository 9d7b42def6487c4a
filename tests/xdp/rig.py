# SPDX-License-Identifier: GPL-2.0-or-later
"""A device, a host at the other end of a port, and xdp-offload between them.

The environment's XDP_OFFLOAD is the program, XDP_OFFERED the folder of
offered.bpf.o; without them, what is in build/lib.
"""

import contextlib
import json
import os
import queue
import subprocess
import tempfile
import threading
import unittest
from pathlib import Path

from host import Host

from harness import TOP
from harness.vm.process import run, spawn, stop
from harness.vm.tapnet import CLONE_NEWNS, TapNet, libc, why_not

TOOL = os.environ.get("XDP_OFFLOAD", str(TOP / "build/lib/tools/xdp-offload"))
OBJECTS = Path(os.environ.get("XDP_OFFERED", TOP / "build/lib/tests/xdp"))
OFFERED = str(OBJECTS / "offered.bpf.o")
PINS, SOCKETS = Path("/sys/fs/bpf/xdp-offload"), Path("/run/xdp-offload")
PATIENCE = 60           # seconds, for what the tool does
SILENCE = 1             # seconds that the tool waits for an answer
NATIVE_ALONE = 2        # its exit status
NATIVE, GENERIC = 1, 2  # modes, as ip has them


def missing():
    """Return why the tests cannot run here, or an empty string.

    A BPF file system is mounted if there is none, for this process alone.
    """
    if why_not() or os.path.ismount("/sys/fs/bpf"):
        return why_not()
    if libc.unshare(CLONE_NEWNS) != 0:
        return "there is no BPF file system, and none can be mounted"
    run("mount", "--make-rprivate", "/")
    run("mount", "-t", "bpf", "bpf", "/sys/fs/bpf")
    return ""


class Keeper:
    """xdp-offload load --foreground, and what it says."""

    def __init__(self, command):
        self.process = spawn(command, stderr=subprocess.PIPE, text=True)
        self.lines, self.said = queue.Queue(), []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stderr:
            self.lines.put(line)
        self.lines.put("")

    def wait_for(self, *texts):
        """Return the first line with one of the texts; at the end, all."""
        while True:
            line = self.lines.get(timeout=PATIENCE)
            self.said.append(line)
            if any(text in line for text in texts):
                return line
            if not line:
                return "ended: " + "".join(self.said)

    def close(self):
        """End it."""
        stop(self.process)
        self.process.stderr.close()


class Rig(unittest.TestCase):
    """The tap tap0, and a host behind the port that self.port leads to."""

    def setUp(self):
        if missing():
            self.skipTest(missing())
        self.net = TapNet(1)
        self.addCleanup(self.net.close)
        self.netns = os.fstat(self.net.fd).st_ino
        self.addCleanup(self.remove_all)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.port = Path(folder.name, "port")
        self.new_host()

    def new_host(self):
        """Another host is at the port."""
        self.host = Host()
        self.addCleanup(self.host.close)
        self.port.unlink(missing_ok=True)
        self.port.symlink_to(self.host.port)

    def pins(self):
        """Return what there is of our devices in the BPF file system."""
        return list(PINS.glob(f"{self.netns}-*")) if PINS.is_dir() else []

    def remove_all(self):
        """Remove what a killed program leaves."""
        for path in self.pins() + list(SOCKETS.glob(f"{self.netns}-*")):
            if not path.is_dir():
                path.unlink()

    def command(self, name, path, *words, device="tap0", timeout=PATIENCE):
        """Return a command that loads."""
        return [TOOL, "load", device, path, "sec", name, "--port",
                str(self.port), "--timeout", str(timeout), *words]

    def load(self, name="all_kinds", path=OFFERED, before=(), **how):
        """Load in the foreground; return the keeper and what became of it."""
        with self.net.entered():
            keeper = Keeper([*before, *self.command(name, path,
                                                    "--foreground", **how)])
        self.addCleanup(keeper.close)
        return keeper, keeper.wait_for("offloaded", "in the guest alone",
                                       "knows no types")

    def run_tool(self, *words, before=()):
        """Run xdp-offload; return what became of it."""
        with self.net.entered():
            return subprocess.run([*before, TOOL, *words], text=True,
                                  stdin=subprocess.DEVNULL, check=False,
                                  capture_output=True, timeout=PATIENCE)

    def tool(self, *words):
        """Run xdp-offload, which must succeed; return its output."""
        done = self.run_tool(*words)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def json(self, *words):
        """Return what it prints as JSON."""
        return json.loads(self.tool(*words, "--json"))

    def refused(self, *words):
        """Run xdp-offload, which must refuse; return the reason."""
        done = self.run_tool(*words)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        return done.stderr

    def attached(self, device="tap0"):
        """Return mode and name of the XDP program of a device."""
        with self.net.entered():
            link = json.loads(run("ip", "-json", "-details", "link", "show",
                                  device))[0]
            xdp = link.get("xdp", {}).get("prog")
            with contextlib.suppress(KeyError):
                return link["xdp"]["mode"], json.loads(run(
                    "bpftool", "-j", "prog", "show", "id", xdp["id"]))["name"]
        return None
