#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""xdp-offload load: the guest's program, and what the host is told."""

import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import tempfile
import termios

import host as wire
from host import (HELLO, MAP_CREATE, MAP_TYPED, PROG_SET, PROG_UNSET, STATS,
                  TYPES, UPDATE)
from rig import (GENERIC, NATIVE, NATIVE_ALONE, OFFERED, SILENCE, SOCKETS,
                 Rig)

from harness.check.unittest_tap import run_tests
from harness.vm.process import run, spawn, stop

ARRAY, HASH, PERCPU_ARRAY = 2, 1, 6
RDONLY_PROG = 128
PATIENCE = 60           # seconds
NO_SYS_ADMIN = ("setpriv", "--inh-caps=-all", "--bounding-set", "-sys_admin")


class Load(Rig):
    """A host that takes what it is offered."""

    def test_the_guest_has_it_before_the_host_is_asked(self):
        seen = []
        self.host.before = lambda op: seen.append(self.attached())
        _, said = self.load()
        self.assertIn("offloaded", said)
        self.assertEqual(set(seen), {(NATIVE, "all_kinds")})

    def test_what_the_host_gets(self):
        self.load()
        self.assertEqual([op for op, _ in self.host.requests],
                         [HELLO] + 5 * [MAP_CREATE] + 2 * [UPDATE]
                         + [PROG_SET])
        found = {one.name: (one.type, one.key, one.value, one.entries,
                            one.flags) for one in self.host.maps}
        self.assertEqual(found, {
            "ports": (HASH, 4, 4, 4, 0),
            "counts": (PERCPU_ARRAY, 4, 4, 8, 0),
            "offered.rodata": (ARRAY, 4, 4, 1, RDONLY_PROG),
            "offered.data": (ARRAY, 4, 4, 1, 0),
            "offered.bss": (ARRAY, 4, 4, 1, 0)})
        zero = bytes(4)
        self.assertEqual(self.host.map("offered.rodata").content,
                         {zero: bytes.fromhex("44332211")})
        self.assertEqual(self.host.map("offered.data").content,
                         {zero: struct.pack("<I", 100)})
        program = self.host.program
        with self.net.entered():
            ifindex = socket.if_nametoindex("tap0")
        self.assertEqual((program.name, program.flags, program.ifindex,
                          len(program.code)),
                         ("all_kinds", 1, ifindex, 8 * program.count))
        self.assertEqual(program.handles(), set(range(5)))

    def test_what_was_there_for_another_is_skipped(self):
        old = wire.HEADER.pack(b"XDPO", 1, STATS | wire.ANSWER, 7, 4)
        self.host.garbage = b"DPO\1\0rest of a frame" + old + bytes(4)
        self.assertIn("offloaded", self.load()[1])

    def test_another_program_takes_the_place(self):
        first, _ = self.load()
        _, said = self.load("no_maps")
        self.assertIn("offloaded", said)
        self.assertEqual(first.process.wait(PATIENCE), 0)
        self.assertEqual(self.attached(), (NATIVE, "no_maps"))
        self.assertEqual((self.host.program.name, self.host.maps),
                         ("no_maps", []))

    def test_in_the_background(self):
        """In a process namespace, which ends all that is left in it."""
        shell = ["sh", "-c", '"$@"; echo "ended $?"; read line', "sh"]
        with self.net.entered():
            there = spawn(["unshare", "--pid", "--fork", "--kill-child",
                           *shell, *self.command("all_kinds", OFFERED)],
                          text=True, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(stop, there)
        with there.stdin, there.stdout:
            self.assertEqual(there.stdout.readline(), "ended 0\n")
            self.assertTrue(self.json("show")[0]["offloaded"])
            self.tool("unload")
            self.assertIsNone(self.host.program)
            self.assertEqual((self.attached(), self.pins()), (None, []))

    def test_show_and_stats(self):
        self.load()
        shown = self.json("show", "tap0")[0]
        self.assertEqual((shown["name"], shown["mode"], shown["offloaded"]),
                         ("all_kinds", "native", True))
        stats = self.json("stats")[0]
        self.assertEqual([stats[name] for name in (
            "passed", "dropped", "sent", "unexamined", "memory", "since_ns")],
            [10, 20, 30, 40, 4096, 5 * 10**9])
        self.assertIn("20 dropped", self.tool("stats"))

    def test_version(self):
        self.assertRegex(self.tool("--version"), r"^xdp-offload [0-9.]+\n$")


class Types(Rig):
    """A host that takes the types of maps."""

    def setUp(self):
        super().setUp()
        self.host.features |= TYPES

    def types(self, name):
        """Return key's and value's type and all of them, as bpftool reads."""
        key, value, btf = self.host.map(name).types
        with tempfile.NamedTemporaryFile() as file:
            file.write(btf)
            file.flush()
            types = json.loads(run("bpftool", "-j", "btf", "dump", "file",
                                   file.name))["types"]
        types = {one["id"]: one for one in types}
        return types.get(key), types[value], types

    def fields(self, of, types):
        """Return names, offsets and kinds of a structure's members."""
        return [(one["name"], one["bits_offset"],
                 types[one["type_id"]]["kind"]) for one in of["members"]]

    def test_structures(self):
        self.assertIn("offloaded", self.load("structures")[1])
        self.assertEqual([op for op, _ in self.host.requests],
                         [HELLO, MAP_TYPED, PROG_SET])
        key, value, types = self.types("senders")
        self.assertEqual(self.fields(key, types), [
            ("len", 0, "INT"), ("bytes", 32, "ARRAY")])
        self.assertEqual(self.fields(value, types), [
            ("packets", 0, "INT"), ("(anon)", 64, "UNION"),
            ("colour", 96, "ENUM"), ("low", 128, "INT"), ("high", 131, "INT"),
            ("link", 192, "STRUCT")])
        self.assertEqual([one["bitfield_size"] for one in value["members"]
                          if one.get("bitfield_size")], [3, 29])
        self.assertEqual({one["name"] for one in types.values()
                          if one["kind"] in ("STRUCT", "UNION", "ENUM")},
                         {"(anon)"})
        self.assertEqual({one["type_id"] for one in types.values()
                          if one["kind"] == "PTR"}, {0})

    def test_global_data(self):
        self.load("all_kinds")
        key, value, types = self.types("offered.bss")
        self.assertIsNone(key)
        self.assertEqual(value["name"], ".bss")
        self.assertEqual([types[one["type_id"]]["name"]
                          for one in value["vars"]], ["seen"])

    def test_refused(self):
        """The map is made without its types, and that is said."""
        self.host.refuse = {MAP_TYPED: (22, "the kernel is too old")}
        keeper, said = self.load("structures")
        self.assertIn("knows no types", said)
        self.assertIn("the kernel is too old", said)
        self.assertIn("offloaded: ", keeper.wait_for("offloaded: "))
        self.assertEqual([(one.name, one.types) for one in self.host.maps],
                         [("senders", None)])


class Alone(Rig):
    """The program stays in the guest, whatever the host does."""

    def check(self, said, reason):
        self.assertIn("runs in the guest alone", said)
        self.assertIn(reason, said)
        self.assertEqual(self.attached(), (NATIVE, "all_kinds"))
        shown = self.json("show")[0]
        self.assertFalse(shown["offloaded"])
        return shown["why"]

    def test_refused(self):
        for op, what in ((MAP_CREATE, 'map "'),
                         (PROG_SET, 'program "all_kinds"')):
            with self.subTest(what):
                self.host.refuse = {op: (12, "too much is too much")}
                said = self.load()[1]
                why = self.check(said, what)
                self.assertIn("too much is too much", said)
                self.assertIn("too much is too much", why)

    def test_no_answer(self):
        for op in (HELLO, PROG_SET):
            with self.subTest(op):
                self.host.silent = {op}
                self.check(self.load(timeout=SILENCE)[1], "no answer")

    def test_noise_without_end(self):
        self.port.unlink()
        self.port.symlink_to("/dev/zero")
        self.check(self.load(timeout=SILENCE)[1], "no answer")

    def test_an_answer_that_is_none(self):
        self.host.refuse = {PROG_SET: (0, "not an answer to this")}
        self.check(self.load()[1], "cannot be understood")

    def test_no_port(self):
        self.port.unlink()
        keeper, said = self.load()
        self.check(said, "gives this guest no port")
        self.assertEqual(keeper.process.wait(PATIENCE), NATIVE_ALONE)

    def test_no_socket(self):
        with self.net.entered():
            ifindex = socket.if_nametoindex("tap0")
        place = SOCKETS / f"{self.netns}-{ifindex}"
        place.mkdir(parents=True)
        self.addCleanup(place.rmdir)
        keeper, said = self.load()
        self.check(said, "cannot listen on")
        self.assertEqual(keeper.process.wait(PATIENCE), NATIVE_ALONE)
        self.assertEqual(self.host.requests, [])

    def test_busy(self):
        fcntl.ioctl(self.host.slave, termios.TIOCEXCL)
        keeper, said = self.load(before=NO_SYS_ADMIN)
        self.check(said, "busy")
        self.assertEqual(keeper.process.wait(PATIENCE), NATIVE_ALONE)

    def test_the_host_goes_and_another_comes(self):
        keeper, _ = self.load()
        self.host.close()
        self.check(keeper.wait_for("alone"), "")
        self.new_host()
        self.assertIn("offloaded", keeper.wait_for("offloaded"))
        self.assertEqual(self.host.program.name, "all_kinds")

    def test_the_host_loses_it(self):
        keeper, _ = self.load()
        self.tool("map", "update", "ports", "key", "7", "value", "8")
        self.host.maps, self.host.program = [], None
        keeper.wait_for("offloaded")
        self.assertEqual(self.host.map("ports").content,
                         {struct.pack("<I", 7): struct.pack("<I", 8)})

    def test_the_keeper_is_killed(self):
        keeper, _ = self.load()
        os.kill(keeper.process.pid, signal.SIGKILL)
        keeper.process.wait(PATIENCE)
        self.assertEqual(self.attached(), (NATIVE, "all_kinds"))
        self.assertIn("load it again", self.json("show")[0]["why"])
        self.tool("unload")
        self.assertIsNone(self.attached())

    def test_somebody_else_removes_the_program(self):
        keeper, _ = self.load()
        for pin in self.pins():
            pin.unlink()
        self.assertIn("not attached any more", keeper.wait_for("not attached"))
        self.assertEqual(keeper.process.wait(PATIENCE), 0)
        self.assertEqual(self.json("show"), [])
        self.assertIn("nothing is loaded", self.refused("unload", "tap0"))

    def test_generic_xdp(self):
        keeper, _ = self.load(device="lo")
        self.assertIn("falls back to generic XDP", "".join(keeper.said))
        self.assertEqual(self.attached("lo"), (GENERIC, "all_kinds"))


class Refused(Rig):
    """What cannot be loaded changes nothing."""

    def setUp(self):
        super().setUp()
        self.load("no_maps")

    def check(self, reason, *words):
        self.host.requests.clear()
        self.assertIn(reason, self.refused(*words))
        self.assertEqual(self.attached(), (NATIVE, "no_maps"))
        self.assertEqual({op for op, _ in self.host.requests} - {STATS},
                         set())
        self.assertTrue(self.json("show")[0]["offloaded"])

    def test_what_the_verifier_refuses(self):
        self.check("verifier's last lines",
                   *self.command("broken", OFFERED)[1:])

    def test_words(self):
        for words, reason in (
                (("load",), "the device is missing"),
                (("load", "tap0"), "the program's file is missing"),
                (("load", "tap0", OFFERED), "choose one with"),
                (("load", "tap0", OFFERED, "sec"), "unexpected argument"),
                (("load", "tap7", OFFERED), "tap7: no such device"),
                (("lode",), "no such command: lode"),
                (("unload", "lo"), "lo: nothing is loaded"),
                (("show", "--timeout", "0"), "--timeout takes")):
            with self.subTest(words):
                self.check(reason, *words)

    def test_the_program_of_others(self):
        with self.net.entered():
            run("ip", "link", "set", "lo", "xdpgeneric", "obj", OFFERED,
                "program", "no_maps")
        self.check("another XDP program is attached", *self.command(
            "all_kinds", OFFERED, device="lo")[1:])
        self.assertEqual(self.attached("lo"), (GENERIC, "no_maps"))


if __name__ == "__main__":
    run_tests(__file__)
