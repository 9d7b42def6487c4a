# SPDX-License-Identifier: GPL-2.0-or-later
"""10. bpfhv beside virtio-net, in one guest and run.

    guest: dummy                            the network stack alone
           virtio, bpfhv ─ QEMU ─ tap       instructions, packets per second
           vhost ─ peers/vhost_sink.c       } the process's time for a packet
           proxy ─ bpfhv-backend --sink     }
                                 --tap      } the same, where packets go to the
                                 --xdp      } host's network stack
"""

import contextlib
import itertools
import re
import struct
import tempfile
import time
from pathlib import Path

from harness.vm import VmError, bpfhv, flow
from harness.vm.guest import Guest, guest_initramfs
from harness.vm.kernel import get_kernel
from harness.vm.module import get_bpfhv
from harness.vm.process import on_one_processor, spawn, stop, wait_until
from harness.vm.qemu import own_qemu
from harness.vm.tapnet import TapNet

from . import Skipped, peers, programs, say, stats
from .report import Section, number, spread

MEMORY = 256
BYTES = 18                  # a frame of 60
ENOUGH = 10_000             # packets, to count instructions
LONGEST = 1000              # s of the guest's, until then
BOOT_TIMEOUT = 600
ICOUNT = ("-icount", "shift=0,sleep=off")
# Else fresh pages are zeroed, by an instruction that counts for each byte.
APPEND = "init_on_alloc=0"
INSTRUCTIONS = 1.1          # of virtio-net's, at the most
RATE = 1.0                  # at the least
CPU_TIME = 1.0              # of libvhost-user's, at the most
XDP_TIME = 0.6              # of a tap's, at the most
BURST = 64                  # packets that the guest sends at a time
FUEL = 0.2                  # of the time of a call, at the most
MODELS = "sring", "sring_gso", "vring_packed", "sring_sum"
OF_NOBODY = bytes.fromhex("ffffffffffff 020000000001 88b5") + bytes(46)


