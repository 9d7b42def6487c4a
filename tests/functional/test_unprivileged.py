#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""RSS in a QEMU that an ordinary user runs, without any capability.

It gets its program by descriptors or from the helper, or steers in software;
and what is wrong with either is said when it starts.
"""

import base64
import contextlib
import os
import unittest

from harness.functional import libbpf
from harness.functional.nobody import (CAP_BPF, NOBODY, HotPluggedCard,
                                       NobodyCard, loaded, place, why_not)
from harness.qtest.machine import (Machine, ebpf_rss_fds, is_from,
                                   stock_qemu)
from harness.qtest.rig import (EBPF, KEY, NO_HELPER, QUEUES, SOFTWARE, Case,
                               Config, TapCase, all_to, rows, run_tests,
                               spread)
from harness.qtest.virtio_net import OK
from harness.rss_reference import NON_EX_TYPES



def fds_option(fds):
    """Return the device's option for descriptors: text, if QEMU takes it."""
    if is_from("9.0"):
        return ebpf_rss_fds(*fds)
    return "ebpf-rss-fds=" + ":".join(map(str, fds))


class NobodyCase(TapCase):
    """A TapCase whose card is nobody's; card_of() says which."""

    why_not = staticmethod(why_not)


class Steering:
    """The tests of a card that steers, however it came to do so."""

    def test_QEMU_has_no_privilege(self):
        machine = self.card.machine
        for field in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            self.assertEqual(machine.status(field), ["0" * 16], field)
        self.assertEqual(set(machine.status("Uid") + machine.status("Gid")),
                         {str(NOBODY)})

    def test_it_steers(self):
        self.set_rss(spread())
        self.assert_steers(spread())

    def test_it_reconfigures(self):
        """Other tables, keys and types, and other numbers of queues."""
        for step in range(10):
            config = spread(seed=step, length=2 ** (step % 8),
                            key=KEY[step:] + KEY[:step], unclassified=step % 4,
                            types=NON_EX_TYPES >> step % 6)
            self.set_rss(config)
            self.assert_steers(config)
        for pairs in (2, 1, 3, 4):
            config = spread(range(pairs), seed=pairs)
            self.set_rss(config, pairs)
            self.assert_steers(config, queues=pairs)

    def test_off_and_on_again(self):
        for queue in (3, 1):
            self.assertEqual(self.nic.set_pairs(QUEUES), OK)
            self.assert_automatic()
            self.set_rss(all_to(queue))
            self.assert_steers(all_to(queue))

    def test_reset_and_on_again(self):
        self.set_rss(all_to(2))
        self.card.machine.qmp("system_reset")
        self.nic = self.card.start()
        self.set_rss(all_to(1))
        self.assert_steers(all_to(1))

    def test_a_refused_command_changes_nothing(self):
        self.set_rss(all_to(2))
        self.assertNotEqual(self.nic.set_rss(
            Config(NON_EX_TYPES, KEY, [QUEUES], 0), QUEUES), OK)
        self.assert_steers(all_to(2))


class SteeringEbpf(Steering):
    """And it is the kernel that steers."""

    engine = EBPF

    def test_it_says_nothing(self):
        self.assertEqual(self.card.warnings(), [])


class DescriptorsHandedIn(SteeringEbpf, NobodyCase):
    """Loaded by root; QEMU inherits them."""

    @classmethod
    def card_of(cls):
        with loaded() as fds:
            return NobodyCard(fds_option(fds), fds)


@contextlib.contextmanager
def loaded_object(machine, *maps):
    """The descriptors of what a QEMU's request-ebpf gives."""
    answer = machine.qmp("request-ebpf", {"id": "rss"})
    fds = libbpf.load_object(base64.b64decode(answer["object"]), *maps)
    try:
        yield fds
    finally:
        for fd in fds:
            os.close(fd)


class RequestEbpf(SteeringEbpf, NobodyCase):
    """Loaded by a tool that knows only what request-ebpf gives it."""

    @classmethod
    def card_of(cls):
        with NobodyCard(NO_HELPER) as donor:
            with loaded_object(donor.machine) as fds:
                return NobodyCard(fds_option(fds), fds)


class HelperWithCapabilities(SteeringEbpf, NobodyCase):
    """setcap cap_bpf,cap_perfmon+ep"""

    @classmethod
    def card_of(cls):
        return NobodyCard("rss-engine=ebpf,ebpf-rss-helper="
                          f"{place().privileged_helper()}")


