#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""How little of its privileges the helper keeps.

It is held up in its last step: there is no room in its socket for the answer.
What it can do then is read in /proc.
"""

import contextlib
import os
import socket
import subprocess
import time
from pathlib import Path

from harness.functional.nobody import (CAP_BPF, CAP_PERFMON, HELPER, NOBODY,
                                       place, why_not)
from harness.qtest.rig import Case, rows, run_tests
from harness.vm.process import run

TIMEOUT = 20                # s; on a busy machine
NONE, BOTH = "0" * 16, f"{1 << CAP_BPF | 1 << CAP_PERFMON:016x}"


def fill(sock):
    count = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            sock.send(b"x", socket.MSG_DONTWAIT)
            count += 1
    return count


class HeldUp:
    """A helper that has loaded its program and cannot say so.

    uid: who runs it.
    """

    def __init__(self, path, uid, inherited):
        self.ours, its = socket.socketpair(socket.AF_UNIX,
                                           socket.SOCK_SEQPACKET)
        self.inherited = os.fstat(inherited).st_ino
        with its:
            self.before = fill(its)
            self.process = subprocess.Popen(
                [path, f"--fd={its.fileno()}", "--name=held-up"], user=uid,
                group=uid, extra_groups=[], umask=0,
                pass_fds=[its.fileno(), inherited])
        self.proc = Path(f"/proc/{self.process.pid}")

    def status(self):
        """Return the fields of its status, once it waits."""
        deadline = time.monotonic() + TIMEOUT
        while True:
            lines = (self.proc / "status").read_text().splitlines()
            fields = {name: value.split() for name, value in
                      (line.split(":", 1) for line in lines)}
            waits = (fields["State"][0] == "S" and fields["Seccomp"] == ["2"]
                     and "bpf" in self.files())
            if waits or time.monotonic() > deadline:
                return fields
            time.sleep(0.01)

    def files(self):
        """Return what kinds of descriptors it has."""
        kinds = []
        for path in (self.proc / "fd").iterdir():
            with contextlib.suppress(OSError):
                name = os.readlink(path)
                kinds.append("bpf" if "bpf" in name else
                             "inherited" if str(self.inherited) in name else
                             "other")
        return kinds

    def answer(self):
        """Make room; return its text, and how many descriptors came."""
        for _ in range(self.before):
            self.ours.recv(1)
        text, fds = socket.recv_fds(self.ours, 512, 8)[:2]
        for fd in fds:
            os.close(fd)
        return text.decode(), len(fds)

    def close(self):
        self.ours.close()
        self.process.kill()
        return self.process.wait()


class Privileges(Case):
    """Each row is a way to give the helper its privilege."""

    why_not = staticmethod(why_not)

    @rows({
        "capabilities of its file": (
            {"capabilities": (CAP_BPF, CAP_PERFMON)}, NOBODY, None),
        "setuid root": ({"mode": 0o4755}, NOBODY, NONE),
        "run by root": ({}, 0, NONE),
    })
    def check(self, how, uid, bounding):
        """It has two capabilities, as an ordinary user, and loads."""
        ours, its = os.pipe()
        self.addCleanup(os.close, ours)
        helper = HeldUp(place().helper(self.id().replace("/", "-"), **how),
                        uid, its)
        os.close(its)
        self.addCleanup(helper.close)
        fields = helper.status()
        expected = {
            "Uid": [str(uid)] * 4, "Gid": [str(uid)] * 4, "CapInh": [NONE],
            "CapPrm": [BOTH], "CapEff": [BOTH], "CapAmb": [NONE],
            "NoNewPrivs": ["1"], "Seccomp": ["2"], "Umask": ["0077"]}
        if bounding:
            expected["CapBnd"] = [bounding]
        self.assertEqual({name: fields[name] for name in expected}, expected)
        self.assertNotIn("inherited", helper.files())
        self.assertEqual(helper.answer()[0][:4], "rss ")
        self.assertEqual(helper.process.wait(TIMEOUT), 0)


class Libraries(Case):
    """What is in its process before it can give up anything."""

    why_not = staticmethod(why_not)

    def test_libbpf_and_what_libbpf_needs(self):
        needed = [line.split("[")[1] for line in
                  run("readelf", "-d", HELPER).splitlines()
                  if "(NEEDED)" in line]
        self.assertEqual(len(needed), 2, needed)
        for line, library in zip(sorted(needed), ("libbpf.so", "libc.so")):
            self.assertTrue(line.startswith(library), needed)
        self.assertNotIn("glib", run("ldd", HELPER))


if __name__ == "__main__":
    run_tests(__file__)
