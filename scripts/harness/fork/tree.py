# SPDX-License-Identifier: GPL-2.0-or-later
"""Puts the tree together, and keeps it up to date.

A new tree is made beside its place and then renamed, so that a tree is either
whole or not there.  A tree that is there is brought up to date file by file;
what has the right content already is not written, so that ninja rebuilds only
what an edit concerns.  The stamp in the tree records what it was made of; its
list of touched files is written before anything is touched, so that a run
after an interrupted one knows what to look at.
"""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from harness import TOP, files, say

from . import ForkError, cocci, edits
from .base import locked
from .links import read_links, read_pairs
from .series import Sources, digest, encode, read_series

STAMP = ".qemu-ebpf.json"
NOT_COPIED = (".git", ".pc", "debian")      # of the unpacked base


@dataclass
class Fork:
    """What a tree is made of."""
    base: str                   # "7.2"
    source: str                 # which source, as the stamp records it
    base_dir: Path              # QEMU as unpacked, never changed
    checkout: Path = TOP        # our repository

    @property
    def home(self):
        return self.checkout / f"build/qemu-{self.base}"

    @property
    def tree(self):
        return self.home / "tree"


def apply_series_file(fork, series_file, sources):
    if series_file.path.suffix == ".cocci":
        cocci.apply_cocci(series_file, sources, fork.base,
                          fork.checkout / "series/cocci-macros.h")
    else:
        edits.apply_edits(series_file, sources, fork.base)


def apply_series(fork):
    """Return QEMU's sources after the whole series."""
    sources = Sources(fork.base_dir)
    for series_file in read_series(fork.checkout / "series"):
        apply_series_file(fork, series_file, sources)
    find_links(fork, sources)
    sources.check()
    return sources


def find_links(fork, sources):
    """Return our links; one that would hide a file of QEMU's is a problem."""
    links = read_links(fork.checkout, fork.base)
    sources.problems += [ForkError(
        f"series/links: {ours.relative_to(fork.checkout)} would hide QEMU's "
        f"own {place}; let the series remove that first")
        for place, ours in links.items() if sources.read(place) is not None]
    return links


def count_differing(checkout):
    """Return (how many rules and links differ by base, how many there are)."""
    counts = [(cocci if file.path.suffix == ".cocci" else edits)
              .differing(file) for file in read_series(checkout / "series")]
    pairs = read_pairs(checkout / "series/links")
    counts.append((sum(bases is not None for *_, bases in pairs), len(pairs)))
    return tuple(map(sum, zip(*counts)))


# --- the stamp ----------------------------------------------------------

def original_digest(fork, touched):
    """Return a hash over what the base has at the touched paths."""
    total = hashlib.sha256()
    for path in sorted(touched):
        file = fork.base_dir / path
        total.update(path.encode() + b"\0")
        total.update(file.read_bytes() if file.is_file() else b"\0")
    return total.hexdigest()


def read_stamp(fork):
    """Return the tree's stamp, or None if there is no usable tree.

    A tree of another base is not usable, nor one whose base has changed:
    nobody knows which of the other files did.
    """
    try:
        stamp = json.loads((fork.tree / STAMP).read_text())
        if (stamp["source"] == fork.source and
                stamp["original"] == original_digest(fork, stamp["touched"])):
            return stamp
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def write_stamp(folder, stamp):
    files.replace(folder / STAMP, json.dumps(stamp, indent=1).encode())


def is_current(checkout, stamp):
    """Tell whether nothing of ours changed since the stamp was written."""
    if stamp is None or not stamp.get("complete"):
        return False
    links = {place: str(ours.relative_to(checkout))
             for place, ours in read_links(checkout, stamp["base"]).items()}
    return (stamp["series"] == digest(checkout / "series")
            and stamp["links"] == links)


# --- single files -------------------------------------------------------

def snapshot(sources):
    """Return {path: bytes or None} of all files that are not the base's."""
    texts = {path: encode(text) for path, text in sources.edited.items()}
    texts.update({path: None for path in sources.removed})
    return texts


