# SPDX-License-Identifier: GPL-2.0-or-later
"""7. End to end with vhost=on, where QEMU sees no packet.

Where this machine has no vhost-net, the guests run in a virtual host
(docs/devel/testbed.rst), by this same file.
"""

import json
import os
import shlex
import sys

from harness import TOP
from harness.functional.vhost_card import STOCK
from harness.privateapt import AptError
from harness.vm.virthost import VirtualHost, our_command, try_again

from . import BenchError, guest, hashes, peers, say
from .programs import run
from .report import Section

MARK = "samples: "
TIMEOUT = 1800


def choices():
    """Return {name: QEMU}: 7.2 offers no RSS with vhost=on, unlike 10.0."""
    return guest.qemus(quick=True)


def command(what, quick, accel="kvm"):
    """Return the command by which this file prints samples."""
    return our_command("-m", "harness.bench.vhost", what,
                       "quick" if quick else "long", accel,
                       PYTHONPATH=TOP / "scripts")


def read_samples(status, output):
    for line in output.splitlines():
        if line.startswith(MARK):
            return json.loads(line.removeprefix(MARK))
    raise BenchError(f"no samples (status {status}): "
                     + output.strip()[-500:])


def sample_there(quick):
    """Return what sample_here() does, from a virtual host."""
    choices()               # fetches what is missing there
    try:
        module, why_not = peers.hash_module(), ""
    except AptError as error:
        module, why_not = None, str(error)

    def sample():
        with VirtualHost() as host:
            def there(words):
                return read_samples(*host.try_shell(
                    shlex.join(words), TIMEOUT,
                    line=lambda text: print("  | " + text[:200], flush=True)))

            data = there(command("guests", quick))
            if not module:
                return data, why_not
            host.shell(f"insmod {shlex.quote(str(module))}")
            return data, there(hashes.in_place_of_stock(command("hashes",
                                                                quick)))

    say("vhost: in a virtual host …")
    return try_again(sample)


def sample_here(quick):
    """Return what the guests received, and what hash reports cost.

    Or, in place of the latter, why they are not measured.
    """
    data = guest.sample(choices(), None, True, quick)
    if why_not := hashes.why_not():
        return data, why_not
    status, output, errors = run(
        hashes.in_place_of_stock(command("hashes", quick, data["accel"])),
        TIMEOUT)
    return data, read_samples(status, output + errors)


def measure(quick):
    section = Section("vhost", "7. End to end, with vhost=on")
    if os.access(STOCK, os.R_OK | os.W_OK):
        data, reports = sample_here(quick)
        what = "vhost=on"
    else:
        data, reports = sample_there(quick)
        what = "vhost=on in a virtual host, which TCG emulates"
    guest.show(section, data, what)
    if isinstance(reports, str):
        section.note(f"Hash reports are not measured: {reports}.")
    else:
        hashes.show(section, reports)
    return section


def main(what, how, accel):
    quick = how == "quick"
    samples = (hashes.sample(accel, quick) if what == "hashes" else
               guest.sample(choices(), accel, True, quick))
    print(MARK + json.dumps(samples), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
