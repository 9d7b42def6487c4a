# SPDX-License-Identifier: GPL-2.0-or-later
"""What we are compared with, obtained at bench time and kept in the cache.

Nothing of it is in this repository.
"""

import base64
import contextlib
import json
import re
import subprocess

from harness import TOP, Error, library, privateapt
from harness.fork.base import BASES, fetch
from harness.vm.guest import fetch_guest
from harness.vm.kernel import get_kernel, unpacked
from harness.vm.module import get_bpfhv, get_module
from harness.vm.process import spawn, stop
from harness.vm.qemu import debian_qemu
from harness.vm.virthost import outer_qemu

from . import BenchError, Skipped, say
from .programs import BUILD, run

STOCK_SUITE = "bookworm-backports"      # whose QEMU is 10.0
STOCK_BASE = "7.2"                      # whose receive path is compiled
HERE = TOP / "tests/bench/peers"

# QEMU's files for a packet's analysis and hash, and the headers that its
# build would make, or that lead further than is needed here.
QEMU_FILES = ("hw/net/net_rx_pkt.c", "net/eth.c", "net/checksum.c",
              "util/iov.c")
QEMU_STUBS = {
    "config-host.h": "#define CONFIG_LINUX 1\n#define CONFIG_POSIX 1\n"
                     "#define CONFIG_IOVEC 1\n#define HOST_X86_64 1\n",
    "config-poison.h": "",
    "qemu/sockets.h": "",
}

# DPDK's headers want libbsd, of which nothing is used here.
DPDK_STUBS = {
    "bsd/string.h": "#include <stddef.h>\n"
                    "size_t strlcpy(char *to, const char *from, size_t n);\n"
                    "size_t strlcat(char *to, const char *from, size_t n);\n",
}


def ask_qmp(qemu, *commands):
    """Start a QEMU without a machine; return its answers to some commands."""
    requests = ["qmp_capabilities", *commands, {"execute": "quit"}]
    text = "".join(json.dumps(one if isinstance(one, dict) else
                              {"execute": one}) + "\n" for one in requests)
    process = spawn(qemu.command("-M", "none", "-nodefaults", "-display",
                                 "none", "-accel", "tcg", "-qmp", "stdio"),
                    env=qemu.environment(), text=True,
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE)
    try:
        output, errors = process.communicate(text, timeout=30)
    finally:
        stop(process)
    answers = [json.loads(line) for line in output.splitlines()]
    answers = [one for one in answers if "return" in one or "error" in one]
    if len(answers) < len(requests):
        raise BenchError("QEMU does not answer: " + errors.strip()[-300:])
    return answers[1:-1]


def stock_qemu():
    """Return the QEMU that we are compared with."""
    return debian_qemu(STOCK_SUITE)


def base_qemu():
    """Return the distribution's QEMU of the version that ours is made of."""
    return debian_qemu(BASES[STOCK_BASE])


def stock_program():
    """Return (path, version) of QEMU's own steering program, an ELF file."""
    folder = privateapt.cache_dir() / "bench"
    file = folder / f"{STOCK_SUITE}-rss.o"
    qemu = stock_qemu()
    version = qemu.version()
    note = file.with_suffix(".version")
    if not file.exists() or not note.exists() or note.read_text() != version:
        say("asking QEMU for its steering program …")
        answer = ask_qmp(qemu, {"execute": "request-ebpf",
                                "arguments": {"id": "rss"}})[0]
        if "error" in answer:
            raise BenchError("QEMU has no steering program to give: "
                             + answer["error"]["desc"])
        folder.mkdir(parents=True, exist_ok=True)
        file.write_bytes(base64.b64decode(answer["return"]["object"]))
        note.write_text(version)
    return file, version


def write_stubs(folder, stubs):
    for name, content in stubs.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)


def no_trace_points(source):
    """Return macros that make a file's trace points nothing."""
    names = sorted(set(re.findall(r"\b(trace_\w+)\s*\(", source)))
    return "".join(f"#define {name}(...) ((void)0)\n" for name in names)


