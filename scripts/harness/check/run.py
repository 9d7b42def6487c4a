# SPDX-License-Identifier: GPL-2.0-or-later
"""Running commands that never outlive scripts/check.

Each command has a process group of its own, which is ended as a whole: when
the command takes too long, and on every way out of scripts/check.
"""

import collections
import ctypes
import os
import signal
import subprocess
import threading

Done = collections.namedtuple("Done", "status output errors timed_out")

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
_running = set()


def _in_child():
    """The kernel ends the command if scripts/check dies."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _signal_group(process, number):
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass


def _end(process):
    """Ends the process group of a command: politely, then for certain."""
    if process.poll() is None:
        _signal_group(process, signal.SIGTERM)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            pass
    _signal_group(process, signal.SIGKILL)
    process.wait()


def end_all():
    for process in list(_running):
        _end(process)


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
    process = subprocess.Popen(
        [str(word) for word in command], cwd=cwd, env={**os.environ,
                                                       **(env or {})},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, errors="replace",
        start_new_session=True, preexec_fn=_in_child)
    _running.add(process)
    timed_out = False
    try:
        readers = [
            threading.Thread(target=_read, daemon=True,
                             args=(process.stdout, lines, log, each_line)),
            threading.Thread(target=_read, daemon=True,
                             args=(process.stderr, error_lines, log, None)),
        ]
        for reader in readers:
            reader.start()
        process.wait(timeout=timeout)
    except subprocess.TimeoutExpired:
        timed_out = True
    finally:
        _end(process)
        _running.discard(process)
    for reader in readers:
        reader.join(timeout=10)
    if timed_out:
        error_lines.append(f"ended after {timeout} s, which is too long\n")
    return Done(process.returncode, "".join(lines), "".join(error_lines),
                timed_out)
