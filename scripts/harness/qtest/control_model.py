# SPDX-License-Identifier: GPL-2.0-or-later
"""What a card must make of each control command, in a few lines.

Written from the virtio specification, with what QEMU adds: a VQ_PAIRS_SET
turns RSS off, and a reset everything.
"""

import struct

from harness.qtest.virtio_net import (CLASS_MQ, ERR, F_CTRL_VQ, F_HASH_REPORT,
                                      F_MQ, F_RSS, HASH_CONFIG, OK, RSS_CONFIG,
                                      VQ_PAIRS_SET)
from harness.rss_reference import QAPI_NAMES

TABLE_MAX, KEY_MAX, TYPES = 128, 40, 0x1ff
OTHER_CLASSES = 0, 1, 2, 3, 5       # known to virtio-net; not about queues


class Refused(Exception):
    """The command must be refused."""


class Reader:
    """Takes a command apart; too few bytes: Refused."""

    def __init__(self, data):
        self.data = data

    def take(self, count):
        if count > len(self.data):
            raise Refused
        taken, self.data = self.data[:count], self.data[count:]
        return taken

    def numbers(self, form):
        """Return the next numbers, in struct's language."""
        return struct.unpack("<" + form, self.take(struct.calcsize(form)))

    def key(self, types):
        """Return length and key, zeros behind it."""
        length, = self.numbers("B")
        if length > KEY_MAX or types and not length:
            raise Refused
        return length, self.take(length).ljust(KEY_MAX, b"\0")


def need(condition):
    """Refuse unless this holds."""
    if not condition:
        raise Refused


class Model:
    """The card's state as far as x-query-rss shows it."""

    def __init__(self, max_pairs):
        self.max_pairs = max_pairs
        self.reset(0)

    def reset(self, features):
        """The driver has reset the card and negotiated these features."""
        self.features = features
        self.pairs = 1
        self.forget()

    def renegotiate(self, features):
        """The driver has other features now, without a reset.

        It writes them by 32 bits, the low ones first, and the card looks at
        them each time.
        """
        low = 0xffffffff
        for self.features in (self.features & ~low | features & low, features):
            if not self.has(F_RSS):
                self.table, self.unclassified = [], 0
            if not self.table and not self.has(F_HASH_REPORT):
                self.forget()
            if not self.has(F_RSS) and not self.has(F_MQ):
                self.pairs = 1

    def forget(self):
        self.types = self.unclassified = 0
        self.key = bytes(KEY_MAX)
        self.table = []

    def has(self, bit):
        """Tell whether a feature was negotiated, and what it rests on."""
        return self.accepted(bit) and self.accepted(F_CTRL_VQ)

    def accepted(self, bit):
        return bool(self.features >> bit & 1)

    def command(self, klass, kind, data):
        """Return how it must be acknowledged; None where any way will do."""
        if klass in OTHER_CLASSES:
            return None
        handlers = {VQ_PAIRS_SET: self._pairs_set,
                    RSS_CONFIG: self._rss_config,
                    HASH_CONFIG: self._hash_config}
        if klass != CLASS_MQ or kind not in handlers:
            return ERR
        try:
            handlers[kind](Reader(data))
        except Refused:
            return ERR
        return OK

    def _pairs_set(self, reader):
        need(self.has(F_MQ))
        pairs, = reader.numbers("H")
        need(1 <= pairs <= self.max_pairs)
        self.pairs = pairs
        if self.has(F_RSS):
            self.forget()

    def _rss_config(self, reader):
        need(self.has(F_RSS))
        types, mask, unclassified = reader.numbers("IHH")
        need(mask < TABLE_MAX and not mask & (mask + 1))
        table = reader.numbers(f"{mask + 1}H")
        pairs, = reader.numbers("H")
        need(1 <= pairs <= self.max_pairs)
        length, key = reader.key(types)
        need(not types & ~TYPES)
        need(max(table + (unclassified,)) < self.max_pairs)
        self.pairs = pairs
        self.forget()
        if length:
            self.types, self.unclassified = types, unclassified
            self.table, self.key = list(table), key

    def _hash_config(self, reader):
        need(self.has(F_HASH_REPORT))
        types, _, _, _, _ = reader.numbers("I4H")
        need(not types & ~TYPES)
        _, self.key = reader.key(types)
        self.types = types

    def expected(self):
        return {"negotiated": self.accepted(F_RSS),
                "hash-report": self.accepted(F_HASH_REPORT),
                "queue-pairs": self.pairs,
                "hash-types": [name for bit, name in enumerate(QAPI_NAMES)
                               if self.types >> bit & 1],
                "key": self.key.hex(), "table": self.table,
                "unclassified-queue": self.unclassified}
