# SPDX-License-Identifier: GPL-2.0-or-later
"""7. End to end with vhost=on, where QEMU sees no packet.

Where this machine has no vhost-net, the guests run in a virtual host
(docs/devel/testbed.rst), by this same file.
"""

import json
import os
import sys

from harness import TOP
from harness.vm.virthost import our_command, run_there

from . import BenchError, guest, say
from .report import Section

MARK = "samples: "
TIMEOUT = 900


def choices():
    """Return {name: QEMU}: 7.2 offers no RSS with vhost=on, unlike 10.0."""
    return guest.qemus(quick=True)


def sample_there(quick):
    """Return what guest.sample() does, in a virtual host."""
    choices()               # fetches what is missing there
    command = our_command("-m", "harness.bench.vhost",
                          "quick" if quick else "long",
                          PYTHONPATH=TOP / "scripts")
    say("vhost: in a virtual host …")
    status, output = run_there(command, TIMEOUT)
    for line in output.splitlines():
        if line.startswith(MARK):
            return json.loads(line.removeprefix(MARK))
    raise BenchError(f"the virtual host gives no samples (status {status}): "
                     + output.strip()[-500:])


def measure(quick):
    section = Section("vhost", "7. End to end, with vhost=on")
    if os.access("/dev/vhost-net", os.R_OK | os.W_OK):
        data = guest.sample(choices(), None, True, quick)
        what = "vhost=on"
    else:
        data = sample_there(quick)
        what = "vhost=on in a virtual host, which TCG emulates"
    guest.show(section, data, what)
    return section


if __name__ == "__main__":
    print(MARK + json.dumps(guest.sample(choices(), "kvm", True,
                                         sys.argv[1] == "quick")), flush=True)
