# SPDX-License-Identifier: GPL-2.0-or-later
"""What a tool of root's does with BPF for a QEMU that may not: by libbpf.

    descriptors = load_object(elf)          # in the order of ebpf-rss-fds

No header of ours is used: who loads what request-ebpf gives has none either.
"""

import ctypes
import ctypes.util
import os

NAME = ctypes.util.find_library("bpf")
MAPS = b".data.config", b".data.counters", b"grace"
ARRAY, HASH = 2, 1                          # map types
SOCKET_FILTER, SCHED_CLS, XDP = 1, 3, 6     # program types
XDP_LIVE_FRAMES = 1 << 1                    # of BPF_PROG_TEST_RUN, 5.18
F_MMAPABLE, F_RDONLY_PROG = 1 << 10, 1 << 7
EXIT_WITH_0 = bytes.fromhex("b700000000000000" "9500000000000000")


class MapOptions(ctypes.Structure):
    """The beginning of libbpf's bpf_map_create_opts."""

    _fields_ = [("size", ctypes.c_size_t), ("btf_fd", ctypes.c_uint32),
                ("btf_key_type_id", ctypes.c_uint32),
                ("btf_value_type_id", ctypes.c_uint32),
                ("btf_vmlinux_value_type_id", ctypes.c_uint32),
                ("inner_map_fd", ctypes.c_uint32),
                ("map_flags", ctypes.c_uint32)]


def why_not():
    """Return why this cannot be used here, or an empty string."""
    return "" if NAME else "there is no libbpf to load programs with"


def _library():
    library = ctypes.CDLL(NAME, use_errno=True)
    for name in ("bpf_object__open_mem", "bpf_object__next_program",
                 "bpf_object__find_map_by_name"):
        getattr(library, name).restype = ctypes.c_void_p
    return library


def _checked(result, what):
    if result is None or result < 0:
        raise OSError(ctypes.get_errno(), f"{what} failed")
    return result


def load_object(elf, maps=MAPS):
    """Load an object; return the descriptors of its program and its maps.

    maps: their names, which are by default, in that order, as in docs/ebpf.rst
    """
    library = _library()
    handle = ctypes.c_void_p(_checked(
        library.bpf_object__open_mem(elf, ctypes.c_size_t(len(elf)), None),
        "bpf_object__open_mem"))
    try:
        _checked(library.bpf_object__load(handle), "bpf_object__load")
        program = ctypes.c_void_p(_checked(
            library.bpf_object__next_program(handle, None),
            "bpf_object__next_program"))
        handles = [ctypes.c_void_p(_checked(
            library.bpf_object__find_map_by_name(handle, name), name))
            for name in maps]
        return [os.dup(library.bpf_program__fd(program)),
                *(os.dup(library.bpf_map__fd(each)) for each in handles)]
    finally:
        library.bpf_object__close(handle)


def make_map(kind=ARRAY, value_size=8, entries=1, flags=F_MMAPABLE):
    options = MapOptions(size=ctypes.sizeof(MapOptions), map_flags=flags)
    return _checked(_library().bpf_map_create(
        kind, b"test_map", 4, value_size, entries, ctypes.byref(options)),
        "bpf_map_create")


def make_program(kind=SOCKET_FILTER, code=EXIT_WITH_0):
    """Load a program of these instructions, of 8 bytes each."""
    return _checked(_library().bpf_prog_load(
        kind, b"test_program", b"GPL", code,
        ctypes.c_size_t(len(code) // 8), None), "bpf_prog_load")


class RunOptions(ctypes.Structure):
    """libbpf's bpf_test_run_opts."""

    _fields_ = [("size", ctypes.c_size_t), ("data_in", ctypes.c_char_p),
                ("data_out", ctypes.c_void_p),
                ("data_size_in", ctypes.c_uint32),
                ("data_size_out", ctypes.c_uint32),
                ("ctx_in", ctypes.c_void_p), ("ctx_out", ctypes.c_void_p),
                ("ctx_size_in", ctypes.c_uint32),
                ("ctx_size_out", ctypes.c_uint32),
                ("retval", ctypes.c_uint32), ("repeat", ctypes.c_int),
                ("duration", ctypes.c_uint32), ("flags", ctypes.c_uint32),
                ("cpu", ctypes.c_uint32), ("batch_size", ctypes.c_uint32)]


def run_xdp_live(program, frame):
    """Run an XDP program once, and do with the frame what it says."""
    options = RunOptions(ctypes.sizeof(RunOptions), frame,
                         data_size_in=len(frame), repeat=1,
                         flags=XDP_LIVE_FRAMES, batch_size=1)
    _checked(_library().bpf_prog_test_run_opts(
        program, ctypes.byref(options)), "bpf_prog_test_run_opts")
