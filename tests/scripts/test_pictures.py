#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Can the words in the manuals' plots be read?

None lies over another, and numbers are written out.
"""

import itertools
import re
import unittest
import xml.etree.ElementTree as xml
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
WIDE, ABOVE, BELOW = 0.55, 0.75, 0.2    # of a letter, in units of its size
START = {"start": 0, "middle": 0.5, "end": 1}


def box(element):
    """Return (left, top, right, bottom) of a text, about."""
    style = element.get("style", "")
    size = re.search(r"([\d.]+)px", style)
    size = float(size[1]) if size else 12
    anchor = re.search(r"text-anchor: (\w+)", style)
    anchor = anchor[1] if anchor else element.get("text-anchor", "start")
    width = WIDE * size * len(element.text)
    left = float(element.get("x")) - START[anchor] * width
    base = float(element.get("y"))
    return left, base - ABOVE * size, left + width, base + BELOW * size


def overlap(one, other):
    return (one[0] < other[2] and other[0] < one[2]
            and one[1] < other[3] and other[1] < one[3])


class Pictures(unittest.TestCase):

    def test_no_words_over_others(self):
        files = sorted(DOCS.glob("**/*.svg"))
        self.assertTrue(files)
        for file in files:
            root = xml.parse(file).getroot()
            right = float(root.get("viewBox").split()[2])
            boxes = [(element.text, box(element)) for element
                     in root.iter("{http://www.w3.org/2000/svg}text")]
            self.assertGreater(len(boxes), 3, file.name)
            over = [(one, other) for (one, a), (other, b)
                    in itertools.combinations(boxes, 2) if overlap(a, b)]
            outside = [words for words, place in boxes
                       if place[0] < 0 or place[2] > right]
            powers = [words for words, _ in boxes
                      if re.search(r"\de[+-]?\d", words)]
            with self.subTest(file.name):
                self.assertEqual((over, outside, powers), ([], [], []))


if __name__ == "__main__":
    unittest.main()
