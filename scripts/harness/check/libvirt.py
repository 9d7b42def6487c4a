# SPDX-License-Identifier: GPL-2.0-or-later
"""Tier "libvirt": what docs/libvirt.rst says, done with a real libvirtd.

In a fresh Debian with libvirt and our packages, all in a network namespace:

    flows ─▶ tap0 ─▶ QEMU of libvirt's, sandboxed ─▶ guest's queues
                       └─▶ socket of systemd ─▶ helper

which migrates to a second libvirtd and back,

    first host ─▶ 127.0.0.1 ─▶ second host: libvirtd, systemd and helper of its
                                own, tap2

and then the same with docs/xdp_offload.rst: a program of the guest's at tap0.

What takes vhost-net and KVM is done in a virtual host, by this same file: the
domain with name='vhost', and then with hash reports.
"""

import contextlib
import re
import shlex
import shutil
import socket
import statistics
import sys
import time
import types
from concurrent import futures

from harness import TOP, Error, library
from harness.check import fresh, packages
from harness.check.results import print_tap, read_tap, skipped
from harness.functional import systemd
from harness.vm import hashes, histogram, steering, traffic, xdp
from harness.vm.channel import Shell
from harness.vm.guest import CONSOLE, fetch_guest, guest_initramfs
from harness.vm.kernel import get_kernel
from harness.vm.module import get_module
from harness.vm.tapnet import TapNet
from harness.vm.virthost import VirtualHost, our_command, try_again

BOOT_TIMEOUT = 180      # s; on a busy machine
VHOST_TIMEOUT = 2400    # s; of all that is done in a virtual host
FLOWS = 100             # of each class
BURST = 128             # fewer packets than a queue holds
DROPPED = 5             # a port
STARTS = 21             # of each of two domains, to tell how long they take
PROGRAM = "tests/filter.bpf.o"
# No service starts before systemd does, in the namespace.
INSTALL = """
    cd /root
    printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d
    chmod +x /usr/sbin/policy-rc.d
    apt-get -q update
    apt-get -q -y install --no-install-recommends ./qemu-ebpf_*.deb \\
        ./qemu-ebpf-helper_*.deb ./qemu-ebpf-xdp-helper_*.deb \\
        ./xdp-offload-guest_*.deb libvirt-daemon-system libvirt-clients \\
        iproute2
    rm /usr/sbin/policy-rc.d
"""
IMAGES = "/var/lib/libvirt/images"
SHELL = "/var/lib/libvirt/qemu/shell"
SECOND = """<interface type='ethernet'>
  <mac address='52:54:00:12:34:57'/>
  <target dev='tap1'/>
  <model type='virtio'/>
  <driver name='qemu' queues='4' rss='on' rss_hash_report='off'/>
</interface>
"""
# The first's files, under an overlay in memory.  libvirt refuses to migrate to
# a host of the same name or UUID.
SECOND_HOST = """
    mount -t tmpfs tmpfs /mnt
    mkdir /mnt/upper /mnt/work /mnt/root
    mount -t overlay overlay /mnt/root \\
        -o lowerdir="$1",upperdir=/mnt/upper,workdir=/mnt/work
    set -- /mnt/root
    cd "$1"
    echo second >etc/hostname
    echo 'auth_tcp = "none"' >>etc/libvirt/libvirtd.conf
    echo 'host_uuid = "9f2d2a4e-5c0e-4b43-9a54-0d4d3c1f7b02"' \\
        >>etc/libvirt/libvirtd.conf
    systemctl --quiet --root="$1" enable libvirtd-tcp.socket
""" + packages.START
SECOND_URI = "qemu+tcp://127.0.0.1/system"
# The rest of a domain, around the devices that the manual shows.
NAMESPACE = "xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'"
DOMAIN = f"""<domain type='%s' {NAMESPACE}>
  <name>vm</name>
  <memory unit='MiB'>512</memory>
  <vcpu>4</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>{IMAGES}/vmlinuz</kernel>
    <initrd>{IMAGES}/initrd</initrd>
    <cmdline>{CONSOLE}</cmdline>
  </os>
  <features><acpi/></features>
  <cpu mode='%s'/>
  %s
    <serial type='file'><source path='{IMAGES}/console'/></serial>
    <channel type='unix'>
      <source mode='bind' path='{SHELL}'/>
      <target type='virtio' name='shell'/>
    </channel>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    <video><model type='none'/></video>
  </devices>
  %s
</domain>
"""


