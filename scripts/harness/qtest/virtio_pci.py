# SPDX-License-Identifier: GPL-2.0-or-later
"""Modern virtio devices on PCI: virtio specification 1.2, 4.1."""

from harness.qtest.pci import PciFunction
from harness.qtest.virtio import VirtioDevice

VENDOR = 0x1af4

COMMON, NOTIFY, DEVICE = 1, 2, 4        # capabilities' cfg_type
# Fields of the common configuration.
FEATURE_SELECT, FEATURE, GUEST_SELECT, GUEST = 0, 4, 8, 12
STATUS = 20
QUEUE_SELECT, QUEUE_SIZE, QUEUE_ENABLE, QUEUE_NOTIFY_OFF = 22, 24, 28, 30
QUEUE_DESC, QUEUE_AVAIL, QUEUE_USED = 32, 40, 48
QUEUE_RESET = 58


class VirtioPci(PciFunction, VirtioDevice):
    """A virtio device in a slot of the first PCI bus."""

    def find(self):
        """Place the BARs and find the capabilities."""
        if self.pci_config("w", 0) != VENDOR:
            raise ValueError(f"there is no virtio device in slot {self.slot}")
        bars = self.place_bars()
        self.pci_config("w", 4, 0x0006)    # memory, bus master
        self.areas = {}
        position = self.pci_config("b", 0x34)
        while position:
            if self.pci_config("b", position) == 0x09:
                kind = self.pci_config("b", position + 3)
                bar = self.pci_config("b", position + 4)
                offset = self.pci_config("l", position + 8)
                if kind == NOTIFY:
                    self.notify_step = self.pci_config("l", position + 16)
                if kind in (COMMON, NOTIFY, DEVICE):
                    self.areas[kind] = bars[bar] + offset
            position = self.pci_config("b", position + 1)

    def common(self, name, offset, value=None):
        """Read or write a field of the common configuration."""
        address = self.areas[COMMON] + offset
        if value is None:
            return self.machine.io("read" + name, address)
        return self.machine.out("write" + name, address, value)

    def config(self, name, offset):
        return self.machine.io("read" + name, self.areas[DEVICE] + offset)

    @property
    def status(self):
        return self.common("b", STATUS)

    def set_status(self, value):
        self.common("b", STATUS, value)

    def read_features(self, word):
        self.common("l", FEATURE_SELECT, word)
        return self.common("l", FEATURE)

    def write_features(self, word, value):
        self.common("l", GUEST_SELECT, word)
        self.common("l", GUEST, value)

    def queue_size(self, index):
        self.common("w", QUEUE_SELECT, index)
        return self.common("w", QUEUE_SIZE)

    def set_queue(self, queue):
        for field, address in ((QUEUE_DESC, queue.desc),
                               (QUEUE_AVAIL, queue.avail),
                               (QUEUE_USED, queue.ring_used)):
            self.common("q", field, self.machine.board.ram + address)
        queue.notify = self.areas[NOTIFY] + self.notify_step * self.common(
            "w", QUEUE_NOTIFY_OFF)
        self.common("w", QUEUE_ENABLE, 1)

    def kick(self, queue):
        self.machine.out("writew", queue.notify, queue.index)

    def reset_queue(self, index):
        """Take one queue back; add_queue() sets it up anew."""
        self.common("w", QUEUE_SELECT, index)
        self.common("w", QUEUE_RESET, 1)
        if self.common("w", QUEUE_RESET):
            raise ValueError(f"queue {index} does not come out of its reset")
        del self.queues[index]
