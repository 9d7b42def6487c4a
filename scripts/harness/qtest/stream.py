# SPDX-License-Identifier: GPL-2.0-or-later
"""What a migration stream says of the card, and nonsense in its place.

    section = NetSection(stream)
    stream = section.changed(virtqueues=1025)
    stream = replaced(stream, state(table=[0, 1, 2]))   # the part about RSS
"""

import contextlib
import struct
import tempfile
from pathlib import Path

from harness.qtest.machine import VmError, is_from
from harness.qtest.rig import KEY, QUEUES, Card, Case, flows, spread, why_not
from harness.qtest.virtio_net import OK
from harness.rss_reference import ALL_TYPES, NON_EX_TYPES
from harness.vm.process import wait_until

# Version 2 also says which hash types the guest was offered.
VERSION = 2 if is_from("10.2") else 1

# A subsection: a byte that says so, the length of its name, name, version.
NAME = b"virtio-net-device/rss"
HEAD = b"\x05" + bytes([len(NAME)]) + NAME


def numbers(version):
    """Return the format of what is between name and key."""
    return ">I3BIIHH" if version > 1 else ">I3BIHH"


def state(enabled=1, redirect=1, populate=0, types=NON_EX_TYPES, length=None,
          unclassified=0, key=KEY, table=(0, 1, 2, 3), version=VERSION,
          offered=ALL_TYPES):
    """Return the part about RSS.  length: what it says of the table."""
    length = len(table) if length is None else length
    offers = [offered] if version > 1 else []
    return (HEAD + struct.pack(numbers(version), version, enabled, redirect,
                               populate, types, *offers, length, unclassified)
            + key + struct.pack(f">{len(table)}H", *table))


def replaced(stream, new):
    """Return a stream with another part about RSS."""
    start = stream.index(HEAD)
    *_, length, _ = struct.unpack_from(numbers(VERSION), stream,
                                       start + len(HEAD))
    end = start + len(state(table=[0] * length))
    return stream[:start] + new + stream[end:]


class NetSection:
    """The card's section of a stream: where its fields are.

    Read as QEMU writes it for a virtio-net-pci; the fields of virtqueue 0
    stand for those of all.

    start, end  of the section
    fields      {name: (place, size)}
    """

    NAME = b"0000:00:04.0/virtio-net"
    PCI_CONFIG = 256
    VLANS = 512

    def __init__(self, stream):
        self.stream = stream
        self.fields = {}
        self.start = self.at = stream.index(self.NAME) + len(self.NAME) + 8
        self.end = stream.index(b"virtio_pci/modern_state", self.start)
        self._read_pci()
        self._read_virtio()
        self._read_net()
        for name in ("virtio/64bit_features", "virtio/packed_virtqueues"):
            place = stream.find(name.encode(), self.at)
            if place >= 0:
                self.at = place + len(name) + 4
                self._field(*{"virtio/64bit_features": ("all features", 8),
                              "virtio/packed_virtqueues": ("packed at", 2)}
                            [name])

    def _field(self, name, size):
        """Note the next field; return its value."""
        self.fields[name] = self.at, size
        self.at += size
        return self[name]

    def __getitem__(self, name):
        place, size = self.fields[name]
        return int.from_bytes(self.stream[place:place + size], "big")

    def _read_pci(self):
        self.at += 4                                    # its version
        config = self.stream[self.at:self.at + self.PCI_CONFIG]
        self.at += self.PCI_CONFIG + 4 * 4              # interrupts
        capability = config[0x34]
        while config[capability] != 0x11:               # MSI-X
            capability = config[capability + 1]
        vectors = 1 + (struct.unpack_from("<H", config, capability + 2)[0]
                       & 0x7ff)
        self.at += 16 * vectors + (vectors + 7) // 8
        self._field("config vector", 2)

    def _read_virtio(self):
        self._field("status", 1)
        self._field("isr", 1)
        self._field("selected queue", 2)
        self._field("features", 4)
        length = self._field("config length", 4)
        self.at += length
        virtqueues = self._field("virtqueues", 4)
        behind = self.at + 16 * virtqueues
        for name, size in (("queue size", 4), ("queue address", 8),
                           ("queue index", 2), ("queue vector", 2)):
            self._field(name, size)
        self.at = behind

    def _read_net(self):
        self.at += 6                                    # MAC address
        self._field("waits to send", 4)
        self._field("mergeable buffers", 4)
        self._field("link status", 2)
        self.at += 2
        addresses = self._field("MAC addresses", 4)
        self.at += 6 * addresses + self.VLANS
        self._field("header", 4)
        self.at += 6
        self._field("UFO", 1)
        self._field("queue pairs", 2)
        self._field("active queue pairs", 2)

    def changed(self, **values):
        """Return the stream with other values; "_" stands for a space."""
        stream = bytearray(self.stream)
        for name, value in values.items():
            place, size = self.fields[name.replace("_", " ")]
            stream[place:place + size] = value.to_bytes(size, "big")
        return bytes(stream)

    def with_default_sizes(self, sizes):
        """Return the stream with default sizes of all 1024 virtqueues."""
        name = b"virtio/ringsize"
        part = (b"\x05" + bytes([len(name)]) + name
                + struct.pack(">1025I", 1, *sizes))
        behind = b"\x05\x12virtio/extra_state"
        place = self.stream.index(behind, self.start)
        return self.stream[:place] + part + self.stream[place:]


