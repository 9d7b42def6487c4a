# SPDX-License-Identifier: GPL-2.0-or-later
"""6. End to end: flows and packets in a guest, beside stock QEMU.

One guest for each QEMU, all up at the same time; they take turns.
"""

import contextlib
import struct
import tempfile
import time
from collections import namedtuple

from harness.vm import VmError, steering, traffic
from harness.vm.accel import best_accel
from harness.vm.guest import Guest, rss_card
from harness.vm.kernel import get_kernel
from harness.vm.qemu import own_qemu
from harness.vm.tapnet import TapNet

from . import Skipped, peers, programs, say, stats
from .report import Section, number, spread

QUEUES = 4
SEED = 1
CHI_99 = 11.34      # 3 degrees of freedom: 99 % of even spreads are below
SLOWER = 0.95       # packets per second relative to stock, at the least
STALL = 5           # seconds without a packet


Machine = namedtuple("Machine", "net guest")


def boot(stack, name, qemu, kernel, accel, vhost, options=""):
    """Boot a guest that has RSS in force; return the Machine.

    options: more of its card
    """
    say(f"guest: booting with {name}, {qemu.version()} …")
    net = stack.enter_context(TapNet(QUEUES))
    guest = stack.enter_context(Guest(
        qemu, kernel, rss_card(net, options, vhost), net, accel,
        boot_timeout=180))
    guest.shell(f"ethtool -X eth0 equal {QUEUES}")
    return Machine(net, guest)


def wait_settled(machine):
    """Return the counters once nothing arrives any more."""
    last, since = None, time.monotonic()
    while time.monotonic() - since < STALL:
        now = steering.rx_packets(machine.guest)
        if now == last:
            return now
        last = now
    return last


def spread_flows(machine, count):
    """Send one packet of each of many flows; return how many per queue."""
    frames = traffic.flows(SEED, count)["TCP/IPv4, DF"]
    before = wait_settled(machine)
    with machine.net.packet_socket() as sock:
        for start in range(0, len(frames), 500):
            traffic.send(sock, frames[start:start + 500])
            wait_settled(machine)
    return [now - then for now, then in zip(wait_settled(machine), before)]


def frames_file(stack):
    file = stack.enter_context(tempfile.NamedTemporaryFile())
    for frame in traffic.flows(SEED, 512)["UDP/IPv4"]:
        file.write(struct.pack("=H", len(frame)) + frame)
    file.flush()
    return file.name


def push(machine, file, milliseconds):
    """Send for some time; return (packets received per s, cost to send)."""
    before = wait_settled(machine)
    with machine.net.entered():
        result = programs.measure("send", machine.net.name, file,
                                  milliseconds)
    arrived = sum(wait_settled(machine)) - sum(before)
    return arrived / milliseconds * 1000, result["cpu"][0]


def qemus(quick):
    """Return {name: QEMU}; ours is the last."""
    try:
        ours = own_qemu()
    except VmError as error:
        raise Skipped(f"QEMU is not built ({error}); make does it") from error
    choices = {"stock 10.0": peers.stock_qemu()}
    if not quick:
        choices["stock 7.2"] = peers.base_qemu()
    choices["ours"] = ours
    return choices


def sample(choices, accel, vhost, quick):
    """Run the guests; return what they received.

    That is {"kernel", "accel", "spreads": {name: packets by queue},
    "pushed": {name: [(packets per s, the sender's ns), …]}}.
    """
    count, rounds, milliseconds = (1000, 3, 700) if quick else (4000, 12, 1500)
    kernel = get_kernel()
    accel = accel or best_accel(choices["ours"], kernel)
    with contextlib.ExitStack() as stack:
        machines = {name: boot(stack, name, qemu, kernel, accel, vhost)
                    for name, qemu in choices.items()}
        say("guest: sending flows …")
        spreads = {name: spread_flows(machine, count)
                   for name, machine in machines.items()}
        file = frames_file(stack)
        say("guest: sending packets …")
        pushed = stats.turns(list(machines), rounds, lambda name: push(
            machines[name], file, milliseconds))
    return {"kernel": str(kernel), "accel": accel, "count": count,
            "spreads": spreads, "pushed": pushed}


def show_flows(section, spreads, count):
    ideal = [count / QUEUES] * QUEUES
    rows = []
    for name, counts in spreads.items():
        value = section.value(f"chi-squared/{name}",
                              stats.chi_squared(counts, ideal), "")
        rows.append([name, *map(number, counts), number(value)])
        if name == "ours":
            section.target(f"{section.name}: chi-squared of {number(count)} "
                           "flows", value, CHI_99)
            section.target(f"{section.name}: flows that did not arrive",
                           count - sum(counts), 0, "flows")
    section.table(f"{number(count)} flows of TCP/IPv4 (DF set), a packet "
                  f"each, {number(ideal[0])} per queue would be even",
                  ["", *[f"queue {q}" for q in range(QUEUES)],
                   "chi-squared"], rows)


def measure(quick):
    section = Section("guest", "6. End to end, in a guest")
    show(section, sample(qemus(quick), None, False, quick), "vhost=off")
    return section


def show(section, data, what):
    """Tables, targets and plot of what sample() returned."""
    section.note(f"Linux {data['kernel']} with 4 processors, accelerator "
                 f"{data['accel']}, {what}, 4 queues.")
    show_flows(section, data["spreads"], data["count"])
    show_rates(section, data["pushed"])


def show_rates(section, pushed):
    rate = {name: section.figure(f"rate/{name}", [one for one, _ in samples],
                                 "1/s") for name, samples in pushed.items()}
    cpu = {name: section.figure(f"cpu/{name}", [one for _, one in samples],
                                "ns") for name, samples in pushed.items()}
    section.table("UDP/IPv4 of 512 flows as fast as it goes: packets per "
                  "second that reach the guest, and the sender's ns per "
                  "packet; median [quartiles]",
                  ["", "packets/s", "relative to stock 10.0", "sender"],
                  [[name, spread(rate[name]),
                    number(stats.ratio(rate[name].median,
                                       rate["stock 10.0"].median)),
                    spread(cpu[name])] for name in pushed])
    section.target(f"{section.name}: packets per second relative to stock "
                   "10.0",
                   stats.ratio(rate["ours"].median,
                               rate["stock 10.0"].median),
                   SLOWER, smaller=False)
    section.plot(
        f"{section.name}.svg", "Packets that reach the guest",
        "packets per second", list(rate),
        {"packets per second": [rate[name][:3] for name in rate]})
