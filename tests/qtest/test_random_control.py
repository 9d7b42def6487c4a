#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest that sends whatever it likes to the control queue.

Random steps: commands right and wrong, cut into any descriptors, many at
once; chains that are none; resets with other features, queues taken away and
given back, packets meanwhile.  After each step QEMU must answer, and tell by
x-query-rss what a simple model (control_model.py) says of the commands.
See randomly.py for how long, and how to repeat a run.
"""

import struct

from harness.qtest import hostile_chains
from harness.qtest.control_model import Model
from harness.qtest.randomly import Steps
from harness.qtest.rig import (AUTOMATIC, EBPF, QUEUES, SOFTWARE, Config,
                               TapCase, flows, run_tests, spread, wait_until)
from harness.qtest.virtio_net import (
    CLASS_MQ, FEATURES, F_CTRL_VQ, F_HASH_REPORT, F_MQ, F_MRG_RXBUF, F_RSS,
    HASHES, HASH_CONFIG, RSS_CONFIG, VQ_PAIRS_SET, cut, hash_config,
    rss_config)
from harness.qtest.virtio import DESC_WRITE, F_RING_RESET, NEEDS_RESET

AT_ONCE = 20            # more than QEMU handles in one go
SLOT = 1 << 11          # bytes for a command
BUFFERS = 16            # in each receive queue


class RandomControl:
    """The test; engines follow."""

    def test_steps(self):
        self.steps = Steps(self)
        self.rng = self.steps.random
        self.model = Model(QUEUES)
        actions = [(self.one_command, 50), (self.many_commands, 10),
                   (self.broken_chain, 5), (self.odd_chain, 5),
                   (self.restart, 5), (self.renegotiate, 5),
                   (self.queue_reset, 5), (self.packets, 15), (self.operator, 5)]
        self.restart()
        for _ in self.steps:
            action, = self.rng.choices(*zip(*actions))
            with self.steps.told():
                action()
                self.compare()
        print(f"# {self}: {self.steps.count} steps", flush=True)
        self.nic = self.card.start()
        self.set_rss(spread())
        self.assert_steers_soon(spread())

    def compare(self):
        """What QEMU tells must be what the model says."""
        told, = self.card.machine.qmp("x-query-rss")
        expected = self.model.expected()
        self.assertEqual({name: told[name] for name in expected}, expected)
        engine = self.engine if self.model.table else AUTOMATIC
        if told["engine"] != engine:
            self.assertIn("waits for its configuration", told["reason"])

    def restart(self):
        """Reset the card; have a driver with other features."""
        self.nic.device.reset()
        self.model.reset(0)
        self.compare()
        optional = [F_RSS, F_MQ, F_HASH_REPORT, F_MRG_RXBUF, F_RING_RESET]
        features = FEATURES & ~sum(1 << bit for bit in (F_RSS, F_MQ))
        features |= sum(1 << bit for bit in optional
                        if self.steps.chance(0.85))
        self.nic.start(features, buffers=False)
        self.model.reset(self.nic.device.features)
        self.steps.note(f"restart with {self.model.features:#x}")
        for queue in range(len(self.nic.receive_queues)):
            self.nic.give_buffers(queue, BUFFERS)
        self.slots = self.nic.device.allocate(AT_ONCE * SLOT)

    def renegotiate(self):
        """Accept other features, one after the other, without a reset."""
        for _ in range(self.rng.randint(1, 3)):
            optional = F_RSS, F_MQ, F_HASH_REPORT, F_CTRL_VQ
            features = self.model.features
            for bit in optional:
                if self.steps.chance(0.3):
                    features ^= 1 << bit
            self.nic.device.accept(features)
            self.model.renegotiate(self.nic.device.features)
            self.steps.note(f"renegotiate {self.model.features:#x}")
            self.compare()
        if self.steps.chance(0.5):
            self.nic.device.ready()
            self.compare()
        self.restart()

    def random_command(self):
        """Return (class, command, data)."""
        rng = self.rng
        kind = rng.choices((RSS_CONFIG, HASH_CONFIG, VQ_PAIRS_SET, None),
                           (10, 4, 3, 3))[0]
        if kind is None:
            return (rng.choice((0, 1, 2, 3, 4, 5, 6, rng.randrange(256))),
                    rng.choice((0, 1, 2, 3, rng.randrange(256))),
                    self.steps.bytes(400))
        types = rng.choice((0x3f, 0x1ff, 0, rng.randrange(512)))
        key = rng.randbytes(rng.choice((40, 40, 40, 1, rng.randrange(41))))
        if kind == RSS_CONFIG:
            table = [rng.randrange(QUEUES)
                     for _ in range(1 << rng.randrange(8))]
            data = rss_config(types, table, key, rng.randint(1, QUEUES),
                              rng.randrange(QUEUES))
        elif kind == HASH_CONFIG:
            data = hash_config(types, key)
        else:
            data = struct.pack("<H", rng.choice((0, 1, 2, 3, 4, 5, 0xffff)))
        if self.steps.chance(0.3):
            data = self.steps.damaged(data)
        return CLASS_MQ, kind, data

    def put_command(self, slot):
        """Offer a command; return (where its answer will be, what it is)."""
        klass, kind, data = self.random_command()
        whole = bytes((klass, kind)) + data
        lengths = [self.rng.choice((1, 2, 3, 8, 40, 200))
                   for _ in range(self.rng.choice((0, 0, 1, 3, 30)))]
        place = self.slots + slot * SLOT
        ring, memory = self.nic.control, self.card.machine.memory
        memory[place] = 0xff
        parts, address = [], place + 1
        for piece in filter(None, cut(whole, lengths)):
            memory[address:address + len(piece)] = piece
            parts.append((address, len(piece), 0))
            address += len(piece)
        parts.append((place, 1, DESC_WRITE))
        room = len(parts) + AT_ONCE < len(ring.free_descs)
        ring.add_chain(parts, indirect=not room or self.steps.chance(0.5))
        self.steps.note(f"class {klass}, command {kind}: {data.hex()} "
                        f"in {len(parts)} pieces")
        return place, self.model.command(klass, kind, data)

    def send_commands(self, count):
        """Send them with one kick; check the answers."""
        free = self.nic.device.free
        answers = [self.put_command(slot) for slot in range(count)]
        ring = self.nic.control
        ring.kick()
        done = []
        while len(done) < count:
            new = ring.wait()
            self.assertTrue(new, "a command was not answered")
            done += new
        self.nic.device.free = free         # indirect tables were there
        for place, expected in answers:
            answer = self.card.machine.memory[place]
            if expected is None:
                self.assertIn(answer, (0, 1))
            else:
                self.assertEqual(answer, expected)

    def one_command(self):
        self.send_commands(1)

    def many_commands(self):
        self.send_commands(self.rng.randint(2, AT_ONCE))

    def hostile(self, kinds):
        """Offer a chain that is none."""
        klass, kind, data = self.random_command()
        whole = bytes((klass, kind)) + data
        memory = self.card.machine.memory
        memory[self.slots:self.slots + len(whole)] = whole
        ring = self.nic.control
        name, chain = self.rng.choice(list(
            kinds(ring, self.slots, len(whole)).items()))
        self.steps.note(name)
        hostile_chains.offer(ring, chain)
        ring.kick()

    def broken_chain(self):
        """The card asks for a reset, and is as it was until then."""
        self.hostile(hostile_chains.broken)
        self.assertTrue(wait_until(
            lambda: self.nic.device.status & NEEDS_RESET, 5, 0.001),
            "it does not ask for a reset")
        self.compare()
        self.restart()

    def odd_chain(self):
        """Whatever it does, a reset helps."""
        self.hostile(hostile_chains.odd)
        for _ in range(2):
            self.card.machine.qmp("x-query-rss")
        self.restart()

    def queue_reset(self):
        """Take a queue away and give it back."""
        if not self.model.has(F_RING_RESET):
            return
        nic = self.nic
        number = self.rng.randrange(len(nic.device.queues))
        self.steps.note(f"reset queue {number}")
        nic.device.reset_queue(number)
        if self.steps.chance(0.3):
            self.packets()
        queue = nic.device.add_queue(number)
        if queue.index == nic.control.index:
            nic.control = queue
        elif number % 2 == 0:
            nic.receive_queues[number // 2] = queue
            nic.buffers[number // 2] = {}
            nic.add_buffers(number // 2, BUFFERS)
        queue.kick()
        if nic.device.free > len(self.card.machine.memory) * 3 // 4:
            self.restart()

    def packets(self):
        """Some come in; where they must be is certain in the process."""
        frames = flows(8, seed=self.steps.count)
        self.steps.note(f"{len(frames)} packets")
        self.nic.collect()
        self.card.send(frames)
        self.card.settle()
        model = self.model
        config = Config(model.types, model.key, model.table,
                        model.unclassified)
        for packet in self.nic.collect():
            if packet.frame in frames and model.table and \
                    self.engine == SOFTWARE:
                self.assertEqual(packet.queue, config.queue(packet.frame)
                                 % model.pairs, packet.frame.hex())

    def operator(self):
        """Whoever runs the machine does something meanwhile."""
        machine = self.card.machine
        what = self.rng.randrange(4)
        self.steps.note(f"operator {what}")
        if what == 0:
            machine.qmp("stop")
            machine.qmp("cont")
        elif what == 1:
            for up in (False, True):
                machine.qmp("set_link", {"name": "card", "up": up})
        elif what == 2:
            machine.qmp("qom-set", {
                "path": "/machine/peripheral/card/virtio-backend",
                "property": "rss-counters", "value": self.steps.chance(0.5)})
        else:
            machine.qmp("system_reset")
            self.nic = self.card.start()
            self.restart()


class RandomControlEbpf(RandomControl, TapCase):
    engine = EBPF


class RandomControlSoftware(RandomControl, TapCase):
    engine = SOFTWARE


class RandomControlHashReport(RandomControl, TapCase):
    """Hashes can be reported, by the engine in the process."""

    engine = SOFTWARE
    options = "hash=on"

    def test_reset_ends_hash_reports(self):
        """Found by test_steps: x-query-rss told of them further on."""
        self.nic.start(HASHES)
        for expected in (True, False):
            told, = self.card.machine.qmp("x-query-rss")
            self.assertEqual(told["hash-report"], expected)
            self.nic.device.reset()


if __name__ == "__main__":
    run_tests(__file__)
