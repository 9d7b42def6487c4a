# SPDX-License-Identifier: GPL-2.0-or-later
"""The BPF programs and maps that the kernel has, by their names: bpftool.

OWN is a netdev's id that no other process uses at the same time.
"""

import json
import os

from harness.vm.process import run, wait_until

OWN = f"k{os.getpid() % 1000000}"
GONE_TIMEOUT = 10           # s; the kernel frees later


STEERING = "rss", "rsscfg", "rsscnt", "rssgrc"
REPORT = "rssrep", "rsstab"         # of hash reports with vhost=on, besides


def names_of(netdev, prefixes=STEERING):
    """Return the names of what a netdev has."""
    return sorted(f"{prefix}_{netdev}" for prefix in prefixes)


def objects_of(netdev):
    """Return the sorted names of all programs and maps for a netdev."""
    listed = [each for kind in ("prog", "map") for each in json.loads(
        run("/usr/sbin/bpftool", "--json", kind, "show"))]
    return sorted(each["name"] for each in listed
                  if each.get("name") in names_of(netdev, STEERING + REPORT))


def wait_gone(netdev, but=()):
    """Wait until these are gone, or `but` is left; return what is there."""
    seen = []

    def settled():
        seen[:] = objects_of(netdev)
        return seen in ([], list(but))

    wait_until(settled, GONE_TIMEOUT)
    return seen
