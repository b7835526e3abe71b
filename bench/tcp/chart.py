# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Draws tcp.svg: goodput as grouped bars on top, four small charts of costs below."""

import report
from drawing import document_of, grid, legend, round_up, short, text

WIDTH = 960
COLOURS = {"routed": "#8a8f98", "splice": "#c2a83e", "plait": "#2f81f7",
           "haproxy": "#e0703a", "redsocks": "#a05fc7"}
GOODPUT = ("up_1", "down_1", "up_8", "down_8")
COSTS = (  # row key, title, names left out
    ("connections", "Connections per second", ()),
    ("first_byte", "Time to first byte, µs", ()),
    ("machine_cpu", "CPU seconds per GB, machine", ()),
    ("idle_cpe", "KB per idle session, CPE", ("routed", "splice")),
)


def bar(x, width, base, height, share, colour, label):
    tall = height * share
    return [f'<rect x="{x:.1f}" y="{base - tall:.1f}" width="{width:.1f}" height="{tall:.1f}" '
            f'rx="2" fill="{colour}"/>', text(x + width / 2, base - tall - 4, label, "value")]


def goodput(figures, names):
    left, right, base, height = 60, WIDTH - 10, 320, 230
    group = (right - left) / len(GOODPUT)
    bar_width = group * 0.84 / len(names)
    top = round_up(max((figures[name][key] or {"median": 0})["median"]
                       for name in names for key in GOODPUT) or 1)
    parts = [text(left, 66, "Goodput, Gbit/s", "title", "start"),
             *grid(left, right, base, height, top, 4 if top >= 4 else 2)]
    for index, key in enumerate(GOODPUT):
        start = left + index * group
        parts.append(text(start + group / 2, base + 20, report.rows()[key].title))
        for place, name in enumerate(names):
            figure = figures[name][key]
            if figure:
                parts += bar(start + group * 0.08 + place * bar_width, bar_width - 3, base, height,
                             figure["median"] / top, COLOURS[name], short(figure["median"]))
    return parts


def cost(figures, names, place, key, title):
    """One small chart; `place` counts them from the left."""
    width = WIDTH / len(COSTS)
    left, base, height = place * width + 14, 540, 120
    shown = [name for name in names if figures[name][key]]
    parts = [text(left, 390, title, "title", "start"),
             f'<line x1="{left}" x2="{left + width - 24}" y1="{base}" y2="{base}"/>']
    if not shown:
        return parts + [text(left, base - 10, "not measured", anchor="start")]
    top = max(figures[name][key]["median"] for name in shown) or 1
    bar_width = (width - 24) / len(shown)
    for index, name in enumerate(shown):
        median = max(figures[name][key]["median"], 0)
        parts += bar(left + index * bar_width + 3, min(bar_width - 6, 46), base, height,
                     median / top, COLOURS[name], short(median))
    return parts


def svg(document):
    figures = report.figures(document)
    names = list(document["results"])
    parts = [*legend({name: COLOURS[name] for name in names}), *goodput(figures, names)]
    for place, (key, title, left_out) in enumerate(COSTS):
        parts += cost(figures, [name for name in names if name not in left_out], place, key, title)
    return document_of(WIDTH, 560, "TCP benchmark", parts)
