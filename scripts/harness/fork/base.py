# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU's source: which versions we know, where from, unpacked where.

The source package is downloaded (see privateapt.py) and unpacked once into
the user's cache, with the distribution's own patches applied.  What lies
there is never changed.
"""

import contextlib
import functools
import os
import re
import shutil
import subprocess
from pathlib import Path

from harness import TOP, files, privateapt, say

from . import ForkError

# QEMU's version -> the Debian release whose source package has it
BASES = {"7.2": "bookworm", "10.0": "trixie", "10.2": "sid"}


def configured(name):
    """Return what ./configure recorded of a setting in build/config, or ""."""
    with contextlib.suppress(OSError):
        text = (TOP / "build/config").read_text()
        if found := re.findall(f"^{name}=(.*)$", text, re.MULTILINE):
            return found[-1]
    return ""


def default_base():
    """Return the version that ./configure recorded.

    Else that of this machine's own release; the newest, of a release that is
    not in the table.
    """
    release = privateapt.host_release()
    return configured("base") or next(
        (base for base in BASES if BASES[base] == release), list(BASES)[-1])


def emulator(base=None, folder="build"):
    """Return the file that scripts/build makes, or made with an option."""
    return (TOP / f"build/qemu-{base or default_base()}" / folder
            / "qemu-system-x86_64")


def locked(path, what):
    """Let no other run of ours do `what` at the same time."""
    return files.locked(path, functools.partial(say, "fork"), what)


def check_base(base):
    """Refuse a version of QEMU that is not in the table."""
    if base not in BASES:
        raise ForkError(f"QEMU {base} is not known; known are "
                        + ", ".join(BASES))
    return base


def base_of_source(folder, known=True):
    """Return the version, such as "7.2", of an unpacked QEMU tree.

    It must be one of the table, unless `known` is false.
    """
    folder = Path(folder)
    try:
        version = (folder / "VERSION").read_text().strip()
    except OSError:
        version = ""
    found = re.match(r"(\d+\.\d+)\.\d+$", version)
    if not found or not (folder / "hw/net/virtio-net.c").exists():
        raise ForkError(f"{folder} is not an unpacked QEMU source tree "
                        "(looked for VERSION and hw/net/virtio-net.c)")
    return check_base(found.group(1)) if known else found.group(1)


def checksums(dsc):
    """Return {file name: SHA-256} as a .dsc file lists them."""
    text = dsc.read_text(encoding="utf-8")
    block = re.search(r"^Checksums-Sha256:\s*\n((?:[ \t]+\S.*\n)+)", text,
                      re.MULTILINE)
    rows = block.group(1).split("\n") if block else []
    return {name: digest for digest, _, name in
            (row.split() for row in rows if row.strip())}


def check_download(dsc):
    """Refuse files that differ from what their .dsc says of them."""
    sums = checksums(dsc)
    if not sums:
        raise ForkError(f"{dsc} lists no SHA-256 checksums")
    for name, wanted in sums.items():
        file = dsc.parent / name
        try:
            digest = privateapt.sha256(file)
        except OSError as error:
            raise ForkError(f"{file}: {error.strerror}") from error
        if digest != wanted:
            raise ForkError(f"{file} does not have the checksum that "
                            f"{dsc.name} gives it; delete it and try again")


def unpack(dsc, target):
    check_download(dsc)
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    say("fork", f"unpacking {dsc.name} …")
    # apt has verified the .dsc; dpkg-source has no key ring for it here.
    command = ["setpriv", "--pdeathsig", "TERM", "dpkg-source", "--no-check",
               "--no-copy", "-x", str(dsc), str(partial)]
    try:
        done = subprocess.run(command, cwd=target.parent, text=True,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
    except FileNotFoundError as error:
        raise ForkError(f"{error.filename} is missing: install the package "
                        "dpkg-dev (scripts/deps qemu)") from error
    if done.returncode:
        raise ForkError(f"dpkg-source could not unpack {dsc}:\n"
                        + "\n".join(done.stdout.splitlines()[-5:]))
    os.replace(partial, target)


def fetch(base, refresh=False):
    """Return (name of the source package's version, unpacked folder).

    What is there already and intact is used without any network, and the cache
    may be read-only; with `refresh`, the mirror is asked for a newer version.
    """
    check_base(base)
    try:
        paths = privateapt.download_source("qemu", base, BASES[base],
                                           refresh)
    except privateapt.AptError as error:
        raise ForkError(f"cannot get the source of QEMU {base} from Debian "
                        f"{BASES[base]}: {error}\nIf you have an unpacked "
                        "tree of it, name it with --qemu-source=DIR."
                        ) from error
    dsc = paths[0]
    home = privateapt.cache_dir() / "base"
    target = home / dsc.stem
    if not target.exists():
        with locked(home / "lock", "unpacking QEMU"):
            if not target.exists():     # else another run was faster
                unpack(dsc, target)
    return dsc.stem, target
