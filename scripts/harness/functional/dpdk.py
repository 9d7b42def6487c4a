# SPDX-License-Identifier: GPL-2.0-or-later
"""DPDK's testpmd in a guest: a driver in a program, which polls the card.

    guest = DpdkGuest("rss-engine=ebpf")
    testpmd = Testpmd(guest)
    testpmd.start("--rss-udp")
    testpmd.run("port config all rss tcp")
    queues = testpmd.receive(frames)

Debian's packages are unpacked in the cache, nothing is installed.  There the
driver needs huge pages and uio_pci_generic: Debian's kernels have no VFIO
without an IOMMU.
"""

import re
from pathlib import Path

from harness import privateapt
from harness.functional.guests import (QUEUES, RssGuest, VmError, get_kernel,
                                       traffic, wait_until)
from harness.rss_reference import (IPV4, IPV6, IP_EX, TCPV4, TCPV6, TCP_EX,
                                   UDPV4, UDPV6, UDP_EX, Config)
from harness.vm import initramfs, qemu
from harness.vm.kernel import unpack_packages, unpacked_once

# testpmd's package, and of what it needs the packages whose names do not
# follow from names of libraries.  Other releases have other names.
RELEASE = "bookworm"
PACKAGES = ("dpdk-dev", "librte-net-virtio23", "librte-mempool-ring23",
            "ibverbs-providers")
PROGRAM = "usr/bin/dpdk-testpmd"
DRIVERS = ("librte_net_virtio.so.23", "librte_mempool_ring.so.23")
# Has testpmd write its output line by line; part of coreutils.
STDBUF = "/usr/libexec/coreutils/libstdbuf.so"
MODULES = ("virtio_pci", "virtio_console", "virtio_rng", "uio_pci_generic")
MEMORY = 512
HUGE_PAGES = 64                 # of 2 MiB
SLOT = 8
PROMPT = "testpmd> "
MARK = bytes.fromhex("020000")  # of the source addresses that we send
TIMEOUT = 60

# How testpmd calls the hash types.
TYPES = {"ipv4": IPV4, "ipv4-tcp": TCPV4, "ipv4-udp": UDPV4,
         "ipv6": IPV6, "ipv6-tcp": TCPV6, "ipv6-udp": UDPV6,
         "ipv6-ex": IP_EX, "ipv6-tcp-ex": TCP_EX, "ipv6-udp-ex": UDP_EX}

PREPARE = f"""set -e
echo {HUGE_PAGES} > /proc/sys/vm/nr_hugepages
device=/sys/bus/pci/devices/0000:00:{SLOT:02x}.0
echo uio_pci_generic > $device/driver_override
echo 0000:00:{SLOT:02x}.0 > $device/driver/unbind
echo 0000:00:{SLOT:02x}.0 > /sys/bus/pci/drivers_probe
test -e /dev/uio0
mkfifo /tmp/in
"""

# In memory: without files of its own.  Its standard input has no end.
START = (f"LD_PRELOAD={STDBUF} _STDBUF_O=L /{PROGRAM} -l 0-1 --in-memory "
         f"--no-telemetry -a 0000:00:{SLOT:02x}.0 "
         + "".join(f"-d {name} " for name in DRIVERS)
         + f"-- -i --rxq={QUEUES} --txq={QUEUES} --total-num-mbufs=4096 ")

# What it says is in /tmp/out, since that was emptied.
WAIT_PROMPT = f"""
until [ "$(tail -c {len(PROMPT)} /tmp/out)" = "{PROMPT}" ]; do
    kill -0 $(cat /tmp/pid) || {{ cat /tmp/out; exit 1; }}
    sleep 0.05
done
cat /tmp/out"""
WAIT_END = "while kill -0 $(cat /tmp/pid) 2>/dev/null; do sleep 0.05; done"


