# SPDX-License-Identifier: GPL-2.0-or-later
"""What the scripts and the tests share.

    fork/           QEMU's source, the series, the tree
    check/          the tiers of scripts/check
    vm/             guests, virtual hosts, taps
    qtest/          a card without a guest
    functional/     guests with a card that has RSS
    bench/          the measurements of scripts/bench
    cases.py        what a test is made of: names, rows
    library.py      the library, built for a program of it
    files.py        files that another run may use at the same time
    privateapt.py   packages of any release, downloaded into the cache
    rss_reference.py    the tests' second reference

Scripts find it beside themselves, tests by a link in their folder.
"""

import functools
import signal
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]

sys.dont_write_bytecode = True      # no __pycache__ among the sources


class Error(Exception):
    """Something the user must know or mend, as a sentence."""


def script(topic):
    """Decorate a script's main(): what goes wrong ends it with a sentence."""
    def decorate(main):
        @functools.wraps(main)
        def run():
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            signal.signal(signal.SIGTERM, lambda *unused: sys.exit(143))
            try:
                return main()
            except Error as error:
                sys.exit(f"{topic}: {error}")
            except OSError as error:
                sys.exit(f"{topic}: {error.filename or ''}: {error.strerror}")
            except KeyboardInterrupt:
                sys.exit(f"{topic}: interrupted")
        return run
    return decorate


def say(topic, text):
    """Print one line of progress."""
    print(f"[{topic}] {text}", flush=True)
