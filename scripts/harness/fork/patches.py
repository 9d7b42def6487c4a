# SPDX-License-Identifier: GPL-2.0-or-later
"""Shows how the fork differs from the base; exports it as a quilt series.

An export is for one base: a folder in the manner of debian/patches, with a
patch for each series file and two more that add our own files.  Pushed on
the unpacked base, it gives the tree that assemble puts together.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

from harness import say

from . import ForkError
from .series import Sources, read_series
from .tree import apply_series_file, bytes_at, find_links, snapshot

LIBRARY = "subprojects/qemu-ebpf/"


def write_side(folder, texts):
    """Write {path: bytes or None} below a folder; None is no file."""
    folder.mkdir()
    for path, data in texts.items():
        if data is not None:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)


def unified(before, after):
    """Return a unified diff (bytes) of two {path: bytes or None}."""
    with tempfile.TemporaryDirectory(prefix="qemu-ebpf-") as name:
        write_side(Path(name) / "a", before)
        write_side(Path(name) / "b", after)
        done = subprocess.run(["diff", "-Nru", "a", "b"], cwd=name,
                              stdout=subprocess.PIPE)
    if done.returncode > 1:
        raise ForkError("diff failed")
    lines = []
    for line in done.stdout.split(b"\n"):
        if line.startswith(b"diff -Nru "):
            continue
        if line.startswith((b"--- a/", b"+++ b/")):
            line, _, date = line.partition(b"\t")
            if date.startswith(b"1970-01-01"):      # there is no such file
                line = line[:4] + b"/dev/null"
        lines.append(line)
    return b"\n".join(lines)


def steps(fork):
    """Yield (file name, title, reason, diff) of all patches, in order."""
    sources = Sources(fork.base_dir)
    before = {}
    for series_file in read_series(fork.checkout / "series"):
        apply_series_file(fork, series_file, sources)
        sources.check()
        after = snapshot(sources)
        paths = sorted(path for path in after
                       if after[path] != bytes_at(fork, before, path))
        if paths:
            yield (series_file.path.stem, series_file.title,
                   series_file.reason,
                   unified({path: bytes_at(fork, before, path)
                            for path in paths},
                           {path: after[path] for path in paths}))
        before = after
    yield from own_files(find_links(fork, sources))


def own_files(links):
    """Yield the patches that add our own files."""
    groups = [
        ("98-library", "add the receive steering library",
         "These files do not use QEMU; they are a meson subproject of it.",
         [place for place in links if place.startswith(LIBRARY)]),
        ("99-device", "add virtio-net's receive steering and its manuals",
         "The device code decides when to steer; the library knows how.",
         [place for place in links if not place.startswith(LIBRARY)]),
    ]
    for name, title, reason, places in groups:
        if places:
            yield (name, title, reason,
                   unified({place: None for place in places},
                           {place: links[place].read_bytes()
                            for place in places}))


def header(title, reason):
    """Return the top of an exported patch, as DEP-3 wants it."""
    lines = ["Description: " + title]
    lines += [" " + (line or ".") for line in reason.splitlines()]
    lines += ["Origin: other, qemu-ebpf", "Forwarded: no", "---", ""]
    return "\n".join(lines).encode()


def export(fork):
    """Write the quilt series for one base; return its folder."""
    target = fork.home / "export"
    partial = fork.home / "export.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    names = []
    for name, title, reason, diff in steps(fork):
        names.append(name + ".patch")
        (partial / names[-1]).write_bytes(header(title, reason) + diff)
    (partial / "series").write_text("".join(name + "\n" for name in names))
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
    say("fork", f"{len(names)} patches for QEMU {fork.base} in "
                f"{target.relative_to(fork.checkout)}/")
    return target


def differences(fork, sources):
    """Return (list of lines, diff as bytes) of how the fork differs."""
    links = find_links(fork, sources)
    edited = sorted(sources.edited)
    lines = [f"edited   {path}" for path in edited]
    lines += [f"removed  {path}" for path in sorted(sources.removed)]
    lines += [f"ours     {place} -> {file.relative_to(fork.checkout)}"
              for place, file in sorted(links.items())]
    texts = snapshot(sources)
    return lines, unified({path: bytes_at(fork, {}, path) for path in edited},
                          {path: texts[path] for path in edited})
