# SPDX-License-Identifier: GPL-2.0-or-later
"""Child processes and descriptors that never outlive us.

Each process has its own process group, by which it is killed, and is killed by
the kernel if we die without a word.
"""

import contextlib
import os
import signal
import subprocess
import time

from . import VmError


class Closing:
    """What is closed where a with statement ends."""

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()


class Descriptor(Closing):
    """What lives as long as a descriptor `fd` of ours is open.

    -1: there is none.
    """

    fd = -1

    def close(self):
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = -1


def stop_on_signals():
    """Make SIGTERM and SIGHUP unwind the program as Ctrl-C does."""
    def leave(number, _frame):
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)


def spawn(argv, death="KILL", **options):
    """Start a process that dies with us; call from the main thread.

    death: the signal by which it does
    """
    command = ["setpriv", "--pdeathsig", death, *map(str, argv)]
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.Popen(command, start_new_session=True, **options)


@contextlib.contextmanager
def on_one_processor():
    """What is started in it stays on one processor.

    With one thread, as -icount has it, TCG leaves a guest's memory barriers
    out: a queue may stand still where whoever serves it runs at the same time.
    """
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def stop(process, patience=20):
    """End a process made by spawn, and all of its process group.

    patience: seconds, twice, after which it is killed, and then given up
    """
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None or number == signal.SIGKILL:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
    if process.poll() is None:
        raise VmError(f"process {process.pid} cannot be killed: a thread of "
                      "it hangs in the kernel")


def run(*argv, timeout=60, **options):
    """Run a command to its end; return its output, VmError if it fails."""
    process = spawn(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                    text=True, **options)
    try:
        output = process.communicate(timeout=timeout)[0]
    except subprocess.TimeoutExpired as error:
        raise VmError(f"{argv[0]} did not end within {timeout} s") from error
    finally:
        stop(process)
        process.stdout.close()
    # setpriv answers 127 where the program does not exist.
    if process.returncode != 0:
        raise VmError(f"'{' '.join(map(str, argv))}' failed with status "
                      f"{process.returncode}: {output.strip()[-400:]}")
    return output


def wait_until(condition, timeout, interval=0.05):
    """Call `condition` until it is true; return its value or None."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value or time.monotonic() > deadline:
            return value or None
        time.sleep(interval)