class HelperSetuid(SteeringEbpf, NobodyCase):
    """chmod u+s"""

    @classmethod
    def card_of(cls):
        helper = place().helper("setuid", mode=0o4755)
        return NobodyCard(f"ebpf-rss-helper={helper}")


class HotPlugDescriptors(SteeringEbpf, NobodyCase):
    """A card that comes later; its descriptors have names."""

    @classmethod
    def card_of(cls):
        names = ["program", "config", "counters"]
        with loaded() as fds:
            return HotPluggedCard(ebpf_rss_fds(*names), dict(zip(names, fds)))


class HotPlugHelper(SteeringEbpf, NobodyCase):
    """A card that comes later; the helper runs while QEMU does."""

    @classmethod
    def card_of(cls):
        return HotPluggedCard({
            "rss-engine": "ebpf",
            "ebpf-rss-helper": str(place().privileged_helper())})


class Neither(Steering, NobodyCase):
    """No descriptors, no helper: QEMU steers, and says why."""

    engine = SOFTWARE

    @classmethod
    def card_of(cls):
        return NobodyCard(NO_HELPER)

    def test_it_says_why_once(self):
        self.assert_one_warning(
            self.card.warnings(), "net0", "RSS falls back to QEMU",
            "Operation not permitted", "CAP_BPF", "cannot run /nonexistent")


PROGRAM, CONFIG, COUNTERS, GRACE = range(4)
STOCK_MAPS = (b"tap_rss_map_configurations", b"tap_rss_map_toeplitz_key",
              b"tap_rss_map_indirection_table")