def compile_peer(name, ending, *arguments):
    """Compile peers/NAME.c; return the path of what it becomes."""
    target = BUILD / f"peer-{name}{ending}"
    status, _, errors = run(["gcc", "-O2", "-w", "-I", HERE, "-o", target,
                             HERE / f"{name}.c", *arguments])
    if status:
        raise BenchError(f"the peer {name} cannot be compiled: "
                         + errors.strip()[-800:])
    return target


def shared_peer(name, *arguments):
    """The same, a shared object."""
    return compile_peer(name, ".so", "-fPIC", "-shared", "-Wl,-z,lazy",
                        *arguments)


def qemu_peer():
    """Compile QEMU's analysis and hash, with QEMU's own options.

    The trace points are left out, which makes it a little faster.
    """
    _, base = fetch(STOCK_BASE)
    stubs = BUILD / "peer-qemu"
    write_stubs(stubs, QEMU_STUBS)
    source = (base / QEMU_FILES[0]).read_text()
    write_stubs(stubs, {"trace/trace-hw_net.h": no_trace_points(source)})
    _, glib, _ = run(["pkg-config", "--cflags", "--libs", "glib-2.0"])
    return shared_peer(
        "qemu", "-std=gnu11", "-fno-strict-aliasing", "-D_GNU_SOURCE",
        "-D_FILE_OFFSET_BITS=64", "-I", stubs, "-I", base / "include",
        "-I", base / "linux-headers", "-I", base, "-I", base / "hw/net",
        *[base / file for file in QEMU_FILES], *glib.split())


def vhost_sink():
    """Compile a vhost-user device with QEMU's libvhost-user; return its path.

    With the base's source it has the same library as QEMU's own programs.
    """
    library = fetch(STOCK_BASE)[1] / "subprojects/libvhost-user"
    return compile_peer("vhost_sink", "", "-std=gnu11", "-D_GNU_SOURCE", "-I",
                        library, library / "libvhost-user.c", "-pthread")


def dpdk_peer():
    """Compile DPDK's hashes with the headers of Debian's libdpdk-dev."""
    folder = unpacked(privateapt.cache_dir() / "bench/dpdk", ["libdpdk-dev"])
    library = next(folder.glob("usr/lib/*/librte_hash.a"), None)
    config = next(folder.glob("usr/include/*/dpdk"), None)
    if not library or not config:
        raise Skipped("Debian's libdpdk-dev does not have what is expected")
    stubs = BUILD / "peer-dpdk"
    write_stubs(stubs, DPDK_STUBS)
    run(["ar", "x", library, "hash_rte_thash.c.o"], cwd=stubs)
    return shared_peer("dpdk", "-march=native", "-I", stubs,
                       "-I", folder / "usr/include/dpdk", "-I", config,
                       stubs / "hash_rte_thash.c.o")


def bpfhv_parts():
    """Build both sides of a bpfhv card."""
    get_bpfhv(get_kernel())
    library.build("tools/bpfhv-backend", "tools/bpfhv-ctl")


def hash_module():
    """Return the vhost_net_hash.ko of the virtual host's kernel."""
    return get_module(get_kernel())


def fetch_for(sections):
    """Have in the cache, or built, what these measurements take.

    What cannot be had is not told here: the measurement does it.
    """
    guest = (stock_qemu, base_qemu, fetch_guest)
    needs = {"software": (qemu_peer, dpdk_peer), "guest": guest,
             "vhost": (*guest, outer_qemu, hash_module),
             "steer": (stock_program, get_kernel, outer_qemu),
             "bpfhv": (fetch_guest, bpfhv_parts, vhost_sink)}
    wanted = dict.fromkeys(need for section in sections
                           for need in needs.get(section, (stock_program,)))
    for need in wanted:
        with contextlib.suppress(Error, Skipped):
            need()
