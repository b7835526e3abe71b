# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Makes the page of tcp.json: a table of medians with their spread, and the targets.

figures() is the one place that knows where a figure lies in the results; table, targets and
chart all read it. A figure is a dict of median, min and max over the rounds, or None when it was
not measured or failed in every round.
"""

import dataclasses
import statistics
import typing

from tables import cell, measured_on, median_and_spread, ratio, target_table

BULK = ("up_1", "down_1", "up_8", "down_8")
RIVALS = ("haproxy", "redsocks")
HOW = """\
Goodput is iperf3's, at the receiver. CPU seconds per gigabyte are over all bulk measurements:
the whole machine's busy time (host and server included), and the time of the processes in CPE and
concentrator. Connections: 64 at a time, each one request of 1 KB, one reply of 1 KB, closed
by the client. First byte: connect() to the first byte of the reply, median of 1,000 sequential
connections. Memory: private pages of the processes of that side, with 5,000 open sessions that
have each carried one exchange, less those without, divided by their number; and all private
pages (redsocks: 3,000 sessions, since it keeps six files a session open and may have 20,000).
Subflows: MP_JOINs per MP_CAPABLE connection plus one, as the CPE's kernel counted them."""


@dataclasses.dataclass
class Row:
    title: str
    unit: str
    digits: int
    figure: typing.Callable  # (results of one contender) -> list of values


def values(result, key, field):
    return [run[field] for run in result.get(key, []) if "failed" not in run]


def all_bulk(result, field):
    return [value for key in BULK for value in values(result, key, field)]


def rows():
    def gbit(key):
        return lambda result: values(result, key, "gbit_per_second")

    def idle(field, unit):
        return lambda result: [value / unit for value in values(result, "idle", field)]

    def shaped(key):
        return lambda result: [1000 * value for value in values(result, key, "gbit_per_second")]

    return {
        "up_1": Row("upload, 1 stream", "Gbit/s", 1, gbit("up_1")),
        "down_1": Row("download, 1 stream", "Gbit/s", 1, gbit("down_1")),
        "up_8": Row("upload, 8 streams", "Gbit/s", 1, gbit("up_8")),
        "down_8": Row("download, 8 streams", "Gbit/s", 1, gbit("down_8")),
        "connections": Row("connections, 1 KB each way", "1/s", 0, lambda result: values(
            result, "connections", "connections_per_second")),
        "first_byte": Row("time to first byte", "µs", 0, lambda result: values(
            result, "first_byte", "median_us")),
        "machine_cpu": Row("CPU, whole machine", "s/GB", 2, lambda result: all_bulk(
            result, "machine_cpu_seconds_per_gb")),
        "agents_cpu": Row("CPU, the proxies' processes", "s/GB", 2, lambda result: all_bulk(
            result, "agents_cpu_seconds_per_gb")),
        "idle_cpe": Row("memory per idle session, CPE", "KB", 2, idle("cpe", 1e3)),
        "idle_conc": Row("memory per idle session, concentrator", "KB", 2, idle("conc", 1e3)),
        "total_cpe": Row("memory in all with them open, CPE", "MB", 1, idle("cpe_total", 1e6)),
        "total_conc": Row("memory in all with them open, concentrator", "MB", 1,
                          idle("conc_total", 1e6)),
        "shaped_up": Row("100 + 50 Mbit/s links, upload", "Mbit/s", 0, shaped("shaped_up")),
        "shaped_down": Row("100 + 50 Mbit/s links, download", "Mbit/s", 0, shaped("shaped_down")),
        "subflows": Row("subflows of a connection", "", 1, lambda result: all_bulk(
            result, "subflows_per_connection")),
    }


def figures(document):
    """{contender: {row key: figure}}"""
    return {name: {key: median_and_spread(row.figure(result)) for key, row in rows().items()}
            for name, result in document["results"].items()}


def leg(result):
    """What kind of leg the bulk transfers used between CPE and concentrator."""
    connections = all_bulk(result, "mptcp_connections")
    if not connections:
        return "–"
    if not all(connections):
        return "TCP" if not any(connections) else "**in part TCP**"
    shares = [run["link_shares"] for key in BULK for run in result.get(key, [])
              if "failed" not in run]
    mean = [100 * statistics.mean(column) for column in zip(*shares)]
    return "MPTCP, links " + " : ".join(f"{share:.0f}" for share in mean) + " %"


def table(document):
    results, figure_of = document["results"], figures(document)
    lines = ["| | " + " | ".join(results) + " |", "| --- |" + " ---: |" * len(results)]
    for key, row in rows().items():
        title = row.title + (f", {row.unit}" if row.unit else "")
        cells = [cell(figure_of[name][key], row.digits) for name in results]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    lines.append("| leg | " + " | ".join(map(leg, results.values())) + " |")
    return lines


def median(figure_of, name, key):
    figure = figure_of.get(name, {}).get(key)
    return figure and figure["median"]


def best(figure_of, names, key):
    return max((value for name in names if (value := median(figure_of, name, key))), default=None)


def targets(document):
    """(what, figure, bound, unit, at least?) for each target of the benchmark."""
    figure_of = figures(document)

    def plait(key):
        return median(figure_of, "plait", key)

    for key, word in (("up_1", "upload"), ("down_1", "download")):
        yield (f"one stream, {word}: against the splice relay pair",
               ratio(plait(key), median(figure_of, "splice", key)), 0.9, "×", True)
        yield (f"one stream, {word}: against the better of haproxy and redsocks",
               ratio(plait(key), best(figure_of, RIVALS, key)), 2, "×", True)
    yield ("connections per second: against the better of haproxy and redsocks",
           ratio(plait("connections"), best(figure_of, RIVALS, "connections")), 1.5, "×", True)
    first, routed = plait("first_byte"), median(figure_of, "routed", "first_byte")
    yield ("time to first byte, median: added to routed",
           (first - routed) / 1000 if first and routed else None, 0.3, "ms", False)
    for key, word in (("idle_cpe", "CPE"), ("idle_conc", "concentrator")):
        yield f"user memory per idle session, {word}", plait(key), 2, "KB", False
    total = sum(document["facts"]["shaped_mbit"])
    for key, word in (("shaped_up", "upload"), ("shaped_down", "download")):
        yield (f"100 + 50 Mbit/s links, {word}: of the sum",
               ratio(plait(key), total), 0.9, "×", True)


def failures(document):
    reasons = {f"- {name}, {key}: {run['failed']}"
               for name, result in document["results"].items()
               for key, runs in result.items() for run in runs if "failed" in run}
    return ["", "Failed measurements:", "", *sorted(reasons)] if reasons else []


def markdown(document):
    facts = document["facts"]
    titles = [f"- `{name}`: {title}" for name, title in facts["titles"].items()]
    return "\n".join([
        "# TCP: plait beside its alternatives",
        "",
        *measured_on(facts),
        "",
        f"Medians of {facts['rounds']} interleaved rounds of {facts['seconds']} s a measurement, "
        "least and greatest in brackets; memory and the shaped links once. Links are "
        "unshaped unless a row says otherwise.",
        "",
        "![bar chart](tcp.svg)",
        "",
        *titles,
        "",
        *table(document),
        "",
        "## Targets",
        "",
        *target_table(targets(document)),
        *failures(document),
        "",
        "## How",
        "",
        HOW,
        "",
    ])