def unpacked():
    def fill(new):
        unpack_packages(new, PACKAGES, RELEASE)
        qemu.add_libraries(new, new / PROGRAM, folders(new), RELEASE)

    return unpacked_once(privateapt.cache_dir() / "programs"
                         / f"dpdk-{RELEASE}", fill)


def folders(root):
    return [root / folder for folder in qemu.LIBRARIES]


def files():
    """Return what the guest needs: {path in the guest: path here}."""
    root = unpacked()
    programs = [root / PROGRAM] + [
        path for folder in folders(root) for name in DRIVERS
        for path in folder.glob(name)]
    paths = {Path(STDBUF), *programs}
    for path in programs:
        paths.update(map(Path, initramfs.libraries(path, folders(root))))
    return {str(path.relative_to(root if root in path.parents else "/")): path
            for path in sorted(paths)}


class DpdkGuest(RssGuest):
    """A guest whose card has no driver in the kernel."""

    def __init__(self, options="", **how):
        initrd = initramfs.build(get_kernel(), MODULES, "", others=files())
        super().__init__(f"addr={SLOT:#x},{options}", initrd=initrd,
                         memory=MEMORY, cpus=2, **how)

    def start(self):
        super().start()
        self.shell(PREPARE)
        return self


class Testpmd:
    """testpmd in a guest; its port 0 is the card."""

    def __init__(self, guest):
        self.guest = guest

    def start(self, options=""):
        """Start it; return what it said until its first prompt."""
        self.guest.shell(f": > /tmp/out; {START} {options} <>/tmp/in "
                         ">>/tmp/out 2>&1 & echo $! > /tmp/pid")
        output = self.guest.shell(WAIT_PROMPT, TIMEOUT)
        self.run("set fwd rxonly")
        self.run("set verbose 1")
        return output

    def quit(self):
        self.guest.shell(f"echo quit > /tmp/in\n{WAIT_END}", TIMEOUT)

    def kill(self):
        """End it in the midst of its work."""
        self.guest.shell(f"kill -9 $(cat /tmp/pid)\n{WAIT_END}", TIMEOUT)

    def run(self, command):
        """Run one of its commands; return what it says."""
        return self.guest.shell(f": > /tmp/out; echo '{command}' > /tmp/in"
                                + WAIT_PROMPT, TIMEOUT)

    def config(self):
        """Return the Config that it believes to have set.

        Where no hash type is set it tells no key; then it is empty.
        """
        text = self.run("show port 0 rss-hash key")
        types, key = 0, re.search(r"^[0-9A-F]{80}$", text, re.MULTILINE)
        for name, bit in TYPES.items():
            if re.search(rf"^  (.* )?{name}( |$)", text, re.MULTILINE):
                types |= bit
        text = self.run("show port 0 rss reta 128 (0xffffffffffffffff,"
                        "0xffffffffffffffff)")
        table = re.findall(r"hash index=\d+, queue=(\d+)", text)
        return Config(types, bytes.fromhex(key.group(0) if key else ""),
                      [int(queue) for queue in table])

    def receive(self, frames):
        """Send frames; return the queue on which it received each.

        Each is told by its source address.  None where one did not arrive.
        """
        self.run("start")
        self.guest.shell(": > /tmp/out")
        traffic.send(self.guest.sender, [
            frame[:6] + MARK + number.to_bytes(3, "big") + frame[12:]
            for number, frame in enumerate(frames)])
        wait_until(lambda: len(self._received()) >= len(frames), 30)
        received = self._received()
        self.run("stop")
        return [received.get(number) for number in range(len(frames))]

    def _received(self):
        """Return {number: queue} of the frames that it tells of."""
        text = self.guest.shell("cat /tmp/out")
        if "RSS hash" in text:
            raise VmError("testpmd was told of hashes: " + text)
        rows = re.findall(rf"^  src={MARK.hex(':')}:(\S+) .* Receive "
                          r"queue=0x([0-9a-f]+)", text, re.MULTILINE)
        return {int(number.replace(":", ""), 16): int(queue, 16)
                for number, queue in rows}
