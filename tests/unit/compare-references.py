#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Holds the tests' two references against each other; prints TAP.

tests/lib/rss_oracle.c, by which the library's tests judge, and
harness/rss_reference.py, by which the demo does, were written apart.

    compare-references.py PRINT-ORACLE [HOW-MANY]
"""

import subprocess
import sys

from harness.rss_reference import KEY, Config


def difference(line):
    """What the references say differently of a frame, or an empty string."""
    types, kind, value, frame, recipe = line.split(" ", 4)
    types, kind, value = (int(word, 16) for word in (types, kind, value))
    frame = bytes.fromhex(frame.lstrip("="))
    their_value, report = Config(types, KEY, [0]).hash(frame)
    if (kind.bit_length(), value) == (report, their_value if report else 0):
        return ""
    return (f"# {recipe}# {frame.hex()}\n# types {types:#x}: the oracle says"
            f" report {kind.bit_length()} hash {value:08x}, the reference"
            f" report {report} hash {their_value:08x}")


def main():
    how_many = sys.argv[2] if len(sys.argv) > 2 else "20000"
    oracle = subprocess.Popen([sys.argv[1], how_many], text=True,
                              stdout=subprocess.PIPE)
    different = [text for text in map(difference, oracle.stdout) if text]
    print("1..1")
    print("\n".join(different[:5]))
    good = oracle.wait() == 0 and not different
    print("ok" if good else "not ok", "1 /references/agree")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
