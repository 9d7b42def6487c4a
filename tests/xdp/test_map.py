#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""xdp-offload map: the guest's maps and the host's, at once."""

import struct
import subprocess
from pathlib import Path

from host import DELETE, LOOKUP, NEXT, PROCESSORS, UPDATE
from rig import Rig

from harness.check.unittest_tap import run_tests

ENTRIES = 5000          # of 28 bytes
FILTER = next(Path("/usr/lib").glob("*/bpf/xdpfilt_dny_all.o"), None)


def word(number):
    """Return four bytes."""
    return struct.pack("<I", number)


class Maps(Rig):
    """The maps of all_kinds, on both sides."""

    def setUp(self):
        super().setUp()
        self.load()
        self.host.requests.clear()

    def there(self):
        """Return what the host has in the map of ports."""
        return self.host.map("ports").content

    def update(self, key, value, *words):
        """Put an entry into the map of ports."""
        self.tool("map", "update", "ports", "key", str(key), "value",
                  str(value), *words)

    def test_list(self):
        shown = {one["name"]: one for one in self.json("map", "list")}
        self.assertEqual(set(shown), {"ports", "counts", "offered.rodata",
                                      "offered.data", "offered.bss"})
        self.assertEqual((shown["counts"]["type"], shown["counts"]["value"]),
                         ("percpu_array", 4))

    def test_update_lookup_delete(self):
        self.update(53, 1)
        self.tool("map", "update", "ports", "key", "hex", "1", "2", "3", "ff",
                  "value", "2", "0", "0", "0")
        self.assertEqual(self.there(), {word(53): word(1),
                                        b"\1\2\3\xff": word(2)})
        self.assertEqual(self.json("map", "lookup", "ports", "key", "53"),
                         {"key": 53, "guest": 1, "host": 1})
        self.tool("map", "delete", "ports", "key", "53")
        self.assertEqual(list(self.there()), [b"\1\2\3\xff"])
        self.assertIn("there is no such entry", self.refused(
            "map", "lookup", "ports", "key", "53"))
        self.assertIn("there is no such entry", self.refused(
            "map", "delete", "ports", "key", "53"))

    def test_values_that_differ(self):
        self.update(1, 10)
        self.there()[word(1)] = word(20)
        self.there()[word(2)] = word(30)
        self.assertEqual(self.json("map", "dump", "ports"), [
            {"key": 1, "guest": 10, "host": 20},
            {"key": 2, "guest": None, "host": 30}])
        self.assertIn("key 1  guest 10  host 20", self.tool(
            "map", "lookup", "ports", "key", "1"))

    def test_a_value_for_each_processor(self):
        self.tool("map", "update", "counts", "key", "3", "value", "9")
        self.assertEqual(self.host.map("counts").content, {
            word(3): PROCESSORS * (word(9) + bytes(4))})
        shown = self.json("map", "dump", "counts")
        self.assertEqual([(one["key"], set(one["guest"]), one["host"])
                          for one in shown], [(3, {9}, PROCESSORS * [9])])

    def test_more_entries_than_are_asked_for_at_once(self):
        there = self.there()
        for number in range(200):
            there[word(number)] = word(1)
        shown = self.json("map", "dump", "ports")
        self.assertEqual({one["key"] for one in shown}, set(range(200)))

    def test_what_the_host_refuses_is_undone_in_the_guest(self):
        self.update(1, 10)
        for words, op in ((("update", "ports", "key", "1", "value", "11"),
                           UPDATE),
                          (("update", "ports", "key", "2", "value", "12"),
                           UPDATE),
                          (("delete", "ports", "key", "1"), DELETE)):
            with self.subTest(words):
                self.host.refuse = {op: (12, "")}
                self.assertIn("the host: Cannot allocate memory",
                              self.refused("map", *words))
                self.host.refuse = {}
                self.assertEqual(self.json("map", "dump", "ports"),
                                 [{"key": 1, "guest": 10, "host": 10}])

    def test_what_the_guest_refuses_is_not_asked_of_the_host(self):
        self.update(1, 10)
        self.host.requests.clear()
        self.assertIn("the guest: File exists", self.refused(
            "map", "update", "ports", "key", "1", "value", "2", "noexist"))
        self.assertIn("the guest: there is no such entry", self.refused(
            "map", "update", "ports", "key", "2", "value", "2", "exist"))
        self.assertNotIn(UPDATE, [op for op, _ in self.host.requests])

    def test_an_answer_of_another_size(self):
        self.update(1, 10)
        for op, words in ((LOOKUP, ("lookup", "ports", "key", "1")),
                          (NEXT, ("dump", "ports"))):
            with self.subTest(words):
                self.host.refuse = {op: (0, b"\0\0\0\0\0\0\0\0\1\0\0\0x")}
                self.assertIn("another size", self.refused("map", *words))

    def test_words(self):
        for words, reason in (
                (("lookup",), "the map's name is missing"),
                (("lookup", "none", "key", "1"), 'no map has the name "none"'),
                (("lookup", "ports"), '"key" is missing'),
                (("lookup", "ports", "key"), "key: it has 4 bytes"),
                (("lookup", "ports", "key", "4294967296"), "4294967296"),
                (("lookup", "ports", "key", "1", "2"), "one number"),
                (("update", "ports", "key", "1", "value", "1", "often"),
                 'unexpected argument "often"'),
                (("erase", "ports"), "list, lookup, update")):
            with self.subTest(words):
                self.assertIn(reason, self.refused("map", *words))


class Alone(Rig):
    """Where the host has nothing, the guest's maps are changed."""

    def test_it_is_said(self):
        self.port.unlink()
        self.load()
        done = self.run_tool("map", "update", "ports", "key", "1", "value",
                             "2")
        self.assertEqual(done.returncode, 0)
        self.assertIn("in the guest alone", done.stderr)
        self.assertEqual(self.json("map", "dump", "ports"),
                         [{"key": 1, "guest": 2}])


class Filter(Rig):
    """A program that others wrote: xdp-filter's."""

    def setUp(self):
        if not FILTER:
            self.skipTest("xdp-tools is not installed")
        super().setUp()
        self.keeper, _ = self.load("xdpfilt_dny_all", str(FILTER))

    def test_more_entries_than_fit_into_a_frame(self):
        """They are the guest's own, and go to a host that has lost all."""
        number = next(one["id"] for one in self.json("map", "list")
                      if one["name"] == "filter_ipv4")
        subprocess.run(["bpftool", "batch", "file", "-"], check=True,
                       text=True, stdout=subprocess.DEVNULL, input="".join(
                           f"map update id {number} key hex {key >> 8:x} "
                           f"{key & 255:x} 0 a value hex 1 0 0 0 0 0 0 0\n"
                           for key in range(ENTRIES)))
        self.host.maps, self.host.program = [], None
        self.assertIn("offloaded", self.keeper.wait_for("offloaded"))
        self.assertEqual(self.host.map("filter_ipv4").content, {
            bytes([key >> 8, key & 255, 0, 10]):
            PROCESSORS * struct.pack("<Q", 1) for key in range(ENTRIES)})

    def test_block_a_port(self):
        self.tool("map", "update", "filter_ports", "key", "13568", "value",
                  "5")
        self.assertEqual(self.host.map("filter_ports").content, {
            word(13568): PROCESSORS * struct.pack("<Q", 5)})
        self.assertEqual(self.json("map", "dump", "filter_ports")[0]["host"],
                         PROCESSORS * [5])


if __name__ == "__main__":
    run_tests(__file__)
