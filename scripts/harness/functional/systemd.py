# SPDX-License-Identifier: GPL-2.0-or-later
"""A systemd of our own, as process 1 of namespaces that end with it."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from harness.functional.nobody import HELPER
from harness.vm import VmError
from harness.vm.process import spawn, stop, wait_until

UNITS = HELPER.parent / "systemd"
OTHER_UNITS = ("systemd-journald.socket", "systemd-journald.service")
EMPTY_TARGETS = ("basic", "shutdown", "sockets", "sysinit", "umount")
START_TIMEOUT = 180     # s; where TCG emulates the processor
SETUP = """
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/upper /run/work /run/helper
mount -t overlay -o lowerdir=/etc,upperdir=/run/upper,workdir=/run/work \
    overlay /etc
umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
cp "$1"/qemu-*-helper /run/helper/
systemd-sysusers "$SYSTEMD_UNIT_PATH"/qemu-*-helper.conf
exec /lib/systemd/systemd --system --unit=basic.target --show-status=no
"""
DROP_INS = {
    # As "systemctl edit" makes them.
    "qemu-rss-helper.socket": "[Socket]\nSocketGroup=nogroup\n",
    "qemu-rss-helper@.service": "[Service]\nExecStart=\n"
    "ExecStart=/run/helper/qemu-rss-helper --inetd\n",
    "qemu-xdp-helper@.service": "[Service]\nExecStart=\n"
    "ExecStart=/run/helper/qemu-xdp-helper --inetd\n",
}


def cgroup_here():
    """Return the folder of our own cgroup (version 2), or None."""
    mounts = (line.split() for line in open("/proc/mounts"))
    top = [words[1] for words in mounts if words[2] == "cgroup2"]
    own = [line[3:].strip() for line in open("/proc/self/cgroup")
           if line.startswith("0::")]
    return Path(top[0] + own[0]) if top and own else None


def why_not():
    if not shutil.which("systemd-sysusers"):
        return "this machine has no systemd"
    return "" if cgroup_here() else "this machine has no cgroups (version 2)"


class Systemd:
    """Runs until it is closed.

    setup: what a shell does in the namespaces; at its end it becomes systemd
    """

    def __init__(self, setup, environment, arguments=()):
        with contextlib.ExitStack() as undo:
            self.cgroup = Path(tempfile.mkdtemp(prefix="qemu-ebpf-",
                                                dir=cgroup_here()))
            undo.callback(self._remove_cgroup)
            self.log = undo.enter_context(tempfile.TemporaryFile())
            self.environment = environment
            self.process = spawn(
                ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec unshare '
                 '--pid --fork --kill-child --mount --cgroup --uts '
                 '--mount-proc sh -ec "$@"', str(self.cgroup), setup, "sh",
                 *arguments],
                env={**environment, "container": "other"}, stdout=self.log,
                stderr=self.log)
            undo.callback(stop, self.process)
            self._wait()
            self.undo = undo.pop_all()

    def _wait(self):
        """Wait until it answers; learn its number here."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}"
                        "/children")

        def state():
            if self.process.poll() is not None:
                return "ended"
            for pid in children.read_text().split():
                self.pid = int(pid)
                with contextlib.suppress(subprocess.CalledProcessError):
                    self.run("systemctl", "list-units")
                    return "answers"
            return None

        if wait_until(state, START_TIMEOUT) != "answers":
            self.log.seek(0)
            raise VmError("systemd does not start: "
                          + self.log.read().decode(errors="replace"))

    def prefix(self):
        """Return words before a command that sees its /run, and our /proc."""
        return ["nsenter", f"--mount=/proc/{self.pid}/ns/mnt", "unshare",
                "--mount", "sh", "-c",
                'mount -t proc proc /proc && exec "$@"', "sh"]

    def run(self, *command, timeout=START_TIMEOUT):
        """Run a command in all its namespaces; return what it prints."""
        return subprocess.run(
            ["nsenter", "--target", str(self.pid), "--mount", "--net",
             "--pid", *command], check=True, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, timeout=timeout,
            env=self.environment).stdout

    def path(self, name):
        """Return the path here of a file there."""
        return f"/proc/{self.pid}/root{name}"

    def _remove_cgroup(self):
        """Its processes end with process 1, but not at once."""
        def removed():
            for folder, _, _ in os.walk(self.cgroup, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(folder)
            return not self.cgroup.exists()

        wait_until(removed, START_TIMEOUT)

    def close(self):
        self.undo.close()


class HelperService(Systemd):
    """With this machine's files, and our units.

    /run is its own, and its /etc forgets what is written.  It knows few other
    units, so that it changes nothing else.
    """

    def __init__(self):
        with contextlib.ExitStack() as undo:
            self.units = undo.enter_context(tempfile.TemporaryDirectory(
                prefix="qemu-ebpf-units-"))
            self._write_units(Path(self.units))
            super().__init__(SETUP, {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                                     "SYSTEMD_UNIT_PATH": self.units},
                             [HELPER.parent])
            undo.push(self.undo)
            self.undo = undo.pop_all()

    @staticmethod
    def _write_units(folder):
        folder.chmod(0o755)
        for path in UNITS.iterdir():
            shutil.copy(path, folder)
        for name in EMPTY_TARGETS:
            (folder / f"{name}.target").write_text("[Unit]\n")
        for name in OTHER_UNITS:
            (folder / name).symlink_to(f"/lib/systemd/system/{name}")
        for name, text in DROP_INS.items():
            (folder / f"{name}.d").mkdir()
            (folder / f"{name}.d/override.conf").write_text(text)
