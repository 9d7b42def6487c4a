# SPDX-License-Identifier: GPL-2.0-or-later
"""A Debian kernel and its modules, unpacked in the cache, not installed."""

import functools
import lzma
import os
import re
import shutil
import subprocess
from pathlib import Path

from harness import files, privateapt, say

from . import VmError
from .process import run

# Big parts of a kernel package that no test here uses.
LEFT_OUT = ("sound", "drivers/gpu", "drivers/media", "drivers/infiniband",
            "drivers/net/wireless", "drivers/net/ethernet", "drivers/iio",
            "drivers/scsi", "drivers/staging", "drivers/usb",
            "drivers/input", "drivers/hwmon")


def unpacked_once(target, fill):
    """Return a folder, which fill(folder) fills unless it is there already.

    Two runs wait for each other, and what an interrupted run leaves is thrown
    away.
    """
    if not target.exists():
        with files.locked(target.with_name(target.name + ".lock"),
                          functools.partial(say, "cache"), target.name):
            if not target.exists():
                new = target.with_name(target.name + ".new")
                shutil.rmtree(new, ignore_errors=True)
                new.mkdir()
                fill(new)
                new.rename(target)
    return target


def unpacked(target, names, suite=None):
    """Return a folder in which these packages are unpacked."""
    return unpacked_once(target, functools.partial(
        unpack_packages, names=names, suite=suite))


def unpack_packages(folder, names, suite=None):
    privateapt.download_ahead(names, suite)
    for name in names:
        run("dpkg-deb", "-x", privateapt.download_binary(name, suite)[0],
            folder)


def find_image(root):
    """Return (path of the kernel image, its version) in unpacked packages."""
    for path in root.glob("boot/vmlinuz-*"):
        return path, path.name[len("vmlinuz-"):]
    for path in root.glob("lib/modules/*/vmlinuz"):     # forky and sid
        return path, path.parent.name
    raise VmError(f"there is no kernel image in the packages of {root.name}")


def unzstd(path):
    try:
        done = subprocess.run(["zstd", "-dcq", path], capture_output=True,
                              check=False)
    except FileNotFoundError as error:
        raise VmError(f"{path.name} needs the package zstd") from error
    if done.returncode:
        raise VmError(f"{path.name}: " + done.stderr.decode().strip())
    return done.stdout


class Kernel:
    """A kernel: its image, and its modules in the order of loading."""

    def __init__(self, root):
        self.root = Path(root)
        self.image, self.version = find_image(self.root)

    def __str__(self):
        return self.version

    def modules(self, names):
        """Return the files of the modules and of all that they need.

        Modules that this kernel has built in, or does not have, need none.
        """
        paths = []
        for name in names:
            try:
                text = run("/sbin/modprobe", "-d", self.root, "-S",
                           self.version, "--show-depends", name)
            except VmError:
                continue
            for path in re.findall(r"^insmod (\S+)", text, re.MULTILINE):
                if path not in paths:
                    paths.append(path)
        return [Path(path) for path in paths]

    def module_bytes(self, path):
        """Return a module as the kernel wants it, not compressed."""
        if path.suffix == ".xz":
            return lzma.decompress(path.read_bytes())
        if path.suffix == ".zst":
            return unzstd(path)
        return path.read_bytes()


def image_packages(meta, suite):
    """Return the packages that hold the kernel which `meta` stands for."""
    names = [name for name in privateapt.depends(meta, suite)
             if re.match(r"linux-image-\d", name)]
    if not names:
        raise VmError(f"package {meta} of Debian {suite} names no kernel")
    # Newer releases split the package: then the image one is an empty shell.
    parts = [name for name in privateapt.depends(names[0], suite)
             if re.match(r"linux-(binary|modules|base)-\d", name)]
    return parts or names[:1]


def unpack(debs, folder):
    """Unpack the kernel packages, without the parts nobody needs here."""
    say("kernel", f"unpacking {debs[0].name} …")
    exclude = " ".join(f"--exclude='*/kernel/{part}/*'" for part in LEFT_OUT)
    for deb in debs:
        run("sh", "-c", "set -e; dpkg-deb --fsys-tarfile \"$0\" | tar -x "
            "-C \"$1\" --no-same-owner " + exclude, deb, folder, timeout=300)
    if (folder / "usr/lib/modules").is_dir() and not (folder / "lib").exists():
        (folder / "lib").symlink_to("usr/lib")
    run("/sbin/depmod", "-b", folder, find_image(folder)[1], timeout=300)


def download(meta, suite):
    """Return the package files of the kernel which `meta` stands for."""
    names = image_packages(meta, suite)
    try:
        return [deb for name in names
                for deb in privateapt.download_binary(name, suite)]
    except privateapt.AptError:
        # A newer kernel may have replaced it since the index was fetched; the
        # download that failed has fetched the index again.
        newer = image_packages(meta, suite)
        if newer == names:
            raise
    return [deb for name in newer
            for deb in privateapt.download_binary(name, suite)]


def get_kernel(suite=None):
    """Return the Kernel of a release: linux-image-amd64 of `suite`.

    Downloads and unpacks it if the cache does not have it.
    """
    suite = suite or privateapt.host_release()
    folder = privateapt.cache_dir() / "kernels"
    link = folder / f"{suite}-amd64"
    if not link.exists():
        debs = download("linux-image-amd64", suite)
        target = folder / debs[0].name.rsplit("_", 1)[0].replace("%3a", "-")
        unpacked_once(target, functools.partial(unpack, debs))
        temporary = folder / f".{link.name}.{os.getpid()}"
        temporary.symlink_to(target.name)
        temporary.replace(link)
    return Kernel(link.resolve())
