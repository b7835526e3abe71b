# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Makes the page of links.json: a table of medians, and the targets."""

from cases import CASES
from tables import cell, measured_on, median_and_spread, ratio, target_table

WHO = ("link 1", "link 2", "plait", "stock")
BETTER_WANTED = 0.98  # of the better link alone
REQUESTS_WANTED = 1.5  # times the p99 over the better link alone
HOW = """\
Every measurement is in a fresh lab, with plait at both ends that has found its links; `stock` is
plait with `congestion_control: system`, that is, cubic and the kernel's scheduler as they are.
A link alone is plait with that one link, in the same weather with the same changes; the same link
in several cases is measured alone once a round. Goodput is what arrived from connect() on, over
the whole time. A stall is a time without a byte at the receiver, from the first change on or,
without one, from the first byte on. Requests: one connection, 1 KB each 20 ms whether or not
the last is answered, beside a bulk download that is 0.5 s older; time from when a request was
due to the end of its reply of 1 KB. What never came counts as 5 s late. In the charts, links
are what their interfaces received each 0.1 s, headers and retransmissions included.

Throttling, cut and black hole come after a third of the time, and the cut link is back after
two thirds; the flapping link is cut four times, for half of each sixth of the time. Delays are
round trips. Queues hold 40 ms where nothing else is said."""


def summary(result):
    shown = {key: value for key, value in result.items() if not isinstance(value, list)}
    return " ".join(f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}"
                    for key, value in shown.items())


def figure(rounds, who, flow, field):
    """Over the rounds of a case."""
    found = [results[who].get(flow, {}).get(field) for results in rounds]
    return median_and_spread([value for value in found if value is not None])


def middle(rounds, who, flow, field):
    found = figure(rounds, who, flow, field)
    return found and found["median"]


def alone(rounds, flow, field):
    """The medians of the links that were measured."""
    found = [middle(rounds, who, flow, field) for who in ("link 1", "link 2")]
    return [value for value in found if value is not None]


def sum_of(rounds, flow):
    found = alone(rounds, flow, "mbit")
    return sum(found) if len(found) == 2 else None


def goodput_table(results, flow):
    lines = [f"| {flow}, Mbit/s | link 1 alone | link 2 alone | plait | stock | plait : sum | "
             "plait : better |", "| --- |" + " ---: |" * 6]
    for key, rounds in results.items():
        plait = middle(rounds, "plait", flow, "mbit")
        shown = [cell(figure(rounds, who, flow, "mbit"), 1) for who in WHO]
        shown += [times(ratio(plait, sum_of(rounds, flow))),
                  times(ratio(plait, max(alone(rounds, flow, "mbit"), default=None)))]
        lines.append(f"| {CASES[key].title} | " + " | ".join(shown) + " |")
    return lines


def times(value):
    return "–" if value is None else f"{value:.2f}"


def stall_table(results):
    lines = ["| longest stall, s | plait, download | upload | stock, download | upload |",
             "| --- |" + " ---: |" * 4]
    for key, rounds in results.items():
        shown = [cell(figure(rounds, who, flow, "stall_s"), 2)
                 for who in ("plait", "stock") for flow in ("download", "upload")]
        lines.append(f"| {CASES[key].title} | " + " | ".join(shown) + " |")
    return lines


def better_requests(rounds, field):
    """Only the better link alone is asked."""
    return next(iter(alone(rounds, "requests", field)), None)


def request_table(results):
    lines = ["| requests beside a download, p50 / p99 in ms | better link alone | plait | stock |",
             "| --- |" + " ---: |" * 3]
    for key, rounds in results.items():
        pairs = [[better_requests(rounds, field) for field in ("p50_ms", "p99_ms")]]
        pairs += [[middle(rounds, who, "requests", field) for field in ("p50_ms", "p99_ms")]
                  for who in ("plait", "stock")]
        shown = ["–" if None in pair else f"{pair[0]:.1f} / {pair[1]:.1f}" for pair in pairs]
        lines.append(f"| {CASES[key].title} | " + " | ".join(shown) + " |")
    return lines


def targets(results):
    """(what, figure, bound, unit, at least?) for each target of each case."""
    for key, rounds in results.items():
        case = CASES[key]
        for flow in ("download", "upload"):
            plait = middle(rounds, "plait", flow, "mbit")
            yield (f"{key}, {flow}: of the links' sum", ratio(plait, sum_of(rounds, flow)),
                   case.sum_wanted, "×", True)
            yield (f"{key}, {flow}: of the better link",
                   ratio(plait, max(alone(rounds, flow, "mbit"), default=None)),
                   BETTER_WANTED, "×", True)
        if case.stall_wanted_s:
            yield (f"{key}: longest stall of a download",
                   middle(rounds, "plait", "download", "stall_s"), case.stall_wanted_s, "s", False)
        yield (f"{key}: p99 of requests, against the better link",
               ratio(middle(rounds, "plait", "requests", "p99_ms"),
                     better_requests(rounds, "p99_ms")), REQUESTS_WANTED, "×", False)


def failures(results):
    reasons = {f"- {key}, {who}, {flow}: {run['failed']}"
               for key, rounds in results.items() for result in rounds
               for who, flows in result.items() for flow, run in flows.items() if "failed" in run}
    return ["", "Failed measurements:", "", *sorted(reasons)] if reasons else []


def markdown(document):
    facts, results = document["facts"], document["results"]
    tables = [line for table in (goodput_table(results, "download"),
                                 goodput_table(results, "upload"),
                                 stall_table(results), request_table(results))
              for line in [*table, ""]]
    return "\n".join([
        "# Links in all weathers",
        "",
        *measured_on(facts),
        "",
        f"{facts['seconds']} s a measurement; medians of {facts['rounds']} round(s), least and "
        "greatest in brackets.",
        "",
        "![links over time](links.svg)",
        "",
        *tables,
        "## Targets",
        "",
        *target_table(targets(results)),
        *failures(results),
        "",
        "## How",
        "",
        HOW,
        "",
    ])
