# SPDX-License-Identifier: GPL-2.0-or-later
"""What all devices on PCI have in common: PCI Local Bus Specification 3.0."""


class PciFunction:
    """A device in a slot of the first PCI bus: self.slot of self.machine."""

    def pci_config(self, name, offset, value=None):
        """Read or write the PCI configuration space."""
        return self.machine.board.pci_config(self.machine, self.slot, name,
                                             offset, value)

    def place_bars(self):
        """Give each memory BAR an address; return {number: address}."""
        bars = {}
        following = self.machine.board.bars
        number = 0
        while number < 6:
            register = 0x10 + 4 * number
            self.pci_config("l", register, 0xffffffff)
            value = self.pci_config("l", register)
            if value and not value & 1:
                size = (~(value & ~0xf) & 0xffffffff) + 1
                following = (following + size - 1) & -size
                bars[number] = following
                self.pci_config("l", register, following)
                following += size
                if value & 4:           # 64 bits: two registers
                    self.pci_config("l", register + 4, 0)
                    number += 1
            number += 1
        return bars