class Bench:
    """A guest with some of the cards, which are called by their names."""

    def __init__(self, stack, cards, accel="tcg", arguments=(), cpus=2):
        self.net = stack.enter_context(TapNet(1, "virtio"))
        self.net.ip("tuntap add dev bpfhv mode tap vnet_hdr")
        self.net.ip(f"link set bpfhv txqueuelen {TapNet.QUEUE_LENGTH} up")
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self.place = stack.enter_context(bpfhv.Backends())
        kernel = get_kernel()
        initrd = guest_initramfs(kernel, modules=("dummy", "pktgen"), others={
            "bpfhv.ko": get_bpfhv(kernel), **flow.files()})
        self.processes = {}
        if "vhost" in cards:        # QEMU waits until it is there
            self.start_vhost_sink(stack)
        self.guest = stack.enter_context(Guest(
            own_qemu(), kernel, [*self.arguments(cards), *arguments],
            self.net, accel, cpus, MEMORY, initrd, APPEND,
            boot_timeout=BOOT_TIMEOUT))
        if "proxy" in cards:
            self.processes["proxy"] = self.place.start("--sink").process
        self.load()

    def serve(self, *options):
        """Have another backend behind the card proxy."""
        stop(self.processes["proxy"])
        self.wait_for_link("proxy", 0)
        self.processes["proxy"] = self.place.start(*options,
                                                   net=self.net).process
        self.wait_for_link("proxy", 1)

    def start_vhost_sink(self, stack):
        path = self.folder / "vhost"
        sink = spawn([peers.vhost_sink(), path])
        stack.callback(stop, sink)
        if not wait_until(path.exists, BOOT_TIMEOUT):
            raise VmError("vhost_sink does not listen")
        self.processes["vhost"] = sink

    def arguments(self, cards):
        def tap(name):
            return (f"tap,id={name},ifname={name},script=no,downscript=no")

        netdevs = {
            "virtio": [tap("virtio")], "bpfhv": [tap("bpfhv")],
            "vhost": ["vhost-user,id=vhost,chardev=vhost", "-chardev",
                      f"socket,id=vhost,path={self.folder}/vhost"],
        }
        # QEMU 7.2 takes MSI-X of vhost-user for irqfds of KVM, and crashes
        # where there is no KVM.
        devices = {"virtio": "virtio-net-pci,romfile=",
                   "vhost": "virtio-net-pci,romfile=,vectors=0",
                   "bpfhv": "bpfhv-pci,id=bpfhv-card", "proxy": "bpfhv-pci"}
        words = bpfhv.shared_memory(MEMORY)
        for i, name in enumerate(cards):
            netdev = "net0" if name == "proxy" else name
            words += (self.place.arguments() if name == "proxy"
                      else ["-netdev", *netdevs[name]])
            words += ["-device", f"{devices[name]},netdev={netdev},"
                      f"mac=52:54:00:00:00:{i:02x}"]
        self.cards = cards
        return words

    def load(self):
        """Load the driver; all cards have their names and are up."""
        names = "".join(
            f"52:54:00:00:00:{i:02x}) name={name};; "
            for i, name in enumerate(self.cards))
        self.guest.shell(f"""insmod /bpfhv.ko
for path in /sys/class/net/*; do
    name=
    case $(cat $path/address) in {names} esac
    [ "$name" ] || continue
    ip link set ${{path##*/}} down
    ip link set ${{path##*/}} name $name
    ip link set $name up
done
ip link set dummy0 name dummy 2>/dev/null && ip link set dummy up
i=0
for name in dummy {' '.join(self.cards)}; do
    ip addr add 192.0.2.$((i += 4))/30 dev $name
done
true""")
        for card in self.cards:
            self.wait_for_link(card, 1)

    def wait_for_link(self, card, state):
        if not wait_until(lambda: str(state) in self.guest.try_shell(
                f"cat /sys/class/net/{card}/carrier")[1], BOOT_TIMEOUT):
            raise VmError(f"the link of the card {card} is not {state}")

    def reload(self, jit):
        """Load the driver again, with the kernel's JIT or without."""
        self.guest.shell(f"rmmod bpfhv; echo {int(jit)} "
                         ">/proc/sys/net/core/bpf_jit_enable")
        self.load()

    def take(self, model):
        """Have the card bpfhv take another model."""
        path = {"path": "bpfhv-card", "property": "model"}
        self.guest.qmp("qom-set", {**path, "value": model})
        if not wait_until(lambda: self.guest.qmp("qom-get", path) == model,
                          BOOT_TIMEOUT):
            raise VmError(f"the guest does not take {model}")

    @contextlib.contextmanager
    def transmitting(self, card):
        """The guest sends small packets through a card."""
        self.guest.shell(f"flow flood {card} {BYTES} & echo $! >/tmp/flood; "
                         "sleep 0.2")
        try:
            yield
        finally:
            self.guest.shell("kill $(cat /tmp/flood)")

    @contextlib.contextmanager
    def bursting(self, card):
        """The guest's kernel sends small packets, many at a time."""
        settings = "count 0", f"pkt_size {42 + BYTES}", f"burst {BURST}"
        self.guest.shell(f"""cd /proc/net/pktgen
echo add_device {card} >kpktgend_0
{"".join(f"echo {words} >{card}; " for words in settings)}
echo start >pgctrl &
sleep 0.2""")
        try:
            yield
        finally:
            self.guest.shell("cd /proc/net/pktgen; echo stop >pgctrl; "
                             "echo rem_device_all >kpktgend_0")

    @contextlib.contextmanager
    def receiving(self, card):
        """Somebody sends small packets to a card that nobody wants."""
        frames = self.folder / "frames"
        frames.write_bytes(64 * (struct.pack("=H", len(OF_NOBODY))
                                 + OF_NOBODY))
        with self.net.entered():
            sender = spawn([programs.program("send"), card, frames, 10 ** 6])
        try:
            yield
        finally:
            stop(sender)

    def instructions(self, card, direction, seconds):
        """Return how many instructions the guest executes for a packet.

        Where it counts them each takes a nanosecond.
        """
        look = ("cat /proc/uptime "
                f"/sys/class/net/{card}/statistics/{direction}_packets")
        with (self.transmitting if direction == "tx"
              else self.receiving)(card):
            # Its time flies while it has nothing to do.
            while seconds <= LONGEST:
                words = self.guest.shell(f"{look}; sleep {seconds}; {look}",
                                         600).split()
                up, idle, packets = (float(after) - float(before) for
                                     before, after in zip(words[:3], words[3:]))
                if packets >= ENOUGH:
                    return (up - idle) * 1e9 / packets
                seconds *= 2
        raise VmError(f"the card {card} stands still")

    def look(self, card, direction):
        """Return how many packets, kicks and interrupts a card has had."""
        device = f"$(basename $(readlink /sys/class/net/{card}/device))"
        queue = {"rx": "input", "tx": "output"}[direction]
        text = self.guest.shell(f"""
cat /sys/class/net/{card}/statistics/{direction}_packets
ethtool -S {card} | grep {direction}_queue_0_kicks
grep -e {card}-{direction}-0 -e {device}-{queue}.0 /proc/interrupts || true""")
        interrupts = re.search(r"^ *\d+: +(\d+) +(\d+) ", text, re.MULTILINE)
        return (int(text.split()[0]), int(re.search(r"kicks: (\d+)", text)[1]),
                sum(map(int, interrupts.groups())) if interrupts else 0)

    def rate(self, card, direction, seconds):
        """Return packets per second, and events per 1,000 packets."""
        with (self.transmitting if direction == "tx"
              else self.receiving)(card):
            before, begin = self.look(card, direction), time.monotonic()
            time.sleep(seconds)
            after, end = self.look(card, direction), time.monotonic()
        packets, *events = (b - a for a, b in zip(before, after))
        return packets / (end - begin), *(1000 * n / packets for n in events)

    def cpu_time(self, card, seconds, sending=None):
        """Return ns of the process behind a card for a packet, and kicks."""
        def used():
            return int(Path(f"/proc/{self.processes[card].pid}/schedstat")
                       .read_text().split()[0])

        with (sending or self.transmitting)(card):
            before, counts = used(), self.look(card, "tx")
            time.sleep(seconds)
            after, more = used(), self.look(card, "tx")
        packets = more[0] - counts[0]
        kicks = more[1] - counts[1]
        return (after - before) / packets, 1000 * kicks / packets


