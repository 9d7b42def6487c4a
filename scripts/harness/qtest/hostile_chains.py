# SPDX-License-Identifier: GPL-2.0-or-later
"""Descriptor chains that no driver would write.

broken() are those for which the card must ask for a reset and do nothing else;
odd() are others, of which it may make what it likes.  Both return {what it is:
chain} for a control ring, the address of a command in memory and its length.
offer() leaves a chain in the ring.

A chain is the ring's descriptors from number 0 on, each (address, length,
flags, next), or a function that leaves it there by itself.
"""

from harness.qtest.boards import Pci
from harness.qtest.machine import BOARD
from harness.qtest.virtio import DESC_INDIRECT, DESC_NEXT, DESC_WRITE
from harness.qtest.virtio_pci import COMMON, STATUS

# Not in memory, where the addresses of other chains are.
NOWHERE = 0xffffffffffff0000 - BOARD.ram
BEYOND = 1 << 40


def broken(ring, command, length):
    return {
        "goes back to its beginning": [(command, length, DESC_NEXT, 1),
                                       (command, length, DESC_NEXT, 0)],
        "goes on behind the ring's end": [
            (command, length, DESC_NEXT, ring.size)],
        "begins behind the ring's end": lambda: ring.offer(0xffff),
        "a descriptor without a byte": [(command, 0, 0, 0)],
        "the acknowledgement first": [(command, 1, DESC_WRITE | DESC_NEXT, 1),
                                      (command, length, 0, 0)],
        "no acknowledgement": [(command, length, 0, 0)],
        "an indirect table that ends within a descriptor": [
            (command, 24, DESC_INDIRECT, 0)],
        "an indirect table of no length": [(command, 0, DESC_INDIRECT, 0)],
    }


def odd(ring, command, length):
    def answer_at(place):
        return [(command, length, DESC_NEXT, 1), (place, 1, DESC_WRITE, 0)]

    def of_command(address, size):
        return [(address, size, DESC_NEXT, 1), (command, 1, DESC_WRITE, 0)]

    def far_ahead():
        """Those that the ring held before are taken for new ones."""
        ring.descriptor(ring.desc, 0, command, length, 0)
        ring.write_word(ring.avail + 2,
                        ring.avail_idx + ring.size + 1 & 0xffff)

    def itself():
        for place in range(2):
            ring.descriptor(command, place, command, 32,
                            DESC_INDIRECT | DESC_NEXT, 1 - place)
        offer(ring, [(command, 32, DESC_INDIRECT, 0)])

    chains = {
        "more are offered than the ring has room for": far_ahead,
        "an indirect table, and a descriptor behind it": [
            (command, 32, DESC_INDIRECT | DESC_NEXT, 1),
            (command, 1, DESC_WRITE, 0)],
        "an indirect table that is not in memory": [
            (BEYOND, 64, DESC_INDIRECT, 0)],
        "an indirect table that names itself": itself,
        "a command that is not in memory": of_command(BEYOND, length),
        "a command that runs past the last address": of_command(NOWHERE,
                                                                0xffffffff),
        "a command of four gigabytes": of_command(command, 0xffffffff),
        "an answer where there is no memory": answer_at(BEYOND),
        "an answer over the ring": answer_at(ring.avail + 2),
    }
    if issubclass(BOARD, Pci):              # else its registers are nowhere
        chains |= {
            # It is a zero, and resets the card.
            "an answer to the card's own status": answer_at(
                ring.device.areas[COMMON] + STATUS - BOARD.ram),
            "an answer to the card's own BAR": answer_at(
                BOARD.bars - BOARD.ram)}
    return chains


def offer(ring, chain):
    if callable(chain):
        chain()
        return
    for number, descriptor in enumerate(chain):
        ring.descriptor(ring.desc, number, *descriptor)
    ring.offer(0)
