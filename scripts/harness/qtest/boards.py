# SPDX-License-Identifier: GPL-2.0-or-later
"""What differs from one emulated machine to the next.

    board = board_of("qemu-system-aarch64")

Each class says:

    type        the machine's type
    accelerators  what runs it
    ram         the address at which its memory begins
    bars        an address from which on nothing is, for the BARs of PCI devices
    big_endian  of its processors, and so of drivers older than virtio 1.0
    driver      the class of the card's driver
    firmware    what its processor executes, if anything, and QEMU's option for
                it
    card        the card in slot SLOT, for device_add
    legacy      properties with which it is older than virtio 1.0
    mmio        arguments with which it has virtio-mmio; None: it never has
    arguments   what else it has
    plug_bus    where device_add puts a device, in slots from 1 on; None: on
                the main bus
"""

from harness.qtest.virtio_ccw import PROGRAM, VirtioCcw
from harness.qtest.virtio_pci import VirtioPci

SLOT = 4                    # of the card


class Pci:
    """The card is on a PCI bus."""

    accelerators = ["-accel", "qtest", "-accel", "tcg"]
    driver = VirtioPci
    big_endian = False
    firmware = b""
    card = {"driver": "virtio-net-pci", "addr": f"{SLOT:#x}", "romfile": "",
            "disable-legacy": "on"}
    legacy = "disable-legacy=off,disable-modern=on"
    mmio = []
    arguments = []
    plug_bus = None


class Pc(Pci):
    """x86: i440FX; PCI Local Bus Specification 3.0, 3.2.2.3.2."""

    type = "pc"
    ram = 0
    bars = 0xe0000000
    # 16 bytes before the end, where it begins: cli; hlt; jmp to the hlt.
    firmware = bytes(0xfff0) + b"\xfa\xf4\xeb\xfd" + bytes(12)
    firmware_option = "-bios"
    mmio = ["-M", "microvm"]

    @staticmethod
    def pci_config(machine, slot, name, offset, value=None):
        """Read or write the PCI configuration space by "b", "w" or "l"."""
        machine.out("outl", 0xcf8, 1 << 31 | slot << 11 | offset & ~3)
        if value is None:
            return machine.io("in" + name, 0xcfc + offset % 4)
        return machine.out("out" + name, 0xcfc + offset % 4, value)


class Virt(Pci):
    """Arm: base_memmap in QEMU's hw/arm/virt.c; PCI Express Base 3.0, 7.2.2.

    Without highmem, what a CPU of 32 bits cannot reach is where it can.
    """

    type = "virt,highmem=off"
    ram = 1 << 30
    bars = 0x10000000
    ECAM = 0x3f000000
    # Nothing is plugged into its main bus while it runs.
    arguments = ["-device", "pcie-pci-bridge,id=bridge,addr=0x1f"]
    plug_bus = "bridge"

    @classmethod
    def pci_config(cls, machine, slot, name, offset, value=None):
        """Read or write the PCI configuration space by "b", "w" or "l"."""
        address = cls.ECAM + (slot << 15) + offset
        if value is None:
            return machine.io("read" + name, address)
        return machine.out("write" + name, address, value)


class S390:
    """s390x: no registers in memory, no ports; see virtio_ccw.py."""

    type = "s390-ccw-virtio"
    accelerators = ["-accel", "tcg"]
    driver = VirtioCcw
    ram = 0
    big_endian = True
    firmware = PROGRAM
    firmware_option = "-kernel"
    card = {"driver": "virtio-net-ccw", "devno": f"fe.0.{SLOT:04x}"}
    legacy = "max_revision=0"
    mmio = None
    arguments = []
    plug_bus = None


def option(card, *more):
    """Return a card as -device takes it, with more properties."""
    return ",".join([card["driver"], *(f"{name}={value}" for name, value
                                       in card.items() if name != "driver"),
                     *more])


BOARDS = {"x86_64": Pc, "aarch64": Virt, "s390x": S390}


def board_of(emulator):
    """Return the board for an emulator, qemu-system-*, by its name."""
    return BOARDS.get(emulator.removeprefix("qemu-system-"), Pc)
