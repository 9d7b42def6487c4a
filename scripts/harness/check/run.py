# SPDX-License-Identifier: GPL-2.0-or-later
"""Running commands that never outlive scripts/check, and test programs.

Each command has a process group of its own, which is ended as a whole: when
the command takes too long, and on every way out of scripts/check.
"""

import collections
import concurrent.futures
import contextlib
import io
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from harness import TOP
from harness.check.results import read_program
from harness.vm.process import spawn, stop

Done = collections.namedtuple("Done", "status output errors timed_out")

SLOW = 10           # seconds; how long is said of what takes more
AT_ONCE = 2         # programs; each waits for its QEMU half of the time

_running = set()


def end_all():
    for process in list(_running):
        stop(process)


def _read(stream, lines, log, each_line):
    for line in stream:
        lines.append(line)
        log.write(line)
        log.flush()
        if each_line:
            each_line(line.rstrip("\n"))


def run(command, log, cwd=None, env=None, timeout=600, each_line=None):
    """Runs a command to its end; what it prints goes to the file log, too.

    env: variables beside those of this process.  each_line: called with each
    line of its standard output as it appears.
    """
    lines, error_lines = [], []
    log.write("$ " + " ".join(map(str, command)) + "\n")
    log.flush()
    process = spawn(command, death="TERM", cwd=cwd,
                    env={**os.environ, **(env or {})}, stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE, text=True, errors="replace")
    _running.add(process)
    timed_out = False
    readers = [threading.Thread(target=_read, daemon=True, args=arguments)
               for arguments in ((process.stdout, lines, log, each_line),
                                 (process.stderr, error_lines, log, None))]
    try:
        for reader in readers:
            reader.start()
        process.wait(timeout=timeout)
    except subprocess.TimeoutExpired:
        timed_out = True
    finally:
        stop(process, patience=10)
        _running.discard(process)
    for reader in readers:
        reader.join(timeout=10)
    if timed_out:
        error_lines.append(f"ended after {timeout} s, which is too long\n")
    return Done(process.returncode, "".join(lines), "".join(error_lines),
                timed_out)


@contextlib.contextmanager
def threads(count):
    """Yield what starts a function in one of some threads.

    All have ended after the block, and their commands when it is interrupted.
    """
    jobs = []
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        def submit(function, *arguments):
            jobs.append(pool.submit(function, *arguments))
            return jobs[-1]

        try:
            yield submit
            for job in jobs:
                job.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            while any(job.running() for job in jobs):
                end_all()
                time.sleep(0.1)
            raise


def each(function, items, log):
    """Return what function(item, log) returns for each of some, in order.

    Two are at work at the same time.  Each gets a log of its own, which goes
    into `log` in one piece.
    """
    def call(item):
        own = io.StringIO()
        try:
            return function(item, own)
        finally:
            log.write(own.getvalue())
            log.flush()

    with threads(AT_ONCE) as submit:
        jobs = [submit(call, item) for item in items]
    return [job.result() for job in jobs]


def turn(choices):
    """Return one of some by the number of commits: each has its turn.

    The first, where git or what it keeps is not there.
    """
    try:
        done = subprocess.run(["git", "-C", TOP, "rev-list", "--count",
                               "HEAD"], text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL)
        count = int(done.stdout or 0)
    except FileNotFoundError:
        count = 0
    return choices[count % len(choices)]


def run_program(name, command, log, **how):
    """The cases of one test program."""
    return read_program(name, *run(command, log, **how))


def unittest_command(path):
    """What runs a file with unittest tests."""
    return [sys.executable, Path(__file__).with_name("unittest_tap.py"), path]


def _command(path):
    """What runs a file: unittest tests or a program; None if it is neither."""
    if path.name.startswith("test_") and path.suffix == ".py":
        return unittest_command(path)
    if (path.is_file() and path.suffix != ".py" and
            not path.name.startswith(".") and os.access(path, os.X_OK)):
        return [path]
    return None


def run_folder(tier, folder, log, alone=(), **how):
    """The cases of test_*.py and of the executable files in a folder.

    alone: the names of those that run after the others, one by one
    """
    def run_one(path, log):
        tier.say(path.name)
        start = time.monotonic()
        cases = run_program(path.name, _command(path), log, **how)
        if time.monotonic() - start >= SLOW:
            tier.say(f"  {path.name}: {time.monotonic() - start:.0f} s")
        return cases

    paths = list(filter(_command, sorted(folder.glob("*"))))
    found = each(run_one, [path for path in paths if path.name not in alone],
                 log)
    found += [run_one(path, log) for path in paths if path.name in alone]
    return [case for cases in found for case in cases]
