# SPDX-License-Identifier: GPL-2.0-or-later
"""A card that migrates: its driver, which is us, goes on on the other side."""

import contextlib
import tempfile
from pathlib import Path

from harness.qtest.machine import VmError
from harness.qtest.rig import AUTO, SOFTWARE, Card, OwnCardsCase, flows
from harness.vm.process import wait_until

FILE = "file", "exec:cat > {}", "exec:cat < {}"
SOCKET = "socket", "unix:{}", "unix:{}"


class MigrationCase(OwnCardsCase):
    """A test with two QEMUs, each with a tap of its own."""

    def setUp(self):
        super().setUp()
        self.path = Path(self.enterContext(
            tempfile.TemporaryDirectory(prefix="qtest-migration-"))) / "stream"

    def migrate(self, engine, how=FILE, options="", refusal=None,
                early=(), **other):
        """Go on with another QEMU; with a Refusal, its tap begins it then.

        early: frames that come before the guest does; other: see Card
        """
        card = self.enterContext(Card(
            engine, options, ["-incoming", "defer"],
            prefix=refusal.prefix if refusal else (), **other))
        if refusal:
            refusal.begin()
        if early:
            card.send(early)
            card.settle()
        self.go_on_with(card, how)
        self.engine = SOFTWARE if engine == AUTO else engine

    def go_on_with(self, card, how):
        """Migrate to a QEMU that waits for a guest."""
        _, send, receive = how
        incoming = {"uri": receive.format(self.path)}
        if how is SOCKET:
            card.machine.qmp("migrate-incoming", incoming)
        try:
            self.card.machine.migrate(send.format(self.path))
        except VmError as error:
            raise VmError(f"{error}\n{card.machine.messages()}") from error
        if how is FILE:
            card.machine.qmp("migrate-incoming", incoming)
        self.assertTrue(wait_until(
            lambda: card.machine.qmp("query-status")["running"], 10, 0.005))
        self.nic = self.nic.moved_to(card.machine)
        self.card = card

    def assert_not_taken(self, words, options, **how):
        """With vhost=on a QEMU refuses the guest, and says why."""
        self.card.machine.migrate(f"exec:cat > {self.path}")
        machine = self.enterContext(Card(
            AUTO, options, ["-incoming", "defer"], vhost=True, **how)).machine
        with contextlib.suppress(VmError):      # it may end while it is asked
            machine.qmp("migrate-incoming", {"uri": f"exec:cat {self.path}"})
        self.assertEqual(machine.process.wait(30), 1)
        self.assertIn(words, machine.messages())

    def assert_reports(self, config):
        """The packets' headers have the hashes that the reference says."""
        for packet in self.receive(flows()):
            found = (int.from_bytes(packet.header[12:16], "little"),
                     packet.header[16])
            self.assertEqual(found, config.hash(packet.frame))
            self.assertEqual(packet.queue, config.queue(packet.frame))
