# SPDX-License-Identifier: GPL-2.0-or-later
"""Plots: bars side by side, as SVG, by matplotlib.

They can be read at half their size, and without colours.  The same figures give
the same file.
"""

import io

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from .report import round_number

WIDTH, BAR, GAP, MARGIN = 7.5, 0.25, 0.2, 1.1       # inches
# Colour and hatch, from the last of the series to the first.
STYLES = ("#2f5d8c", ""), ("#e8b36a", "//"), ("#d9d9d9", ""), ("#b5654a", "xx")
COMMENT = ("<!-- SPDX-License-Identifier: GPL-2.0-or-later; made by "
           "scripts/bench -->\n")

matplotlib.rcParams.update({
    "font.size": 12, "svg.hashsalt": "qemu-ebpf", "svg.fonttype": "none",
    "hatch.linewidth": 0.6})


def add_bars(axes, place, cells, **style):
    """Draw one bar for each group: its value, and a whisker for its spread."""
    there = [(y, *cell) for y, cell in zip(place, cells) if cell]
    ys, values, low, high = zip(*there)
    axes.barh(ys, values, BAR, edgecolor="#222", linewidth=0.6, **style)
    axes.hlines(ys, low, high, color="black", linewidth=1.2)
    for y, value, _, top in there:
        axes.annotate(round_number(value), (max(value, top), y), (4, 0),
                      textcoords="offset points", va="center", fontsize=10)


def svg(title, unit, groups, series):
    """Return grouped bars as an SVG file.

    groups  names beside the axis, from above
    series  {name: [(value, low, high) or None, one for each group]}
    """
    group = BAR * len(series) + GAP
    height = group * len(groups) + MARGIN + 0.3 * (len(series) > 1)
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.2)      # another font is wider
    axes = figure.add_subplot()
    for number, (name, cells) in enumerate(series.items()):
        colour, hatch = STYLES[len(series) - 1 - number]
        offset = BAR * (number - (len(series) - 1) / 2)
        add_bars(axes, [group * n + offset for n in range(len(groups))],
                 cells, label=name, color=colour, hatch=hatch)
    axes.set_yticks([group * n for n in range(len(groups))], groups)
    axes.invert_yaxis()
    axes.margins(x=0.12, y=0.02)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.9g}"))
    axes.set_xlabel(unit)
    axes.grid(axis="x", color="#ddd")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title, fontsize=13, fontweight="bold")
    if len(series) > 1:
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1),
                    ncols=len(series), frameon=False)
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None,
                                                 "Creator": None})
    return file.getvalue().replace("<svg ", COMMENT + "<svg ", 1)
