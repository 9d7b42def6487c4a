# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes the source of linux/vhost-net-hash: Linux's own file, and the rules.

    linux-source  +  *.cocci  ->  net.c      beside our header and Kbuild

Nothing here downloads anything; a DKMS build uses this file as it is.
"""

import re
import shutil
import subprocess
from pathlib import Path

from . import ForkError, cocci
from .series import Sources, encode, read_series

NET_C = "drivers/vhost/net.c"
MEMBERS = ("Makefile", NET_C, "drivers/vhost/vhost.h")
OURS = ("Kbuild", "vhost_net_hash.h")
MAX_SUBLEVEL = 255      # as far as headers count


def unpack_source(archive, folder):
    """Unpack what is needed of a linux-source-*.tar.xz into a folder."""
    top = Path(archive).name.removesuffix(".tar.xz")
    command = ["tar", "-xJf", archive, "-C", folder, "--strip-components=1",
               "--occurrence=1", *(f"{top}/{name}" for name in MEMBERS)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise ForkError(f"cannot unpack {archive}: {done.stderr.strip()}")


def source_version(folder):
    """Return (major, minor, sublevel) of a source of Linux."""
    try:
        text = (Path(folder) / "Makefile").read_text()
        return tuple(int(re.search(rf"^{name} *= *(\d+)$", text,
                                   re.MULTILINE)[1])
                     for name in ("VERSION", "PATCHLEVEL", "SUBLEVEL"))
    except (OSError, TypeError) as error:
        raise ForkError(f"{folder} is not a source of Linux: its Makefile "
                        "names no version") from error


def headers_version(headers):
    """Return (major, minor, sublevel) of a kernel's headers."""
    file = Path(headers) / "include/generated/uapi/linux/version.h"
    try:
        code = int(re.search(r"LINUX_VERSION_CODE (\d+)",
                             file.read_text())[1])
    except (OSError, TypeError) as error:
        raise ForkError(f"{headers} has no headers of a kernel: cannot read "
                        f"the version in {file}") from error
    return code >> 16, code >> 8 & 0xff, code & 0xff


def check_same(source, headers):
    """Refuse a source that is not the kernel's.

    Structures in it are those of a module that is part of the kernel (vhost),
    and nothing else compares them.
    """
    theirs, ours = headers_version(headers), source_version(source)
    if (*ours[:2], min(ours[2], MAX_SUBLEVEL)) != theirs:
        raise ForkError("the kernel's headers are of Linux {}.{}.{}, but the "
                        "source is of {}.{}.{}: install the package "
                        "linux-source of the kernel's own version"
                        .format(*theirs, *ours))


def apply_rules(source, rules):
    """Return the text of Linux's net.c after the rules of a folder."""
    base = "{}.{}".format(*source_version(source))
    sources = Sources(source)
    for series_file in read_series(rules, "Linux"):
        cocci.apply_cocci(series_file, sources, base,
                          rules / "cocci-macros.h")
    sources.check()
    return sources.read(NET_C)


def make_source(source, headers, rules, target):
    """Put the module's source into a folder.

    source: what unpack_source() has unpacked
    rules: the folder linux/vhost-net-hash
    """
    check_same(source, headers)
    text = apply_rules(source, rules)
    (target / "net.c").write_bytes(encode(text))
    shutil.copy(source / "drivers/vhost/vhost.h", target)
    for name in OURS:
        if not (target / name).exists():
            shutil.copy(rules / name, target)