def assert_usable(case, card):
    """QEMU has taken the stream; it goes on, and so does a new driver."""
    machine = card.machine
    case.assertIsNone(machine.process.poll(), machine.messages())
    machine.qmp("cont")
    machine.qmp("query-status")
    machine.qmp("system_reset")
    machine.wait_event("RESET")
    machine.qmp("set_link", {"name": "card", "up": True})
    nic = card.start()
    case.assertEqual(nic.set_rss(spread(), QUEUES), OK)
    card.send(flows(16))
    case.assertEqual(len(nic.wait_packets(16)), 16)


def assert_refused(case, machine, word=""):
    """QEMU has ended, and the first line that it says has a word."""
    machine.process.wait(10)
    case.assertEqual(machine.process.returncode, 1, machine.messages())
    lines = [line for line in machine.messages().splitlines()
             if not line.startswith("virtio_net_rss_")]
    case.assertTrue(lines, "no message")
    case.assertIn(word, lines[0], "\n".join(lines))


class StreamCase(Case):
    """A test with the stream of a card that steers; each is for a new QEMU.

    engine  the one that steers; options: more of the device
    """

    engine = None
    options = ""
    why_not = staticmethod(why_not)

    @classmethod
    def begin(cls, card):
        """Start the driver whose stream is saved, with RSS on."""
        card.start().set_rss(spread(length=8), QUEUES)

    @classmethod
    def setUpClass(cls):
        if cls.why_not():
            return
        cls.folder = Path(cls.enterClassContext(
            tempfile.TemporaryDirectory(prefix="qemu-ebpf-stream-")))
        with Card(cls.engine, cls.options) as card:
            cls.begin(card)
            card.machine.migrate(f"exec:cat > {cls.folder}/good")
        cls.good = (cls.folder / "good").read_bytes()

    def incoming(self, stream, options=None, net=None):
        """Give a stream to a QEMU; return its Card when it is done."""
        options = self.options if options is None else options
        (self.folder / "stream").write_bytes(stream)
        card = self.enterContext(Card(self.engine, options,
                                      ["-incoming", "defer", "-S"], net))
        uri = {"uri": f"exec:cat {self.folder}/stream"}

        def done():
            return (card.machine.process.poll() is not None or card.machine
                    .qmp("query-status")["status"] != "inmigrate")

        with contextlib.suppress(VmError):      # it may end while it is asked
            card.machine.qmp("migrate-incoming", uri)
            self.assertTrue(wait_until(done, 10, 0.01), "it does not end")
        return card
