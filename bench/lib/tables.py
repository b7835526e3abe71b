# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What the pages of the benchmarks are made with.

A figure is a dict of median, min and max over the rounds, or None when it was not measured or
failed in every round.
"""

import statistics


def median_and_spread(measured):
    if not measured:
        return None
    return {"median": statistics.median(measured), "min": min(measured), "max": max(measured)}


def cell(figure, digits):
    if figure is None:
        return "–"
    text = f"{figure['median']:,.{digits}f}"
    if figure["min"] == figure["max"]:
        return text
    return f"{text} ({figure['min']:,.{digits}f}–{figure['max']:,.{digits}f})"


def ratio(left, right):
    return left / right if left is not None and right else None


def verdict(figure, bound, at_least):
    if figure is None:
        return "not measured"
    return "met" if (figure >= bound if at_least else figure <= bound) else "**missed**"


def target_table(targets):
    """targets: (what, figure, bound, unit, at least?) each."""
    lines = ["| target | wanted | plait | |", "| --- | ---: | ---: | --- |"]
    for what, figure, bound, unit, at_least in targets:
        shown = "–" if figure is None else f"{figure:.2f} {unit}"
        lines.append(f"| {what} | {'≥' if at_least else '≤'} {bound} {unit} | {shown} | "
                     f"{verdict(figure, bound, at_least)} |")
    return lines


def measured_on(facts):
    return [f"Measured on {facts['date']}, Linux {facts['kernel']}, {facts['machine']}, "
            f"{facts['cpus']} CPUs, everything on one machine in network namespaces, by",
            "",
            f"    {facts['command']}"]
