# SPDX-License-Identifier: GPL-2.0-or-later
"""Tier "release": what a newcomer to a release of Debian does, in a fresh one.

The release is debootstrapped into the cache, with make and python3 and nothing
else, from the mirror that this machine uses.  A clone of this checkout, as it
is committed, goes into it.  There the commands run as root, one after another,
with nothing of this machine's caches; its kernel, network and devices are this
machine's.

Each command has namespaces of its own for processes and mounts, so that none
of either outlives it.  The folder is removed at the end; after a kill, by the
next run.
"""

import os
import re
import shutil
import subprocess

from harness.check.results import failed, passed, skipped
from harness.check.run import run
from harness.fork.base import BASES, locked
from harness.privateapt import PrivateApt, cache_dir

COMMANDS = ("make demo", "make demo VHOST=on", "make check",
            "make check TIER=series")
TIMEOUT = 7200          # seconds, for each command
RELEASES = [suite for suite in BASES.values() if suite != "sid"]
INCLUDED = "make,python3,ca-certificates"
# debootstrap's own steps for every release since Debian 12
STEPS = "/usr/share/debootstrap/scripts/sid"
# unshare itself would not end by SIGTERM
PRIVATE = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid",
           "--fork", "--kill-child"]
# A change of root, as chroot is one, takes namespaces away from the tests.
ENTER = """
    mount --bind "$1" "$1"
    cd "$1"
    mount --rbind /dev dev
    mount -t tmpfs tmpfs dev/shm
    mount -t proc proc proc
    mount --rbind /sys sys
    pivot_root . .
    umount --lazy .
    cd ~/qemu-ebpf
    exec sh -c "$2"
"""


def _environment():
    """The words that leave of our variables what a newcomer may have."""
    kept = [f"{name}={value}" for name, value in os.environ.items()
            if name.lower().endswith("_proxy") or name == "RSS_TEST_SEED"]
    return ["env", "-i", "HOME=/root", "LANG=C.UTF-8",
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *kept]


def _apt_settings():
    """What this machine says to apt about its mirrors."""
    dump = subprocess.run(["apt-config", "dump"], check=True, text=True,
                          stdout=subprocess.PIPE).stdout
    return "".join(re.findall(r"^Acquire::(?:https?|Check-).*\n", dump,
                              re.MULTILINE))


def _debootstrap(release, folder):
    """The command that installs it, and what apt's sources say there."""
    with PrivateApt(release, "deb") as apt:
        apt.update()
        sources = (apt.home / "private.sources").read_text()
    mirror = re.search(r"^URIs: (.*)", sources, re.MULTILINE)[1]
    key = re.search(r"^Signed-By: (/.*)", sources, re.MULTILINE)
    return ["debootstrap", "--variant=minbase", f"--include={INCLUDED}",
            *([f"--keyring={key[1]}"] if key else []), release, folder,
            mirror, STEPS], sources


def _furnish(folder, sources):
    """Give a new release this machine's mirrors."""
    apt = folder / "etc/apt"
    (apt / "sources.list").unlink(missing_ok=True)
    (apt / "sources.list.d/debian.sources").write_text(sources)
    (apt / "apt.conf.d/99machine").write_text(_apt_settings())
    for key in re.findall(r"^Signed-By: (/.*)", sources, re.MULTILINE):
        if not (folder / key[1:]).exists():
            (folder / key[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(key, folder / key[1:])
    shutil.copy("/etc/resolv.conf", folder / "etc/resolv.conf")


def _remove(folder, log):
    """Remove a release, but nothing that is mounted there."""
    run(["rm", "-rf", "--one-file-system", folder], log)


def _run_release(tier, release, log):
    """The cases of one release: a case is a command."""
    folder = cache_dir() / "releases" / release
    cases = []

    def show(line):
        if not line.startswith("I: "):          # a line for each package
            tier.say("  " + line)

    def attempt(name, *command):
        tier.say(f"{release}: {name}")
        done = run([*_environment(), *PRIVATE, *command], log,
                   timeout=TIMEOUT, each_line=show)
        good = done.status == 0
        cases.append(passed(f"{release}: {name}") if good else
                     failed(f"{release}: {name}", done.output + done.errors))
        return good

    with locked(folder.with_suffix(".lock"), f"tests in a fresh {release}"):
        _remove(folder, log)
        try:
            command, sources = _debootstrap(release, folder)
            if attempt("debootstrap", *command):
                _furnish(folder, sources)
                if attempt("git clone", "git", "clone", "-q", tier.top,
                           folder / "root/qemu-ebpf"):
                    for command in COMMANDS:
                        attempt(command, "sh", "-ec", ENTER, "sh", folder,
                                command)
        finally:
            _remove(folder, log)
    return cases


def release(tier, log):
    """The README's commands in a fresh Debian; release@trixie: in that one."""
    if os.geteuid() != 0 or not os.path.exists(STEPS):
        return [skipped("fresh releases", "needs root and debootstrap")]
    return [case for name in ([tier.base] if tier.base else RELEASES)
            for case in _run_release(tier, name, log)]
