# SPDX-License-Identifier: GPL-2.0-or-later
"""What reporting hashes costs with vhost=on; part of vhost.py.

Two guests on the vhost-net that can report hashes, the one with hash=on and the
other without.  They take turns, and what counts is the ratio in each turn.
"""

import contextlib
import os
import socket
import threading
import time

from harness.functional.vhost_card import HASH, STOCK
from harness.vm.kernel import get_kernel
from harness.vm.process import run
from harness.vm.qemu import own_qemu

from . import BenchError, guest, say
from .report import number, spread

CARDS = {"without reports": "hash=off", "with reports": "hash=on"}
HERE, THERE, PORT = "192.0.2.1", "192.0.2.2", 5001
TIMEOUT = 120               # s, of a stream
SLOWER = 0.97               # with reports relative to without, at the least


def why_not():
    if not os.access(HASH, os.R_OK | os.W_OK):
        return f"there is no {HASH}"
    return ""


def in_place_of_stock(command):
    """Return a command for which the stock node is the other one."""
    return ["unshare", "--mount", "sh", "-c",
            f"mount --bind {HASH} {STOCK} && exec \"$@\"", "sh", *command]


def boot(stack, name, qemu, kernel, accel):
    machine = guest.boot(stack, name, qemu, kernel, accel, True, CARDS[name])
    if CARDS[name] == "hash=on":
        machine.guest.shell("ethtool -K eth0 rxhash on")
        rss = machine.guest.qmp("x-query-rss")[0]
        if rss["hash-reporter"] != "vhost":
            raise BenchError("vhost-net reports no hashes: "
                             + rss["hash-reason"])
    machine.guest.shell(f"ip addr add {THERE}/24 dev eth0")
    with machine.net.entered():
        run("ip", "addr", "add", f"{HERE}/24", "dev", machine.net.name)
    return machine


def connect():
    """Return a connection to the guest, as soon as it listens."""
    deadline = time.monotonic() + TIMEOUT
    while True:
        try:
            return socket.create_connection((THERE, PORT), TIMEOUT)
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def to_guest(machine, size):
    """Return the MiB per second of a TCP stream into the guest."""
    begin = []

    def send():
        with machine.net.entered(), connect() as connection:
            begin.append(time.monotonic())
            for _ in range(size):
                connection.sendall(bytes(1 << 20))

    sender = threading.Thread(target=send)
    sender.start()
    try:
        machine.guest.shell(f"nc -l -p {PORT} </dev/null >/dev/null", TIMEOUT)
        end = time.monotonic()
    finally:
        sender.join()
    return size / (end - begin[0])


def from_guest(machine, size):
    """Return the MiB per second of a TCP stream out of the guest."""
    with machine.net.entered():
        server = socket.create_server((HERE, PORT))
    with server:
        server.settimeout(TIMEOUT)
        machine.guest.shell(f"dd if=/dev/zero bs=64k count={16 * size} "
                            f"2>/dev/null | nc {HERE} {PORT} >/dev/null &")
        connection, _ = server.accept()
    with connection:
        connection.settimeout(TIMEOUT)
        begin, left = time.monotonic(), size << 20
        while left:
            data = connection.recv(1 << 20)
            if not data:
                raise BenchError("a stream out of the guest ended early")
            left -= len(data)
    return size / (time.monotonic() - begin)


def sample(accel, quick):
    """Run the guests; return {way: {name: [rate, …]}}."""
    rounds, size, milliseconds = (8, 16, 700) if quick else (24, 16, 1500)
    qemu, kernel = own_qemu(), get_kernel()
    with contextlib.ExitStack() as stack:
        machines = [boot(stack, name, qemu, kernel, accel) for name in CARDS]
        file = guest.frames_file(stack)
        ways = {
            "UDP, packets/s":
                lambda machine: guest.push(machine, file, milliseconds)[0],
            "TCP to the guest, MiB/s": lambda machine: to_guest(machine, size),
            "TCP from the guest, MiB/s":
                lambda machine: from_guest(machine, size),
        }
        samples = {way: {name: [] for name in CARDS} for way in ways}
        for number_of_round in range(rounds):
            say(f"vhost: hash reports, round {number_of_round + 1} of "
                f"{rounds} …")
            order = machines[::-1] if number_of_round % 2 else machines
            for way, measure in ways.items():
                for machine in order:
                    samples[way][machine.name].append(measure(machine))
    return samples


def show(section, samples):
    """Table and targets of what sample() returned."""
    rows = []
    for way, rates in samples.items():
        ratio = section.figure(f"hash reports/{way}/ratio", [
            one / other for one, other in zip(rates["with reports"],
                                              rates["without reports"])], "")
        rows.append([way, *[spread(section.figure(
            f"hash reports/{way}/{name}", rates[name],
            way.rpartition(", ")[2])) for name in CARDS], spread(ratio)])
        section.target(f"{section.name}: hash reports, {way}, relative to "
                       "none", ratio.median, SLOWER, smaller=False)
    section.table("Hash reports: a guest that has them and one that has not, "
                  "on the same vhost-net, in turns of "
                  f"{number(len(rates['with reports']))}; median [quartiles], "
                  "and those of the ratio in each turn",
                  ["", *CARDS, "ratio"], rows)
