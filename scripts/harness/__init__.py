# SPDX-License-Identifier: GPL-2.0-or-later
"""What the scripts and the tests share.

    fork/           QEMU's source, the series, the tree
    check/          the tiers of scripts/check
    vm/             guests, virtual hosts, taps
    qtest/          a card without a guest
    functional/     guests with a card that has RSS
    bench/          the measurements of scripts/bench
    cases.py        what a test is made of: names, rows
    files.py        files that another run may use at the same time
    privateapt.py   packages of any release, downloaded into the cache
    rss_reference.py    the tests' second reference

Scripts find it beside themselves, tests by a link in their folder.
"""

import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]

sys.dont_write_bytecode = True      # no __pycache__ among the sources


def say(topic, text):
    """Print one line of progress."""
    print(f"[{topic}] {text}", flush=True)
