# SPDX-License-Identifier: GPL-2.0-or-later
"""Taking from QEMU what it needs.

DENY, NUMBER, COMMAND: for the command, bpf() answers with this error.

Refusal: the tap of a QEMU takes no steering program for a while.

    refusal = Refusal()
    card = Card(AUTO, prefix=refusal.prefix)
    refusal.begin()
"""

import os
import resource
import tempfile
import unittest
from pathlib import Path

from harness.qtest.machine import VmError
from harness.vm.process import Closing, run

DENY = str(Path(__file__).resolve().with_name("without_bpf_call.py"))
SOURCE = Path(__file__).resolve().with_name("refuse_program.c")


def preloaded(source, folder):
    """Return the path of what a C file becomes for LD_PRELOAD."""
    library = Path(folder) / source.with_suffix(".so").name
    try:
        run("cc", "-shared", "-fPIC", "-o", library, source)
    except VmError as error:
        raise unittest.SkipTest(f"there is no C compiler: {error}")
    return library


class Refusal(Closing):
    """prefix: of the command that starts QEMU."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="qtest-refusal-")
        self.file = Path(self.folder.name) / "refuse"
        try:
            library = preloaded(SOURCE, self.folder.name)
        except BaseException:
            self.close()
            raise
        self.prefix = ["env", f"LD_PRELOAD={library}",
                       f"REFUSE_PROGRAM={self.file}"]

    def begin(self):
        self.file.touch()

    def end(self):
        self.file.unlink()

    def close(self):
        self.folder.cleanup()


def open_numbers(machine):
    return sorted(int(name) for name in
                  os.listdir(f"/proc/{machine.process.pid}/fd"))


def leave_free(machine, count):
    """Let QEMU open so many descriptors more; None: as many as it likes."""
    hard = resource.prlimit(machine.process.pid, resource.RLIMIT_NOFILE)[1]
    soft = hard
    if count is not None:
        taken = set(open_numbers(machine))
        free = [number for number in range(len(taken) + count + 1)
                if number not in taken]
        soft = free[count]
    resource.prlimit(machine.process.pid, resource.RLIMIT_NOFILE,
                     (soft, hard))


def delete_tap(card):
    """What an administrator does."""
    card.net.ip(f"link del {card.net.name}")
