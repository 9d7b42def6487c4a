# SPDX-License-Identifier: GPL-2.0-or-later
"""The BPF programs and maps that the kernel has, by their names.

OWN is a netdev's id that no other process uses at the same time.
"""

import ctypes
import os
import struct

from harness.qtest.machine import wait_until

SYS_BPF = 321                                   # x86_64
PROG_NEXT, MAP_NEXT, PROG_FD, MAP_FD, INFO = 11, 12, 13, 14, 15
ATTRIBUTES = 64
PROG_NAME_AT, MAP_NAME_AT, NAME_LEN = 64, 24, 16

OWN = f"k{os.getpid() % 1000000}"
GONE_TIMEOUT = 10           # s; the kernel frees later

libc = ctypes.CDLL(None, use_errno=True)


def _bpf(command, *words):
    """Call bpf() with 32-bit words; return (result, attributes after it)."""
    attributes = ctypes.create_string_buffer(
        struct.pack(f"{len(words)}I", *words), ATTRIBUTES)
    return libc.syscall(SYS_BPF, command, attributes,
                        ATTRIBUTES), attributes.raw


def _name(fd, name_at):
    info = ctypes.create_string_buffer(name_at + NAME_LEN)
    attributes = ctypes.create_string_buffer(struct.pack(
        "IIP", fd, len(info), ctypes.addressof(info)), ATTRIBUTES)
    if libc.syscall(SYS_BPF, INFO, attributes, 16) != 0:
        return ""
    return info.raw[name_at:].split(b"\0")[0].decode()


def _names(following, open_it, name_at):
    names, number = [], 0
    while True:
        result, answer = _bpf(following, number)
        if result != 0:
            return names
        number = struct.unpack_from("II", answer)[1]
        fd = _bpf(open_it, number)[0]
        if fd >= 0:                             # else it is gone already
            names.append(_name(fd, name_at))
            os.close(fd)


def names_of(netdev):
    """Return the names of what a netdev has."""
    return sorted(f"{prefix}_{netdev}" for prefix in
                  ("rss", "rsscfg", "rsscnt", "rssgrc"))


def objects_of(netdev):
    """Return the sorted names of all programs and maps for a netdev."""
    return sorted(name for name in _names(PROG_NEXT, PROG_FD, PROG_NAME_AT)
                  + _names(MAP_NEXT, MAP_FD, MAP_NAME_AT)
                  if name in names_of(netdev))


def wait_gone(netdev, but=()):
    """Wait until these are gone, or `but` is left; return what is there."""
    seen = []

    def settled():
        seen[:] = objects_of(netdev)
        return seen in ([], list(but))

    wait_until(settled, GONE_TIMEOUT)
    return seen
