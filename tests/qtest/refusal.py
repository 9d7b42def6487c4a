# SPDX-License-Identifier: GPL-2.0-or-later
"""Refusal: the tap of a QEMU takes no steering program for a while.

    refusal = Refusal()
    card = Card(AUTO, prefix=refusal.prefix)
    refusal.begin()
"""

import tempfile
import unittest
from pathlib import Path

from machine import VmError
from vmlib.process import run

SOURCE = Path(__file__).resolve().with_name("refuse_program.c")


class Refusal:
    """prefix: of the command that starts QEMU."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="qtest-refusal-")
        library = Path(self.folder.name) / "refuse_program.so"
        self.file = library.with_name("refuse")
        try:
            run("cc", "-shared", "-fPIC", "-o", library, SOURCE)
        except VmError as error:
            self.close()
            raise unittest.SkipTest(f"there is no C compiler: {error}")
        self.prefix = ["env", f"LD_PRELOAD={library}",
                       f"REFUSE_PROGRAM={self.file}"]

    def begin(self):
        """From now on it is refused."""
        self.file.touch()

    def end(self):
        """From now on it is taken."""
        self.file.unlink()

    def close(self):
        """Leave nothing behind."""
        self.folder.cleanup()