class StartUp(Case):
    """What a start-up is refused for, or warns of."""

    why_not = staticmethod(why_not)

    def assert_refused(self, options, words, fds=(), **how):
        """QEMU must end with an error that has these words."""
        with self.assert_error("ended with status 1:", *words):
            NobodyCard(options, fds, **how).close()

    def assert_falls_back(self, options, words, **how):
        """QEMU must start, with one warning that has these words."""
        with NobodyCard(options, **how) as card:
            self.assert_one_warning(card.warnings(), *words)

    @rows({
        "helper: missing": (
            lambda: "/nonexistent",
            ["cannot run /nonexistent: No such file or directory"], {}),
        "helper: without capabilities": (
            lambda: place().helper("plain"),
            ["plain has no privileges either"], {}),
        "helper: may not be run": (
            lambda: place().helper("not-for-you", mode=0o700),
            ["not-for-you: Permission denied"], {}),
        "helper: only CAP_BPF": (
            lambda: place().helper("bpf-only", capabilities=[CAP_BPF]),
            ["bpf-only: cannot load"], {}),
        "helper: no_new_privs": (
            lambda: place().privileged_helper("useless"),
            ["useless", "no_new_privs"], {"no_new_privs": True}),
        "helper: in a sandbox": (
            lambda: place().privileged_helper("useless"),
            ["useless", "no_new_privs"], {"arguments": ["-sandbox", "on"]}),
        "helper: in a sandbox that kills who starts a process": (
            lambda: place().privileged_helper("useless"),
            ["useless", "no_new_privs"],
            {"arguments": ["-sandbox", "on,spawn=deny"]}),
        "helper: another program": (
            lambda: "/bin/false",
            ["/bin/false ended without an answer, with exit status 1"], {}),
    })
    def check_helper(self, helper, words, how):
        """A helper that cannot help: fatal only for who insists."""
        option = f"ebpf-rss-helper={helper()}"
        self.assert_falls_back(option, ["CAP_BPF"] + words, **how)
        self.assert_refused(option + ",rss-engine=ebpf",
                            ["CAP_BPF"] + words, **how)

    @rows({
        "descriptors: a program of another type": (
            PROGRAM, lambda fds: libbpf.make_program(libbpf.SCHED_CLS),
            ["program", "prog_type is 3, not 1"]),
        "descriptors: a map for the program": (
            PROGRAM, lambda fds: os.dup(fds[CONFIG]), ["program"]),
        "descriptors: a file for the program": (
            PROGRAM, lambda fds: os.open("/dev/null", os.O_RDWR), ["program"]),
        "descriptors: the program for a map": (
            CONFIG, lambda fds: os.dup(fds[PROGRAM]), ["configurations"]),
        "descriptors: counters for configurations": (
            CONFIG, lambda fds: os.dup(fds[COUNTERS]),
            ["configurations", "value_size"]),
        "descriptors: configurations for counters": (
            COUNTERS, lambda fds: os.dup(fds[CONFIG]),
            ["counters", "value_size"]),
        "descriptors: a map of another type": (
            CONFIG, lambda fds: libbpf.make_map(libbpf.HASH, flags=0),
            ["configurations", "map_type is 1, not 2"]),
        "descriptors: small configurations": (
            CONFIG, lambda fds: libbpf.make_map(value_size=8),
            ["configurations", "value_size is 8"]),
        "descriptors: few counters": (
            COUNTERS,
            lambda fds: libbpf.make_map(value_size=map_value(fds) // 4),
            ["counters", "value_size"]),
        "descriptors: many counters": (
            COUNTERS, lambda fds: libbpf.make_map(value_size=map_value(fds),
                                                  entries=4),
            ["counters", "max_entries is 4"]),
        "descriptors: counters that cannot be mapped": (
            COUNTERS, lambda fds: libbpf.make_map(value_size=map_value(fds),
                                                  flags=0),
            ["counters"]),
        "descriptors: another program of its type": (
            PROGRAM, lambda fds: libbpf.make_program(),
            ["not the steering program", "does not use the map"]),
        "descriptors: an array to wait with": (
            GRACE, lambda fds: os.dup(fds[CONFIG]),
            ["map for waiting", "map_type is 2, not 12"]),
    })
    def check_descriptors(self, position, make, words):
        """Descriptors that do not fit: always fatal."""
        with loaded() as fds:
            new = make(fds)
            os.dup2(new, fds[position])
            os.close(new)
            self.assert_refused(fds_option(fds), words
                                + [f"descriptor {fds[position]}"], fds)

    @rows({
        "list: none": ("0", ["1 descriptors, not 4", "request-ebpf"]),
        "list: two": ("{0}:{1}", ["2 descriptors, not 4"]),
        "list: five": ("{0}:{1}:{2}:{3}:{3}", ["5 descriptors, not 4"]),
        "list: the wrong order": ("{1}:{2}:{0}", ["program"]),
        "list: not open": ("{0}:{1}:99999", ["99999"]),
        "list: no number": ("{0}:{1}:x", ["x"]),
        "list: empty parts": ("::", ["ebpf-rss-fds"]),
    })
    def check_list(self, text, words):
        """Lists that are not the four descriptors."""
        with loaded() as fds:
            options = fds_option(text.format(*fds).split(":"))
            self.assert_refused(options, words, fds)

    def test_a_list_for_a_string_or_a_string_for_a_list(self):
        value, expected = (("7:8:9", "array") if is_from("9.0") else
                           (["7", "8", "9"], "string"))
        self.assert_refused({"ebpf-rss-fds": value},
                            [f"'ebpf-rss-fds', expected: {expected}"])

    def test_descriptors_of_stock_QEMU(self):
        """The error says which ones it takes, and from where."""
        with (Machine([], qemu=stock_qemu("10.0")) as donor,
              loaded_object(donor, STOCK_MAPS) as fds):
            self.assert_refused(fds_option(fds), [
                f"descriptor {fds[CONFIG]}", "map of configurations",
                "request-ebpf of this QEMU", ".data.counters and grace"], fds)

    def test_descriptors_that_fit(self):
        """The other rows are refused for what is wrong in them alone."""
        with loaded() as fds:
            NobodyCard(fds_option(fds), fds).close()

    @rows({"hash=off": {"hash": False}, "vhost=off": {"hash": True}},
          "six descriptors, ")
    def check_six(self, options):
        """Where no one wants the last two, they are not looked at."""
        with loaded() as fds:
            six = ebpf_rss_fds(*fds, fds[CONFIG], fds[CONFIG])
            with NobodyCard({**options, **six}, fds) as card:
                self.assertEqual(card.warnings(), [])
                self.assertTrue(card.machine.rss()["offered"])

    @unittest.skipUnless(len(os.sched_getaffinity(0)) > 1,
                         "membarrier() needs two processors")
    def test_three_descriptors(self):
        """What a manager of before has loaded goes on working."""
        with loaded() as fds:
            NobodyCard(fds_option(fds[:GRACE]), fds).close()

    def test_three_descriptors_on_one_processor(self):
        """There membarrier() waits for nothing."""
        self.addCleanup(os.sched_setaffinity, 0, os.sched_getaffinity(0))
        os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
        with loaded() as fds:
            self.assert_refused(fds_option(fds[:GRACE]),
                                ["cannot wait", "one processor only"], fds)


def map_value(fds):
    """Return the size of a value of the counters."""
    with open(f"/proc/self/fdinfo/{fds[COUNTERS]}") as file:
        lines = dict(line.split(":", 1) for line in file)
    return int(lines["value_size"])


if __name__ == "__main__":
    run_tests(__file__)
