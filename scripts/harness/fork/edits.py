# SPDX-License-Identifier: GPL-2.0-or-later
"""Applies one file of anchored edits (.edit).

    file: hw/net/meson.build

    rule: drop_packet_analysis
    delete: /CONFIG_VIRTIO_NET.*net_rx_pkt/

    rule: add_rss
    insert-after: 'virtio-net.c'
    | our text, a line for each line that begins with "| "

An anchor is a piece of a line, or a regular expression between slashes; an
edit concerns the whole lines that have it.  series/README has the rest.
"""

import re
from dataclasses import dataclass, field

from .series import applies, nearest

ACTIONS = ("insert-before", "insert-after", "replace", "delete")
REMOVALS = ("remove-file", "remove-dir")


@dataclass
class Edit:
    """One rule: at each line that has the anchor, do the action."""
    name: str
    file: str
    line: int
    settings: dict = field(default_factory=dict)
    text: list = field(default_factory=list)

    @property
    def action(self):
        return next(name for name in ACTIONS if name in self.settings)


def parse(series_file):
    """Return (edits, [(removal, path, bases)]) of a series file."""
    edits, removals = [], []
    file = edit = None
    bases = None
    for number, line in enumerate(series_file.lines, 1):
        def bad(why):
            return series_file.error(f"line {number}: {why}")

        if line.startswith("|"):
            if edit is None:
                raise bad("text outside a rule")
            edit.text.append(line[2:] if line[1:2] == " " else line[1:])
            continue
        if line.startswith("#") or not line.strip():
            continue
        key, colon, value = line.partition(":")
        value = value.strip()
        if not colon or not value:
            raise bad(f"'{line}' is not of the form 'word: value'")
        if key == "file":
            file, edit = value, None
        elif key in REMOVALS:
            removals.append((key, value, bases))
        elif key == "rule":
            if file is None:
                raise bad("a rule needs a 'file:' line before it")
            edit = Edit(value, file, number)
            edits.append(edit)
        elif edit is None and key == "bases":
            bases = value
        elif edit is not None and key in ACTIONS + ("to", "after", "expect",
                                                    "bases"):
            edit.settings[key] = value
        else:
            raise bad(f"'{key}:' is not known here")
    for edit in edits:
        edit.settings.setdefault("bases", bases)
        check(series_file, edit)
    return edits, removals


def check(series_file, edit):
    """Refuse a rule that cannot be carried out."""
    actions = [name for name in ACTIONS if name in edit.settings]
    problem = None
    if len(actions) != 1:
        problem = "needs exactly one of " + ", ".join(ACTIONS)
    elif (edit.text == []) != (actions[0] == "delete"):
        problem = f"{actions[0]} " + ("takes no text" if edit.text
                                      else "needs lines of text")
    elif "to" in edit.settings and actions[0].startswith("insert"):
        problem = "'to:' goes with replace and delete only"
    if problem:
        raise series_file.error(f"rule {edit.name} (line {edit.line}): "
                                + problem)


def matcher(series_file, edit, anchor):
    """Return a function that tells whether a line has the anchor."""
    if len(anchor) > 2 and anchor[0] == anchor[-1] == "/":
        try:
            return re.compile(anchor[1:-1]).search
        except re.error as error:
            raise series_file.error(f"rule {edit.name}: {anchor}: "
                                    f"{error}") from error
    return lambda line: anchor in line


def spans(series_file, edit, lines):
    """Return the [first, last] line numbers that the rule concerns."""
    start = 0
    if "after" in edit.settings:
        has = matcher(series_file, edit, edit.settings["after"])
        hits = [i for i, line in enumerate(lines) if has(line)]
        if not hits:
            raise series_file.error(
                f"rule {edit.name}: no line of {edit.file} has "
                f"{edit.settings['after']} ('after:')"
                + nearest(edit.settings["after"], "\n".join(lines)))
        start = hits[0] + 1
    has = matcher(series_file, edit, edit.settings[edit.action])
    found = [[i, i] for i in range(start, len(lines)) if has(lines[i])]
    if "to" in edit.settings:
        ends = matcher(series_file, edit, edit.settings["to"])
        for span in found:
            span[1] = next((i for i in range(span[0], len(lines))
                            if ends(lines[i])), None)
            if span[1] is None:
                raise series_file.error(
                    f"rule {edit.name}: no line of {edit.file} after line "
                    f"{span[0] + 1} has {edit.settings['to']} ('to:')")
    return found


def apply_edit(series_file, edit, text, base):
    lines = text.split("\n")
    found = spans(series_file, edit, lines)
    series_file.check_count(
        edit.name, len(found), edit.settings.get("expect", "1"), base,
        edit.file, text, edit.settings[edit.action])
    for first, last in reversed(found):
        if edit.action == "insert-before":
            lines[first:first] = edit.text
        elif edit.action == "insert-after":
            lines[last + 1:last + 1] = edit.text
        else:
            lines[first:last + 1] = edit.text
    return "\n".join(lines)


def differing(series_file):
    """Return (number of rules that differ by base, number of all rules)."""
    edits, removals = parse(series_file)
    return (sum(edit.settings["bases"] is not None
                or ":" in edit.settings.get("expect", "") for edit in edits)
            + sum(bases is not None for _, _, bases in removals),
            len(edits) + len(removals))


def apply_edits(series_file, sources, base):
    """Apply all rules and removals of one series file to the sources."""
    edits, removals = parse(series_file)
    for edit in edits:
        if not applies(edit.settings["bases"], base):
            continue
        with sources.keep_problem():
            text = sources.read(edit.file)
            if text is None:
                raise series_file.error(f"rule {edit.name}: QEMU {base} has "
                                        f"no file {edit.file}")
            sources.write(edit.file, apply_edit(series_file, edit, text, base))
    for kind, path, bases in removals:
        if not applies(bases, base):
            continue
        gone = (sources.files_under(path) if kind == "remove-dir" else
                [path] if sources.read(path) is not None else [])
        if not gone:
            sources.problems.append(
                series_file.error(f"{kind}: QEMU {base} has no {path}"))
        for file in gone:
            sources.remove(file)
