# SPDX-License-Identifier: GPL-2.0-or-later
"""Files that another run may use at the same time."""

import contextlib
import fcntl
import os


def replace(path, data):
    """Write bytes into a file in one step, and make its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(data)
    temporary.replace(path)


@contextlib.contextmanager
def locked(path, say, what):
    """Let no other run of ours do `what` at the same time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another run: {what} …")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
