# SPDX-License-Identifier: GPL-2.0-or-later
"""The parts of scripts/fork, one subject per file.

    base.py     QEMU's source: which versions, where from, unpacked where
    series.py   reads series/: what a series file is made of
    cocci.py    applies one semantic patch (.cocci)
    edits.py    applies one file of anchored edits (.edit)
    links.py    which of our files appear where in QEMU's tree
    tree.py     puts the tree together and keeps it up to date
    patches.py  shows the differences, exports a quilt series
    module.py   the same for Linux: the source of linux/vhost-net-hash
"""

from harness import Error


class ForkError(Error):
    """The source, the series or the tree is not as it must be."""
