# SPDX-License-Identifier: GPL-2.0-or-later
"""Tier "release": what a newcomer to a release of Debian does, in a fresh one.

The release has make and python3 and nothing else.  A clone of this checkout,
as it is committed, goes into it.  There the commands run as root, one after
another, with nothing of this machine's caches; its kernel, network and devices
are this machine's.
"""

from harness.check import fresh
from harness.check.results import skipped
from harness.fork.base import BASES

COMMANDS = ("make demo", "make demo VHOST=on", "make check",
            "make check TIER=series", "make check TIER=bases")
RELEASES = [suite for suite in BASES.values() if suite != "sid"]


def _run_release(tier, name, log):
    """The cases of one release: a case is a command."""
    with fresh.Fresh(tier, name, fresh.NEWCOMER, log) as there:
        if there.install() and there.clone():
            for command in COMMANDS:
                there.attempt_in_clone(command)
    return there.cases


def release(tier, log):
    """The README's commands in a fresh Debian; release@trixie: in that one."""
    if fresh.why_not():
        return [skipped("fresh releases", fresh.why_not())]
    return [case for name in ([tier.base] if tier.base else RELEASES)
            for case in _run_release(tier, name, log)]
