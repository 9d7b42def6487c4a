# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets between a guest and the namespace of its tap, each byte looked at.

    with Flow(guest, net, "udp", to_guest=True, amount=1000) as flow:
        ...
        result = flow.finish()

flow.c, which does it on both sides, must be in the guest: files().
"""

import collections
import itertools
import re
import tempfile
from pathlib import Path

from . import VmError
from .initramfs import compiled
from .process import Closing, spawn, stop, wait_until

HERE, THERE = "192.0.2.1", "192.0.2.2"      # the tap, the guest
TIMEOUT = 120       # s, from the sender's end to the receiver's

Result = collections.namedtuple("Result", "sent received lost twice wrong "
                                "gaps")     # [(begin, end)], s

_ports = itertools.count(7000)


def program():
    return compiled(Path(__file__).with_name("flow.c"))


def files():
    """Return what the guest needs: {path in the guest: path here}."""
    return {"bin/flow": program()}


class Here:
    """flow in the namespace of a TapNet."""

    def __init__(self, net, *words):
        self.output = tempfile.TemporaryFile("w+")
        with net.entered():
            self.process = spawn([program(), *words], stdout=self.output,
                                 stderr=self.output)

    def terminate(self):
        self.process.terminate()

    def text(self):
        """Return what it has said, and its status if it has ended."""
        status = self.process.poll()
        self.output.seek(0)
        return self.output.read() + ("" if status is None
                                     else f"status {status}\n")

    def close(self):
        stop(self.process)
        self.output.close()


class There:
    """flow in a guest."""

    def __init__(self, guest, name, *words):
        self.guest, self.file = guest, f"/tmp/flow-{name}"
        command = " ".join(map(str, ["flow", *words]))
        guest.shell(f"({command} & echo $! >{self.file}.pid; wait $!; "
                    f"echo status $?) >{self.file} 2>&1 &")

    def terminate(self):
        """End it as soon as it runs, unless it has ended already."""
        self.guest.shell(f"until [ -s {self.file}.pid ]; do sleep 0.1; done; "
                         f"kill -TERM $(cat {self.file}.pid) || true")

    def text(self):
        return self.guest.shell(f"cat {self.file}")

    def close(self):
        if self.guest.process.poll() is None:
            self.guest.try_shell(f"kill -KILL $(cat {self.file}.pid); "
                                 f"rm {self.file} {self.file}.pid")


class Flow(Closing):
    """A flow from one side to the other.

    kind      "udp", or "tcp"
    amount    datagrams, or bytes; 0: until finish()
    size      most bytes of a datagram
    rate      datagrams a second; 0: as many as arrive
    gap       us; longer times without a datagram are told
    """

    def __init__(self, guest, net, kind, to_guest, amount=0, size=1472,
                 rate=0, gap=0):
        port = next(_ports)
        self.kind, self.endless = kind, not amount
        receive = [f"{kind}-receive", port]
        send = [f"{kind}-send", THERE if to_guest else HERE, port]
        if kind == "udp":
            receive += [size, gap]
            send += [size, amount, rate]
        else:
            send.append(amount)

        def start(in_guest, *words):
            return There(guest, f"{port}-{words[0]}", *words) if in_guest \
                else Here(net, *words)

        self.receiver = start(to_guest, *receive)
        self.sender = start(not to_guest, *send)

    def finish(self, timeout=TIMEOUT):
        """Wait for its end; return the Result."""
        if self.endless:
            self.sender.terminate()
        sent = self._end(self.sender, timeout)
        received = self._end(self.receiver, timeout)
        numbers = re.search(r"received (\d+), lost (\d+), twice (\d+), "
                            r"wrong (\d+)", received)
        count = re.search(r"sent (\d+)\nstatus 0", sent)
        if not numbers or not count:
            raise VmError(f"the sender says {sent[-200:]!r}, the receiver "
                          f"{received[-200:]!r}")
        if self.kind == "tcp" and count[1] != numbers[1]:
            raise VmError(f"of {count[1]} bytes {numbers[1]} have arrived")
        gaps = re.findall(r"gap (\d+) (\d+)", received)
        return Result(int(count[1]), *map(int, numbers.groups()), [
            (int(begin) / 1e6, int(end) / 1e6) for begin, end in gaps])

    @staticmethod
    def _end(side, timeout):
        return wait_until(lambda: "status" in side.text() and side.text(),
                          timeout) or side.text()

    def close(self):
        self.sender.close()
        self.receiver.close()
