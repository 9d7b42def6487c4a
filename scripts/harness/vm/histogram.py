# SPDX-License-Identifier: GPL-2.0-or-later
"""Which queue received what: sending, counting, and the histogram."""

import sys
import time
from collections import namedtuple

from . import steering, traffic

STALL = 10          # seconds without a new packet until the rest is lost
STALL_AGAIN = 2     # the same, once a packet was lost

# What became of one class of flows: packets per queue, how many were on
# another queue than predicted, and how many never arrived.
Row = namedtuple("Row", "name expected seen misplaced lost")


def wait_for_packets(guest, before, count, stall=STALL):
    """Return what each queue received since `before`, `count` in all.

    Returns earlier, with fewer, when nothing arrives any more.
    """
    last, since = -1, time.monotonic()
    while True:
        seen = [now - then for now, then in
                zip(steering.rx_packets(guest), before)]
        if sum(seen) >= count:
            return seen
        if sum(seen) != last:
            last, since = sum(seen), time.monotonic()
        elif time.monotonic() - since > stall:
            return seen


def bursts(groups, size):
    """Yield (queue, frames), never more than `size` frames (0: all)."""
    for queue, group in groups.items():
        step = size or len(group) or 1
        for start in range(0, len(group), step):
            yield queue, group[start:start + step]


def send_class(guest, sock, name, frames, queue_of, queues=4, burst=0):
    """Send the flows of one class, those of one queue at a time.

    `queue_of` predicts the queue of a frame.

    So the counters tell not only how many packets each queue received, but
    that each one was on the queue that was predicted for it.
    """
    groups = {queue: [] for queue in range(queues)}
    for frame in frames:
        groups[queue_of(frame)].append(frame)
    seen, misplaced, stall = [0] * queues, 0, STALL
    for queue, group in bursts(groups, burst):
        before = steering.rx_packets(guest)
        traffic.send(sock, group)
        got = wait_for_packets(guest, before, len(group), stall)
        seen = [old + new for old, new in zip(seen, got)]
        misplaced += sum(got) - got[queue]
        if sum(got) < len(group):
            stall = STALL_AGAIN
    expected = [len(groups[queue]) for queue in range(queues)]
    return Row(name, expected, seen, misplaced, len(frames) - sum(seen))


def print_rows(rows):
    """Print the histogram of each class and of all together."""
    queues = range(len(rows[0].expected))
    print(" " * 16 + "".join(f"   queue {queue}  " for queue in queues)
          + " elsewhere   lost")
    for row in rows:
        cells = "".join(f"{row.seen[q]:6d}/{row.expected[q]:<6d}"
                        for q in queues)
        mark = "ok" if not row.misplaced and not row.lost else "WRONG"
        print(f"  {row.name:14s}{cells} {row.misplaced:8d} {row.lost:6d}   "
              f"{mark}")
    total = max(sum(sum(row.expected) for row in rows), 1)
    for queue in queues:
        seen = sum(row.seen[queue] for row in rows)
        expected = sum(row.expected[queue] for row in rows)
        bar = "#" * round(60 * seen / total)
        print(f"  queue {queue}  {bar} {seen} seen, {expected} expected")
    sys.stdout.flush()
