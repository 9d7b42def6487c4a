# SPDX-License-Identifier: GPL-2.0-or-later
"""Asks both engines what they make of frames, by the program answer.c."""

import struct
import subprocess
from collections import namedtuple

NOT_RUN = -1            # in place of the program's queue
TABLE_MAX = 128
SOCKET_FROM = 3001      # bytes: by a socket, which tells queues from 1 on
                        # that are less than the frame's length

# What the program in the kernel says; what the engine in the process says
# where only the queue is asked for; and where the hash is.
Answer = namedtuple("Answer", "program steered queue hash type")

_ANSWER = struct.Struct("=iIIII")


class Ended(Exception):
    """The engines' process has ended: a frame made it crash."""


class Engines:
    """Both engines, in a process of their own."""

    def __init__(self, answer):
        self._process = subprocess.Popen([answer], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE)
        self._from = self._process.stdout
        # Why the program in the kernel does not take part; "" if it does.
        self.refusal = self._from.readline().decode().strip()

    def ask(self, config, frames):
        """Return one Answer for each frame: no more than 1,000."""
        table = list(config.table)
        text = [b"c", struct.pack(
            f"=IHH{TABLE_MAX}H", config.types, config.unclassified,
            len(table), *table + [0] * (TABLE_MAX - len(table))), config.key]
        for frame in frames:
            text += [b"f", struct.pack("=I", len(frame)), frame]
        # It answers while it reads, and what it answers fits into a pipe.
        try:
            self._process.stdin.write(b"".join(text) + b".")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass
        answers = self._from.read(len(frames) * _ANSWER.size)
        if len(answers) != len(frames) * _ANSWER.size:
            raise Ended(f"status {self._process.wait()}")
        return [Answer(*fields) for fields in _ANSWER.iter_unpack(answers)]

    def close(self):
        """End the process; its exit status must be 0."""
        self._process.stdin.close()
        status = self._process.wait()
        self._from.close()
        if status:
            raise Ended(f"status {status}, at its end")
