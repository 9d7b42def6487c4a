# SPDX-License-Identifier: GPL-2.0-or-later
"""Our modules for one of Debian's kernels: fetched, made and built here.

vhost_net_hash.ko, for hosts, takes Linux's source; bpfhv.ko, for guests, is
wholly ours.

The headers and the source are unpacked in the cache; nothing is installed.
"""

import functools
import hashlib
import re
import shutil
import tempfile
from pathlib import Path

from harness import TOP, files, privateapt, say
from harness.fork import module

from . import VmError
from .kernel import unpack_packages, unpacked_once
from .process import run

RULES = TOP / "linux/vhost-net-hash"
NAME = "vhost_net_hash.ko"
BPFHV = TOP / "linux/bpfhv"
ATTACKS = TOP / "tests/functional/bpfhv-attacks"
LIB = TOP / "tests/lib"
BUILD_TIMEOUT = 1200        # s

# There is no vmlinux to take types from; this machine's compiler may be older
# than the kernel's.
SETTINGS = ("CONFIG_DEBUG_INFO_BTF_MODULES=",
            "CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT=")


def packages_of_headers(kernel, suite):
    """Return the packages with what building a kernel's modules takes."""
    name = f"linux-headers-{kernel.version}"
    return [name, *(other for other in privateapt.depends(name, suite)
                    if re.match(r"linux-(headers|kbuild)-\d", other))]


def make_runnable(folder, root, suite):
    """Let programs of a newer release find that release's C library.

    folder: where they are now; root: where they will be.  A script takes the
    place of each: some call others by the name that they were called by.
    Those of Debian 12 and before, whose library is in /lib, need none.
    """
    unpack_packages(folder, ["libc6"], suite)
    loader = next(folder.glob("usr/lib/*/ld-linux-x86-64.so.2"), None)
    if not loader:
        return
    library = root / loader.parent.relative_to(folder)
    for path in folder.glob("usr/lib/linux-kbuild-*/**/*"):
        if path.is_file() and path.read_bytes()[:4] == b"\x7fELF":
            path.rename(f"{path}.elf")
            path.write_text(f"""#!/bin/sh
exec {library}/{loader.name} --argv0 "$0" --library-path {library} \\
    "$0.elf" "$@"
""")
            path.chmod(0o755)


def get_headers(kernel, suite):
    """Return the folder with a kernel's headers, in the cache."""
    names = packages_of_headers(kernel, suite)
    root = privateapt.cache_dir() / "kernels" / names[0]

    def fill(folder):
        """What they say of /usr/src is made true below the folder."""
        unpack_packages(folder, names, suite)
        makefile = folder / "usr/src" / names[0] / "Makefile"
        makefile.write_text(makefile.read_text().replace(
            "/usr/src", f"{root}/usr/src"))
        if suite != privateapt.host_release():
            make_runnable(folder, root, suite)

    return unpacked_once(root, fill) / "usr/src" / names[0]


def unpack_archive(folder, package, suite):
    deb = privateapt.download_binary(package, suite)[0]
    say("module", f"unpacking {deb.name} …")
    with tempfile.TemporaryDirectory(dir=folder) as unpacked:
        run("dpkg-deb", "-x", deb, unpacked, timeout=600)
        module.unpack_source(next(Path(unpacked).rglob("*.tar.xz")), folder)


def get_source(headers, suite):
    """Return the folder with what is needed of Linux's source."""
    version = module.headers_version(headers)
    root = (privateapt.cache_dir() / "base"
            / "linux-{}.{}.{}".format(*version))
    package = "linux-source-{}.{}".format(*version)
    return unpacked_once(root, lambda folder: unpack_archive(folder, package,
                                                             suite))


def digest(*paths):
    total = hashlib.sha256()
    for path in paths:
        total.update(path.name.encode() + b"\0" + path.read_bytes())
    return total.hexdigest()[:12]


def build(name, headers, target, fill, made_of, *settings):
    """Build the module `name` in a folder, unless it is there; return its path.

    Two runs wait for each other.

    fill: puts the sources into the folder
    made_of: names what the module is made of; settings: more of make's
    """
    stamp = target / "made-of"
    with files.locked(target.with_name(target.name + ".lock"),
                      functools.partial(say, "module"), f"building {name}"):
        if not stamp.exists() or stamp.read_text() != made_of:
            say("module", f"building {name} for {target.name} …")
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir(parents=True)
            fill(target)
            done = run("make", "-C", headers, f"M={target}", "CC=gcc",
                       *SETTINGS, *settings, "modules", timeout=BUILD_TIMEOUT)
            if not (target / name).exists():
                raise VmError(f"make did not build {name}: {done}")
            stamp.write_text(made_of)
    return target / name


def get_module(kernel, suite=None):
    """Return vhost_net_hash.ko for a Kernel of get_kernel(suite)."""
    suite = suite or privateapt.host_release()
    headers = get_headers(kernel, suite)
    source = get_source(headers, suite)
    made_of = digest(*sorted(RULES.glob("[0-9]*.cocci")),
                     *(RULES / name for name in module.OURS),
                     source / module.NET_C, headers / "Module.symvers")
    return build(NAME, headers, TOP / "build/modules" / kernel.version,
                 lambda target: module.make_source(source, headers, RULES,
                                                   target), made_of)


def get_ours(name, sources, kernel, suite):
    """Return a module that is wholly ours, for a Kernel of get_kernel(suite).

    sources: {path in the folder where it is built: path here}
    """
    headers = get_headers(kernel, suite or privateapt.host_release())

    def fill(target):
        for path, source in sources.items():
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target / path)

    return build(name, headers,
                 TOP / f"build/modules-{Path(name).stem}" / kernel.version,
                 fill, digest(*sources.values(), headers / "Module.symvers"),
                 # 7.2's headers have attributes that gcc 12 does not know
                 "KCFLAGS=-Werror -Wno-attributes")


def get_bpfhv(kernel, suite=None):
    """Return bpfhv.ko, the guest's driver."""
    return get_ours("bpfhv.ko", {
        path.name: path for path in sorted([BPFHV / "Kbuild",
                                            *BPFHV.glob("*.[ch]")])},
                    kernel, suite)


def get_attacks(kernel, suite=None):
    """Return attacks.ko, a test of the part of it that takes programs."""
    return get_ours("attacks.ko", {
        **{path.name: path for path in sorted(
            [*ATTACKS.iterdir(), *LIB.glob("bpfhv_attacks.[ch]")])},
        **{str(path.relative_to(TOP)): path for path in sorted(
            BPFHV.glob("*.[ch]"))}}, kernel, suite)