class Domain(packages.Installed):
    """The domain "vm", and what the manual does with it."""

    def __init__(self, there, service, net, manual, tap="tap0"):
        super().__init__(there, service)
        self.net = net
        self.manual = manual.read_text()
        self.tap = tap
        self.guest = None

    def shell(self, command, timeout=60):
        """Run a command in the guest; return its output."""
        assert self.guest, "it did not start"
        status, output = self.guest.run(command, timeout)
        assert status == 0, f"{command}: {output}"
        return output

    def define(self, kind="qemu", cpu="maximum", change=str):
        """Define the manual's domain; change: what is done to its devices."""
        devices = change(re.search(r"<devices>.*?(?=</devices>)", self.manual,
                                   re.DOTALL)[0])
        options = re.search(r"<qemu:commandline>.*?</qemu:commandline>|$",
                            self.manual, re.DOTALL)[0]
        home = self.there.folder / "root"
        (home / "vm.xml").write_text(DOMAIN % (
            kind, cpu, devices.rstrip(), options))
        (home / "second.xml").write_text(SECOND)
        self.command("virsh define vm.xml")

    def start_times(self):
        """Tell how long "virsh start" takes, with RSS and without, in turns.

        And a question, which is answered when the program is loaded.
        """
        text = (self.there.folder / "root/vm.xml").read_text()
        times = {"on": [], "off": []}
        for rss in times:
            (self.there.folder / f"root/{rss}.xml").write_text(
                text.replace("rss='on'", f"rss='{rss}'")
                .replace(">vm<", f">{rss}<"))
            self.command(f"virsh define {rss}.xml")
        for rss in [*times] * STARTS:
            started = time.monotonic()
            self.command(f"virsh start {rss} && virsh qemu-monitor-command"
                         f" {rss} --hmp info rss")
            times[rss].append(1000 * (time.monotonic() - started))
            self.command(f"virsh destroy {rss}")
        self.command("virsh undefine on; virsh undefine off")
        with_rss, without = map(statistics.median, times.values())
        self.there.tier.say(
            f"virsh start, info rss: {with_rss:.0f} ms with RSS,"
            f" {without:.0f} ms without, medians of {STARTS}:"
            f" {with_rss - without:+.0f} ms")

    def boot(self, commands):
        self.command("virsh start vm")
        self.connect()
        self.guest.wait_ready(BOOT_TIMEOUT)
        self.shell(f"ip link set eth0 up\n{commands}")

    def connect(self):
        """Speak to the guest, where a restored one has a new socket."""
        if self.guest:
            self.guest.close()
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(self.service.path(SHELL))
        self.guest = Shell(sock, lambda: None, "the guest's shell")

    def said(self, ending):
        """Return what the manual's command with this ending prints."""
        line = next(line.strip() for line in self.manual.splitlines()
                    if line.strip().endswith(ending))
        return self.service.run("sh", "-c", line.replace("DOMAIN", "vm"))

    def engine_is(self, card, engine):
        text = self.said("--hmp 'info rss'")
        assert f"{card}: engine {engine}" in text, text

    def steers(self, reports=False):
        """eBPF does, and each flow is on its predicted queue.

        reports: and has its hash, in the guest's driver
        """
        self.engine_is("net0", "ebpf")
        config = steering.guest_config(self)
        flows = traffic.flows(0, FLOWS)
        if reports:
            hashes.begin(self, sum(map(len, flows.values())))
        with self.net.packet_socket(self.tap) as sock:
            rows = [histogram.send_class(self, sock, name, frames,
                                         config.queue, burst=BURST)
                    for name, frames in flows.items()]
        assert not any(row.misplaced or row.lost for row in rows), rows
        if reports:
            wrong = hashes.compare(hashes.of_flows(hashes.end(self)), flows,
                                   config)
            assert wrong == 0, f"{wrong} wrong hashes"

    def journal_says(self):
        text = self.said("qemu-rss-helper -n 3")
        user = self.service.run("id", "-u", "libvirt-qemu").strip()
        assert re.search(rf"hostnet0, for process \d+ of user {user}: loaded",
                         text), text

    def steers_during(self, command):
        """The first card steers while a command runs, and after it."""
        with futures.ThreadPoolExecutor(1) as pool:
            done = pool.submit(self.command, command)
            while not done.done():
                self.steers()
            done.result()
        self.steers()

    def second_comes_and_goes(self):
        self.steers_during("virsh attach-device vm second.xml")
        self.engine_is("net1", "automatic")     # eth1 is down
        text = self.said("qemu-rss-helper -n 3")
        assert "hostnet1, for process" in text, text
        self.steers_during("virsh detach-device vm second.xml")

    def migrates_to(self, other):
        """By the manual's command, in which the host's name is another."""
        xml = self.service.run("virsh", "dumpxml", "--migratable", "vm")
        (self.there.folder / "root/there.xml").write_text(
            xml.replace(self.tap, other.tap))
        (self.there.folder / "root/back.xml").write_text(xml)
        line = re.search("virsh migrate .*", self.manual)[0]
        line = line.replace("qemu+ssh://HOST/system", SECOND_URI)
        self.command(f"{line.replace('DOMAIN', 'vm')} --xml there.xml"
                     " --migrateuri tcp://127.0.0.1")
        other.connect()
        other.steers()

    def comes_back(self):
        """This host asks the other, whose libvirtd does not ask this one's."""
        self.command(f"virsh -c {SECOND_URI} migrate --live vm qemu:///system"
                     " --xml back.xml --migrateuri tcp://127.0.0.1")
        self.connect()
        self.steers()

    def saved_and_restored(self):
        self.command(f"virsh save vm {IMAGES}/saved")
        self.command(f"virsh restore {IMAGES}/saved")
        self.connect()
        self.steers()

    def exchanged_while_saved(self):
        """It goes on with the QEMU of another package."""
        self.command("virsh managedsave vm; dpkg -i ./qemu-ebpf_*.deb;"
                     " virsh start vm")
        self.connect()
        self.steers()

    def log(self):
        """Return libvirt's command for QEMU, and QEMU's messages."""
        path = self.there.folder / "var/log/libvirt/qemu/vm.log"
        return path.read_text().split("LC_ALL=C")[-1]

    def falls_back(self):
        """Without the service there is the warning of the manual."""
        self.command("virsh destroy vm; systemctl stop"
                     " qemu-rss-helper.socket; virsh start vm")
        last = self.log()
        assert "RSS falls back to QEMU: " in last, last
        assert f"no service at {packages.SOCKET}" in last, last

    def with_vhost(self, devices):
        """Return the devices with vhost-net in place of QEMU."""
        return devices.replace("name='qemu'", "name='vhost'")

    def with_reports(self, devices):
        """Return them with hash reports, as the manual says."""
        backend = re.search("<backend .*/>", self.manual)[0]
        return self.with_vhost(devices).replace(
            "rss_hash_report='off'/>", "rss_hash_report='on'/>" + backend)

    def has_vhost(self):
        assert '"vhost":true' in self.log(), self.log()

    def has_reporter(self):
        text = self.said("--hmp 'info rss'")
        assert "hash reporter vhost" in text, text

    def offloads(self):
        """The guest's program drops at the tap what it is told to drop."""
        self.shell("xdp-offload load eth0 /filter.bpf.o sec drop_port &&"
                   f" xdp-offload map update ports key {DROPPED} value 1")
        frame = traffic.datagram(DROPPED)
        with self.net.packet_socket("tap0") as sock:
            for _ in range(FLOWS):
                with contextlib.suppress(OSError):      # ENOBUFS: dropped
                    sock.send(frame)
        text = self.said("--hmp 'info xdp-offload'")
        assert 'program "drop_port" at tap tap0' in text, text
        assert f"{FLOWS} dropped" in text, text


