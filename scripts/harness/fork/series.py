# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads series/, or linux/*/: what a series file is made of.

A series file is a semantic patch (NN-name.cocci) or a file of anchored edits
(NN-name.edit).  Both begin with a comment: the licence, a title, and the
reason for the change.  series/README describes the two formats for people.
"""

import hashlib
import re
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from . import ForkError

COMMENT = {".cocci": "//", ".edit": "#"}


@dataclass
class SeriesFile:
    """One file of the series, as read; nothing is applied yet."""
    path: Path
    title: str
    reason: str
    lines: list = field(repr=False)
    product: str = "QEMU"       # whose files it changes

    @property
    def name(self):
        return self.path.name

    def error(self, text):
        return ForkError(f"{self.path.parent.name}/{self.name}: {text}")

    def check_count(self, rule, count, expect, base, file, text, pattern):
        """Refuse a rule that matches less or more often than it says.

        pattern: what it looks for in the text of a file, for a hint
        """
        try:
            wanted = expected(expect, base)
        except ValueError as error:
            raise self.error(f"rule {rule}: expect: {error}") from error
        if count != wanted:
            raise self.error(f"rule {rule} matches {count} times in {file}, "
                             f"not {wanted} times ({self.product} {base})"
                             + nearest(pattern, text))


def read_header(path, lines):
    """Return (title, reason) from the comment on top of a series file.

    The comment ends at the first line that is no comment, or that is one of
    the lines the tool reads itself, such as "// file: NAME".
    """
    mark = COMMENT[path.suffix]
    text = []
    for line in lines:
        if not line.startswith(mark):
            break
        line = line[len(mark):].strip()
        if re.match(r"(file|expect|bases):", line):
            break
        if not line.startswith("SPDX-"):
            text.append(line)
    paragraphs = "\n".join(text).strip().split("\n\n", 1)
    if len(paragraphs) < 2 or "\n" in paragraphs[0]:
        raise ForkError(f"{path.parent.name}/{path.name}: needs a comment on "
                        "top with a title of one line, an empty line and the "
                        "reason")
    return paragraphs[0], paragraphs[1].strip()


def read_series(folder, product="QEMU"):
    """Return the series files of `folder` in the order of their numbers."""
    paths = sorted(path for path in folder.glob("[0-9][0-9]-*")
                   if path.suffix in COMMENT)
    series = []
    for before, path in zip([None, *paths], paths):
        if before and before.stem == path.stem:
            raise ForkError(f"{folder.name}/: {before.name} and {path.name} "
                            "would be one patch, for its name is theirs "
                            "without the ending: rename one")
        lines = path.read_text().splitlines()
        title, reason = read_header(path, lines)
        series.append(SeriesFile(path, title, reason, lines, product))
    return series


def digest(folder):
    """Return a hash over everything in `folder` that shapes the tree."""
    total = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name != "README":
            total.update(path.name.encode() + b"\0" + path.read_bytes())
    return total.hexdigest()


def matches_base(where, base):
    """Tell whether "10.0", or "10.0+" (and later), stands for `base`."""
    def number(version):
        return [int(part) for part in version.split(".")]

    where = where.strip()
    return (number(base) >= number(where[:-1]) if where.endswith("+")
            else where == base)


def expected(text, base):
    """Return how often a rule must match: "1, 10.0+: 2" is 2 from 10.0 on.

    The last part that stands for the base counts.  Raises ValueError if the
    text is not of this form.
    """
    count = None
    for part in text.split(","):
        where, _, number = part.rpartition(":")
        if not where or matches_base(where, base):
            count = int(number)
    if count is None:
        raise ValueError(f"no count for base {base}")
    return count


def applies(bases, base):
    """Tell whether a list such as "7.2, 10.2+" (or None) contains `base`."""
    return bases is None or any(matches_base(where, base) for where in
                                re.split(r"[,\s]+", bases.strip()))


def nearest(pattern, text):
    """Return three lines of `text` most like `pattern`, as a hint for people.

    They are those that have most of its words, where a rare word counts more
    than one that is everywhere.  An anchor may end in the midst of a word.
    """
    wanted = set(re.findall(r"[A-Za-z_]\w{2,}", pattern))
    lines = [(number, line.strip(), {word for word in wanted if
                                     re.search(r"\b" + word, line)})
             for number, line in enumerate(text.split("\n"), 1)]
    frequency = Counter(word for _, _, words in lines for word in words)
    best = sorted((row for row in lines if row[2]), key=lambda row: -sum(
        1 / frequency[word] for word in row[2]))[:3]
    return "".join(f"\n    {number}: {line}"
                   for number, line, _ in sorted(best))


def decode(data):
    """Return a file's text such that encode() gives the same bytes."""
    return data.decode("utf-8", "surrogateescape")


def encode(text):
    return text.encode("utf-8", "surrogateescape")


class Sources:
    """The text of QEMU's files while the series is applied to them.

    Reads from the unpacked base and keeps every change in memory.  What a
    rule could not do is kept too, so that all of it is told at once.
    """

    def __init__(self, base_dir):
        self.base_dir = Path(base_dir)
        self.edited = {}            # path -> new text
        self.removed = set()        # paths of files
        self.problems = []          # ForkErrors

    @contextmanager
    def keep_problem(self):
        """Go on after a ForkError in the block that follows."""
        try:
            yield
        except ForkError as error:
            self.problems.append(error)

    def check(self):
        """Raise all problems there were as one."""
        if self.problems:
            raise ForkError("\n".join(map(str, self.problems)))

    def read(self, path):
        """Return the present text of a file, or None if there is none."""
        if path in self.removed:
            return None
        if path in self.edited:
            return self.edited[path]
        try:
            return decode((self.base_dir / path).read_bytes())
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None

    def write(self, path, text):
        self.edited[path] = text

    def remove(self, path):
        self.edited.pop(path, None)
        self.removed.add(path)

    def files_under(self, folder):
        """Return the paths of all files that are left under a folder."""
        top = self.base_dir / folder
        paths = (str(path.relative_to(self.base_dir))
                 for path in top.rglob("*") if not path.is_dir())
        return sorted(path for path in paths if path not in self.removed)
