# SPDX-License-Identifier: GPL-2.0-or-later
"""Which hash each packet has in a guest, as rxhash or xdphash tells."""

from . import traffic

OUTPUT = "/tmp/hashes"
START_TIMEOUT = 20          # s
END_TIMEOUT = 90            # s; they wait 30 s for a packet


def begin(guest, count, program="rxhash"):
    """Have the guest take note of the hashes of so many packets."""
    guest.shell(f"{program} eth0 {count} >{OUTPUT} 2>&1 & echo $! >"
                f"{OUTPUT}.pid; (until grep -qx ready {OUTPUT}; do "
                f"kill -0 $(cat {OUTPUT}.pid) || {{ cat {OUTPUT}; exit 1; }}; "
                "sleep 0.1; done)", START_TIMEOUT)


def end(guest):
    """Return the program's lines, in words, when all packets have come.

    Or when no more do.
    """
    text = guest.shell(f"while kill -0 $(cat {OUTPUT}.pid) 2>/dev/null; do "
                       f"sleep 0.1; done; cat {OUTPUT}", END_TIMEOUT)
    return [line.split() for line in text.splitlines()[1:]]


def of_flows(lines):
    """Return {flow: hash} out of rxhash's lines."""
    return {bytes.fromhex(flow): int(value, 16) for flow, value in lines}


def compare(found, flows, config):
    """Print what came of each class of flows; return how many are wrong.

    found: {flow: hash}; flows: {class name: frames}
    """
    wrong = 0
    for name, frames in flows.items():
        expected = {traffic.flow_of(frame): config.hash(frame)[0]
                    for frame in frames}
        right = sum(found.get(flow) == value
                    for flow, value in expected.items())
        wrong += len(frames) - right
        print(f"  {name:14s}{right:8d}/{len(frames):<6d} "
              + ("ok" if right == len(frames) else "WRONG"))
    return wrong
