# SPDX-License-Identifier: GPL-2.0-or-later
"""A fresh release of Debian, in a folder of the cache.

It is debootstrapped from the mirror that this machine uses, and removed at the
end; after a kill, by the next run.
"""

import os
import re
import shutil
import subprocess

from harness.check.results import failed, passed
from harness.check.run import run
from harness.fork.base import locked
from harness.privateapt import PrivateApt, cache_dir

TIMEOUT = 7200          # seconds, for each command
# debootstrap's own steps for every release since Debian 12
STEPS = "/usr/share/debootstrap/scripts/sid"
# unshare itself would not end by SIGTERM
PRIVATE = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid",
           "--fork", "--kill-child"]

# What a newcomer's release has, for make to begin with
NEWCOMER = "make,python3,ca-certificates"
# A change of root, as chroot is one, takes namespaces away from the tests.
ENTER = """
    mount --bind "$1" "$1"
    cd "$1"
    if [ "$3" ]; then
        mkdir -p root/qemu-ebpf/build
        mount --bind "$3" root/qemu-ebpf/build
    fi
    mount --rbind /dev dev
    mount -t tmpfs tmpfs dev/shm
    mount -t proc proc proc
    mount --rbind /sys sys
    pivot_root . .
    umount --lazy .
    cd ~/qemu-ebpf
    exec sh -c "$2"
"""


def why_not():
    """Return why there can be none here, or an empty string."""
    if os.geteuid() != 0 or not os.path.exists(STEPS):
        return "needs root and debootstrap"
    return ""


def environment():
    """Return of our variables what a newcomer may have."""
    kept = {name: value for name, value in os.environ.items()
            if name.lower().endswith("_proxy") or name == "RSS_TEST_SEED"}
    return {"HOME": "/root", "LANG": "C.UTF-8",
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **kept}


def _apt_settings():
    """What this machine says to apt about its mirrors."""
    dump = subprocess.run(["apt-config", "dump"], check=True, text=True,
                          stdout=subprocess.PIPE).stdout
    return "".join(re.findall(r"^Acquire::(?:https?|Check-).*\n", dump,
                              re.MULTILINE))


def _debootstrap(release, included, folder):
    """The command that installs it, and what apt's sources say there."""
    with PrivateApt(release, "deb") as apt:
        apt.update()
        sources = (apt.home / "private.sources").read_text()
    mirror = re.search(r"^URIs: (.*)", sources, re.MULTILINE)[1]
    key = re.search(r"^Signed-By: (/.*)", sources, re.MULTILINE)
    return ["debootstrap", "--variant=minbase", f"--include={included}",
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


class Fresh:
    """A release, while it is entered; .cases: what was attempted in it."""

    def __init__(self, tier, release, included, log):
        kind = tier.name.partition("@")[0]
        self.tier, self.release, self.log = tier, release, log
        self.included = included
        self.folder = cache_dir() / "releases" / f"{release}-{kind}"
        self.lock = locked(self.folder.with_suffix(".lock"),
                           f"tests in a fresh {release}")
        self.cases = []

    def _show(self, line):
        if not line.startswith("I: "):          # a line for each package
            self.tier.say("  " + line)

    def attempt(self, name, *command):
        """Run a command with nothing of this machine's; is it a success?

        It has namespaces of its own for processes and mounts, so that none of
        either outlives it.
        """
        self.tier.say(f"{self.release}: {name}")
        words = [f"{name}={value}" for name, value in environment().items()]
        done = run(["env", "-i", *words, *PRIVATE, *command], self.log,
                   timeout=TIMEOUT, each_line=self._show)
        good = done.status == 0
        self.judge(name, "" if good else done.output + done.errors
                   or f"status {done.status}")
        return good

    def judge(self, name, fault):
        """Note what came of something: `fault` is empty if it is well."""
        name = f"{self.release}: {name}"
        if fault:
            self.tier.say("  failed: " + fault.strip().rpartition("\n")[2])
        self.cases.append(failed(name, fault) if fault else passed(name))

    def install(self):
        command, sources = _debootstrap(self.release, self.included,
                                        self.folder)
        if not self.attempt("debootstrap", *command):
            return False
        _furnish(self.folder, sources)
        return True

    def clone(self):
        """Put this checkout there, as it is committed."""
        return self.attempt("git clone", "git", "clone", "-q", self.tier.top,
                            self.folder / "root/qemu-ebpf")

    def attempt_in_clone(self, command, build=""):
        """Run a command in the clone; its folder build/ is that of here."""
        return self.attempt(command, "sh", "-ec", ENTER, "sh", self.folder,
                            command, build)

    def _remove(self):
        """Remove it, but nothing that is mounted there."""
        run(["rm", "-rf", "--one-file-system", self.folder], self.log)

    def __enter__(self):
        self.lock.__enter__()
        self._remove()
        return self

    def __exit__(self, *unused):
        try:
            self._remove()
        finally:
            self.lock.__exit__(None, None, None)