def _migration_cases(here, manual):
    """The domain goes to a second host, and comes back."""
    here.command("ip link set lo up")
    with here.net.entered():
        service = systemd.Systemd(SECOND_HOST, fresh.environment(),
                                  [here.there.folder])
    try:
        other = Domain(here.there, service, here.net, manual, "tap2")
        here.attempt("migration to a second libvirtd", here.migrates_to, other)
        here.attempt("and back", here.comes_back)
    finally:
        service.close()


def _cases(there, net, service, tier):
    manual = tier.top / "docs/libvirt.rst"
    here = Domain(there, service, net, manual)
    here.attempt("virsh define", here.define)
    here.attempt("virsh start with RSS and without", here.start_times)
    here.attempt("the guest boots", here.boot, "ethtool -X eth0 equal 4")
    here.attempt("each flow is on its queue", here.steers)
    here.attempt("the journal says who asked", here.journal_says)
    here.attempt("a second interface", here.second_comes_and_goes)
    here.attempt("save and restore", here.saved_and_restored)
    _migration_cases(here, manual)
    for package in sorted((there.folder / "root").glob("qemu-ebpf*.deb")):
        packages.newer(package, package.parent)
    here.attempt("upgrade", here.command, "dpkg -i newer-*.deb")
    here.attempt("it still steers", here.steers)
    here.attempt("managed save, and the former package",
                 here.exchanged_while_saved)
    here.attempt("no service", here.falls_back)


