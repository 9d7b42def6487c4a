#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A helper that does not do what it should, below a QEMU without privileges.

Whatever it does, QEMU starts, says what was wrong with it, keeps none of its
descriptors and no process of it, and steers by itself.  For a service that is
slow waits who needs it, and not QEMU.
"""

import contextlib
import os
import socket
import threading
import time
from pathlib import Path
from unittest import mock

from harness.functional import libbpf
from harness.functional.nobody import (NobodyCard, NobodyMachine, loaded,
                                       place, why_not)
from harness.qtest.rig import NO_HELPER, QUEUES, Case, rows, run_tests, spread
from harness.qtest.virtio_net import HASHES, OK
from harness.vm.process import wait_until

TIMEOUT = 10                # s that QEMU gives a helper

SCRIPT = """#!/usr/bin/python3 -I
import os, signal, socket, time

sock = socket.socket(fileno=3)


def fetch():
    test = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    test.connect({path!r})
    return socket.recv_fds(test, 16, 16)[1]


def send(fds, text=b"rss 3"):
    socket.send_fds(sock, [text], fds)


def files(count):
    return [os.open("/dev/null", os.O_RDWR) for _ in range(count)]


{action}
"""


@contextlib.contextmanager
def offered(fds, gate=None):
    """Give descriptors to whoever connects; yield the path of the socket.

    gate: an event before which nobody gets any
    """
    path = place().path / "wrong-descriptors"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(str(path))
        os.chmod(path, 0o777)
        listening.listen()

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    with listening.accept()[0] as client:
                        if gate:
                            gate.wait()
                        socket.send_fds(client, [b"rss 3"], fds)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield path
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
            path.unlink()


def descriptors(card):
    """Return how many descriptors QEMU has of what is not its own."""
    folder = Path(f"/proc/{card.machine.process.pid}/fd")
    return sorted(os.readlink(path) for path in folder.iterdir()
                  if os.readlink(path) == "/dev/null"
                  or "bpf" in os.readlink(path))


def children(card):
    pid = card.machine.process.pid
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


PROGRAM, CONFIG, COUNTERS, GRACE = range(4)


def without_any():
    """Return the descriptors of a QEMU whose helper is not there."""
    with NobodyCard(NO_HELPER) as card:
        return descriptors(card)


class BadHelper(Case):
    """Each row is a helper."""

    why_not = staticmethod(why_not)

    def helper(self, action, path=""):
        """Return the path of a helper that does this."""
        helper = place().path / "bad-helper"
        helper.write_text(SCRIPT.format(action=action, path=str(path)))
        helper.chmod(0o755)
        return helper

    @rows({
        "hangs in QEMU's process group": (
            "os.setpgid(0, os.getpgid(os.getppid())); time.sleep(600)",
            [f"did not answer within {TIMEOUT} s"]),
        "closes its socket and hangs": (
            "sock.close(); time.sleep(600)", ["ended without an answer"]),
        "answers wrong and hangs": (
            "send(files(4)); time.sleep(600)", ["unusable descriptors"]),
        "is killed": (
            "os.kill(os.getpid(), signal.SIGKILL)",
            ["ended without an answer"]),
        "dies halfway": (
            "send(files(3)); os._exit(1)", ["'rss 3' with 3 descriptors"]),
        "sends files": (
            "send(files(4))",
            ["unusable descriptors", "the steering program's program",
             "no prog_type"]),
        "sends one too many": ("send(files(5))", ["'rss 3' with 5"]),
        "sends very many": ("send(files(200))", ["'rss 3' with 8 or more"]),
        "sends nonsense": (
            r'send([], b"\x1b[31m\0\xff")', [": ?[31m??"]),
        "sends nonsense with descriptors": (
            r'send(files(3), b"\xff" * 4000)', ["with 3 or more descriptors"]),
    })
    def check_helper(self, action, words, path=""):
        """QEMU does without it, and says why."""
        helper = self.helper(action, path)
        expected = without_any()
        start = time.monotonic()
        card = self.enterContext(NobodyCard(f"ebpf-rss-helper={helper}"))
        self.assertLess(time.monotonic() - start, 3 * TIMEOUT)
        self.assert_one_warning(card.warnings(), "RSS falls back to QEMU",
                                str(helper), *words)
        self.assertEqual(descriptors(card), expected)
        self.assertEqual(children(card), [])
        self.assertEqual(card.start().set_rss(spread(), QUEUES), OK)
        self.assertEqual(card.engine(), "software")

    @rows({
        "sends a program of another type": (
            PROGRAM, lambda: libbpf.make_program(libbpf.SCHED_CLS),
            ["unusable descriptors", "prog_type is 3, not 1"]),
        "sends a map of another type": (
            CONFIG, lambda: libbpf.make_map(libbpf.HASH, flags=0),
            ["unusable descriptors", "map_type is 1, not 2"]),
        "sends a map with other values": (
            CONFIG, lambda: libbpf.make_map(value_size=8),
            ["unusable descriptors", "value_size is 8"]),
        "sends a map with fewer counters": (
            COUNTERS, lambda: libbpf.make_map(value_size=8),
            ["unusable descriptors", "counters", "value_size is 8"]),
        "sends a map that cannot be waited with": (
            GRACE, libbpf.make_map,
            ["unusable descriptors", "map for waiting",
             "map_type is 2, not 12"]),
    })
    def check_wrong(self, position, make, words):
        """The same with descriptors that only root can make."""
        with loaded() as fds, offered(fds) as path:
            new = make()
            os.dup2(new, fds[position])
            os.close(new)
            self.check_helper("send(fetch())", words, path)

    def test_who_insists_on_eBPF_gets_the_reason(self):
        helper = self.helper("send(files(4))")
        with self.assert_error("ended with status 1",
                               "the eBPF engine is unavailable",
                               f"unusable descriptors from {helper}"):
            NobodyCard(f"ebpf-rss-helper={helper},rss-engine=ebpf")

    def test_the_right_descriptors(self):
        """The others are refused for what is wrong with them alone."""
        with loaded() as fds, offered(fds) as path:
            helper = self.helper("send(fetch())", path)
            card = self.enterContext(
                NobodyCard(f"ebpf-rss-helper={helper}"))
        self.assertEqual(card.warnings(), [])
        self.assertEqual(card.start().set_rss(spread(), QUEUES), OK)
        self.assertEqual(card.engine(), "ebpf")


class SlowService(Case):
    """It answers when the test says so, and QEMU does not wait for it."""

    why_not = staticmethod(why_not)

    def setUp(self):
        super().setUp()
        self.gate = threading.Event()
        self.fds = self.enterContext(loaded())
        path = self.enterContext(offered(self.fds, self.gate))
        self.addCleanup(self.gate.set)
        self.option = f"ebpf-rss-helper={path}"
        self.card = self.enterContext(NobodyCard(self.option))

    def answer_soon(self):
        timer = threading.Timer(1, self.gate.set)
        timer.start()
        self.addCleanup(timer.join)

    def answer_wrong_soon(self):
        with open(os.devnull, encoding="ascii") as wrong:
            os.dup2(wrong.fileno(), self.fds[PROGRAM])
        self.answer_soon()

    def loaded(self):
        return self.card.machine.traces("virtio_net_rss_load")

    def test_it_comes_while_QEMU_runs(self):
        self.card.start()
        self.assertEqual(self.loaded(), [])
        self.gate.set()
        self.assertTrue(wait_until(self.loaded, TIMEOUT))
        self.assertEqual(self.card.nic.set_rss(spread(), QUEUES), OK)
        self.assertEqual(self.card.engine(), "ebpf")
        self.assertEqual(self.card.warnings(), [])

    def test_a_command_waits_for_it(self):
        """The guest's, who cannot know."""
        self.card.start()
        self.answer_soon()
        self.assertEqual(self.loaded(), [])
        self.assertEqual(self.card.nic.set_rss(spread(), QUEUES), OK)
        self.assertEqual(self.card.engine(), "ebpf")

    def test_the_netdev_is_deleted_meanwhile(self):
        """Then nobody needs its descriptors, and there is nothing to say."""
        self.card.machine.qmp("netdev_del", {"id": "net0"})
        self.gate.set()
        self.assertEqual(self.card.warnings(), [])
        self.assertEqual(descriptors(self.card), without_any())

    def test_who_insists_waits(self):
        """What the guest is offered, or whether QEMU starts, depends on it."""
        self.answer_soon()
        with NobodyCard(self.option + ",rss-engine=ebpf") as card:
            self.assertNotEqual(
                card.machine.traces("virtio_net_rss_load"), [])

    def test_who_waits_for_a_guest_waits(self):
        """Else the guest would, which stands still at a migration's end."""
        self.answer_soon()
        with NobodyCard(self.option, arguments=["-incoming", "defer"]) as card:
            self.assertNotEqual(
                card.machine.traces("virtio_net_rss_load"), [])

    def test_a_daemon_waits(self):
        """Nobody would read its warning when it has started."""
        self.answer_wrong_soon()
        with mock.patch.object(NobodyMachine, "check_alive"):
            card = self.enterContext(
                NobodyCard(self.option, arguments=["-daemonize"]))
        self.addCleanup(card.machine.qmp, "quit")
        self.assert_one_warning(card.warnings(), "RSS falls back to QEMU",
                                "unusable descriptors")

    def test_the_warning_is_not_for_who_asks(self):
        """It belongs into the log, though it was a human who has waited."""
        self.answer_wrong_soon()
        self.assertNotIn("warning", self.card.machine.info_rss())
        self.assert_one_warning(self.card.warnings(), "RSS falls back to QEMU",
                                "unusable descriptors")

    def test_who_needs_no_program_does_not_wait(self):
        """Hash reports without vhost are the software engine's."""
        card = self.enterContext(NobodyCard(self.option + ",hash=on"))
        self.assertEqual(
            card.start(features=HASHES).set_rss(spread(), QUEUES), OK)
        self.assertEqual(card.engine(), "software")
        self.assertNotIn("warning", card.machine.messages())


if __name__ == "__main__":
    run_tests(__file__)
