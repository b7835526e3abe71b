#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Measures plait beside its alternatives, in one run, in one topology.

    sudo /usr/bin/python3 bench/tcp/run.py [--seconds 5] [--rounds 3] [--only plait,haproxy]

Each round measures each contender once, one after the other, so that whatever changes on the
machine meanwhile meets all of them; every contender starts in a fresh lab. After the rounds
come memory per idle session and the links shaped to 100 and 50 Mbit/s, once each. A
measurement that fails is recorded as failed, with its reason. Writes tcp.json (every figure),
tcp.md and tcp.svg.

contenders.py has who takes part, measure.py what is measured, report.py and chart.py what is
made of it.
"""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/lab"), str(ROOT / "bench/lib")]

# pylint: disable=wrong-import-position
from lab import Lab

import chart
import contenders
import measure
import report
import running
from setting import build_tool

BULK = {  # name: streams, download
    "up_1": (1, False), "down_1": (1, True), "up_8": (8, False), "down_8": (8, True)}
SHAPED_MBIT = [100, 50]
SHAPED_SECONDS = 8


class Recorder:
    """Takes results in, says one line for each, and keeps failures beside successes."""

    def __init__(self, contender_list):
        self.results = {each.name: {} for each in contender_list}

    def record(self, contender, key, phase, step):
        """Runs `step` and keeps what it returns under `key`; returns whether it worked."""
        result = running.attempt(step)
        self.results[contender.name].setdefault(key, []).append(result)
        print(f"{phase} {contender.name:9} {key:18} {summary(result)}", flush=True)
        return "failed" not in result


def summary(result):
    shown = [f"{key}={value:.4g}" if isinstance(value, (int, float)) else f"{key}={value}"
             for key, value in result.items() if key != "link_shares"]
    return " ".join(shown[:4])


def with_contender(contender, recorder, phase, load_tool, use, **lab_options):
    """Calls `use(bench)` in a fresh lab where `contender` runs."""
    with Lab(**lab_options) as lab:
        bench = measure.Bench(lab, contender, load_tool)
        if recorder.record(contender, "start", phase, lambda: bench.start() or {}):
            use(bench)


def run_round(contender, recorder, phase, args, load_tool):
    def use(bench):
        for key, (streams, download) in BULK.items():
            recorder.record(contender, key, phase,
                            lambda s=streams, d=download: measure.bulk(bench, args.seconds, s, d))
        recorder.record(contender, "first_byte", phase, lambda: measure.first_byte(bench))
        recorder.record(contender, "connections", phase,
                        lambda: measure.connections_per_second(bench, args.seconds))

    with_contender(contender, recorder, phase, load_tool, use)


def run_idle(contender, recorder, load_tool):
    with_contender(contender, recorder, "idle  ", load_tool,
                   lambda bench: recorder.record(contender, "idle", "idle  ",
                                                 lambda: measure.idle_memory(bench)))


def run_shaped(contender, recorder, load_tool):
    def use(bench):
        for key, download in (("shaped_up", False), ("shaped_down", True)):
            recorder.record(contender, key, "shaped",
                            lambda d=download: measure.bulk(bench, SHAPED_SECONDS, 1, d))

    with_contender(contender, recorder, "shaped", load_tool, use, shape_mbit=SHAPED_MBIT)


def measure_all(chosen, args):
    recorder, load_tool = Recorder(chosen), build_tool("load")
    for number in range(1, args.rounds + 1):
        for contender in chosen:
            run_round(contender, recorder, f"{number}/{args.rounds}   ", args, load_tool)
    for contender in chosen:
        if contender.idle_sessions:
            run_idle(contender, recorder, load_tool)
    for contender in chosen:
        if contender.proxies:
            run_shaped(contender, recorder, load_tool)
    return recorder.results


def main():
    everyone = contenders.all_contenders(build_tool)
    args = running.arguments("tcp", "Compare plait with its alternatives.",
                             [each.name for each in everyone], seconds=5, rounds=3)
    chosen = [each for each in everyone if each.name in args.only]
    facts = running.facts(args) | {"shaped_mbit": SHAPED_MBIT,
                                   "titles": {each.name: each.title for each in chosen}}
    document = {"facts": facts, "results": measure_all(chosen, args)}
    running.write(args, document, report.markdown(document), chart.svg(document), indent=1)


if __name__ == "__main__":
    main()
