# SPDX-License-Identifier: GPL-2.0-or-later
"""What becomes of a recipe: many frames; and the configurations for them."""

from collections import namedtuple

from harness.rss_reference import ALL_TYPES, Config

from engines import SOCKET_FROM

# A frame to ask for, and what it is: a recipe's labels, or what was done.
Case = namedtuple("Case", "frame labels meant")

CUT_WHOLLY = 8          # one recipe in so many is cut off at every length
HEADERS = 200           # bytes in which most of the headers are
DERIVED = ("cut at every length", "cut", "bytes changed", "byte inserted",
           "byte removed", "two frames joined", "another configuration")

# Bytes that mean something: extension headers and transports, options,
# versions, EtherTypes, lengths.
_TELLING = bytes((0, 1, 2, 4, 6, 8, 16, 17, 20, 43, 44, 50, 51, 58, 59, 60,
                  0x40, 0x44, 0x45, 0x46, 0x4f, 0x60, 0x80, 0x81, 0x86, 0x88,
                  0xa8, 0xc9, 0xdd, 135, 139, 140, 253, 254, 255))


def _change(rand, frame):
    """Other values for one to three bytes behind the MAC addresses."""
    data = bytearray(frame)
    for _ in range(rand.randint(1, 3)):
        at = rand.randrange(12, min(len(data), HEADERS))
        data[at] = rand.choice((rand.getrandbits(8), rand.choice(_TELLING),
                                data[at] ^ 1 << rand.randint(0, 7)))
    return bytes(data)


def cases(rand, recipe, other):
    """Yield the Cases of a recipe.  other: another recipe's frame."""
    def case(label, frame):
        return Case(frame, (label,), None)

    frame = recipe.frame
    end = min(len(frame), 2 * HEADERS)
    yield Case(*recipe)
    if rand.randrange(CUT_WHOLLY) == 0:
        for length in range(end):
            yield case("cut at every length", frame[:length])
    for _ in range(4):
        yield case("cut", frame[:rand.randrange(end)])
    if len(frame) > end:
        yield case("cut", frame[:rand.randrange(len(frame))])
    for _ in range(10):
        yield case("bytes changed", _change(rand, frame))
    for _ in range(2):
        at = rand.randrange(12, min(end, HEADERS))
        yield case("byte inserted",
                   frame[:at] + bytes((rand.choice(_TELLING),)) + frame[at:])
        yield case("byte removed", frame[:at] + frame[at + 1:])
        yield case("two frames joined",
                   frame[:at] + other[rand.randrange(12, min(len(other),
                                                             HEADERS)):])


class Configs:
    """Configurations: each set of hash types, each length of a table."""

    def __init__(self, rand):
        self.rand = rand
        self._types = []
        self._lengths = []

    def _next(self, left, values):
        """Each value once in a random order, and again."""
        if not left:
            left += self.rand.sample(list(values), len(values))
        return left.pop()

    def config(self, frames):
        r = self.rand
        types, length = ALL_TYPES, 128
        if r.random() < 0.7:
            types = self._next(self._types, range(ALL_TYPES + 1))
        if r.random() < 0.7:
            length = self._next(self._lengths, [1 << n for n in range(8)])
        queues = range(65535)
        if any(len(frame) >= SOCKET_FROM for frame in frames):
            queues = range(1, SOCKET_FROM)
        table = r.sample(queues, length + 1)
        key = r.randbytes(40)
        if r.random() < 0.1:        # a shorter one
            key = key[:r.randint(1, 39)]
        return Config(types, key, table[1:], table[0])
