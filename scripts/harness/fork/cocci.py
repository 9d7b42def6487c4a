# SPDX-License-Identifier: GPL-2.0-or-later
"""Applies one semantic patch (.cocci) with Coccinelle's spatch.

spatch says nothing about a rule that matches nowhere, and a fork that has
silently lost an edit is worse than none.  So each rule has a position
variable, and the tool adds a small script rule for it that prints the places
where the rule matched.  Their number must be the one that is expected.
"""

import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from . import ForkError
from .series import applies, decode, encode

SETTING = re.compile(r"//\s*(file|expect|bases):\s*(.*?)\s*$")
RULE = re.compile(r"@\s*([A-Za-z_]\w*)\b[^@]*@")
COUNT = """
@script:python@
p << {rule}.{position};
@@
for place in p:
    print("PLACE {rule} %s:%s" % (place.line, place.column))
"""


@dataclass
class Rule:
    """A rule as far as this tool needs to know it."""
    name: str
    line: int
    body: range                 # its lines, from the first "@" on
    position: str = None        # its position variable
    includes: tuple = ()        # instead: the #include lines it looks for


@dataclass
class Section:
    """The rules for one file of QEMU: lines start to end of the .cocci."""
    file: str
    start: int
    end: int
    expect: dict
    bases: dict
    rules: list

    def rules_for(self, base):
        return [rule for rule in self.rules
                if applies(self.bases.get(rule.name), base)]


def read_rules(series_file, start, end):
    """Return the Rules in lines start..end; refuse those without a name."""
    rules = []
    lines = series_file.lines
    number = start
    while number < end:
        line = lines[number]
        number += 1
        if not line.startswith("@"):
            continue
        found = RULE.match(line)
        if line.startswith(("@script", "@initialize", "@finalize")):
            found = None
        elif not found:
            raise series_file.error(f"line {number}: a rule without a name")
        opened = number
        while number < end and lines[number].strip() != "@@":
            number += 1
        number += 1
        if not found:
            continue
        body = number
        while number < end and not lines[number].startswith("@"):
            number += 1
        rules.append(Rule(found.group(1), opened, range(opened - 1, number),
                          position_of(lines[opened:body - 1]),
                          includes_of(lines[body:number])))
        if not rules[-1].position and not rules[-1].includes:
            raise series_file.error(
                f"rule {rules[-1].name} (line {opened}): needs "
                "'position p;' and a token marked with @p, so that its "
                "matches can be counted")
    return rules


def position_of(metavariables):
    for line in metavariables:
        found = re.match(r"\s*position\s+([A-Za-z_]\w*)\s*[;,]", line)
        if found:
            return found.group(1)
    return None


def includes_of(body):
    """Return the #include lines that must be there for the rule to match."""
    return tuple(re.sub(r"^-?\s*", "", line).strip() for line in body
                 if re.match(r"-?\s*#include\b", line))


def parse(series_file):
    """Return (bases or None, sections) of a semantic patch."""
    bases = None
    sections = []
    for number, line in enumerate(series_file.lines):
        found = SETTING.match(line)
        if not found:
            continue
        key, value = found.groups()
        name, equals, setting = value.partition("=")
        if key == "bases" and not equals:
            bases = value
        elif key == "file":
            if sections:
                sections[-1].end = number
            sections.append(Section(value, number + 1,
                                    len(series_file.lines), {}, {}, []))
        elif not sections:
            raise series_file.error(f"line {number + 1}: '{key}:' before "
                                    "the first 'file:'")
        else:
            getattr(sections[-1], key)[name.strip()] = setting
    if not sections:
        raise series_file.error("names no file ('// file: PATH')")
    for section in sections:
        section.rules = read_rules(series_file, section.start, section.end)
        names = {rule.name for rule in section.rules}
        for name in (set(section.expect) | set(section.bases)) - names:
            raise series_file.error(f"line {section.start}: {section.file} "
                                    f"has no rule named {name}")
    return bases, sections


def differing(series_file):
    """Return (number of rules that differ by base, number of all rules)."""
    bases, sections = parse(series_file)
    rules = [(section, rule.name) for section in sections
             for rule in section.rules]
    return (sum(bases is not None or name in section.bases
                or ":" in section.expect.get(name, "")
                for section, name in rules), len(rules))


def lines_for(series_file, section, base):
    """Return the section's lines; those of rules for other bases are empty."""
    lines = series_file.lines[:section.end]
    rules = section.rules_for(base)
    for other in section.rules:
        if other not in rules:
            for number in other.body:
                lines[number] = ""
    return lines[section.start:]


def run_spatch(series_file, section, base, text, macros):
    """Return (new text, {rule: set of places}) for one section."""
    with tempfile.TemporaryDirectory(prefix="qemu-ebpf-") as folder:
        source = Path(folder) / Path(section.file).name
        script = Path(folder) / "rules.cocci"
        source.write_bytes(encode(text))
        # Empty lines before: spatch then gives the lines of the original.
        rules = [""] * section.start
        rules += lines_for(series_file, section, base)
        rules += [COUNT.format(rule=rule.name, position=rule.position)
                  for rule in section.rules_for(base) if rule.position]
        script.write_text("\n".join(rules) + "\n")
        command = ["spatch", "--very-quiet", "--no-includes", "--no-show-diff",
                   "--sp-file", str(script), "--in-place", str(source)]
        if macros.exists():
            command[1:1] = ["--macro-file", str(macros)]
        # spatch runs its scripts in the library of the first python3 on PATH.
        # Without HOME, which a service of systemd has not, it does not run.
        path = "/usr/bin:/bin:" + os.environ.get("PATH", "")
        try:
            done = subprocess.run(command, cwd=folder, text=True,
                                  capture_output=True, timeout=300,
                                  env={"HOME": folder, **os.environ,
                                       "PATH": path})
        except FileNotFoundError as error:
            raise ForkError("spatch is missing: install the package "
                            "coccinelle (scripts/deps qemu)") from error
        except subprocess.TimeoutExpired as error:
            raise series_file.error(f"spatch did not finish {section.file} "
                                    "in 5 minutes") from error
        if done.returncode:
            raise series_file.error(
                f"spatch failed on {section.file}:\n"
                + done.stderr.replace(str(script), series_file.name).strip())
        places = {}
        for name, place in re.findall(r"^PLACE (\w+) (\S+)$", done.stdout,
                                      re.MULTILINE):
            places.setdefault(name, set()).add(place)
        return decode(source.read_bytes()), places


def apply_cocci(series_file, sources, base, macros):
    """Apply all sections of one semantic patch to the sources."""
    bases, sections = parse(series_file)
    if not applies(bases, base):
        return
    for section in sections:
        if not section.rules_for(base):
            continue
        with sources.keep_problem():
            text = sources.read(section.file)
            if text is None:
                raise series_file.error(f"{series_file.product} {base} has no "
                                        f"file {section.file}")
            changed, places = run_spatch(series_file, section, base, text,
                                         macros)
            for rule in section.rules_for(base):
                count = (len(places.get(rule.name, ())) if rule.position else
                         sum(line.strip() in rule.includes
                             for line in text.splitlines()))
                with sources.keep_problem():
                    series_file.check_count(
                        f"{rule.name} (line {rule.line})", count,
                        section.expect.get(rule.name, "1"), base, section.file,
                        text, "\n".join(series_file.lines[number]
                                        for number in rule.body))
            sources.write(section.file, changed)
