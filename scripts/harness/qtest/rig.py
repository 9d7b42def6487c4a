# SPDX-License-Identifier: GPL-2.0-or-later
"""What tests/qtest shares: a card with four queues on a tap.

    test (AF_PACKET) ─▶ tap ─▶ eBPF program, or not ─▶ QEMU ─▶ a queue's ring
                        └ in a network namespace of its own ┘

Each file there is a program that prints TAP; scripts/check runs them all.
QTEST_QEMU_BINARY names another QEMU than the one in build/.
"""

import random
import unittest

from harness.cases import Case, rows
from harness.check.unittest_tap import run_tests
from harness.qtest.boards import SLOT, Pci, option
from harness.qtest.machine import BOARD, Machine
from harness.qtest.virtio_net import FEATURES, OK, VirtioNet
from harness.rss_reference import KEY, NON_EX_TYPES, Config
from harness.vm import traffic
from harness.vm.process import Closing, wait_until
from harness.vm.tapnet import TapNet, why_not
from harness.vm.traffic import mixed as flows

AUTO, EBPF, SOFTWARE = "auto", "ebpf", "software"
AUTOMATIC = "automatic"     # x-query-rss: the backend chooses by itself
QUEUES = 4
IN_FORCE_TIMEOUT = 30
NO_HELPER = "ebpf-rss-helper=/nonexistent"


def spread(queues=range(QUEUES), length=128, types=NON_EX_TYPES, key=KEY,
           unclassified=0, seed=0):
    """Return a Config with a random table over some queues."""
    rng = random.Random(seed)
    table = [rng.choice(list(queues)) for _ in range(length)]
    return Config(types, key, table, unclassified)


def all_to(queue):
    """Return a Config that puts every packet on one queue."""
    return Config(NON_EX_TYPES, KEY, [queue], queue)


def predicted(frames, place_of, places=QUEUES):
    """Return how many frames belong to each of so many places (queues)."""
    counts = [0] * places
    for frame in frames:
        counts[place_of(frame)] += 1
    return counts


class Card(Closing):
    """A virtio-net card on a 4-queue tap.

    engine      the engine that QEMU must take; "auto" lets it choose, and None
                is for a QEMU that has no such choice
    options     more of the device, such as "hash=on"
    arguments   more of QEMU's
    net         TapNet to use, which stays open
    netdev      the backend's id
    how         see Machine
    """

    def __init__(self, engine, options="", arguments=(), net=None,
                 netdev="net0", vhost=False, **how):
        self.net = net or TapNet(QUEUES)
        self.close_net = (lambda: None) if net else self.net.close
        self.machine = None
        try:
            self.machine = Machine(
                ["-netdev", self.net.netdev(netdev, vhost), "-device",
                 option(BOARD.card, "id=card", f"netdev={netdev}", "mq=on",
                        "rss=on")
                 + (f",rss-engine={engine}" if engine else "")
                 + (options and "," + options),
                 *arguments], netns=self.net, **how)
            self.sender = self.net.packet_socket()
        except BaseException:
            if self.machine:
                self.machine.stop()
            self.close_net()
            raise
        self.nic = None

    def start(self, **how):
        """Have a driver, from the beginning."""
        self.nic = VirtioNet(self.machine, SLOT).start(**how)
        return self.nic

    def send(self, frames):
        traffic.send(self.sender, frames)

    def settle(self):
        """Wait until QEMU has read from the tap all that was sent.

        It is there since send(); each answer takes a turn of QEMU's main
        loop, which looks at the tap, too.
        """
        for _ in range(4):
            self.machine.qmp("query-status")

    def engine(self):
        """Return the engine in force as the trace tells: None if off."""
        events = [line.split()[2:] for line in
                  self.machine.messages().splitlines()
                  if line.startswith(("virtio_net_rss_engine ",
                                      "virtio_net_rss_off "))]
        if not events or len(events[-1]) < 3:
            return None
        return events[-1][2]

    def close(self):
        self.machine.stop()
        self.sender.close()
        self.close_net()


