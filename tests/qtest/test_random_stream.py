#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Migration streams that are random in part, each for a new QEMU.

The part about RSS: QEMU refuses the stream with a message and status 1, or
loads it, and then x-query-rss tells what is in it.  The rest of the card's
section: the same, and the card works after a reset.  That makes a few each
second; what the fields about RSS may be is tried much faster by
tests/fuzz/fuzz-migration.c.  See randomly.py for how long, and how to repeat a
run.
"""

import struct

from harness.qtest.control_model import TABLE_MAX, TYPES, Model, Refused, need
from harness.qtest.randomly import Steps
from harness.qtest.rig import (AUTOMATIC, EBPF, KEY, QUEUES, SOFTWARE,
                               only_pci, run_tests)
from harness.qtest.stream import (HEAD, VERSION, NetSection, StreamCase,
                                  assert_refused, assert_usable, numbers,
                                  replaced, state)
from harness.qtest.virtio_net import F_RSS


def read_part(part, before):
    """Return (what it says, the rest); Refused if it must be.

    What came before stays if it says that RSS is not enabled.  Anything may
    happen to one that is out of step: None.
    """
    if not part.startswith(HEAD) or len(part) < len(HEAD) + 4:
        return None
    version = int.from_bytes(part[len(HEAD):len(HEAD) + 4], "big")
    need(1 <= version <= VERSION)
    fixed = len(HEAD) + struct.calcsize(numbers(version))
    if len(part) < fixed + len(KEY):
        return None
    _, enabled, redirect, _, types, *offered, length, unclassified = \
        struct.unpack_from(numbers(version), part, len(HEAD))
    need(not any(more & ~TYPES for more in offered))
    end = fixed + len(KEY) + 2 * length
    if end > len(part):
        return None
    table = struct.unpack_from(f">{length}H", part, fixed + len(KEY))
    need(length and not length & (length - 1) and length <= TABLE_MAX)
    need(not types & ~TYPES)
    need(max(table + (unclassified,)) < QUEUES)
    if not enabled:
        return before, part[end:]
    model = Model(QUEUES)
    model.reset(1 << F_RSS)
    model.pairs = QUEUES
    if redirect:            # else it is off: no hash report was negotiated
        model.types, model.unclassified = types, unclassified
        model.key = part[fixed:fixed + len(KEY)]
        model.table = list(table)
    return model, part[end:]


def read_parts(part):
    """The same for several; the last counts.  Returns a Model, or None."""
    model = Model(QUEUES)
    model.reset(1 << F_RSS)
    model.pairs = QUEUES
    while part:
        found = read_part(part, model)
        if not found:
            return None
        model, part = found
    return model


class RandomStream:
    """The test; engines follow."""

    def test_steps(self):
        self.steps = Steps(self)
        self.rng = self.steps.random
        loaded = 0
        for _ in self.steps:
            with self.steps.told():
                loaded += self.step()
        print(f"# {self}: {self.steps.count} streams, {loaded} of them good",
              flush=True)

    def random_part(self):
        """Return a part about RSS, often right but for little."""
        rng, chance = self.rng, self.steps.chance
        length = rng.choice((1, 2, 4, 8, 64, 128, 128, rng.randrange(300)))
        table = [rng.randrange(QUEUES) for _ in range(length)]
        if table and chance(0.1):
            table[rng.randrange(length)] = rng.choice((QUEUES, 0xffff))
        part = state(
            enabled=rng.choice((0, 1, 1, 1, 255)),
            redirect=rng.choice((0, 1, 1, 1, 255)),
            populate=rng.randrange(2), table=table, key=rng.randbytes(40),
            types=rng.choice((0x3f, 0x1ff, 0, rng.randrange(512),
                              rng.randrange(512), rng.getrandbits(32))),
            unclassified=rng.choice((0, 1, QUEUES - 1, 0, QUEUES, 0xffff)),
            length=rng.randrange(1 << 16) if chance(0.05) else None,
            version=(rng.choice((0, VERSION + 1)) if chance(0.03) else
                     rng.randint(1, VERSION)),
            offered=(rng.getrandbits(32) if chance(0.05) else
                     rng.choice((TYPES, 0x3f, 0))))
        return self.steps.damaged(part) if chance(0.3) else part

    def step(self):
        """Give a stream to a QEMU; return whether it was loaded."""
        part = b"".join(self.random_part() for _ in
                        range(self.rng.choice((0, 1, 1, 1, 1, 1, 1, 2, 3))))
        stream = replaced(self.good, part)
        cut = self.steps.chance(0.05)
        if cut:
            end = self.good.index(HEAD) + len(part)
            stream = stream[:self.rng.randrange(end + 1)]
        self.steps.note(f"{part.hex()}{', cut' if cut else ''}")
        try:
            model, refused = read_parts(part), cut
        except Refused:
            model, refused = None, True
        with self.incoming(stream) as card:
            return self.judge(card.machine, model, refused)

    def judge(self, machine, model, refused):
        """Compare what QEMU did with what it must do."""
        if machine.process.poll() is None:
            self.assertFalse(refused, "it must be refused")
            self.compare(machine, model)
            return True
        assert_refused(self, machine)
        self.assertTrue(refused or not model,
                        f"it must be loaded: {machine.messages()}")
        return False

    def compare(self, machine, model):
        """What QEMU tells must be what was in the stream."""
        told, = machine.qmp("x-query-rss")
        self.assertLess(max(told["table"] + [told["unclassified-queue"]]),
                        QUEUES)
        if not model:
            return
        expected = model.expected()
        self.assertEqual({name: told[name] for name in expected}, expected)
        if told["engine"] != (self.engine if model.table else AUTOMATIC):
            self.assertIn("waits for its configuration", told["reason"])


@only_pci("the stream")
class RandomSection(StreamCase):
    """The whole section of the card, fields and bytes, is changed at random.

    QEMU refuses it with a message and status 1, or goes on, and after a reset
    the card is as good as new.
    """

    engine = SOFTWARE
    options = "packed=on"
    VALUES = (0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 63, 64, 65, 255, 256, 257,
              1023, 1024, 1025, 0x7fff, 0x8000, 0xfffe, 0xffff, 0x10000,
              0x7fffffff, 0x80000000, 0xffffffff, 1 << 63, (1 << 64) - 1)

    def test_steps(self):
        steps = Steps(self)
        section = NetSection(self.good)
        loaded = 0
        for _ in steps:
            stream = section
            for _ in range(steps.random.choice((1, 1, 2, 3))):
                stream = self.changed(steps, section, stream)
            with steps.told():
                loaded += self.judge(stream)
        print(f"# {self}: {steps.count} streams, {loaded} of them loaded",
              flush=True)

    def changed(self, steps, section, stream):
        """Return the stream with one change more."""
        rng = steps.random
        stream = bytearray(getattr(stream, "stream", stream))
        if steps.chance(0.6):
            name, (place, size) = rng.choice(list(section.fields.items()))
            value = (rng.choice(self.VALUES) if steps.chance(0.8)
                     else section[name] ^ 1 << rng.randrange(8 * size))
            value &= (1 << 8 * size) - 1
            steps.note(f"{name}: {value:#x}")
            stream[place:place + size] = value.to_bytes(size, "big")
            return bytes(stream)
        place = rng.randrange(section.start, section.end)
        part = steps.damaged(bytes(stream[place:place + 8]))
        steps.note(f"at {place - section.start}: {part.hex()}")
        return bytes(stream[:place] + part + stream[place + 8:])

    def judge(self, stream):
        """Give a stream to a QEMU; return whether it was loaded."""
        with self.incoming(stream) as card:
            if card.machine.process.poll() is None:
                assert_usable(self, card)
                return True
            assert_refused(self, card.machine)
            return False


class RandomStreamEbpf(RandomStream, StreamCase):
    engine = EBPF


class RandomStreamSoftware(RandomStream, StreamCase):
    engine = SOFTWARE


if __name__ == "__main__":
    run_tests(__file__)
