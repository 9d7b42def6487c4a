# SPDX-License-Identifier: GPL-2.0-or-later
"""The small root file system that our guests start from.

busybox, ethtool, the modules they need and one init script, written as a
"newc" archive of our own making.  Kept in the cache under the hash of its
content.
"""

import hashlib
import os
import re
import stat
from pathlib import Path

from harness import files, privateapt

from .kernel import unpacked
from .process import run

GUEST_MODULES = ("virtio_pci", "virtio_console", "virtio_net", "virtio_rng")

# What every machine of ours does first.  @EXTRA@ is done before the shell.
INIT = r"""#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp /run /root
/bin/busybox --install -s /bin
export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for module in $(cat /modules); do
    insmod /$module || echo "init: cannot load $module"
done
tries=0
until port=$(ls /dev/vport*p1 2>/dev/null); do
    tries=$((tries + 1))
    [ $tries -lt 400 ] || { echo "init: no virtio-serial port"; exit 1; }
    sleep 0.05
done
exec 3<>$port       # stays open: what comes while it is closed is lost
@EXTRA@
echo ready >&3
while true; do
    @SHELL@ 0<&3 1>&3 2>&3
done
"""

GUEST_EXTRA = """
ip link set lo up
[ ! -e /sys/class/net/eth0 ] || ip link set eth0 up
"""


def cpio_entry(number, name, mode, data=b"", device=(0, 0)):
    """Return one member of a "newc" archive."""
    name = name.encode() + b"\0"
    numbers = (number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name),
               0)
    head = b"070701" + b"".join(b"%08X" % value for value in numbers) + name
    head += b"\0" * (-len(head) % 4)
    return head + data + b"\0" * (-len(data) % 4)


def cpio(files):
    """Return an archive of {path: (mode, bytes)} with the folders it needs.

    A console is added: init's first messages go there.
    """
    members = {}
    for path, (mode, data) in files.items():
        for parent in reversed(Path(path).parents[:-1]):
            members.setdefault(str(parent), (stat.S_IFDIR | 0o755, b""))
        members[path] = (mode, data)
    members.setdefault("dev", (stat.S_IFDIR | 0o755, b""))
    entries = [cpio_entry(number, path, mode, data)
               for number, (path, (mode, data)) in
               enumerate(members.items(), 1)]
    entries.append(cpio_entry(len(entries) + 1, "dev/console",
                              stat.S_IFCHR | 0o600, device=(5, 1)))
    entries.append(cpio_entry(0, "TRAILER!!!", 0))
    return b"".join(entries)


def unpacked_program(package):
    """Return the folder in which a package of this release is unpacked."""
    deb = privateapt.download_binary(package)[0]
    return unpacked(privateapt.cache_dir() / "programs"
                    / deb.stem.replace("%3a", "-"), [package])


def program(package, name):
    """Return the path of program `name` of a package, unpacked."""
    return next(path for path in unpacked_program(package).rglob(name)
                if path.is_file() and os.access(path, os.X_OK)
                and path.parent.name in ("bin", "sbin"))


def ldd(path, folders):
    """Return ldd's words; folders are looked into before the machine's own."""
    return run("ldd", path, env={
        **os.environ, "LD_LIBRARY_PATH": ":".join(map(str, folders))})


def libraries(path, folders=()):
    """Return the files of the shared libraries that a program needs."""
    return re.findall(r"(?:=> |^\s+)(/\S+) \(0x", ldd(path, folders),
                      re.MULTILINE)


def compiled(source):
    """Return the path of a static program made of one C file, cached."""
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:20]
    path = privateapt.cache_dir() / "programs" / f"{source.stem}-{digest}"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}")
        run("cc", "-O2", "-static", "-o", temporary, source)
        temporary.replace(path)
    return path


def build(kernel, modules=GUEST_MODULES, extra=GUEST_EXTRA, shell="sh",
          programs=(), sources=(), others=None):
    """Return the path of an initramfs for `kernel`.

    `programs` are (package, name) pairs, `sources` C files; they are put
    into /bin, with the libraries that they need.  `others` are more files,
    as they are: {path in the guest: path here}.
    """
    files = {}

    def add(name, data, mode=0o644):
        files[name] = (stat.S_IFREG | mode, data)

    def add_program(name, path):
        add("bin/" + name, path.read_bytes(), 0o755)

    add_program("busybox", program("busybox-static", "busybox"))
    for package, name in programs:
        path = program(package, name)
        add_program(name, path)
        for library in libraries(path):
            add(library[1:], Path(library).read_bytes(), 0o755)
    for source in sources:
        add_program(source.stem, compiled(source))
    for name, path in (others or {}).items():
        add(name, Path(path).read_bytes(), 0o755)
    names = []
    for path in kernel.modules(modules):
        names.append("modules.d/" + path.name.split(".")[0] + ".ko")
        add(names[-1], kernel.module_bytes(path))
    add("modules", "\n".join(names).encode() + b"\n")
    init = INIT.replace("@EXTRA@", extra).replace("@SHELL@", shell)
    add("init", init.encode(), 0o755)
    return write_cached(cpio(files))


def write_cached(archive):
    """Write an archive into the cache under its hash; return the path."""
    path = (privateapt.cache_dir() / "initramfs"
            / (hashlib.sha256(archive).hexdigest()[:20] + ".cpio"))
    if not path.exists():
        files.replace(path, archive)
    return path
