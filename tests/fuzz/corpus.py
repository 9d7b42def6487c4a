#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the fuzzers start from: many small inputs in one file of text.

    corpus.py unpack corpus/flow.txt FOLDER     # the build does so
    corpus.py pack FOLDER corpus/flow.txt

Each input is a paragraph of hexadecimal digits; lines with # are comments.
To take in what a long run has found, have libFuzzer leave out what covers
nothing new, and pack the rest:

    tests/fuzz/run.py build/lib/tests/fuzz/fuzz-flow --seconds 600
    cd build/lib/tests/fuzz && mkdir few
    ./fuzz-flow -merge=1 -max_len=600 few seeds/flow found/flow
    $OLDPWD/tests/fuzz/corpus.py pack few $OLDPWD/tests/fuzz/corpus/flow.txt
"""

import shutil
import sys
import textwrap
from pathlib import Path

HEAD = """# SPDX-License-Identifier: GPL-2.0-or-later
# See ../corpus.py.
"""


def unpack(file, folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    lines = [line for line in file.read_text().splitlines()
             if not line.startswith("#")]
    paragraphs = "\n".join(lines).split("\n\n")
    for number, text in enumerate(paragraphs):
        (folder / f"{number:03}").write_bytes(bytes.fromhex(text))


def pack(folder, file):
    """Write all inputs to one file, the shortest first."""
    inputs = sorted({path.read_bytes() for path in folder.iterdir()},
                    key=lambda data: (len(data), data))
    paragraphs = ["\n".join(textwrap.wrap(data.hex(), 76)) for data in inputs
                  if data]
    file.write_text(HEAD + "\n\n".join(paragraphs) + "\n")


if __name__ == "__main__":
    {"unpack": unpack, "pack": pack}[sys.argv[1]](
        *map(Path, sys.argv[2:4]))
