# SPDX-License-Identifier: GPL-2.0-or-later
"""Which of our files appear where in QEMU's tree.

series/links has one pair per line: a file or folder of this repository, and
its place in QEMU's tree; a third word may say for which versions of QEMU.  A
folder stands for all files in it.  In the tree they are symbolic links, so
that an edit here needs no new tree.
"""

from . import ForkError
from .series import applies


def is_ours(path):
    """Tell a source file from what editors and Python leave behind."""
    return not any(part.startswith(".") or part.endswith("~")
                   or part == "__pycache__" for part in path.parts)


def read_pairs(file):
    """Return [(ours, place in the tree, bases or None)] of series/links."""
    pairs = []
    if not file.exists():
        return pairs
    for number, line in enumerate(file.read_text().splitlines(), 1):
        words = line.split("#")[0].split()
        if len(words) in (2, 3):
            pairs.append((*words, None)[:3])
        elif words:
            raise ForkError(f"series/links: line {number}: needs two paths, "
                            "ours and the one in QEMU's tree, and perhaps "
                            "the versions of QEMU")
    return pairs


def read_links(checkout, base):
    """Return {path in the tree: our file}, a link for each file.

    What a line names need not exist yet.
    """
    links = {}
    for ours, place, bases in read_pairs(checkout / "series/links"):
        if not applies(bases, base):
            continue
        source = checkout / ours
        if source.is_dir():
            for file in sorted(source.rglob("*")):
                inside = file.relative_to(source)
                if file.is_file() and is_ours(inside):
                    links[f"{place}/{inside}"] = file
        elif source.exists():
            links[place] = source
    return links
