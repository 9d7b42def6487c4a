# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel that runs as a process: Debian's user-mode-linux.

It measures what this machine's kernel lacks: unlike a virtual host it executes
on the processor itself.  Only system calls and page faults are slow in it, BPF
programs are interpreted, it has one processor, and it counts a thread's time in
ticks.  It sees this machine's files, read only, and no network.
"""

import shlex
import subprocess
import tempfile
from pathlib import Path

from harness import privateapt

from . import VmError
from .kernel import unpacked
from .process import spawn, stop

SUITE = "bookworm"          # a release that has the package
STATUS = "@status@"         # before the command's, on the console

INIT = """#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t bpf bpffs /sys/fs/bpf
mount -t tmpfs run /run
ip link set lo up
for module in {modules}; do insmod $module; done
{command}
echo {status}$?
echo o >/proc/sysrq-trigger
sleep 60
"""


class Uml:
    """Debian's user-mode-linux, fetched if the cache does not have it."""

    def __init__(self):
        self.root = unpacked(privateapt.cache_dir() / f"uml-{SUITE}",
                             ["user-mode-linux"], SUITE)
        versions = list((self.root / "usr/lib/uml/modules").iterdir())
        if len(versions) != 1:
            raise VmError("user-mode-linux has not the modules of one kernel")
        self.modules = versions[0]
        self.version = self.modules.name

    def __str__(self):
        return self.version

    def run(self, command, modules=(), timeout=600, memory=1024):
        """Run a command as its root to the end; return (status, output).

        modules: names without ".ko", those that others need first
        timeout: seconds
        memory: MiB, of which it takes what it uses
        """
        files = [path for name in modules
                 for path in self.modules.rglob(f"{name}.ko")]
        if len(files) != len(modules):
            raise VmError(f"Linux {self} does not have each of these modules: "
                          + ", ".join(modules))
        with tempfile.TemporaryDirectory(prefix="uml-") as folder:
            init = Path(folder, "init")
            init.write_text(INIT.format(
                modules=shlex.join(map(str, files)), status=STATUS,
                command=shlex.join(map(str, command))))
            init.chmod(0o755)
            return self._boot(init, timeout, memory)

    def _boot(self, init, timeout, memory):
        process = spawn(
            [self.root / "usr/bin/linux.uml", f"mem={memory}M", "quiet",
             "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro",
             "con=null", "con0=fd:0,fd:1", f"uml_dir={init.parent}/",
             "panic=-1", f"init={init}"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace")
        try:
            output = process.communicate(timeout=timeout)[0]
        except subprocess.TimeoutExpired as error:
            raise VmError(f"Linux {self} as a process did not end within "
                          f"{timeout} s") from error
        finally:
            stop(process)
            process.stdout.close()
        said, found, status = output.partition(STATUS)
        if not found:
            raise VmError(f"Linux {self} as a process crashed: "
                          + output.strip()[-500:])
        return int(status.split()[0]), said
