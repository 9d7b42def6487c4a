# SPDX-License-Identifier: GPL-2.0-or-later
"""Guest: one QEMU process, with a shell in the machine and QMP.

    with Guest(qemu, kernel, arguments=[...]) as guest:
        guest.shell("ethtool -x eth0")
        guest.qmp("query-status")

The machine's console goes to an unnamed file, whose end is shown when
something fails.  Nothing of a guest is left in the file system.
"""

import contextlib
import dataclasses
import os
import re
import socket
import tempfile
from pathlib import Path

from . import VmError, initramfs
from .channel import Qmp, Shell
from .kernel import Kernel, get_kernel
from .process import spawn, stop
from .qemu import Qemu, get_firmware
from .tapnet import TapNet
from .traffic import GUEST_MAC

KVM_ERROR = "KVM internal error"    # in QEMU's own words
KERNEL_CRASH = (r"\] (BUG: |Oops|Kernel panic|general protection|invalid opcode"
                r"|double fault|stack segment|divide error|int3: |invalid TSS"
                r"|traps: PANIC|watchdog: BUG|rcu: INFO)|" + KVM_ERROR)
CRASH_LINES = 60
# no_timer_check: an emulated timer is late where other work takes the processor,
# which newer kernels do not survive.
CONSOLE = ("console=ttyS0 loglevel=4 panic=-1 random.trust_cpu=on "
           "no_timer_check")

# What Debian's kernels can look for: writing to memory that is freed, or beyond
# its end.  They tell of it with a call trace.  KFENCE: from 6.12 on.
MEMORY_CHECKS = "slub_debug=FZP page_poison=1 kfence.sample_interval=10"


