# SPDX-License-Identifier: GPL-2.0-or-later
"""The part about RSS of a migration stream, and others in its place."""

import contextlib
import struct
import tempfile
from pathlib import Path

from machine import VmError, wait_until
from rig import KEY, QUEUES, Card, Case, spread, why_not
from rss_reference import NON_EX_TYPES

# A subsection: a byte that says so, the length of its name, name, version.
NAME = b"virtio-net-device/rss"
HEAD = b"\x05" + bytes([len(NAME)]) + NAME


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


class StreamCase(Case):
    """A test with the stream of a card that steers; each is for a new QEMU.

    engine  the one that steers; options: more of the device
    """

    engine = None
    options = ""

    @classmethod
    def begin(cls, card):
        """Start the driver whose stream is saved, with RSS on."""
        card.start().set_rss(spread(length=8), QUEUES)

    @classmethod
    def setUpClass(cls):
        cls.reason = why_not()
        if cls.reason:
            return
        folder = tempfile.TemporaryDirectory(prefix="qemu-ebpf-stream-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        card = Card(cls.engine, cls.options)
        try:
            cls.begin(card)
            machine = card.machine
            machine.qmp("migrate", {"uri": f"exec:cat > {cls.folder}/good"})
            if not wait_until(lambda: machine.qmp("query-migrate")["status"]
                              == "completed", 10, 0.01):
                raise VmError("the migration does not end")
        finally:
            card.close()
        cls.good = (cls.folder / "good").read_bytes()

    def setUp(self):
        if self.reason:
            self.skipTest(self.reason)

    def incoming(self, stream, options=None):
        """Give a stream to a QEMU; return its Card when it is done."""
        options = self.options if options is None else options
        (self.folder / "stream").write_bytes(stream)
        card = Card(self.engine, options, ["-incoming", "defer", "-S"])
        self.addCleanup(card.close)
        uri = {"uri": f"exec:cat {self.folder}/stream"}

        def done():
            return (card.machine.process.poll() is not None or card.machine
                    .qmp("query-status")["status"] != "inmigrate")

        with contextlib.suppress(VmError):      # it may end while it is asked
            card.machine.qmp("migrate-incoming", uri)
            self.assertTrue(wait_until(done, 10, 0.01), "it does not end")
        return card
