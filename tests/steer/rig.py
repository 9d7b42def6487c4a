# SPDX-License-Identifier: GPL-2.0-or-later
"""A tap in a namespace, frames into it, and tap-steer run on it.

The environment's TAP_STEER is the program, STEER_OBJECTS the folder of
returns.bpf.o; without them, what is in build/lib.
"""

import contextlib
import fcntl
import json
import os
import select
import socket
import struct
import subprocess
import unittest
from pathlib import Path

from harness import TOP
from harness.vm import traffic
from harness.vm.process import wait_until
from harness.vm.tapnet import TapNet, why_not

TOOL = os.environ.get("TAP_STEER", str(TOP / "build/lib/tools/tap-steer"))
OBJECTS = Path(os.environ.get("STEER_OBJECTS", TOP / "build/lib/tests/steer"))
RETURNS = str(OBJECTS / "returns.bpf.o")
RECORDS = Path("/run/tap-steer")
NOT_ROOT = ("setpriv", "--inh-caps=-all", "--bounding-set")
VNET_HDR = 10           # bytes before each frame
TIMEOUT = 60            # seconds, for a command
PATIENCE = 5            # seconds, for a packet
FRAMES = traffic.mixed(64)
SIOCGIFFLAGS, IFF_RUNNING = 0x8913, 0x40

# Does this kernel tell what is attached? That takes the types of the tun
# driver (BTF), which a module has since Linux 5.11.
TELLS = (Path("/sys/kernel/btf/tun").exists() or
         not Path("/sys/module/tun/initstate").exists())
ATTACHED = "attached" if TELLS else "recorded"
NOTHING = "none" if TELLS else "unknown"


class Rig(unittest.TestCase):
    """The tap tap0 of four queues, which this process has open."""

    QUEUES = 4

    def setUp(self):
        reason = why_not()
        if reason:
            self.skipTest(reason)
        self.net = self.new_net()
        self.queues = [self.open_queue() for _ in range(self.QUEUES)]

    def new_net(self):
        """Return another namespace with a tap0, which nobody has open."""
        net = TapNet(self.QUEUES)
        self.addCleanup(net.close)
        return net

    def open_queue(self, net=None):
        """Return a descriptor of a queue, closed when the test ends.

        The kernel loses packets until some moments after the first is open.
        """
        net = net or self.net
        queue = net.open_queue()
        self.addCleanup(self.close, queue)
        self.assertTrue(wait_until(lambda: self.is_running(net), PATIENCE,
                                   0.001), "tap0 is not running")
        return queue

    @staticmethod
    def is_running(net):
        """Tell whether the kernel passes packets to a tap."""
        with net.entered(), socket.socket(type=socket.SOCK_DGRAM) as sock:
            answer = fcntl.ioctl(sock, SIOCGIFFLAGS,
                                 struct.pack("16sH14x", b"tap0", 0))
        return struct.unpack("16sH14x", answer)[1] & IFF_RUNNING

    @staticmethod
    def close(queue):
        """Close a queue that may be closed already."""
        with contextlib.suppress(OSError):
            os.close(queue)

    def run_tool(self, *words, net=None, before=(), **how):
        """Run tap-steer in the tap's namespace; return what became of it."""
        with (net or self.net).entered():
            return subprocess.run(
                [*before, TOOL, *words], stdin=subprocess.DEVNULL, text=True,
                capture_output=True, timeout=TIMEOUT, check=False, **how)

    def steer(self, *words, **how):
        """Run tap-steer, which must succeed; return what it printed."""
        done = self.run_tool(*words, **how)
        self.assertEqual((done.returncode, done.stdout + done.stderr),
                         (0, done.stdout + done.stderr))
        return done.stdout + done.stderr

    def refused(self, *words, **how):
        """Run tap-steer, which must refuse; return the reason."""
        done = self.run_tool(*words, **how)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        return done.stderr

    def load(self, program, *words, **how):
        """Load one of returns.bpf.c."""
        return self.steer("load", "tap0", "obj", RETURNS, "sec", program,
                          *words, **how)

    def need_fallback(self):
        """Skip the test where the kernel does not support --fallback."""
        net = self.new_net()
        done = self.run_tool("load", "tap0", "obj", RETURNS, "sec",
                             "second_tc", "--fallback", "--queues", "2",
                             net=net)
        if "not supported by this kernel" in done.stderr:
            self.skipTest(done.stderr.strip())
        self.assertEqual((done.returncode, done.stderr),
                         (0, done.stderr))

    def shown(self, **how):
        """Return what "show" tells of the tap."""
        done = self.run_tool("show", "tap0", "--json", **how)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return json.loads(done.stdout)[0]

    def record(self):
        """Return the path of the record of the tap's own hook."""
        shown = self.shown()
        return RECORDS / f"{shown['netns']}-{shown['ifindex']}-tap"

    def where(self, frames=FRAMES, net=None, queues=None):
        """Send frames; return {queue: how many came out of it}."""
        queues = queues or self.queues
        found = {}
        with (net or self.net).packet_socket() as sock:
            for frame in frames:
                traffic.send(sock, [frame])
                queue = self.receive(frame, queues)
                found[queue] = found.get(queue, 0) + 1
        return found

    def receive(self, frame, queues):
        """Return the number of the queue that the frame comes out of."""
        poll = select.poll()
        for queue in queues:
            poll.register(queue, select.POLLIN)
        while True:
            ready = poll.poll(PATIENCE * 1000)
            self.assertTrue(ready, "a packet was lost")
            for queue, _ in ready:
                data = os.read(queue, 65536)
                if data[VNET_HDR:] == frame:
                    return queues.index(queue)
