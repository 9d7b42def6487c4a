# SPDX-License-Identifier: GPL-2.0-or-later
"""Tier "packages": what docs/install.rst says, done in a fresh Debian.

Packages of this machine's release are built, or those of another in a fresh
one, and the manual's commands copied from it into a release in which systemd
is process 1:

    install ─▶ the service answers ─▶ upgrade ─▶ it answers ─▶ purge ─▶ nothing

DKMS builds the modules there; a virtual host with that kernel loads them.
"""

import os
import re
import shlex
import shutil
import socket
import subprocess

from harness import Error
from harness.check import fresh
from harness.check.results import failed, skipped
from harness.check.run import run
from harness.functional import systemd
from harness.privateapt import host_release
from harness.vm.kernel import get_kernel
from harness.vm.process import wait_until
from harness.vm.virthost import VirtualHost, try_again

INCLUDED = "systemd-sysv,dbus,ca-certificates"
BUILD_TIMEOUT = 7200    # s; QEMU on a busy machine
TIMEOUT = 600           # s; a command of the manual
SOCKET = "/run/qemu-rss-helper.socket"
UPGRADED = ("bpfhv-dkms", "qemu-ebpf-helper", "vhost-net-hash-dkms")
DESCRIPTORS = 4         # of the program and its three maps
EMULATOR = "qemu-system-x86_64-ebpf"
# What libvirt's domains commonly ask an emulator for
OFFERED = {
    "-accel": "kvm tcg",
    "-chardev": "qemu-vdagent socket spicevmc",
    "-device": "ccid-card-passthru qxl-vga tpm-crb usb-host usb-redir vfio-pci"
               " vhost-user-blk-pci vhost-user-fs-pci vhost-vsock-pci"
               " virtio-9p-pci virtio-scsi-pci",
    "-netdev": "bridge stream tap user vhost-user vhost-vdpa",
    "-object": "iothread memory-backend-memfd secret tls-creds-x509",
    "-tpmdev": "emulator passthrough",
}
DISK = "file,read-only=on,filename=/usr/share/seabios/bios.bin"
# A machine with firmware and screens, stopped; "aio" is not offered by a list.
STARTED = f"""
    echo quit | {EMULATOR} -S -nodefaults -monitor stdio -display none \\
        -sandbox on -vnc unix:vnc -spice unix=on,addr=spice \\
        -spice disable-ticketing=on -device qxl-vga \\
        -device virtio-net-pci,rss=on \\
        -blockdev {DISK},node-name=a,aio=native,cache.direct=on \\
        -blockdev {DISK},node-name=b,aio=io_uring
"""
# What dpkg, systemd and DKMS write of any package, and others of types of files.
LOGS = ("var/cache", "var/lib/apt", "var/lib/dpkg", "var/lib/systemd",
        "var/lib/ucf", "var/log", "root", "tmp", "etc/ld.so.cache",
        "var/lib/dkms", "usr/lib/modules", "usr/share/mime")
# As containers have it: devices few, the kernel's settings read-only.
START = """
    mount --make-rprivate /
    mount --bind "$1" "$1"
    cd "$1"
    mount -t tmpfs -o mode=755 tmpfs dev
    mkdir dev/net dev/pts dev/shm
    for node in full kvm net/tun null random tty urandom vhost-net \\
            vhost-net-hash zero; do
        if [ -e /dev/$node ]; then
            touch dev/$node
            mount --bind /dev/$node dev/$node
        fi
    done
    ln -s /proc/self/fd dev/fd
    ln -s pts/ptmx dev/ptmx
    mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts dev/pts
    mount -t tmpfs tmpfs dev/shm
    mount -t tmpfs -o mode=755 tmpfs run
    mount -t proc proc proc
    mount --bind proc/sys proc/sys
    mount -o remount,bind,ro proc/sys
    mount -t sysfs -o ro sysfs sys
    mount -t cgroup2 cgroup2 sys/fs/cgroup
    pivot_root . mnt
    umount --lazy /mnt
    exec /lib/systemd/systemd --system --show-status=no
"""


def commands_of(path, heading):
    """Return the commands that a section of a manual shows."""
    section = re.split(r"^=+\n", path.read_text().split(f"\n{heading}\n=")[1],
                       flags=re.MULTILINE)[1]
    blocks = re.findall(r"::\n\n((?:    .*\n|\n)+)", section)
    return [line.strip() for block in blocks for line in block.splitlines()
            if line.strip()]


def files_of(folder):
    """Return what is in a release, but logs and caches."""
    found = set()
    for top, folders, files in os.walk(folder):
        inside = os.path.relpath(top, folder)
        folders[:] = [name for name in folders if
                      os.path.normpath(f"{inside}/{name}") not in LOGS
                      and not os.path.ismount(f"{top}/{name}")]
        found |= {os.path.normpath(f"{inside}/{name}")
                  for name in folders + files}
    return found - set(LOGS)


