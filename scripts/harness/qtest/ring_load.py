# SPDX-License-Identifier: GPL-2.0-or-later
"""A stream through a card, by ring_load.c; the control queue remains to us.

    with RingLoad(card, frames, choices, 10000000) as load:
        while load.runs():
            card.nic.set_rss(…)
        counts = load.end()
"""

import struct
import subprocess
import tempfile
import unittest
from pathlib import Path

from harness.vm import VmError
from harness.vm.process import Closing, run, spawn, stop

SOURCE = Path(__file__).resolve().with_name("ring_load.c")
FAULTS = ("lost", "wrong hash", "impossible report", "wrong queue",
          "wrong header", "changed", "twice")
ANY_QUEUE = 0xffff
END_TIMEOUT = 120           # s; it waits 60 s for a packet


class RingLoad(Closing):
    """The driver's part of all receive queues, until it ends.

    card     Card, whose driver has been started
    frames   that are sent again and again
    choices  what a packet's hash and queue may be: functions that return
             (value, report, queue) of a frame
    packets  so many, unless end() comes before
    """

    def __init__(self, card, frames, choices, packets):
        self.nic = card.nic
        self.process = None
        self.folder = tempfile.TemporaryDirectory(prefix="qtest-load-")
        program = self.folder.name + "/ring_load"
        try:
            run("cc", "-O2", "-o", program, SOURCE)
        except VmError as error:
            self.close()
            raise unittest.SkipTest(f"there is no C compiler: {error}")
        memory, sender = card.machine.memory_fd, card.sender.fileno()
        self.process = spawn(
            [program, packets, memory, sender, self.nic.header_len,
             len(choices), *map(self._place, self.nic.receive_queues)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, pass_fds=(memory, sender))
        for frame in frames:
            self.process.stdin.write(
                struct.pack("=I", len(frame))
                + b"".join(struct.pack("=IHH", *choice(frame))
                           for choice in choices) + frame)
        self.process.stdin.write(bytes(4))
        self.process.stdin.flush()

    @staticmethod
    def _place(queue):
        return (f"{queue.size}:{queue.desc}:{queue.avail}:{queue.ring_used}:"
                f"{queue.used_idx}")

    def runs(self):
        return self.process.poll() is None

    def end(self):
        """End it, if there are packets left; return ({name: count}, errors).

        The driver goes on with the queues.
        """
        output, errors = self.process.communicate(timeout=END_TIMEOUT)
        counts = {name: int(count) for name, count in
                  (line.split("\t") for line in output.decode().splitlines())}
        for number, queue in enumerate(self.nic.receive_queues):
            used = counts.get(f"queue {number}", 0)
            queue.used_idx = (queue.used_idx + used) & 0xffff
            queue.avail_idx = (queue.avail_idx + used) & 0xffff
        return counts, errors.decode()

    def close(self):
        if self.process:
            stop(self.process)
            for stream in (self.process.stdin, self.process.stdout,
                           self.process.stderr):
                stream.close()
        self.folder.cleanup()
