# SPDX-License-Identifier: GPL-2.0-or-later
"""What steers a guest's packets, and what the guest asked for."""

import ctypes
import json
import re
import shutil
import struct
from pathlib import Path

from harness import rss_reference

from . import VmError
from .process import Descriptor, run

FEATURE_RSS, FEATURE_HASH_REPORT = 60, 57
SOCKET_FILTER = 1           # the program type of tun's steering programs

# ethtool's names of flows -> hash types
PORT_TYPES = {"tcp4": rss_reference.TCPV4, "udp4": rss_reference.UDPV4,
              "tcp6": rss_reference.TCPV6, "udp6": rss_reference.UDPV6}
ADDRESS_TYPES = {"4": rss_reference.IPV4, "6": rss_reference.IPV6}

SYS_BPF = 321               # x86_64
BPF_ENABLE_STATS = 32
BPF_STATS_RUN_TIME = 0


class RunCounting(Descriptor):
    """While open, the kernel counts how often each BPF program runs."""

    def __init__(self):
        attr = struct.pack("I", BPF_STATS_RUN_TIME)
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.syscall(SYS_BPF, BPF_ENABLE_STATS, attr, len(attr))

    @property
    def works(self):
        """Kernels before 5.8 cannot count."""
        return self.fd >= 0


def steering_programs(pid):
    """Return {program id: times run} of what a process holds.

    Only programs of the type that a tap can take are looked at.
    """
    programs = {}
    for file in Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            fields = dict(re.findall(r"^(\w+):\s+(\S+)$", file.read_text(),
                                     re.MULTILINE))
        except OSError:
            continue
        if fields.get("prog_type") == str(SOCKET_FILTER):
            programs[int(fields["prog_id"])] = int(fields.get("run_cnt", 0))
    return programs


def program_name(identifier):
    """Return a program's name as bpftool lists it, or an empty string."""
    tool = shutil.which("bpftool", path="/usr/sbin:/sbin:/usr/bin")
    if not tool:
        return ""
    try:
        listed = json.loads(run(tool, "-j", "prog", "show", "id", identifier))
    except (VmError, ValueError):
        return ""
    return listed.get("name", "")


def has_feature(guest, feature=FEATURE_RSS):
    """Tell whether the guest's driver and the device agreed on a feature."""
    bits = guest.shell("cat /sys/class/net/eth0/device/features")
    return bits.strip()[feature:feature + 1] == "1"


class GuestRss:
    """What the guest believes to be its RSS configuration."""

    def __init__(self, guest):
        text = guest.shell("ethtool -x eth0")
        self.table = [int(queue) for row in
                      re.findall(r"^ *\d+:((?: +\d+)+)$", text, re.MULTILINE)
                      for queue in row.split()]
        key = re.search(r"^(?:[0-9a-f]{2}:)+[0-9a-f]{2}$", text, re.MULTILINE)
        if not self.table or not key:
            raise VmError("ethtool -x in the guest shows no table or no key: "
                          + text)
        self.key = bytes.fromhex(key.group(0).replace(":", ""))


def hash_types(guest):
    """Return the hash types that the guest believes to have set."""
    text = guest.shell(f"for flow in {' '.join(PORT_TYPES)}; do echo @$flow; "
                       "ethtool -n eth0 rx-flow-hash $flow; done")
    types = rss_reference.IPV4 | rss_reference.IPV6
    for part in text.split("@")[1:]:
        flow = part.split()[0]
        if "src port" in part:
            types |= PORT_TYPES[flow]
        elif "IP SA" not in part:
            types &= ~ADDRESS_TYPES[flow[-1]]
    return types


def guest_config(guest):
    """Return the Config that the guest believes to have set."""
    rss = GuestRss(guest)
    return rss_reference.Config(hash_types(guest), rss.key, rss.table)


def rx_packets(guest):
    """Return the guest's own packet counter of each receive queue.

    They come from ethtool, from Linux 6.12 on from our qstats.
    """
    text = guest.shell("ethtool -S eth0 | grep 'rx_queue_.*_packets' "
                       "|| qstats eth0")
    rows = re.findall(r"rx_queue_(\d+)_packets: (\d+)", text)
    if not rows:
        raise VmError("the guest's driver shows no counters per queue: "
                      + text)
    return [count for _, count in sorted((int(queue), int(count))
                                         for queue, count in rows)]