def packaged(folder):
    """Return what dpkg has installed in a release; /usr may be merged."""
    names = {name for file in (folder / "var/lib/dpkg/info").glob("*.list")
             for name in file.read_text().splitlines()}
    return {name[1:] for name in names} | {f"usr{name}" for name in names}


def newer(package, folder):
    """Make the same package of a higher version; return its path."""
    tree = folder / "tree"
    subprocess.run(["dpkg-deb", "-R", package, tree], check=True)
    control = tree / "DEBIAN/control"
    control.write_text(re.sub(r"(?m)^(Version: .*)$", r"\1.1",
                              control.read_text()))
    target = folder / f"newer-{package.name}"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "-b", tree,
                    target], check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(tree)
    return target


def asked(path):
    """Return how many descriptors the service answers with."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.settimeout(systemd.START_TIMEOUT)
        sock.connect(path)
        sock.send(b"rss net0")
        descriptors = socket.recv_fds(sock, 600, 8)[1]
    for descriptor in descriptors:
        os.close(descriptor)
    return len(descriptors)


class Installed:
    """A release with our packages, in which systemd runs."""

    def __init__(self, there, service):
        self.there, self.service = there, service
        self.command("systemctl is-system-running --wait || true")

    def attempt(self, name, function, *arguments):
        """A case that fails with an exception."""
        self.there.tier.say(f"{self.there.release}: {name}")
        try:
            function(*arguments)
        except subprocess.CalledProcessError as error:
            self.there.judge(name, error.stdout + error.stderr or str(error))
        except (Error, OSError, AssertionError,
                subprocess.TimeoutExpired) as error:
            self.there.judge(name, f"{type(error).__name__}: {error}")
        else:
            self.there.judge(name, "")

    def command(self, text):
        """Run what an administrator types in the folder of the packages."""
        self.service.run("sh", "-ec", f"cd /root && {text}", timeout=TIMEOUT)

    def offers(self, option, names):
        """The emulator's list for an option has these words."""
        text = self.service.run(    # "-tpmdev help" is an error
            "sh", "-c", f"{EMULATOR} {option} help 2>&1 || true")
        missing = set(names.split()) - set(re.findall(r"[\w-]+", text))
        assert not missing, f"{option}: no {', '.join(sorted(missing))}"

    def is_ours(self, emulator, expected):
        """Tell by the properties of a card."""
        text = self.service.run(emulator, "-device", "virtio-net-pci,help")
        assert ("rss-engine=" in text) == expected, text

    def answers(self):
        """Wait until the service gives descriptors to a client."""
        path = self.service.path(SOCKET)
        assert wait_until(lambda: os.path.exists(path), TIMEOUT), "no socket"
        count = asked(path)
        assert count == DESCRIPTORS, f"{count} descriptors"

    def has_modules(self, count, name="vhost_net_hash"):
        """DKMS has installed the module for so many kernels."""
        found = list((self.there.folder / "usr/lib/modules").glob(
            f"*/updates/dkms/{name}.ko*"))
        assert len(found) == count, found

    def has_nothing_more(self, before):
        """What was there before the packages, and no more, is there.

        Packages of Debian's that came with ours may stay: apt keeps what others
        recommend or suggest.
        """
        more = (files_of(self.there.folder) - before
                - packaged(self.there.folder))
        assert not more, "left: " + ", ".join(sorted(more))
        users = (self.there.folder / "etc/passwd").read_text()
        assert not re.search("qemu-(rss|xdp)-helper", users), users


def _load_modules(here):
    """Their kernel accepts what DKMS has built, and lets it go."""
    kernel = get_kernel(here.there.release)
    built = (here.there.folder / "usr/lib/modules" / kernel.version
             / "updates/dkms")

    def load():
        with VirtualHost(kernel) as host:
            host.shell(f"""cd {shlex.quote(str(built))} &&
                insmod vhost_net_hash.ko* && test -c /dev/vhost-net-hash &&
                insmod bpfhv.ko* && test -d /sys/bus/pci/drivers/bpfhv &&
                rmmod vhost_net_hash bpfhv""")

    if built.is_dir():
        here.attempt("a kernel loads both", try_again, load)
    else:
        here.there.cases.append(skipped("a kernel loads both", "the headers"
                                        f" are not those of {kernel}"))


def _new_kernels(here):
    """Headers come: of a kernel without its source, then with it."""
    again = "apt-get -q install --reinstall $(dpkg -S {} | cut -d: -f1)"
    here.attempt("headers without their source", here.command, f"""
        dkms remove $(dkms status vhost-net-hash | cut -d, -f1) --all
        mv /usr/src/linux-source-*.tar.xz .
        {again.format("/usr/src/linux-headers-*-amd64")} 2>&1 | tee log
        grep 'no hash reports.*install the package linux-source' log""")
    here.attempt("have no module", here.has_modules, 0)
    here.attempt("their source comes", here.command,
                 again.format("'/usr/src/linux-source-*.tar.xz'"))
    here.attempt("and the module", here.has_modules, 1)


