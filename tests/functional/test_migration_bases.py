#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Live migration between our QEMU, stock QEMU, and those of older bases.

No guest runs: as in tests/qtest, the test is the card's driver, which goes on
with the same rings on the other side.  The QEMU that is tested is one side.
The other is stock QEMU of the same base, or with an older machine type ours or
stock QEMU of an older base.
"""

import unittest

from harness.fork.base import BASES, emulator
from harness.fork.series import matches_base
from harness.qtest.machine import stock_qemu, tested_base
from harness.qtest.migration import SOCKET, MigrationCase
from harness.qtest.rig import AUTO, EBPF, QUEUES, rows, run_tests, spread
from harness.qtest.virtio_net import FEATURES, HASHES, OK
from harness.vm import VmError
from harness.vm.qemu import Qemu

BOARDS = "pc-i440fx", "pc-q35"
KINDS = "RSS", "RSS and hash reports", "RSS that is off again"

TESTED = tested_base()
OLDER = list(BASES)[:list(BASES).index(TESTED)]

# Who may be the other side, and of which base
OTHERS = {"stock of the same base": ("stock", TESTED),
          **{f"{whose} {base}": (whose, base)
             for whose in ("stock", "ours") for base in OLDER}}
ROWS = {f"{direction} {name}, {board}, {kind}": (direction, other, board, kind)
        for direction in ("to", "from") for name, other in OTHERS.items()
        for board in BOARDS for kind in KINDS}


def has_types(base):
    """Tell whether RSS in the stream lists the card's hash types."""
    return matches_base("10.2+", base)


def other_qemu(whose, base):
    """Return the Qemu of the other side."""
    if whose == "stock":
        return stock_qemu(base)
    if not emulator(base).exists():
        raise unittest.SkipTest(f"QEMU {base} is not built here")
    return Qemu(emulator(base))


class MigrationBases(MigrationCase):
    """From and to another QEMU, by a socket."""

    @rows(ROWS)
    def check_row(self, direction, other, board, kind):
        whose, base = other
        options = "hash=on" if kind == KINDS[1] else ""
        engine = AUTO if options else EBPF
        board = f"{board}-{base}"
        # Stock QEMU has no choice of the engine, and cannot tell of it.
        other = {"engine": engine if whose == "ours" else None,
                 "qemu": other_qemu(whose, base), "machine_type": board}
        this = {"engine": engine, "machine_type": board}
        source, target = (this, other) if direction == "to" else (other, this)
        self.begin(options=options,
                   features=HASHES if options else FEATURES, **source)
        config = spread(unclassified=3)
        self.set_rss(config)
        self.assert_steers(config)
        if kind == KINDS[2]:
            self.assertEqual(self.nic.set_pairs(QUEUES), OK)
        if (target is other and kind != KINDS[2]
                and has_types(TESTED) and not has_types(base)):
            self.assert_refused(config, options=options, **target)
            return
        self.migrate(how=SOCKET, options=options, **target)
        if kind == KINDS[2]:
            self.assert_automatic()
            return
        # Stock QEMU reports no hash to a guest that comes: docs/stock.rst.
        deaf = (target is other and whose == "stock"
                and matches_base("10.0+", base))
        self.assert_goes_on(config, reports=options and not deaf)

    def assert_refused(self, config, **target):
        """The target ends, and the guest goes on where it was."""
        with self.assertRaisesRegex(VmError, "incoming version_id 2 is too new"):
            self.migrate(how=SOCKET, **target)
        self.card.machine.qmp("cont")
        self.assert_steers(config)

    def assert_goes_on(self, config, reports):
        """All is as it was, and the guest can change it."""
        self.assertEqual(self.card.engine(), self.engine)
        self.assert_steers(config)
        if reports:
            self.assert_reports(config)
        self.set_rss(spread(seed=2))
        self.assert_steers(spread(seed=2))
        self.assertEqual(self.nic.set_pairs(QUEUES), OK)
        self.assert_automatic()


if __name__ == "__main__":
    run_tests(__file__)