def only_pci(what):
    """Skip a class of tests where the card is on another bus."""
    return unittest.skipUnless(issubclass(BOARD, Pci),
                               f"{what} of virtio-pci")


class CardCase(Case):
    """A test of a Card, self.card, whose driver is self.nic.

    engine  the one that steers
    """

    engine = None
    why_not = staticmethod(why_not)

    def set_rss(self, config, pairs=QUEUES):
        """Configure RSS, which must be accepted, by the right engine."""
        self.assertEqual(self.nic.set_rss(config, pairs), OK)
        self.assertEqual(self.card.engine(), self.engine)
        self.wait_in_force(config, pairs)

    def wait_in_force(self, config, queues=QUEUES):
        """Wait until packets follow a configuration that was accepted.

        The software engine takes it before it answers. The eBPF engine takes
        it later if there were several in one RCU grace period.
        """
        def follows():
            places = self.pass_frames(flows())
            return all(config.queue(frame) % queues == queue
                       for frame, queue in places.items())

        if self.engine == EBPF:
            wait_until(follows, IN_FORCE_TIMEOUT, interval=0.001)

    def pass_frames(self, frames):
        """Send frames; return {frame: queue}. None may be lost."""
        return {packet.frame: packet.queue for packet in self.receive(frames)}

    def receive(self, frames):
        """The same; return the packets."""
        self.card.send(frames)
        packets = self.nic.wait_packets(len(frames))
        lost = len(set(frames) - {packet.frame for packet in packets})
        queues = sorted(packet.queue for packet in packets)
        self.assertEqual(lost, 0, f"{lost} of {len(frames)} packets lost; "
                         f"arrived: {queues}")
        self.assertEqual(len(packets), len(frames), "too many packets")
        return packets

    def assert_steers(self, config, frames=None, queues=QUEUES):
        """Packets must go where the reference says."""
        frames = frames or flows()
        places = self.pass_frames(frames)
        wrong = [f"{frame.hex()}: queue {places[frame]}, not {expected}"
                 for frame in frames
                 for expected in [config.queue(frame) % queues]
                 if places[frame] != expected]
        self.assertEqual(len(wrong), 0, f"{len(wrong)} of {len(frames)} "
                         "packets on a wrong queue, such as\n" +
                         "\n".join(wrong[:3]))

    def assert_steers_soon(self, config):
        """The same for a configuration that was accepted just now."""
        self.wait_in_force(config)
        self.assert_steers(config)

    def assert_automatic(self):
        """No program steers: flows are on more queues than one."""
        places = self.pass_frames(flows(64, seed=1))
        self.assertGreater(len(set(places.values())), 1)


class TapCase(CardCase):
    """A test with a Card that all tests of a class share.

    insist    QEMU is told to take the engine
    features  that the driver wants
    """

    insist = True
    features = FEATURES
    options = ""

    @classmethod
    def card_of(cls):
        """Start the card."""
        return Card(cls.engine if cls.insist else AUTO, cls.options)

    @classmethod
    def setUpClass(cls):
        if not cls.why_not():
            cls.card = cls.enterClassContext(cls.card_of())

    def setUp(self):
        super().setUp()
        self.nic = self.card.start(features=self.features)


class OwnCardsCase(CardCase):
    """A test that starts cards of its own."""

    def begin(self, engine, options="", features=FEATURES, **how):
        """Start a QEMU, and the driver of its card."""
        self.card = self.enterContext(Card(engine, options, **how))
        self.engine = SOFTWARE if engine == AUTO else engine
        self.nic = self.card.start(features=features)

    def assert_next_driver_works(self, features=FEATURES):
        """Whatever a driver did, the next one, which is right, receives."""
        self.card.settle()
        nic = self.card.start(features=features)
        self.card.settle()
        nic.collect()                           # what had waited
        self.assertEqual(nic.set_rss(spread(), QUEUES), OK)
        self.card.send(flows(seed=1))
        self.assertEqual(len(nic.wait_packets(len(flows()))), len(flows()))
