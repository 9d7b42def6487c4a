#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Run a command for which the kernel answers bpf() with an error (seccomp).

    without_bpf_call.py EPERM COMMAND...

So it is in a container.  It takes root: the filter comes without no_new_privs,
which would be a difference of its own.
"""

import ctypes
import errno
import os
import struct
import sys

SYS_BPF = 321                                   # x86_64
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
RET_ALLOW, RET_ERRNO = 0x7fff0000, 0x00050000
LOAD_NUMBER, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06


def refuse_bpf(number):
    """Have the kernel answer bpf() with this error from now on."""
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in (
        (LOAD_NUMBER, 0, 0, 0),
        (JUMP_EQUAL, 0, 1, SYS_BPF),
        (RETURN, 0, 0, RET_ERRNO | number),
        (RETURN, 0, 0, RET_ALLOW)))
    buffer = ctypes.create_string_buffer(code, len(code))
    program = ctypes.create_string_buffer(
        struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0):
        sys.exit(f"seccomp: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    refuse_bpf(getattr(errno, sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
