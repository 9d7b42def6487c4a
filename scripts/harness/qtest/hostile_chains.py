# SPDX-License-Identifier: GPL-2.0-or-later
"""Descriptor chains that no driver would write.

BROKEN are those for which the card must ask for a reset and do nothing else;
ODD are others, of which it may make what it likes.  Each function is called
with the control ring, the address of a command in memory and its length, and
leaves its chain in the ring.
"""

from harness.qtest.boards import Pci
from harness.qtest.machine import BOARD
from harness.qtest.virtio import DESC_INDIRECT, DESC_NEXT, DESC_WRITE
from harness.qtest.virtio_pci import COMMON, STATUS

# Not in memory, where the addresses of other chains are.
NOWHERE = 0xffffffffffff0000 - BOARD.ram
BEYOND = 1 << 40


def _write(ring, number, address, length, flags, following=0):
    ring.descriptor(ring.desc, number, address, length, flags, following)


def _one(ring, address, length, flags, following=0):
    """Offer a chain that begins with this descriptor, number 0."""
    _write(ring, 0, address, length, flags, following)
    ring.offer(0)


def looped(ring, address, length):
    """Its second descriptor goes back to the first."""
    _write(ring, 1, address, length, DESC_NEXT, 0)
    _one(ring, address, length, DESC_NEXT, 1)


def beyond_the_ring(ring, address, length):
    """Goes on behind the ring's end."""
    _one(ring, address, length, DESC_NEXT, ring.size)


def head_beyond_the_ring(ring, address, length):
    """Begins behind the ring's end."""
    ring.offer(0xffff)


def index_far_ahead(ring, address, length):
    """More chains are offered than the ring has room for.

    Those that it held before are taken for new ones, and done again.
    """
    _write(ring, 0, address, length, 0)
    ring.write_word(ring.avail + 2, ring.avail_idx + ring.size + 1 & 0xffff)


def empty(ring, address, length):
    """A descriptor without a byte."""
    _one(ring, address, 0, 0)


def wrong_order(ring, address, length):
    """The acknowledgement first."""
    _write(ring, 1, address, length, 0)
    _one(ring, address, 1, DESC_WRITE | DESC_NEXT, 1)


def no_acknowledgement(ring, address, length):
    """No room for it."""
    _one(ring, address, length, 0)


def indirect_cut(ring, address, length):
    """An indirect table that ends within a descriptor."""
    _one(ring, address, 24, DESC_INDIRECT)


def indirect_empty(ring, address, length):
    """An indirect table of no length."""
    _one(ring, address, 0, DESC_INDIRECT)


def indirect_with_next(ring, address, length):
    """An indirect table, and a descriptor behind it."""
    _write(ring, 1, address, 1, DESC_WRITE)
    _one(ring, address, 32, DESC_INDIRECT | DESC_NEXT, 1)


def indirect_nowhere(ring, address, length):
    """An indirect table that is not in memory."""
    _one(ring, BEYOND, 64, DESC_INDIRECT)


def indirect_itself(ring, address, length):
    """An indirect table whose descriptors name the table."""
    for place in range(2):
        ring.descriptor(address, place, address, 32,
                        DESC_INDIRECT | DESC_NEXT, 1 - place)
    _one(ring, address, 32, DESC_INDIRECT)


def _answer_at(ring, address, length, place):
    _write(ring, 1, place, 1, DESC_WRITE)
    _one(ring, address, length, DESC_NEXT, 1)


def command_nowhere(ring, address, length):
    """A command that is not in memory."""
    _write(ring, 1, address, 1, DESC_WRITE)
    _one(ring, BEYOND, length, DESC_NEXT, 1)


def command_wraps(ring, address, length):
    """A command that runs past the last address."""
    _write(ring, 1, address, 1, DESC_WRITE)
    _one(ring, NOWHERE, 0xffffffff, DESC_NEXT, 1)


def huge(ring, address, length):
    """A command of four gigabytes."""
    _write(ring, 1, address, 1, DESC_WRITE)
    _one(ring, address, 0xffffffff, DESC_NEXT, 1)


def answer_nowhere(ring, address, length):
    """The acknowledgement goes where there is no memory."""
    _answer_at(ring, address, length, BEYOND)


def answer_to_its_own_status(ring, address, length):
    """The acknowledgement, a zero, resets the card."""
    _answer_at(ring, address, length,
               ring.device.areas[COMMON] + STATUS - BOARD.ram)


def answer_to_its_own_bar(ring, address, length):
    """The acknowledgement goes to a register of the card."""
    _answer_at(ring, address, length, BOARD.bars - BOARD.ram)


def answer_to_its_own_ring(ring, address, length):
    """The acknowledgement goes over the ring."""
    _answer_at(ring, address, length, ring.avail + 2)


BROKEN = (looped, beyond_the_ring, head_beyond_the_ring, empty, wrong_order,
          no_acknowledgement, indirect_cut, indirect_empty)
ODD = (index_far_ahead, indirect_with_next, indirect_nowhere, indirect_itself,
       command_nowhere, command_wraps, huge, answer_nowhere,
       answer_to_its_own_ring)
if issubclass(BOARD, Pci):              # else its registers are nowhere
    ODD += answer_to_its_own_status, answer_to_its_own_bar