def figures(section, what, samples, *units):
    """Keep a figure of each name, or one for each unit; return them."""
    result = {}
    for name, values in samples.items():
        columns = zip(*values) if len(units) > 1 else [values]
        all_of_name = [section.figure(f"{what}/{name}/{unit or 'number'}",
                                      list(column), unit)
                       for column, unit in zip(columns, units)]
        result[name] = all_of_name if len(units) > 1 else all_of_name[0]
    return result


def show_instructions(section, quick):
    """The card's part is what is above a device that does nothing."""
    rounds, seconds = (1, 1) if quick else (3, 2)
    with contextlib.ExitStack() as stack:
        say("bpfhv: a guest whose instructions are counted …")
        with on_one_processor():
            bench = Bench(stack, ["virtio", "bpfhv"], "tcg,thread=single",
                          ICOUNT, cpus=1)
        names = ["dummy", "virtio", *MODELS]

        def measure(name, direction):
            if name in MODELS:
                bench.take(name)
                name = "bpfhv"
            return bench.instructions(name, direction, seconds)

        sent = figures(section, "instructions/tx", stats.turns(
            names, rounds, lambda name: measure(name, "tx")), "")
        received = figures(section, "instructions/rx", stats.turns(
            names[1:], rounds, lambda name: measure(name, "rx")), "")
        bench.reload(jit=False)
        for what, found in ("tx", sent), ("rx", received):
            found["sring_gso, no JIT"] = section.figure(
                f"instructions/{what}/no JIT",
                [measure("sring_gso", what) for _ in range(rounds)], "")
    stack_alone = sent["dummy"].median
    section.table(
        "Instructions that the guest executes for a packet of 60 bytes; "
        "median [quartiles]. Sent: by UDP, from a process; the driver's part "
        "is what is above a dummy device. Received: to the stack, which "
        "wants none",
        ["", "sent", "driver's part", "received"],
        [[name, spread(sent[name]), number(sent[name].median - stack_alone),
          spread(received[name]) if name in received else "-"]
         for name in sent])
    for name in MODELS:
        section.target(
            f"{name}: instructions to send a packet, driver's part, relative "
            "to virtio_net", stats.ratio(sent[name].median - stack_alone,
                                         sent["virtio"].median - stack_alone),
            INSTRUCTIONS)
        section.target(
            f"{name}: instructions to receive a packet, relative to "
            "virtio_net", stats.ratio(received[name].median,
                                      received["virtio"].median),
            INSTRUCTIONS)


def measure_ports(section, bench, rounds, seconds):
    bench.net.ip("tuntap add dev tap-port mode tap vnet_hdr")
    bench.net.ip("link add xdp-port type veth peer name xdp-peer")
    for device in "tap-port", "xdp-port", "xdp-peer":
        bench.net.ip(f"link set {device} up")

    def measure(port):
        bench.serve(f"--{port}", f"{port}-port")
        return [bench.cpu_time("proxy", seconds, how)
                for how in (bench.transmitting, bench.bursting)]

    samples = stats.turns(["tap", "xdp"], rounds, measure)
    return [figures(section, f"port/{what}", {
        port: [pair[i] for pair in found] for port, found in samples.items()},
        "ns", "kicks") for i, what in enumerate(("single", "burst"))]


