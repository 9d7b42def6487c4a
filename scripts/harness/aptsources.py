# SPDX-License-Identifier: GPL-2.0-or-later
"""From which mirrors does this machine get Debian?

Reads the machine's own apt entries, picks those that serve Debian itself and
rewrites them for another suite or for source packages.  Only reads; see
privateapt.py for what is done with the answer.
"""

import contextlib
import os
import re
from pathlib import Path

RELEASES = ("bullseye", "bookworm", "trixie", "forky")
ALIASES = ("oldoldstable", "oldstable", "stable", "testing", "unstable", "sid")


def parse_one_line(text):
    """Yield (types, uri, suites, components, options) of a *.list file."""
    for line in text.splitlines():
        line = line.split("#")[0].strip()
        found = re.match(r"(deb(?:-src)?)\s+(?:\[([^]]*)\]\s*)?(\S+)\s+"
                         r"(\S+)\s+(.+)", line)
        if not found:
            continue
        options = dict(word.split("=", 1)
                       for word in (found.group(2) or "").split()
                       if "=" in word)
        # The long format writes lists with spaces and names in capitals.
        options = {name.title(): value.replace(",", " ")
                   for name, value in options.items()}
        yield (found.group(3), [found.group(4)], found.group(5).split(),
               options)


def parse_deb822(text):
    """Yield (uri, suites, components, options) of a *.sources file."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for stanza in re.split(r"\n\s*\n", "\n".join(lines)):
        fields = {}
        for name, value in re.findall(
                r"^([A-Za-z0-9-]+):((?:.*)(?:\n[ \t].*)*)", stanza,
                re.MULTILINE):
            fields[name.title()] = value.strip()
        if fields.get("Enabled", "yes").lower() in ("no", "false", "0"):
            continue
        for uri in fields.get("Uris", "").split():
            yield (uri, fields.get("Suites", "").split(),
                   fields.get("Components", "").split(), fields)


def machine_entries():
    folder = Path("/etc/apt/sources.list.d")
    files = [Path("/etc/apt/sources.list")]
    files += sorted(folder.glob("*.list")) + sorted(folder.glob("*.sources"))
    entries = []
    for file in files:
        with contextlib.suppress(OSError):
            parse = (parse_deb822 if file.suffix == ".sources"
                     else parse_one_line)
            entries += parse(file.read_text())
    return entries


def is_debian_suite(suite):
    name = re.split(r"[-/]", suite)[0]
    return name in RELEASES + ALIASES


def debian_mirrors(entries):
    """Pick what serves Debian itself: {"main": [...], "security": [...]}.

    Each element is (uri, options to keep).  Others use Debian's suite names
    too; most are told apart by their key, the rest by the Origin field when
    the index has arrived (see private_update).
    """
    mirrors = {"main": [], "security": []}
    for uri, suites, components, options in entries:
        key = options.get("Signed-By", "")
        if uri.startswith("cdrom:") or "main" not in components:
            continue
        if key.startswith("/") and "debian" not in os.path.basename(key):
            continue
        kept = {name: options[name] for name in ("Signed-By", "Trusted")
                if name in options}
        for suite in filter(is_debian_suite, suites):
            kind = ("security" if re.search(r"-security$|/updates$", suite)
                    else "main")
            if (uri, kept) not in mirrors[kind]:
                mirrors[kind].append((uri, kept))
    return mirrors


def wanted_suites(suite):
    """Return {"main": [...], "security": [...]} that make up `suite`."""
    if suite in ("sid", "unstable") or "-" in suite:
        return {"main": [suite], "security": []}
    return {"main": [suite, suite + "-updates"],
            "security": [suite + "-security"]}


def sources_text(suite, kind, foreign=()):
    """Write the source entries for one suite; kind is deb or deb-src.

    `foreign` are the addresses that turned out not to be Debian's own.
    Returns an empty string if the machine has no entry of Debian.
    """
    mirrors = debian_mirrors(machine_entries())
    if not mirrors["main"]:
        return ""
    stanzas = []
    for where, suites in wanted_suites(suite).items():
        for uri, kept in mirrors[where]:
            if uri.rstrip("/") in foreign:
                continue
            for name in suites:
                fields = {"Types": kind, "URIs": uri, "Suites": name,
                          "Components": "main", **kept,
                          "Targets": ("Packages" if kind == "deb"
                                      else "Sources")}
                stanzas.append("".join(f"{field}: {value}\n"
                                       for field, value in fields.items()))
    return "\n".join(stanzas)
