# SPDX-License-Identifier: GPL-2.0-or-later
"""VirtualHost: a host of our own, for what this machine's kernel lacks.

A Debian kernel under QEMU's own processor emulation (TCG), which includes
AMD's SVM: so kvm_amd loads in it, vhost_net too, and QEMU in it runs guests
with KVM and vhost=on.  It sees this machine's files: the root file system,
read only over 9p, under an overlay in memory.  What is written in it is gone
when it ends.

    with VirtualHost() as host:
        host.shell("uname -r")

One time in ten, or in three with the newest kernels, a guest in it crashes its
kernel in a thread of KVM, ends with an internal error of KVM or by a reset, or
leaves a processor at one place for ever: faults of the emulation of SVM.  A
crash ends the machine (oops=panic), or only QEMU in it would be gone; so does a
lockup that the other processor notices.
Each processor writes a sign of life to the console now and then, so that it is
noticed when none comes.  All this is an EmulationFault; whoever needs the
result does the work again with try_again(), which tells of it.
"""

import re
import shlex
import sys
import time

from harness import privateapt, say

from . import VmError, initramfs
from .guest import KVM_ERROR, Guest
from .kernel import get_kernel
from .qemu import debian_qemu

MODULES = ("virtio_pci", "virtio_console", "virtio_rng", "9pnet_virtio", "9p",
           "overlay", "tun", "vhost_net", "kvm_amd")

EXTRA = r"""
mkdir -p /lower /memory /new
mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=1048576,cache=loose \
    rootfs /lower
mount -t tmpfs -o mode=755 memory /memory
mkdir /memory/upper /memory/work
up=upperdir=/memory/upper,workdir=/memory/work
mount -t overlay -o lowerdir=/lower,$up overlay /new
mount --bind /proc /new/proc
mount --bind /sys /new/sys
mount --bind /dev /new/dev
mkdir -p /dev/shm /dev/pts
mount -t tmpfs shm /dev/shm
mount --bind /dev/shm /new/dev/shm
mount -t devpts devpts /new/dev/pts
mount -t bpf bpffs /new/sys/fs/bpf
mount -t tmpfs run /new/run
# Guest memory that is shared, too, or each 4 KiB of it is a fault of KVM's.
echo always >/sys/kernel/mm/transparent_hugepage/shmem_enabled
ip link set lo up
# It becomes the root of all mount namespaces, to which setns() leads; not ours.
cd /new
mount --move . /
while sleep 5; do
    cpu=0
    while [ $cpu -lt $(nproc) ]; do
        taskset $(printf %x $((1 << cpu))) echo @SIGN@
        cpu=$((cpu + 1))
    done
done >/dev/ttyS0 &
"""
SIGN = "@alive@"        # of a processor, on the console
SILENCE = 120           # seconds without one, and it is taken for dead

SHELL = ("env PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "
         "chroot . /bin/sh")

# The outer QEMU: the one of the release, 7.2, runs other kernels than 6.1
# with emulation faults (facts/testbed.md).
OUTER_QEMU = {"bookworm": "bookworm-backports"}


ATTEMPTS = 6

PANIC = "oops=panic softlockup_panic=1 sysctl.kernel.panic_on_rcu_stall=1"

# What a command in the virtual host says of a guest that KVM did not run on:
# stopped, reset or silent.  A QEMU that crashed, or does not answer but can be
# killed, is not in here.
GUEST_FAULT = (KVM_ERROR + r"|KVM: entry failed|kvm run failed"
               r"|QEMU has ended with status 0\b|cannot be killed"
               r"|no answer in time from the guest's shell"
               r"|the guest did not start")
# What it says of packets on a wrong queue: with this nothing is done again.
WRONG = r"packets per queue|not on the queue|mixture"

ALL_PROCESSORS = ("for cpu in $(seq 0 $(($(nproc) - 1))); do"
                  " taskset -c $cpu true || exit; done")


class EmulationFault(VmError):
    """The virtual host crashed or hung in a virtual processor of KVM."""