def bytes_at(fork, texts, path):
    """Return a file's bytes from a snapshot, else from the base."""
    if path in texts:
        return texts[path]
    file = fork.base_dir / path
    return file.read_bytes() if file.is_file() else None


def put(fork, folder, path, wanted):
    """Make a file what it should be; tell whether it was not.

    wanted: its bytes, one of our files, for a link to it, or None for no file
    """
    file = folder / path
    if isinstance(wanted, Path):
        # The tree is renamed, but to the folder it is in: "../" stay right.
        target = os.path.relpath(wanted, file.parent)
        right = file.is_symlink() and os.readlink(file) == target
    elif wanted is None:
        right = not file.is_symlink() and not file.exists()
    else:
        right = (file.is_file() and not file.is_symlink()
                 and file.read_bytes() == wanted)
    if right:
        return False
    file.unlink(missing_ok=True)
    if wanted is None:
        for parent in file.parents:
            if parent == folder or any(parent.iterdir()):
                break
            parent.rmdir()
        return True
    file.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(wanted, Path):
        file.symlink_to(target)
    else:
        file.write_bytes(wanted)
        if (fork.base_dir / path).exists():
            shutil.copymode(fork.base_dir / path, file)
    return True


def bring_up_to_date(fork, folder, sources, links, touched_before):
    """Make the files of a tree what they should be; return the number."""
    wanted = {path: bytes_at(fork, {}, path) for path in touched_before}
    wanted |= snapshot(sources) | links
    return sum(put(fork, folder, path, what) for path, what in
               sorted(wanted.items(), key=lambda item: item[1] is not None))


# --- the whole tree -----------------------------------------------------

def copy_base(fork, target):
    """Copy the unpacked base, without what only packaging needs.

    The copies have a new time: what ninja built from another base is old.
    """
    shutil.rmtree(target, ignore_errors=True)
    skip = set(NOT_COPIED)

    def ignore(folder, names):
        return skip & set(names) if Path(folder) == fork.base_dir else ()

    shutil.copytree(fork.base_dir, target, symlinks=True, ignore=ignore,
                    copy_function=shutil.copy)


def assemble(fork, again=False):
    """Make the tree, or bring it up to date; return its folder."""
    with locked(fork.home / "lock", "putting the tree together"):
        stamp = None if again else read_stamp(fork)
        if is_current(fork.checkout, stamp):
            return fork.tree
        say("fork", f"applying the series to QEMU {fork.base} …")
        sources = apply_series(fork)
        links = find_links(fork, sources)
        touched = set(sources.edited) | sources.removed | set(links)
        final = {
            "complete": True,
            "base": fork.base,
            "source": fork.source,
            "series": digest(fork.checkout / "series"),
            "links": {place: str(ours.relative_to(fork.checkout))
                      for place, ours in links.items()},
            "touched": sorted(touched),
            "original": original_digest(fork, touched),
        }
        if stamp is None:
            make_new(fork, sources, links, final)
        else:
            before = set(stamp["touched"])
            both = sorted(before | touched)
            write_stamp(fork.tree, {
                **final, "complete": False, "touched": both,
                "original": original_digest(fork, both)})
            changed = bring_up_to_date(fork, fork.tree, sources, links, before)
            say("fork", f"{changed} files of the tree changed")
            write_stamp(fork.tree, final)
    return fork.tree


def make_new(fork, sources, links, stamp):
    partial = fork.home / "tree.partial"
    say("fork", f"copying QEMU {fork.base} to build/qemu-{fork.base}/tree …")
    copy_base(fork, partial)
    bring_up_to_date(fork, partial, sources, links, ())
    write_stamp(partial, stamp)
    shutil.rmtree(fork.tree, ignore_errors=True)
    partial.rename(fork.tree)
    say("fork", f"{len(sources.edited)} files edited, {len(sources.removed)} "
                f"removed, {len(links)} of ours linked")
