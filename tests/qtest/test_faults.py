#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What QEMU cannot have, and what is taken away from it while it runs.

It never ends because of that, it says what is wrong, and what the guest has
configured stays in force.  Where it is killed: test_killed.py.  The same with
vhost=on: tests/functional/vhost_faults.py.
"""

from harness.qtest.faults import (DENY, Refusal, delete_tap, leave_free,
                                  open_numbers)
from harness.qtest.kernel_objects import OWN, names_of, objects_of, wait_gone
from harness.qtest.machine import BOARD, Machine, VmError
from harness.qtest.rig import (AUTO, AUTOMATIC, EBPF, NO_HELPER, QUEUES, SLOT,
                               SOFTWARE, Card, OwnCardsCase, all_to, rows,
                               run_tests, spread)
from harness.qtest.virtio_net import OK, VirtioNet
from harness.vm.tapnet import TapNet

MANY = 40


class OwnCard(OwnCardsCase):
    """A test that starts its own QEMU."""

    def assert_warned(self, *words):
        self.assert_one_warning(self.card.machine.warnings(), *words)

    def assert_works(self):
        """A new configuration is accepted, and steers."""
        for config in (spread(seed=7), all_to(3)):
            self.set_rss(config)
            self.assert_steers(config)


class BpfRefused(OwnCard):
    """bpf() is refused, as in a container."""

    @rows({
        "bpf() answers EPERM": (
            "EPERM", ["Operation not permitted", "not for lack of CAP_BPF",
                      "seccomp"]),
        "bpf() answers ENOSYS": ("ENOSYS", ["Function not implemented"]),
    })
    def check_refused(self, error, words):
        """QEMU steers, and says why; who insists on eBPF gets the reason."""
        prefix = [DENY, error]
        self.begin(AUTO, NO_HELPER, prefix=prefix)
        self.assert_works()
        self.assert_warned("RSS falls back to QEMU", *words)
        with self.assert_error("status 1", "the eBPF engine is unavailable",
                               *words):
            Card(EBPF, NO_HELPER, prefix=prefix).close()


FOLDER = "/sys/fs/bpf"
UNMOUNT = f"while mountpoint -q {FOLDER}; do umount {FOLDER}; done; "


class NoBpffs(OwnCard):
    """QEMU pins nothing: it does not care for /sys/fs/bpf."""

    @rows({
        "no bpffs": UNMOUNT,
        "a bpffs that cannot be written": f"mount -t bpf -o ro bpf {FOLDER}",
        "a full file system": f"mount -t tmpfs -o nr_inodes=1 full {FOLDER}",
    })
    def check_folder(self, mount):
        """In a mount namespace of its own."""
        self.begin(EBPF, prefix=["unshare", "--mount", "sh", "-ec",
                                 mount + '\nexec "$@"', "sh"])
        self.assert_works()
        self.assertEqual(self.card.machine.warnings(), [])


class NoDescriptors(OwnCard):
    """RLIMIT_NOFILE is reached."""

    def machine(self, net):
        """Start a QEMU without a card, so that it can be plugged in."""
        if BOARD.plug_bus:
            self.skipTest("the driver knows the main bus only, and a card is"
                          " not plugged there")
        return self.enterContext(Machine(["-netdev", net.netdev(OWN)], net))

    def plug(self, machine, engine):
        machine.plug(**{
            **BOARD.card, "id": "card", "netdev": OWN, "mq": True,
            "rss": True, "rss-engine": engine,
            "ebpf-rss-helper": "/nonexistent"})

    def test_loading(self):
        """With each number of free descriptors: an error, nothing leaks."""
        net = self.enterContext(TapNet(QUEUES))
        machine = self.machine(net)
        before = open_numbers(machine)
        for free in range(MANY):
            leave_free(machine, free)
            try:
                self.plug(machine, EBPF)
                break
            except VmError as error:
                self.assertIn("Too many open files", str(error))
                self.assertEqual(open_numbers(machine), before, free)
        self.assertIn(free, range(4, MANY - 1))
        self.assertEqual(len(open_numbers(machine)), len(before) + 4)
        self.assertEqual(objects_of(OWN), names_of(OWN))
        nic = VirtioNet(machine, SLOT).start()
        self.assertEqual(nic.set_rss(spread(), QUEUES), OK)

    def test_loading_with_a_fallback(self):
        """With each number that does not suffice: the software engine."""
        for free in (0, 1, 3, 5):
            net = self.enterContext(TapNet(QUEUES))
            machine = self.machine(net)
            before = open_numbers(machine)
            leave_free(machine, free)
            self.plug(machine, AUTO)
            self.assert_one_warning(machine.warnings(), "Too many open files")
            self.assertEqual(open_numbers(machine), before)
            nic = VirtioNet(machine, SLOT).start()
            self.assertEqual(nic.set_rss(spread(), QUEUES), OK)
            self.assertEqual(machine.rss()["engine"], SOFTWARE)
            machine.stop()
        self.assertEqual(wait_gone(OWN), [])

    def test_configuring(self):
        """None is left: the guest does not notice."""
        self.begin(EBPF)
        leave_free(self.card.machine, 0)
        before = open_numbers(self.card.machine)
        for step in range(MANY):
            self.assertEqual(self.nic.set_rss(spread(seed=step), QUEUES), OK)
        self.assert_steers_soon(spread(seed=MANY - 1))
        for pairs in (2, QUEUES):
            self.set_rss(all_to(1), pairs)
            self.assert_steers(all_to(1), queues=pairs)
            self.assertEqual(self.nic.set_pairs(pairs), OK)
        self.set_rss(spread())
        self.card.machine.qmp("system_reset")
        self.nic = self.card.start()
        self.assert_works()
        self.assertEqual(self.card.machine.rss()["engine"], EBPF)
        self.assertEqual(self.card.machine.warnings(), [])
        self.assertEqual(open_numbers(self.card.machine), before)


# Commands to a card whose tap is gone: (method, argument, what must follow).
RSS, PAIRS, RESET = "RSS", "PAIRS", "RESET"
GONE = {
    "the same number of queues": [(RSS, 4), (RSS, 4)],
    "off and on": [(PAIRS, 4), (RSS, 4), (PAIRS, 4), (RSS, 4)],
    "fewer queues, more queues": [(RSS, 2), (RSS, 4), (RSS, 1), (RSS, 3)],
    "fewer pairs, more pairs": [(PAIRS, 2), (PAIRS, 4), (PAIRS, 1)],
    "a reset": [(RESET, 0), (RSS, 4), (RSS, 2), (RESET, 0), (RSS, 4)],
}


def delete_netdev(card):
    """What a user of QMP does."""
    card.machine.qmp("netdev_del", {"id": "net0"})


class TapGone(OwnCard):
    """The tap is deleted while QEMU runs: it must live, and answer."""

    @rows({f"{how}, {engine}: {name}": (engine, take_away, steps)
           for how, take_away in (("ip link del", delete_tap),
                                  ("netdev_del", delete_netdev))
           for engine in (EBPF, SOFTWARE) for name, steps in GONE.items()})
    def check_gone(self, engine, take_away, steps):
        self.begin(engine)
        self.set_rss(spread())
        take_away(self.card)
        for kind, pairs in steps:
            if kind == RESET:
                self.card.machine.qmp("system_reset")
                self.nic = self.card.start()
            elif kind == PAIRS:
                self.assertEqual(self.nic.set_pairs(pairs), OK)
            else:
                self.assertEqual(self.nic.set_rss(spread(), pairs), OK)
            rss = self.card.machine.rss()
            self.assertEqual(bool(rss["table"]), kind == RSS)
            self.assertEqual(rss["queue-pairs"], pairs or 1)
            if take_away is delete_netdev:
                self.assertEqual((rss["engine"], rss["reason"]), (
                    AUTOMATIC, "the netdev was deleted"))
        self.assertLess(len(self.card.machine.warnings()), 2)
        if take_away is delete_netdev:
            self.assertNotIn("falls back", self.card.machine.messages())
        self.assertNotIn("Bad file descriptor", self.card.machine.messages())

    def test_netdev_deleted_then_a_look(self):
        """With no command in between."""
        self.begin(EBPF)
        self.set_rss(spread())
        delete_netdev(self.card)
        rss = self.card.machine.rss()
        self.assertEqual((rss["engine"], rss["reason"]),
                         (AUTOMATIC, "the netdev was deleted"))

    def test_reason(self):
        """Once the tap has refused the program, that is what is told."""
        self.begin(AUTO)
        self.assertEqual(self.nic.set_pairs(QUEUES), OK)
        delete_tap(self.card)
        for _ in range(3):
            self.assertEqual(self.nic.set_rss(spread(), QUEUES), OK)
            rss = self.card.machine.rss()
            self.assertEqual(rss["engine"], SOFTWARE)
            self.assertIn("cannot attach", rss["reason"])
        self.assert_warned("cannot attach", "RSS falls back to QEMU")

    def test_more_queues_while_there_is_no_tap(self):
        """They cannot be had: refused, and nothing has changed."""
        self.begin(EBPF)
        self.set_rss(all_to(1), 2)
        delete_tap(self.card)
        for command in (lambda: self.nic.set_rss(spread(), QUEUES),
                        lambda: self.nic.set_pairs(QUEUES)):
            self.assertNotEqual(command(), OK)
            rss = self.card.machine.rss()
            self.assertEqual((rss["queue-pairs"], rss["table"]), (2, [1]))
        self.assert_warned("net0: cannot enable queue 2")


class Flood(OwnCard):
    """Whatever a guest repeats, it is said once."""

    def test_a_deleted_tap(self):
        self.begin(SOFTWARE)
        delete_tap(self.card)
        before = len(self.messages())
        for step in range(1000):
            self.nic.set_pairs(QUEUES if step % 2 else 1)
            if step % 100 == 0:
                self.nic.set_rss(spread(), QUEUES)
                self.nic.start()
        self.assertLess(len(self.messages()) - before, 4, self.messages())

    def test_a_broken_device(self):
        self.begin(SOFTWARE)
        before = len(self.messages())
        for _ in range(10):
            self.nic.raw_command([b"\x04"], ack_size=0, timeout=0)
            self.nic.start()
        self.assertIn("ctrl missing headers", "".join(self.messages()))
        self.assertEqual(len(self.messages()) - before, 1)

    def messages(self):
        """What QEMU has printed, without its trace events."""
        return [line for line in self.card.machine.messages().splitlines()
                if not line.startswith("virtio_net_rss_")]


class ProgramRefused(OwnCard):
    """The tap takes the program no more, though it did at the start."""

    def setUp(self):
        super().setUp()
        self.refusal = self.enterContext(Refusal())

    @rows({"with all queues": QUEUES, "with more queues": 2})
    def check_refused(self, pairs):
        """QEMU steers instead, and says so once."""
        self.begin(AUTO, prefix=self.refusal.prefix)
        self.assertEqual(self.nic.set_pairs(pairs), OK)
        self.refusal.begin()
        for _ in range(3):
            self.assert_works()
            rss = self.card.machine.rss()
            self.assertEqual((rss["engine"], rss["reason"]), (
                SOFTWARE, "cannot attach the steering program to the tap: "
                "Cannot allocate memory"))
            self.assertEqual(self.nic.set_pairs(pairs), OK)
        self.assert_warned("net0: cannot attach the steering program to the "
                           "tap: Cannot allocate memory; RSS falls back to "
                           "QEMU")


class TapStays(OwnCard):
    """The tap outlives QEMU: the next one finds it as if it were new."""

    def setUp(self):
        super().setUp()
        self.net = self.enterContext(TapNet(QUEUES))

    def leave(self, end):
        """A QEMU steers all to one queue, and ends."""
        card = self.enterContext(Card(EBPF, net=self.net))
        self.assertEqual(card.start().set_rss(all_to(2), QUEUES), OK)
        end(card.machine)
        card.close()

    def test_a_QEMU_that_ends_takes_its_program_along(self):
        for end in (lambda machine: machine.stop(),
                    lambda machine: machine.qmp("netdev_del",
                                                {"id": "net0"})):
            self.leave(end)
            # Only someone who does not know of RSS sees what is left.
            self.begin(AUTO, "rss=off", net=self.net)
            self.assertEqual(self.nic.set_pairs(QUEUES), OK)
            self.assert_automatic()
            self.card.machine.stop()

    @rows({"a killed one's program is taken out by a QEMU with "
           + engine: engine for engine in (EBPF, SOFTWARE)})
    def check_next(self, engine):
        """After a QEMU that was killed."""
        self.leave(lambda machine: (machine.process.kill(),
                                    machine.process.wait()))
        self.begin(engine, net=self.net)
        self.assertEqual(self.nic.set_pairs(QUEUES), OK)
        self.assert_automatic()
        self.set_rss(all_to(1))
        self.assert_steers(all_to(1))


if __name__ == "__main__":
    run_tests(__file__)
