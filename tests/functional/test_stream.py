#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A migration stream with nonsense about RSS is refused with a message.

A stream is saved, the part about RSS is replaced, and another QEMU is given
the result.  It may end with status 1 or go on without the guest; it must not
crash, and it must say what it does not like.
"""

import contextlib
import struct
import sys
import tempfile
from pathlib import Path

from guests import (AUTOMATIC, TOP, Case, VmError, run_tests, wait_until,
                    why_not)

sys.path.insert(0, str(TOP / "tests/qtest"))
from rig import EBPF, KEY, QUEUES, Card, spread             # noqa: E402
from rss_reference import NON_EX_TYPES                      # noqa: E402

# A subsection: a byte that says so, the length of its name, name, version.
NAME = b"virtio-net-device/rss"
HEAD = b"\x05" + bytes([len(NAME)]) + NAME
HASHES = 1 << 9                         # no hash type has this bit


def state(enabled=1, redirect=1, populate=0, types=NON_EX_TYPES, length=None,
          unclassified=0, key=KEY, table=(0, 1, 2, 3), version=1):
    """Return the part about RSS.  length: what it says of the table."""
    length = len(table) if length is None else length
    return (HEAD + struct.pack(">I3BIHH", version, enabled, redirect,
                               populate, types, length, unclassified)
            + key + struct.pack(f">{len(table)}H", *table))


def replaced(stream, new):
    """Return a stream with another part about RSS."""
    start = stream.index(HEAD)
    length = struct.unpack_from(">H", stream, start + len(HEAD) + 11)[0]
    end = start + len(state(table=[0] * length))
    return stream[:start] + new + stream[end:]


# What is wrong, and a word that the message must have ("" where the stream
# is out of step afterwards, so that anything else is complained of).
NONSENSE = {
    "table of 0": (state(table=[]), "table"),
    "table of 3": (state(table=[0, 1, 2]), "table"),
    "table of 129": (state(table=[0] * 129), "table"),
    "table of 256": (state(table=[0] * 256), "table"),
    "table of 60000": (state(table=[0] * 60000), "table"),
    "table of 65535": (state(table=[0] * 65535), "table"),
    "table of 60000, 4 are there": (state(length=60000), ""),
    "table of 3, 4 are there": (state(length=3), ""),
    "table of 128, 4 are there": (state(length=128), ""),
    "table of 2, 4 are there": (state(length=2), ""),
    "queue out of range": (state(table=[0, 1, QUEUES, 3]), "queue"),
    "queue 65535": (state(table=[0, 1, 2, 65535]), "queue"),
    "unclassified queue out of range": (state(unclassified=QUEUES), "queue"),
    "unknown hash type": (state(types=HASHES), "type"),
    "all bits of the hash types": (state(types=0xffffffff), "type"),
    "key too short": (state(key=KEY[:39]), ""),
    "key too long": (state(key=KEY + b"\0"), ""),
    "version 2": (state(version=2), ""),
    "version 0": (state(version=0), ""),
    "ends in the key": (state()[:-30], ""),
}

# What is odd, but can be lived with: (part, engines that may follow).
ODD = {
    "as it was": (state(), [EBPF]),
    "not enabled, but steering": (state(enabled=0), [AUTOMATIC]),
    "enabled, not steering": (state(redirect=0), [AUTOMATIC]),
    "hashes reported, not negotiated": (state(populate=1), [EBPF]),
}


class Stream(Case):
    """Without a guest: tests/qtest has a driver that is as good."""

    engine = EBPF

    @classmethod
    def setUpClass(cls):
        if why_not():
            return
        folder = tempfile.TemporaryDirectory(prefix="qemu-ebpf-stream-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        card = Card(cls.engine)
        try:
            card.start().set_rss(spread(length=8), QUEUES)
            machine = card.machine
            machine.qmp("migrate", {"uri": f"exec:cat > {cls.folder}/good"})
            if not wait_until(lambda: machine.qmp("query-migrate")["status"]
                              == "completed", 10, 0.01):
                raise VmError("the migration does not end")
        finally:
            card.close()
        cls.good = (cls.folder / "good").read_bytes()

    def incoming(self, stream):
        """Give a stream to a QEMU; return its Card when it is done."""
        (self.folder / "stream").write_bytes(stream)
        card = Card(self.engine, "", ["-incoming", "defer", "-S"])
        self.addCleanup(card.close)
        uri = {"uri": f"exec:cat {self.folder}/stream"}

        def done():
            return (card.machine.process.poll() is not None or card.machine
                    .qmp("query-status")["status"] != "inmigrate")

        with contextlib.suppress(VmError):      # it may end while it is asked
            card.machine.qmp("migrate-incoming", uri)
            self.assertTrue(wait_until(done, 10, 0.01), "it does not end")
        return card

    def check_nonsense(self, row):
        part, word = row
        machine = self.incoming(replaced(self.good, part)).machine
        machine.process.wait(10)
        self.assertEqual(machine.process.returncode, 1, machine.messages())
        lines = [line for line in machine.messages().splitlines()
                 if not line.startswith("virtio_net_rss_")]
        self.assertTrue(lines, "no message")
        self.assertIn(word, lines[0], "\n".join(lines))

    def check_odd(self, row):
        part, engines = row
        machine = self.incoming(replaced(self.good, part)).machine
        self.assertIsNone(machine.process.poll(), machine.messages())
        rss = machine.qmp("x-query-rss")[0]
        self.assertIn(rss["engine"], engines)
        self.assertFalse(rss["hash-report"])

    def test_every_truncation_of_the_part(self):
        """The stream ends in the middle of it."""
        start = self.good.index(HEAD)
        for end in range(start, start + len(state()), 9):
            machine = self.incoming(self.good[:end]).machine
            machine.process.wait(10)
            self.assertEqual(machine.process.returncode, 1, f"at {end}")
            machine.stop()


for each, done in ((NONSENSE, Stream.check_nonsense), (ODD, Stream.check_odd)):
    for name, row in each.items():
        setattr(Stream, "test " + name,
                lambda self, row=row, check=done: check(self, row))


if __name__ == "__main__":
    run_tests(__file__)
