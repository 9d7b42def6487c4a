# SPDX-License-Identifier: GPL-2.0-or-later
"""Figures, tables and targets of a run; what is printed, and JSON."""

import dataclasses
import datetime
import json
import os
import platform
import re
import textwrap
from pathlib import Path

from . import stats

FORMAT = 1      # of the JSON file
LINE = 78       # characters in a line of text


@dataclasses.dataclass
class Target:
    """A promise about a figure, and whether this run kept it."""

    text: str
    value: float
    limit: float
    unit: str = ""
    smaller: bool = True        # is good

    @property
    def met(self):
        return self.value is not None and (
            self.value <= self.limit if self.smaller
            else self.value >= self.limit)

    def line(self):
        sign = "<=" if self.smaller else ">="
        bound = f"{sign} {number(self.limit)} {self.unit}".rstrip()
        if self.value is None:
            return f"not met  {self.text}: {bound}; not measured"
        text = (f"{self.text}: {number(self.value)} {self.unit}".rstrip()
                + f", target {bound}")
        if self.met:
            return "met      " + text
        missed = abs(self.value - self.limit)
        share = f" ({missed / self.limit:.0%})" if self.limit else ""
        return (f"not met  {text}, missed by {number(missed)} "
                f"{self.unit}".rstrip() + share)

    def as_dict(self):
        return {"text": self.text, "value": self.value, "limit": self.limit,
                "unit": self.unit, "met": self.met}


class Section:
    """One measurement: figures by name, tables, targets, plots."""

    def __init__(self, name, title):
        self.name = name
        self.title = title
        self.figures = {}
        self.blocks = []        # texts, in the order in which they are shown
        self.targets = []
        self.plots = {}         # file name -> arguments of plot.svg()

    def figure(self, name, samples, unit):
        """Keep the summary of some samples under a name, and return it."""
        result = stats.summary(samples)
        self.figures[name] = {"unit": unit, **result._asdict()}
        return result

    def value(self, name, value, unit):
        self.figure(name, [value], unit)
        return value

    def note(self, text):
        self.blocks.append(textwrap.fill(text, LINE))

    def table(self, heading, header, rows):
        self.blocks.append(textwrap.fill(heading, LINE) + "\n\n"
                           + table(header, rows))

    def cell(self, name):
        """Return (median, low, high) of a figure, or None without it."""
        figure = self.figures.get(name)
        return figure and tuple(figure[key] for key in
                                ("median", "low", "high"))

    def plot(self, file, *what):
        """Have a plot drawn: title, unit, groups, series as in plot.svg()."""
        self.plots[file] = what

    def target(self, *arguments, **options):
        self.targets.append(Target(*arguments, **options))

    def text(self):
        lines = [self.title, "=" * len(self.title), ""]
        for block in self.blocks:
            lines += [block, ""]
        if self.targets:
            lines += ["Targets", ""]
            lines += ["  " + target.line() for target in self.targets] + [""]
        return "\n".join(lines)


def round_number(value):
    """Return a number with as many digits as a glance takes in."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def number(value):
    """Return a number with three digits or so."""
    if value is None:
        return "-"
    if value == int(value) and abs(value) < 1e7:
        return f"{int(value):,}"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.3g}" if abs(value) < 1 else f"{value:.2f}"


def spread(summary):
    """Return "median [first quartile, third quartile]"."""
    return (f"{number(summary.median)} [{number(summary.low)}, "
            f"{number(summary.high)}]")


def table(header, rows):
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = []
    for row in cells:
        lines.append("  " + "  ".join(
            [row[0].ljust(widths[0])]
            + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        ).rstrip())
    lines.insert(1, "  " + "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def cpu_name():
    text = Path("/proc/cpuinfo").read_text()
    found = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    model = re.search(r"^model\s*: (.*)$", text, re.MULTILINE)
    name = found.group(1) if found else platform.machine()
    return name + (f", model {model.group(1)}" if model else "")


def cache_sizes():
    sizes = {}
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache")
                         .glob("index*")):
        kind = (folder / "type").read_text().strip()
        if kind != "Instruction":
            level = (folder / "level").read_text().strip()
            sizes["L" + level] = (folder / "size").read_text().strip()
    return sizes


def conditions():
    """Return on what, and when, this run is made."""
    return {
        "date": datetime.datetime.now(datetime.timezone.utc)
                .strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": cpu_name(),
        "cpus": os.cpu_count(),
        "caches": cache_sizes(),
        "kernel": f"{platform.system()} {platform.release()}",
        "load": os.getloadavg()[0],
    }


def header(what):
    caches = ", ".join(f"{level} {size}"
                       for level, size in what["caches"].items())
    return (f"{what['date']}, {what['cpus']} processors: {what['cpu']}"
            f"{' (' + caches + ')' if caches else ''}\n{what['kernel']}, "
            f"load average at the start {what['load']:.1f}")


def summary_text(sections, skipped):
    """Return the last lines of a run: targets met, not met, skips."""
    lines = ["All targets", "===========", ""]
    targets = [target for section in sections for target in section.targets]
    lines += ["  " + target.line() for target in targets]
    lines += [f"  skipped  {name}: {why}" for name, why in skipped.items()]
    met = sum(target.met for target in targets)
    return "\n".join(lines + [
        "", f"{met} of {len(targets)} targets met, "
        f"{len(skipped)} measurements skipped"])


def as_json(what, sections, skipped):
    return json.dumps({
        "format": FORMAT, "conditions": what, "skipped": skipped,
        "sections": {
            section.name: {
                "title": section.title, "figures": section.figures,
                "targets": [t.as_dict() for t in section.targets],
            } for section in sections},
    }, indent=1) + "\n"
