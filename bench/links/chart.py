# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Draws links.svg: a row a case, what each link carried over time, stacked; stalls marked."""

from cases import CASES
from drawing import document_of, grid, legend, round_up, text

WIDTH, TOP, ROW = 960, 60, 128
COLUMNS = (("plait", "download"), ("plait", "upload"), ("stock", "download"))
LINKS = ("#2f81f7", "#e0703a")
STALL, CHANGE = "#d1242f", "#8a8f98"
HEIGHT = 70  # of a chart


def area(points, colour):
    shown = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polygon points="{shown}" fill="{colour}"/>'


def stacked(link_mbit, place):
    """One area a link, each on the one before; `place` maps (sample, Mbit/s) to a point."""
    parts, below = [], [0] * len(link_mbit[0])
    for mbit, colour in zip(link_mbit, LINKS):
        above = [low + more for low, more in zip(below, mbit)]
        edge = [place(i, value) for i, value in enumerate(above)]
        ground = [place(i, value) for i, value in enumerate(below)]
        parts.append(area(edge + ground[::-1], colour))
        below = above
    return parts


def box(x, y, width, height, colour, opacity):
    return (f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'fill="{colour}" fill-opacity="{opacity}"/>')


def panel(run, case, left, base, width, top, seconds):
    """One chart: grid, areas, changes and stalls."""
    parts = grid(left, left + width, base, HEIGHT, top, 2)
    if "failed" in run:
        return parts + [text(left + width / 2, base - 30, "failed")]
    samples = len(run["link_mbit"][0])

    def x_of(share):
        return left + width * min(share, 1)

    parts += stacked(run["link_mbit"], lambda i, mbit: (
        x_of(i / max(samples - 1, 1)), base - HEIGHT * min(mbit / top, 1)))
    parts += [box(x_of(when) - 0.5, base - HEIGHT, 1, HEIGHT, CHANGE, 1)
              for when, _, _ in case.changes()]
    for begin, end in run["stalls"]:
        parts.append(box(x_of(begin / seconds), base - HEIGHT,
                         width * (end - begin) / seconds, HEIGHT, STALL, 0.3))
    return parts


def row(results, case, number, seconds):
    base = TOP + number * ROW + ROW - 20
    runs = [results[who][flow] for who, flow in COLUMNS]
    top = round_up(1.1 * sum(sky.weather.rate_mbit for sky in case.skies))
    width = WIDTH / len(COLUMNS)
    parts = [text(50, base - HEIGHT - 14, case.title, "title", "start")]
    for place, run in enumerate(runs):
        parts += panel(run, case, place * width + 50, base, width - 60, top, seconds)
    return parts


def svg(document):
    results, seconds = document["results"], document["facts"]["seconds"]
    parts = legend({"link 1": LINKS[0], "link 2": LINKS[1], "stall": STALL, "change": CHANGE})
    parts += [text(place * WIDTH / len(COLUMNS) + 50, 52, f"{who}, {flow}, Mbit/s", anchor="start")
              for place, (who, flow) in enumerate(COLUMNS)]
    for number, (key, rounds) in enumerate(results.items()):
        parts += row(rounds[0], CASES[key], number, seconds)
    return document_of(WIDTH, TOP + len(results) * ROW + 10, "Links over time", parts)