@dataclasses.dataclass(eq=False)
class Guest:
    """A virtual machine that starts `kernel` with an initramfs of ours."""

    qemu: Qemu
    kernel: Kernel
    arguments: list = ()        # more of QEMU's, such as the network device
    netns: TapNet = None        # in whose namespace QEMU runs
    accel: str = "tcg"          # or "kvm" (see accel.py)
    cpus: int = 4
    memory: int = 512           # MiB
    initrd: Path = None         # default: the guests' one, with ethtool
    append: str = ""            # more words for the kernel's command line
    name: str = "guest"
    boot_timeout: int = 90      # s

    arrives = False             # by a migration, and its shell with it
    process = _shell = _qmp = _log = None

    def __post_init__(self):
        self.initrd = self.initrd or guest_initramfs(self.kernel)

    def _command(self, shell_fd, qmp_fd):
        accel = self.qemu.tcg() if self.accel == "tcg" else self.accel
        return self.qemu.command(
            "-accel", accel, "-M", "q35",
            "-cpu", "host" if accel.startswith("kvm") else "max",
            "-smp", str(self.cpus), "-m", str(self.memory),
            "-nodefaults", "-display", "none", "-no-reboot",
            "-serial", "stdio",
            "-kernel", str(self.kernel.image), "-initrd", str(self.initrd),
            "-append", f"{CONSOLE} {self.append}".strip(),
            "-chardev", f"socket,id=shell,fd={shell_fd}",
            "-device", "virtio-serial-pci",
            "-device", "virtserialport,chardev=shell,nr=1",
            "-chardev", f"socket,id=qmp,fd={qmp_fd}",
            "-mon", "chardev=qmp,mode=control",
            *self.arguments)

    def start(self):
        """Start QEMU and wait until the machine's shell answers."""
        shell, shell_qemu = socket.socketpair()
        qmp, qmp_qemu = socket.socketpair()
        self._log = tempfile.TemporaryFile()
        command = self._command(shell_qemu.fileno(), qmp_qemu.fileno())
        inside = self.netns.entered() if self.netns else \
            contextlib.nullcontext()
        with inside, shell_qemu, qmp_qemu:
            self.process = spawn(
                command, stdout=self._log, stderr=self._log,
                env=self.qemu.environment(),
                pass_fds=(shell_qemu.fileno(), qmp_qemu.fileno()))
        self._shell = Shell(shell, self.check_alive, f"the {self.name}'s "
                            "shell")
        self._qmp = Qmp(qmp, self.check_alive)
        try:
            if not self.arrives:
                self._shell.wait_ready(self.boot_timeout)
        except VmError as error:
            raise self.failure(f"the {self.name} did not start: {error}")
        except BaseException:
            self.stop()
            raise
        return self

    @property
    def pid(self):
        return self.process.pid

    def check_alive(self):
        if self.process.poll() is not None:
            raise VmError(f"QEMU has ended with status "
                          f"{self.process.returncode}")

    def _written(self):
        """Return what QEMU has written; the place where it writes stays."""
        log = self._log.fileno()
        return os.pread(log, os.fstat(log).st_size, 0)

    def console(self, lines=15):
        """Return the end of the console, and of QEMU's own messages."""
        text = self._written().decode(errors="replace")
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1bc|\r", "", text)
        return "\n".join(text.splitlines()[-lines:])

    def messages(self):
        """Return the lines that QEMU itself, or libbpf in it, has written."""
        return [line for line in self.console(1000).splitlines()
                if re.match(r"\S*qemu-system\S*: |libbpf: ", line)]

    def failure(self, text):
        """Stop the machine; return a VmError with the console's end."""
        self.stop()
        return VmError(f"{text}\n--- end of the {self.name}'s console ---\n"
                       f"{self.crash() or self.console()}\n---")

    def crash(self):
        """Return how the kernel, or KVM, crashed; "" if neither did."""
        text = self.console(100000).splitlines()
        for number, this in enumerate(text):
            if re.search(KERNEL_CRASH, this):
                return "\n".join(text[number:number + CRASH_LINES])
        return ""

    def try_shell(self, command, timeout=60, line=None):
        """Run a command in the machine; return (status, output)."""
        try:
            return self._shell.run(command, timeout, line)
        except VmError as error:
            raise self.failure(f"'{command}' in the {self.name}: {error}")

    def shell(self, command, timeout=60):
        """Run a command as root of the machine; return its output.

        A command that fails is a VmError.
        """
        status, output = self.try_shell(command, timeout)
        if status != 0:
            raise VmError(f"'{command}' in the {self.name} failed with "
                          f"status {status}: {output}")
        return output

    def qmp(self, command, arguments=None, timeout=30):
        """Run a QMP command and return its answer."""
        try:
            return self._qmp.command(command, arguments, timeout)
        except VmError as error:
            if self.process.poll() is None:
                raise
            raise self.failure(f"QMP {command}: {error}")

    def wait_event(self, name):
        """Wait until QEMU has told of an event since the last call."""
        self._qmp.wait_event(name, 60)

    def statistic(self, name):
        """Return what the guest's kernel counts of eth0, as a number."""
        return int(self.shell(f"cat /sys/class/net/eth0/statistics/{name}"))

    def stop(self):
        """End QEMU; may be called at any time, also twice."""
        try:
            if self.process:
                stop(self.process)
        finally:
            for channel in (self._shell, self._qmp):
                if channel:
                    channel.close()

    def __enter__(self):
        return self if self.process else self.start()

    def __exit__(self, *unused):
        self.stop()


def rss_card(net, options="", vhost=False):
    """Return QEMU's arguments for a card "card" with RSS on a TapNet."""
    return ["-netdev", net.netdev(vhost=vhost), "-device",
            "virtio-net-pci,id=card,netdev=net0,mq=on,rss=on,"
            f"vectors={2 * net.queues + 2},mac={GUEST_MAC},romfile="
            + (options and "," + options)]


def fetch_guest(suite=None):
    """Have in the cache what a guest takes; return the Kernel of `suite`."""
    kernel = get_kernel(suite)
    guest_initramfs(kernel)
    get_firmware()
    return kernel


def guest_initramfs(kernel, modules=(), others=None):
    """Return the initramfs of ordinary guests, with some files more."""
    return initramfs.build(kernel, initramfs.GUEST_MODULES + tuple(modules),
                           programs=[("ethtool", "ethtool")],
                           sources=[Path(__file__).with_name(name) for name
                                    in ("qstats.c", "rxhash.c", "xdphash.c")],
                           others=others)
