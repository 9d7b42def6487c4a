# SPDX-License-Identifier: GPL-2.0-or-later
"""A QEMU binary with what it needs to start: firmware and libraries."""

import os
import re
from pathlib import Path

from harness import privateapt, say
from harness.fork.base import emulator

from . import VmError
from .initramfs import ldd
from .kernel import unpack_packages, unpacked, unpacked_once
from .process import run

FIRMWARE = ("seabios", "qemu-system-data")
PROGRAM = ("qemu-system-x86", "qemu-system-common")
# QEMU's version -> the Debian release that has its binary
STOCK = {"7.2": "bookworm", "10.0": "bookworm-backports"}
LIBRARIES = ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu")


class Qemu:
    """A QEMU binary: how to call it, and its version."""

    def __init__(self, binary, data_dirs=(), library_dirs=()):
        self.binary = Path(binary)
        self.data_dirs = list(data_dirs)
        self.library_dirs = list(library_dirs)
        if not os.access(self.binary, os.X_OK):
            raise VmError(f"there is no QEMU at {self.binary}")

    def environment(self):
        environment = dict(os.environ)
        if self.library_dirs:
            environment["LD_LIBRARY_PATH"] = ":".join(
                map(str, self.library_dirs))
        return environment

    def command(self, *arguments):
        """Return the argv that starts it with its firmware."""
        argv = [str(self.binary)]
        for folder in self.data_dirs:
            argv += ["-L", str(folder)]
        return argv + list(arguments)

    def tcg(self):
        """Return the accelerator of an emulated guest, for -accel.

        QEMU 10.2 finds a device by an index into a memory map that another
        thread may have replaced (iotlb_to_section() in system/physmem.c):
        a guest with more than one thread may end in that function's
        assertion while it sets up its PCI devices.
        """
        single = self.version().startswith("10.2")
        return f"tcg,thread={'single' if single else 'multi'}"

    def version(self):
        text = run(*self.command("-version"), env=self.environment())
        return text.splitlines()[0].replace("QEMU emulator version ", "")


def data_dirs(root):
    return [root / "usr/share/qemu", root / "usr/share/seabios"]


def get_firmware():
    """Return the folders that hold the firmware of Debian's QEMU.

    Our own build has none: Debian's source package brings no binaries.
    """
    suite = privateapt.host_release()
    return data_dirs(unpacked(privateapt.cache_dir() / "qemu"
                              / f"{suite}-firmware", FIRMWARE, suite))


def own_qemu(binary=None):
    """Return a Qemu for our build, or for any other binary."""
    default = emulator()
    if not binary and not default.exists():
        raise VmError("QEMU is not built yet: run 'make' first")
    qemu = Qemu(binary or default)
    qemu.data_dirs = get_firmware()
    return qemu


def missing_libraries(binary, folders):
    return sorted(set(re.findall(r"(\S+) => not found", ldd(binary, folders))))


def library_packages(soname, depends=()):
    """Return the names that Debian may give to a library's package.

    libaio.so.1 is in libaio1, libfuse3.so.3 in libfuse3-3; from trixie on
    some have "t64" at the end.  libjpeg.so.62 is in libjpeg62-turbo, as QEMU
    `depends` on it.
    """
    name, _, version = soname.lower().replace("_", "-").partition(".so.")
    package = name + ("-" if name[-1].isdigit() else "") + version
    return [package, package + "t64",
            *(other for other in depends if other.startswith(package + "-"))]


def add_library(root, soname, release, depends):
    """Unpack the package of a library into `root`."""
    for package in library_packages(soname, depends):
        try:
            return unpack_packages(root, [package], release)
        except privateapt.AptError as error:
            reason = error
    raise VmError(f"library {soname} of QEMU was not found: {reason}")


def add_libraries(root, binary, folders, release):
    """Unpack what the machine lacks until no library is missing."""
    depends = privateapt.depends(PROGRAM[0], release)
    missing = missing_libraries(binary, folders)
    while missing:
        privateapt.download_ahead(
            [library_packages(soname)[0] for soname in missing], release)
        for soname in missing:
            add_library(root, soname, release, depends)
        before, missing = missing, missing_libraries(binary, folders)
        if missing == before:
            raise VmError(f"libraries of {binary.name} were not found: "
                          + ", ".join(missing))


def debian_qemu(suite=None):
    """Return the distribution's own QEMU, unpacked in the cache."""
    suite = suite or privateapt.host_release()
    target = privateapt.cache_dir() / "qemu" / suite
    binary = "usr/bin/qemu-system-x86_64"

    def fill(new):
        say("qemu", f"unpacking QEMU of Debian {suite} …")
        unpack_packages(new, PROGRAM + FIRMWARE, suite)
        add_libraries(new, new / binary, [new / d for d in LIBRARIES],
                      suite.split("-")[0])

    unpacked_once(target, fill)
    return Qemu(target / binary, data_dirs(target),
                [target / folder for folder in LIBRARIES])


def has_stock(base):
    """Tell whether there is a binary of a version without our series."""
    return base in STOCK or emulator(base, "build-stock").exists()


def get_stock(base):
    """Return the Qemu of a version without our series.

    It is Debian's; of a version of which Debian has none, what
    "scripts/build --stock" has made.
    """
    return (debian_qemu(STOCK[base]) if base in STOCK
            else own_qemu(emulator(base, "build-stock")))


def find_qemu(choice):
    """Return the Qemu that a user names.

    Nothing: our build.  A path: that binary.  "debian" or "debian:SUITE":
    the distribution's own.
    """
    if choice and re.fullmatch(r"debian(:[a-z-]+)?", choice):
        return debian_qemu(choice.partition(":")[2] or None)
    return own_qemu(choice)
