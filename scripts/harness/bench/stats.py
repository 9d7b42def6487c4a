# SPDX-License-Identifier: GPL-2.0-or-later
"""Samples in turns; their medians, spread and ratios.

The spread of a figure is between its first and third quartile: half of all
samples lie there, and one that another process spoiled does not move it.
"""

import math
import statistics
from collections import namedtuple

Summary = namedtuple("Summary", "median low high best n")


def turns(names, rounds, measure):
    """Return {name: samples} of measure(name), whose order changes."""
    samples = {name: [] for name in names}
    for i in range(rounds):
        shift = i % len(names)
        for name in names[shift:] + names[:shift]:
            samples[name].append(measure(name))
    return samples


def quantile(samples, q):
    """Return the value below which the share `q` of the samples lies."""
    ordered = sorted(samples)
    place = q * (len(ordered) - 1)
    lower = int(place)
    upper = min(lower + 1, len(ordered) - 1)
    return ordered[lower] + (ordered[upper] - ordered[lower]) * (place - lower)


def summary(samples):
    return Summary(statistics.median(samples), quantile(samples, 0.25),
                   quantile(samples, 0.75), min(samples), len(samples))


def differences(samples, base):
    """Return sample by sample how much it is above the base.

    Both were taken in the same rounds, so that what slowed a whole round
    down is in both.
    """
    return [one - other for one, other in zip(samples, base)]


def ratios(samples, base):
    """Return sample by sample how many times the base it is."""
    return [one / other for one, other in zip(samples, base)]


def ratio(one, other):
    """Return one / other, or None where that says nothing."""
    return one / other if other > 0 else None


def chi_squared(counts, expected):
    return sum((seen - wanted) ** 2 / wanted
               for seen, wanted in zip(counts, expected) if wanted)


def slope(points):
    """Return the exponent b of y = a * x ** b through first and last point."""
    (x0, y0), (x1, y1) = points[0], points[-1]
    return math.log(y1 / y0) / math.log(x1 / x0)