def _xdp_cases(there, net, service, tier):
    here = Domain(there, service, net, tier.top / "docs/xdp_offload.rst")
    here.attempt("the domain goes", here.command,
                 "virsh destroy vm; virsh undefine vm")
    here.attempt("virsh define, with XDP offload", here.define)
    here.attempt("its guest boots", here.boot, xdp.BEGIN)
    here.attempt("the host drops for the guest", here.offloads)


def _vhost_cases(there, net, service, tier):
    here = Domain(there, service, net, tier.top / "docs/libvirt.rst")
    for what, change in {"vhost": here.with_vhost,
                         "vhost and hash reports": here.with_reports}.items():
        reports = change == here.with_reports
        here.attempt("the domain goes", here.command,
                     "virsh destroy vm || true; virsh undefine vm")
        here.attempt(f"virsh define, with {what}", here.define, "kvm",
                     "host-passthrough", change)
        here.attempt(f"with {what}, the guest boots", here.boot,
                     "ethtool -X eth0 equal 4; ethtool -K eth0 rxhash on")
        here.attempt(f"with {what}, it has vhost", here.has_vhost)
        if reports:
            here.attempt("vhost-net reports", here.has_reporter)
        here.attempt(f"with {what}, each flow is on its queue", here.steers,
                     reports)


@contextlib.contextmanager
def _systemd(there):
    """Run it in the release; yield its network namespace and itself."""
    with TapNet(name="unused0") as net:
        with net.entered():
            service = systemd.Systemd(packages.START, fresh.environment(),
                                      [there.folder])
        try:
            yield net, service
        finally:
            service.close()


def _run(there, tier):
    """Do it all in a release that has libvirt."""
    images = there.folder / IMAGES[1:]
    kernel = fetch_guest()
    shutil.copy(kernel.image, images / "vmlinuz")
    library.build(PROGRAM)
    shutil.copy(guest_initramfs(kernel, others={
        "bin/xdp-offload": there.folder / "usr/sbin/xdp-offload",
        "filter.bpf.o": library.BUILD / PROGRAM}), images / "initrd")
    with _systemd(there) as (net, service):
        _cases(there, net, service, tier)
        _xdp_cases(there, net, service, tier)


def _run_with_vhost(there, tier, log):
    """Do in a virtual host what takes vhost-net and KVM."""
    kernel = get_kernel(there.release)
    module = get_module(kernel, there.release)
    command = our_command("-m", "harness.check.libvirt", tier.name,
                          PYTHONPATH=TOP / "scripts")

    def show(line):
        if line.startswith(there.release):
            tier.say("  " + line)

    def work():
        with VirtualHost(kernel) as host:
            host.shell(f"insmod {shlex.quote(str(module))} &&"
                       " chmod 666 /dev/kvm &&"         # as udev does
                       " mount -t cgroup2 cgroup2 /sys/fs/cgroup")
            return host.try_shell(shlex.join(command), VHOST_TIMEOUT, show)

    try:
        status, output = try_again(work)
    except Error as error:
        there.judge("a virtual host", str(error))
    else:
        log.write(output + "\n")
        there.cases += read_tap("in a virtual host", output, status)


def libvirt(tier, log):
    """docs/libvirt.rst with a real libvirt, in a fresh Debian."""
    if why := packages.why_not():
        return [skipped("libvirt", why)]
    built, cases = packages.build(tier, log)
    if not built:
        return cases
    release = packages.release_of(tier)
    with fresh.Fresh(tier, release, packages.INCLUDED, log) as there:
        if there.install():
            for package in built:
                shutil.copy(package, there.folder / "root")
            if there.attempt("apt install", "chroot", there.folder, "sh",
                             "-ec", INSTALL):
                _run(there, tier)
                _run_with_vhost(there, tier, log)
    return cases + there.cases


def main(name):
    """In the virtual host: print as TAP what became of its cases."""
    tier = types.SimpleNamespace(name=name, base=name.partition("@")[2],
                                 top=TOP, say=print)
    there = fresh.Fresh(tier, packages.release_of(tier), packages.INCLUDED,
                        sys.stdout)
    with _systemd(there) as (net, service):
        _vhost_cases(there, net, service, tier)
    return print_tap(there.cases)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
