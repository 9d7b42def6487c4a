# SPDX-License-Identifier: GPL-2.0-or-later
"""Does KVM really run a guest here?

/dev/kvm may exist, and answer, on machines whose virtual processor cannot run
an ordinary kernel.  So a small guest is started once, and the answer is kept
until the machine is started anew.
"""

import os
from pathlib import Path

from harness import files, privateapt, say

from . import VmError
from .guest import Guest

# A guest under working KVM is up in one to two seconds.
PATIENCE = 5


def kvm_works(qemu, kernel):
    """Start a small guest with KVM; tell whether it came up."""
    try:
        os.close(os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC))
    except OSError:
        return False
    try:
        with Guest(qemu, kernel, accel="kvm", cpus=1, memory=256,
                   boot_timeout=PATIENCE):
            return True
    except VmError:
        return False


def best_accel(qemu, kernel):
    """Return "kvm" where a guest really runs with it, else "tcg"."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    note = privateapt.cache_dir() / "kvm-answer"
    try:
        seen, answer = note.read_text().split()
        if seen == boot:
            return answer
    except (OSError, ValueError):
        pass
    say("demo", "trying whether KVM runs a guest here …")
    answer = "kvm" if kvm_works(qemu, kernel) else "tcg"
    files.replace(note, f"{boot} {answer}\n".encode())
    return answer
