# SPDX-License-Identifier: GPL-2.0-or-later
"""Virtual machines for the demo and the tests.

    kernel.py     a Debian kernel and its modules, unpacked in the cache
    initramfs.py  the small root file system that our guests start from
    qemu.py       a QEMU binary with its firmware; the distribution's own
    accel.py      does KVM really run a guest here?
    guest.py      Guest: one QEMU process with a shell and QMP
    channel.py    the shell over virtio-serial, and QMP
    tapnet.py     TapNet: a network namespace with a multiqueue tap
    traffic.py    the packets that are sent into the tap
    qstats.c      counters per queue, in guests from Linux 6.12 on
    rxhash.c      the hash of each packet, in guests
    flow.py       packets each byte of which is looked at; flow.c sends them
    xdphash.c     the same as XDP programs see it, from Linux 6.10 on
    hashes.py     which packet came with which hash
    histogram.py  which queue received what
    steering.py   what steers: eBPF program, QEMU or nothing
    virthost.py   VirtualHost: a host of our own, with vhost-net
    uml.py        Uml: a kernel as a process, where nanoseconds count
    module.py     our modules for a Debian kernel
    bpfhv.py      bpfhv-backend, which serves a card's queues
    root.py       going on as root
    process.py    child processes and descriptors that never outlive us

Whatever goes wrong is a VmError, or privateapt's AptError.
"""

from harness import Error


class VmError(Error):
    """A machine or a command did not do its work."""
