# SPDX-License-Identifier: GPL-2.0-or-later
"""Going on as root, for what needs it: namespaces, taps, BPF programs.

What is fetched and built comes before, so that it is the user's.
"""

import os
import subprocess
import sys

from harness import privateapt, say

from . import VmError


def check_privilege(what):
    """Raise a VmError unless we are root, or sudo needs no password."""
    if os.geteuid() == 0:
        return
    try:
        done = subprocess.run(["sudo", "-n", "true"], capture_output=True,
                              check=False)
        if done.returncode == 0:
            return
    except OSError:
        pass
    raise VmError(f"{what} need root, and sudo -n does not work here: run "
                  "this as root")


def become_root(tag, what, *options):
    """Start this program again as root, with the user's cache.

    `options` come before those that it was given.
    """
    if os.geteuid() == 0:
        return
    say(tag, f"going on as root, for {what} …")
    cache = privateapt.cache_dir().parent
    os.execvp("sudo", ["sudo", "-n", "env", f"XDG_CACHE_HOME={cache}",
                       sys.executable, os.path.abspath(sys.argv[0]),
                       *options, *sys.argv[1:]])
