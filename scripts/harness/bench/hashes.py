# SPDX-License-Identifier: GPL-2.0-or-later
"""What reporting hashes costs with vhost=on; part of vhost.py.

Two guests on the vhost-net that can report hashes, the one with hash=on and the
other without.  They take turns, and what counts is the ratio in each turn.
"""

import contextlib
import os
import socket
import time

from harness.functional.vhost_card import HASH, STOCK
from harness.vm.kernel import get_kernel
from harness.vm.process import run
from harness.vm.qemu import own_qemu
from harness.vm.virthost import ALL_PROCESSORS

from . import BenchError, guest, say
from .report import number, spread

CARDS = {"without reports": "hash=off", "with reports": "hash=on"}
HERE, THERE = "192.0.2.1", "192.0.2.2"
TIMEOUT = 120               # s; no stream stands still for so long
UDP_TURNS, TCP_TURNS = 12, 50       # in a round
TURN = 4                    # MiB of TCP
UDP_TURN = 250              # ms
BUFFER = 256 << 10          # bytes of a stream that wait on the host
SLOWER = 0.97               # with reports relative to without, at the least


def why_not():
    if not os.access(HASH, os.R_OK | os.W_OK):
        return f"there is no {HASH}"
    return ""


def in_place_of_stock(command):
    """Return a command for which the stock node is the other one."""
    return ["unshare", "--mount", "sh", "-c",
            f"mount --bind {HASH} {STOCK} && exec \"$@\"", "sh", *command]


class Streams:
    """A guest with a card of CARDS, and TCP streams into it and out of it.

    Each lasts for all turns.  What waits at either end when a turn begins, or
    ends, is little of it, and the same in each.
    """

    def __init__(self, stack, name, qemu, kernel, accel):
        self.name = name
        self.machine = guest.boot(stack, name, qemu, kernel, accel, True,
                                  CARDS[name])
        self.guest, self.net = self.machine.guest, self.machine.net
        self.guest.shell(f"ip addr add {THERE}/24 dev eth0")
        if CARDS[name] == "hash=on":
            self.guest.shell("ethtool -K eth0 rxhash on")
            rss = self.guest.qmp("x-query-rss")[0]
            if rss["hash-reporter"] != "vhost":
                raise BenchError("vhost-net reports no hashes: "
                                 + rss["hash-reason"])
        with self.net.entered():
            run("ip", "addr", "add", f"{HERE}/24", "dev", self.net.name)
            self.sink = stack.enter_context(self.connect(5001,
                                                         "of=/dev/null"))
            self.source = stack.enter_context(self.connect(5002,
                                                           "if=/dev/zero"))

    def connect(self, port, what):
        """Return a connection to a dd in the guest.

        nc's own copying would take a packet's time for each KiB.
        """
        self.guest.shell(f"nc -l -p {port} -e dd bs=64k {what} >/dev/null 2>&1"
                         " &")
        deadline = time.monotonic() + TIMEOUT
        while True:
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
            sock.settimeout(TIMEOUT)
            try:
                sock.connect((THERE, port))
                return sock
            except ConnectionRefusedError:      # it does not listen yet
                sock.close()
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def udp(self, file, milliseconds):
        """Return the packets per second that arrive in the guest."""
        return guest.push(self.machine, file, milliseconds)[0]

    def to_guest(self):
        """Return the MiB per second of a turn of the stream into the guest."""
        data, begin = bytes(TURN << 20), time.monotonic()
        try:
            self.sink.sendall(data)
        except TimeoutError:
            self.stalled("into")
        return TURN / (time.monotonic() - begin)

    def from_guest(self):
        """Return the MiB per second of a turn of the stream out of it."""
        begin, left = time.monotonic(), TURN << 20
        try:
            while left:
                data = self.source.recv(min(left, 1 << 20))
                if not data:
                    raise BenchError("a stream out of the guest ended")
                left -= len(data)
        except TimeoutError:
            self.stalled("out of")
        return TURN / (time.monotonic() - begin)

    def stalled(self, way):
        """Tell what is known of a stream that stands still.

        A processor of the guest that answers no more is the emulation's fault:
        the shell's timeout says so.
        """
        self.guest.shell(ALL_PROCESSORS)
        with self.net.entered():
            here = run("ss", "--tcp", "--info", "--numeric")
        there = self.guest.shell("cat /proc/net/tcp; grep virtio "
                                 "/proc/interrupts; ethtool -S eth0")
        raise BenchError(f"a stream {way} the guest {self.name} stands still: "
                         f"{here}\n{there}")


def sample(accel, quick):
    """Run the guests; return {way: {name: [rate, …]}}."""
    rounds = 8 if quick else 24
    qemu, kernel = own_qemu(), get_kernel()
    with contextlib.ExitStack() as stack:
        file = guest.frames_file(stack)
        both = [Streams(stack, name, qemu, kernel, accel) for name in CARDS]
        ways = {        # name: (turns in a round, what measures)
            "UDP, packets/s": (UDP_TURNS,
                               lambda one: one.udp(file, UDP_TURN)),
            "TCP to the guest, MiB/s": (TCP_TURNS, Streams.to_guest),
            "TCP from the guest, MiB/s": (TCP_TURNS, Streams.from_guest),
        }
        samples = {way: {name: [] for name in CARDS} for way in ways}
        for number_of_round in range(rounds):
            say(f"vhost: hash reports, round {number_of_round + 1} of "
                f"{rounds} …")
            for way, (turns, measure) in ways.items():
                for turn in range(turns):
                    order = -1 if (number_of_round + turn) % 2 else 1
                    for one in both[::order]:
                        samples[way][one.name].append(measure(one))
    return samples


def show(section, samples):
    """Table and targets of what sample() returned."""
    rows = []
    for way, rates in samples.items():
        ratio = section.figure(f"hash reports/{way}/ratio", [
            one / other for one, other in zip(rates["with reports"],
                                              rates["without reports"])], "")
        rows.append([way, number(len(rates["with reports"])),
                     *[spread(section.figure(
                         f"hash reports/{way}/{name}", rates[name],
                         way.rpartition(", ")[2])) for name in CARDS],
                     spread(ratio)])
        section.target(f"{section.name}: hash reports, {way}, relative to "
                       "none", ratio.median, SLOWER, smaller=False)
    section.table("Hash reports: a guest that has them and one that has not, "
                  "on the same vhost-net, which take turns; median "
                  "[quartiles], and those of the ratio in each turn",
                  ["", "turns", *CARDS, "ratio"], rows)