def show_rates(section, quick):
    rounds, seconds = (3, 0.7) if quick else (12, 1.5)
    with contextlib.ExitStack() as stack:
        say("bpfhv: a guest with all cards …")
        bench = Bench(stack, ["virtio", "bpfhv", "vhost", "proxy"])
        rates = {direction: figures(section, f"rate/{direction}", stats.turns(
            ["virtio", "bpfhv"], rounds, lambda card, direction=direction:
            bench.rate(card, direction, seconds)), "1/s", "kicks",
            "interrupts") for direction in ("tx", "rx")}
        cpu = figures(section, "cpu", stats.turns(
            ["vhost", "proxy"], rounds,
            lambda card: bench.cpu_time(card, seconds)), "ns", "kicks")
        ports = measure_ports(section, bench, rounds, seconds)
    for direction, what in ("tx", "sent"), ("rx", "received"):
        found = rates[direction]
        section.table(
            f"Packets of 60 bytes {what} per second, by QEMU and a tap; "
            "median [quartiles]; for 1,000 packets, kicks and interrupts",
            ["", what, "kicks", "interrupts"],
            [[card, spread(found[card][0]), number(found[card][1].median),
              number(found[card][2].median)] for card in found])
        section.target(f"packets {what} per second, relative to virtio-net",
                       stats.ratio(found["bpfhv"][0].median,
                                   found["virtio"][0].median), RATE,
                       smaller=False)
    section.table(
        "Processor time of the process that takes packets of 60 bytes and "
        "throws them away, ns per packet; median [quartiles]; for 1,000 "
        "packets, kicks",
        ["", "ns", "kicks"],
        [[what, spread(cpu[card][0]), number(cpu[card][1].median)]
         for what, card in (("libvhost-user", "vhost"),
                            ("bpfhv-backend", "proxy"))])
    section.target("the backend's processor time, relative to libvhost-user",
                   stats.ratio(cpu["proxy"][0].median, cpu["vhost"][0].median),
                   CPU_TIME)
    section.table(
        "Processor time of bpfhv-backend that gives packets of 60 bytes to the "
        "host, whose stack drops them, ns per packet; median [quartiles]; for "
        "1,000 packets, kicks. By UDP from a process, and "
        f"{BURST} at a time from the guest's kernel (pktgen)",
        ["", "ns", "kicks", "ns, bursts", "kicks"],
        [[what, *[cell for found in ports for cell in (
            spread(found[port][0]), number(found[port][1].median))]]
         for what, port in (("a tap", "tap"), ("AF_XDP and a veth", "xdp"))])
    section.target("the backend's processor time for bursts with AF_XDP, "
                   "relative to a tap", stats.ratio(
                       ports[1]["xdp"][0].median, ports[1]["tap"][0].median),
                   XDP_TIME)


def show_fuel(section):
    """What a program executes more where the verifier puts fuel into it."""
    found = programs.measure("bpfhv", *[
        programs.BUILD / f"ebpf/bpfhv/{model}.o" for model in MODELS])
    calls = [name.removesuffix("/plain") for name in found
             if name.endswith("/plain") and not name.startswith("time/")]
    figure = {name: section.figure(f"fuel/{name}", samples, "")
              for name, samples in found.items()}

    def more(name):
        return stats.ratio(figure[f"{name}/fuel"].median,
                           figure[f"{name}/plain"].median) - 1

    section.table(
        "A call without and with fuel: BPF instructions, and ticks of this "
        "processor's clock, as native code; medians",
        ["model/program/buffers", "plain", "fuel", "more", "plain", "fuel",
         "more"],
        [[call, *[cell for name in (call, f"time/{call}") for cell in (
            number(figure[f"{name}/plain"].median),
            number(figure[f"{name}/fuel"].median), f"{more(name):.0%}")]]
         for call in calls])
    for model, program in itertools.product(MODELS, ("publish", "complete")):
        call = f"{model}/{program}/64"
        section.target(f"{call}: time for fuel, of the call's",
                       more(f"time/{call}"), FUEL)


def measure(quick):
    if bpfhv.why_not():
        raise Skipped(bpfhv.why_not())
    section = Section("bpfhv", "10. bpfhv beside virtio-net")
    section.note(f"Linux {get_kernel()}, which TCG emulates: instructions "
                 "say nothing of caches and of exits to the host.")
    show_instructions(section, quick)
    show_fuel(section)
    show_rates(section, quick)
    return section