class VirtualHost(Guest):
    """A Guest that has this machine's files and can run guests itself."""

    def __init__(self, kernel=None, qemu=None, modules=(), cpus=2,
                 memory=6144, append="", boot_timeout=120):
        kernel = kernel or get_kernel()
        initrd = initramfs.build(kernel, MODULES + tuple(modules),
                                 EXTRA.replace("@SIGN@", SIGN), SHELL)
        super().__init__(
            qemu or outer_qemu(), kernel, accel="tcg,thread=multi,"
            "tb-size=1024", cpus=cpus, memory=memory, initrd=initrd,
            append=f"mitigations=off {PANIC} {append}",
            name="virtual host",
            boot_timeout=boot_timeout, arguments=[
                "-fsdev", "local,id=rootfs,path=/,security_model=none,"
                "readonly=on,multidevs=remap",
                "-device", "virtio-9p-pci,fsdev=rootfs,mount_tag=rootfs",
                "-device", "virtio-rng-pci"])

        self._heard = 0, 0.0    # how many signs of life, and since when
        self._up = self._silent = False

    def start(self):
        self._heard = 0, time.monotonic()
        super().start()
        self.shell("test -e /dev/vhost-net && test -e /dev/net/tun && "
                   "ln -sfn /proc/self/fd /dev/fd")
        self._up = True
        return self

    def check_alive(self):
        super().check_alive()
        signs, since = self._heard
        now = time.monotonic()
        if self._written().count(SIGN.encode()) != signs:
            self._heard = self._written().count(SIGN.encode()), now
        elif now - since > SILENCE:
            self._silent = True
            raise VmError(f"a processor is silent for {SILENCE} s")

    def console(self, lines=15):
        text = super().console(100000).replace(SIGN, "")
        return "\n".join([line for line in text.splitlines()
                          if line][-lines:])

    def failure(self, text):
        ended = self.process.poll() is not None
        error = super().failure(text)
        if self._is_emulation(ended, self.crash()):
            return EmulationFault(str(error))
        return error

    def _is_emulation(self, ended, crash):
        """Tell whether what is tested has no part in a failure.

        ended: of itself
        crash: the kernel's own words
        """
        if not self._up or self._silent:
            return True
        if not crash:
            return ended
        trace = "\n".join(line for line in crash.splitlines() if not
                          re.search(r"Modules linked in:| \? ", line))
        if re.search(r"bpf|\b(tun|vhost)_\w+\+0x", trace):
            return False
        return bool(re.search(r"Comm: qemu-system|soft lockup|rcu: INFO",
                              trace))

    def try_shell(self, command, timeout=60, line=None):
        status, output = super().try_shell(command, timeout, line)
        if status == 0 or re.search(WRONG, output):
            return status, output
        fault = re.search(GUEST_FAULT, output)
        if fault:
            raise EmulationFault(output[max(0, fault.start() - 1000):
                                        fault.start() + 1000])
        self._check_processors()
        return status, output

    def _check_processors(self):
        """Raise an EmulationFault unless each processor runs a command."""
        try:
            super().try_shell(ALL_PROCESSORS)
        except VmError as error:
            raise EmulationFault(str(error)) from None


def our_command(*words, **variables):
    """Return a command of ours: the same Python and cache, also there."""
    variables = {"XDG_CACHE_HOME": privateapt.cache_dir().parent,
                 "PYTHONUNBUFFERED": 1, **variables}
    return ["env", *(f"{name}={value}" for name, value in variables.items()),
            sys.executable, *map(str, words)]


def try_again(work):
    """Return work(); after an EmulationFault do it again, a few times."""
    for attempt in range(1, ATTEMPTS):
        try:
            return work()
        except EmulationFault as fault:
            for line in str(fault).splitlines():
                say("host", line)       # or a test's result in it is taken
            say("host", "a fault of the emulation, not of what is tested: "
                f"starting another virtual host ({attempt + 1} of "
                f"{ATTEMPTS})")
    return work()


def run_there(words, timeout, line=None, kernel=None, append=""):
    """Run a command of ours in a virtual host; return (status, output).

    `line` is called with each line of output as it comes; `append` goes to the
    kernel's command line.
    """
    def run():
        with VirtualHost(kernel, append=append) as host:
            return host.try_shell(shlex.join(words), timeout, line)

    return try_again(run)


def outer_qemu():
    """Return the QEMU in which a VirtualHost runs."""
    release = privateapt.host_release()
    return debian_qemu(OUTER_QEMU.get(release, release))