def _emulator_cases(here, manual):
    """Our QEMU, beside Debian's and then in its place."""
    debian = EMULATOR.removesuffix("-ebpf")
    here.attempt("ours is there", here.is_ours, EMULATOR, True)
    here.attempt("Debian's stays", here.is_ours, debian, False)
    for option, names in OFFERED.items():
        here.attempt(f"{EMULATOR} {option}", here.offers, option, names)
    here.attempt("a machine starts", here.command, STARTED)
    *divert, remove, undo = commands_of(manual, "All domains of a host")
    here.attempt("divert", here.command, " && ".join(divert))
    here.attempt("ours in its place", here.is_ours, debian, True)
    here.attempt("undo it", here.command, f"{remove} && {undo}")
    here.attempt("Debian's is back", here.is_ours, debian, False)


def _cases(there, built, docs):
    """Do it all in a release that is there."""
    home = there.folder / "root"
    for package in built:
        shutil.copy(package, home)
    (there.folder / "etc/apt/apt.conf.d/99yes").write_text(
        'APT::Get::Assume-Yes "yes";\nAPT::Sandbox::User "root";\n')
    service = systemd.Systemd(START, fresh.environment(), [there.folder])
    here = Installed(there, service)
    try:
        here.attempt("apt update", here.command, "apt-get -q update")
        here.attempt("Debian's QEMU", here.command, "apt-get -q install"
                     " --no-install-recommends qemu-system-x86")
        here.attempt("DKMS", here.command, "apt-get -q install dkms coccinelle"
                     " linux-source linux-headers-amd64")
        before = files_of(there.folder)
        for command in commands_of(docs / "install.rst", "Debian 12 and 13"):
            here.attempt(command, here.command, command)
        here.attempt("the service answers", here.answers)
        here.attempt("tap-steer", here.command, "tap-steer show")
        here.attempt("xdp-offload", here.command, "xdp-offload --version")
        here.attempt("bpfhv-ctl", here.command, "bpfhv-ctl --help")
        here.attempt("bpfhv's module is built", here.has_modules, 1, "bpfhv")
        here.attempt("the module is built", here.has_modules, 1)
        _load_modules(here)
        _new_kernels(here)
        _emulator_cases(here, docs / "libvirt.rst")
        for package in built:
            if package.name.startswith(UPGRADED):
                newer(package, home)
        here.attempt("upgrade", here.command,
                     "apt-get -q install ./newer-*.deb")
        here.attempt("the service answers again", here.answers)
        here.attempt("bpfhv's is built again", here.has_modules, 1, "bpfhv")
        here.attempt("the module is built again", here.has_modules, 1)
        here.attempt("purge", here.command, "apt-get -q purge --autoremove"
                     " bpfhv-backend bpfhv-dkms qemu-ebpf qemu-ebpf-helper"
                     " qemu-ebpf-xdp-helper tap-steer xdp-offload-guest"
                     " vhost-net-hash-dkms")
        here.attempt("nothing is left", here.has_nothing_more, before)
        here.attempt("no module is left", here.has_modules, 0)
        here.attempt("nor bpfhv's", here.has_modules, 0, "bpfhv")
    finally:
        service.close()


def release_of(tier):
    return tier.base or host_release()


def build(tier, log):
    """Return the packages' paths, or none; and cases.

    Those of another release are built in a fresh one, which is removed; what
    was built stays for the next time.
    """
    if release_of(tier) == host_release():
        tier.say("make deb")
        done = run(["make", "deb"], log, cwd=tier.top, timeout=BUILD_TIMEOUT)
        if done.status:
            return [], [failed("make deb", done.output + done.errors)]
        return sorted((tier.top / "build/deb").glob("*.deb")), []
    folder = tier.top / "build" / tier.base
    folder.mkdir(parents=True, exist_ok=True)
    with fresh.Fresh(tier, tier.base, fresh.NEWCOMER, log) as there:
        good = (there.install() and there.clone()
                and there.attempt_in_clone("make deb", folder))
    return sorted((folder / "deb").glob("*.deb")) if good else [], there.cases


def why_not():
    return fresh.why_not() or systemd.why_not()


def packages(tier, log):
    """The packages, installed, upgraded and purged in a fresh Debian."""
    if why_not():
        return [skipped("packages", why_not())]
    built, cases = build(tier, log)
    if not built:
        return cases
    with fresh.Fresh(tier, release_of(tier), INCLUDED, log) as there:
        if there.install():
            _cases(there, built, tier.top / "docs")
    return cases + there.cases
