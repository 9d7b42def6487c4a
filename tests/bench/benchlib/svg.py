# SPDX-License-Identifier: GPL-2.0-or-later
"""Plots as SVG, without any library: bars side by side, and lines."""

from xml.sax.saxutils import escape

WIDTH = 860
COLOURS = ("#4c78a8", "#e45756", "#54a24b", "#f58518", "#9d755d", "#b279a2",
           "#72b7b2", "#bab0ac")
STYLE = ("text{font-family:sans-serif;font-size:12px;fill:#222}"
         ".title{font-size:15px;font-weight:bold}.grid{stroke:#ddd}"
         ".axis{stroke:#555}.whisker{stroke:#222}")


def text(x, y, words, anchor="start", kind=None):
    """Return a text element."""
    cls = f' class="{kind}"' if kind else ""
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{cls}>'
            f"{escape(words)}</text>")


def line(x1, y1, x2, y2, kind):
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
            f'class="{kind}"/>')


def document(height, parts):
    """Return a whole SVG file."""
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" '
            f'height="{height}" viewBox="0 0 {WIDTH} {height}">\n'
            "<!-- SPDX-License-Identifier: GPL-2.0-or-later; made by "
            "scripts/bench -->\n"
            f"<style>{STYLE}</style>\n"
            f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>\n'
            + "\n".join(parts) + "\n</svg>\n")


def nice_step(top, steps=5):
    """Return a round number of which about `steps` reach up to `top`."""
    raw = top / steps or 1
    power = 1.0
    while power > raw:
        power /= 10
    while power * 10 <= raw:
        power *= 10
    return next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= raw)


def legend(names, colours, y):
    """Return coloured squares with their names, in one row."""
    parts, x = [], 70
    for name, colour in zip(names, colours):
        parts.append(f'<rect x="{x}" y="{y - 10}" width="11" height="11" '
                     f'fill="{colour}"/>')
        parts.append(text(x + 16, y, name))
        x += 30 + 7 * len(name)
    return parts


def scale(top, bottom, height, unit):
    """Return (function from value to y, elements of the axis)."""
    step = nice_step(top)
    top = step * -(-top // step) or 1

    def place(value):
        return bottom - height * max(value, 0) / top

    parts, value = [], 0
    while value <= top * 1.0001:
        parts.append(line(60, place(value), WIDTH - 15, place(value), "grid"))
        parts.append(text(54, place(value) + 4, f"{value:g}", "end"))
        value += step
    parts.append(text(8, bottom - height - 12, unit))
    return place, parts


def bars(title, unit, groups, series):
    """Return grouped bars.

    groups  names below the axis
    series  {name: [(value, low, high) or None, one for each group]}
    """
    height, bottom = 260, 330
    highest = max(cell[2] for row in series.values() for cell in row if cell)
    place, parts = scale(highest, bottom, height, unit)
    parts.append(text(WIDTH / 2, 22, title, "middle", "title"))
    room = (WIDTH - 75) / len(groups)
    wide = min(room * 0.8 / len(series), 40)
    for number, group in enumerate(groups):
        middle = 60 + room * (number + 0.5)
        parts.append(text(middle, bottom + 18, group, "middle"))
        left = middle - wide * len(series) / 2
        for place_in_group, row in enumerate(series.values()):
            if row[number] is None:
                continue
            value, low, high = row[number]
            x = left + wide * place_in_group
            colour = COLOURS[place_in_group % len(COLOURS)]
            parts.append(f'<rect x="{x + 1:.1f}" y="{place(value):.1f}" '
                         f'width="{wide - 2:.1f}" '
                         f'height="{bottom - place(value):.1f}" '
                         f'fill="{colour}"/>')
            parts.append(line(x + wide / 2, place(low), x + wide / 2,
                              place(high), "whisker"))
            parts.append(text(x + wide / 2, place(high) - 4,
                              f"{value:.3g}", "middle"))
    parts.append(line(60, bottom, WIDTH - 15, bottom, "axis"))
    parts += legend(series, COLOURS, bottom + 45)
    return document(bottom + 60, parts)


def lines(title, unit, xs, series, x_unit):
    """Return lines over a few places, evenly spaced.

    xs      what the places are called
    series  {name: [value for each place]}
    """
    height, bottom = 260, 330
    highest = max(value for row in series.values() for value in row)
    place, parts = scale(highest, bottom, height, unit)
    parts.append(text(WIDTH / 2, 22, title, "middle", "title"))
    room = (WIDTH - 75) / len(xs)
    at = [60 + room * (number + 0.5) for number in range(len(xs))]
    for x, name in zip(at, xs):
        parts.append(text(x, bottom + 18, f"{name} {x_unit}", "middle"))
    for number, row in enumerate(series.values()):
        colour = COLOURS[number % len(COLOURS)]
        points = " ".join(f"{x:.1f},{place(value):.1f}"
                          for x, value in zip(at, row))
        parts.append(f'<polyline points="{points}" fill="none" '
                     f'stroke="{colour}" stroke-width="2"/>')
        for x, value in zip(at, row):
            parts.append(f'<circle cx="{x:.1f}" cy="{place(value):.1f}" '
                         f'r="3" fill="{colour}"/>')
            parts.append(text(x, place(value) - 7, f"{value:.3g}", "middle"))
    parts.append(line(60, bottom, WIDTH - 15, bottom, "axis"))
    parts += legend(series, COLOURS, bottom + 45)
    return document(bottom + 60, parts)
