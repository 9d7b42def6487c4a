#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The helper as a service of systemd, for a QEMU in libvirt's sandbox.

    nobody's QEMU, sandbox ── connect ──▶ systemd ── starts ──▶ helper
          ▲                                                       │
          └──────────────────── descriptors ──────────────────────┘
"""

import contextlib
import os
import socket
import struct
import subprocess
import threading
import time
import unittest

from harness.functional import nobody, systemd
from harness.functional.nobody import NobodyCard
from harness.qtest.rig import EBPF, Case, TapCase, rows, run_tests, spread
from harness.vm.process import wait_until

SOCKET = "/run/qemu-rss-helper.socket"
# As libvirt starts QEMU.
SANDBOX = ["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,"
           "resourcecontrol=deny"]
TIMEOUT = 20                # s; on a busy machine
HELD = 100                  # connections that a bad client keeps open

service = None


def why_not():
    return nobody.why_not() or systemd.why_not()


def setUpModule():
    global service
    if not why_not():
        service = systemd.HelperService()
        unittest.addModuleCleanup(service.close)
        service.run("systemctl", "start", "systemd-journald.socket",
                    "systemd-journald.service", "qemu-rss-helper.socket")


def journal():
    return service.run("journalctl", "--no-pager", "--output=cat",
                       "_COMM=qemu-rss-helper")


def sandboxed_card():
    return NobodyCard(arguments=SANDBOX, no_new_privs=True,
                      prefix=service.prefix())


class Sandboxed(TapCase):
    """A QEMU that may start nothing and gain nothing."""

    engine = EBPF
    why_not = staticmethod(why_not)

    @classmethod
    def card_of(cls):
        return sandboxed_card()

    def test_it_steers(self):
        self.set_rss(spread())
        self.assert_steers(spread())

    def test_it_says_nothing(self):
        self.assertEqual(self.card.warnings(), [])

    def test_the_journal_says_who_asked(self):
        self.assertRegex(journal(), r"net0, for process \d+ of user "
                         f"{nobody.NOBODY}: loaded")


class ServiceCase(Case):
    why_not = staticmethod(why_not)


class Without(ServiceCase):
    """No service: it is said what to do."""

    def test_the_warning_names_the_remedy(self):
        service.run("systemctl", "stop", "qemu-rss-helper.socket")
        self.addCleanup(service.run, "systemctl", "start",
                        "qemu-rss-helper.socket")
        card = self.enterContext(sandboxed_card())
        self.assert_one_warning(
            card.warnings(), "net0", "RSS falls back to QEMU",
            f"no service at {SOCKET} (systemctl enable --now"
            " qemu-rss-helper.socket)")

    def test_a_socket_that_nobody_serves(self):
        """As when systemd has been killed."""
        path = service.path(SOCKET)
        service.run("systemctl", "stop", "qemu-rss-helper.socket")
        self.addCleanup(service.run, "systemctl", "start",
                        "qemu-rss-helper.socket")
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as left:
            left.bind(path)
        os.chmod(path, 0o666)
        self.addCleanup(os.unlink, path)
        card = self.enterContext(sandboxed_card())
        self.assertIn(f"cannot connect to {SOCKET}: Connection refused",
                      card.warnings()[0])


class Units(ServiceCase):
    """What systemd says of them."""

    def test_they_are_in_order(self):
        self.assertEqual(service.run(
            "sh", "-c", "systemd-analyze verify --man=no"
            " $0/qemu-*-helper.socket $0/qemu-*-helper@.service 2>&1",
            service.units), "")

    @rows({
        "rss": ("qemu-rss-helper@.service",),
        "xdp": ("qemu-xdp-helper@.service",),
    })
    def the_service_is_safe(self, unit):
        """At most 2 of 10 points of "exposure"."""
        done = subprocess.run(
            ["systemd-analyze", "security", "--offline=yes", "--threshold=20",
             "--no-pager", systemd.UNITS / unit],
            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, 0, done.stdout[-200:])


def connect():
    """Return a connection, which waits for its turn."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
        sock.setsockopt(socket.SOL_SOCKET, option,
                        struct.pack("@ll", TIMEOUT, 0))
    sock.connect(service.path(SOCKET))
    return sock


def send(sock, message, fds=()):
    with contextlib.suppress(OSError):
        socket.send_fds(sock, [message], fds)


def answer(request):
    """Return text and descriptors; None if the service was busy."""
    with connect() as sock, contextlib.suppress(ConnectionError):
        send(sock, request)
        text, fds = socket.recv_fds(sock, 600, 8)[:2]
        return (text, fds) if text not in (b"", b"no request") else None
    return None


def says_nothing(held):
    held.append(connect())


def never_reads(held):
    held.append(connect())
    send(held[-1], b"rss hostile")


def sends_half(held):
    held.append(connect())
    send(held[-1], b"rs")


def sends_descriptors(held):
    held.append(connect())
    with open("/dev/null") as null:
        send(held[-1], b"rss hostile", [null.fileno()] * 100)


def comes_and_goes(held):
    connect().close()


class Hostile(ServiceCase):
    """Others are served meanwhile, and what is wrong is told to who is."""

    @rows({
        "connections without a request": says_nothing,
        "answers that nobody reads": never_reads,
        "halves of a request": sends_half,
        "descriptors along with it": sends_descriptors,
        "connections that come and go": comes_and_goes,
    })
    def check(self, act):
        """Another does it without end; QEMU has its engine."""
        done = threading.Event()

        def misbehave():
            held = []
            while not done.is_set():
                with contextlib.suppress(OSError):
                    act(held)
                while len(held) > HELD:
                    held.pop(0).close()
            for sock in held:
                sock.close()

        thread = threading.Thread(target=misbehave)
        thread.start()
        try:
            time.sleep(1)
            card = self.enterContext(sandboxed_card())
        finally:
            done.set()
            thread.join()
        self.assertEqual(card.warnings(), [])

    def test_answers_to_bad_requests(self):
        for request in (b"rss ", b"rss", b"rss a b", b"rss net0\0", b"RSS net0",
                        b"rss " + b"n" * 65, b"x" * 5000):
            text, fds = wait_until(lambda: answer(request), TIMEOUT)
            self.assertEqual(fds, [], request)
            self.assertRegex(text.decode(), "^not a request", request)


if __name__ == "__main__":
    run_tests(__file__)
