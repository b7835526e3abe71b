#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Measures what plait makes of two links, in all weathers, and over time.

    sudo /usr/bin/python3 bench/links/run.py [--seconds 6] [--rounds 1] [--only even,cut]

Each case is measured with plait, with plait under the system's congestion control ("stock":
the kernel's scheduler as it is), and with plait over each of the two links alone; a link that
is in several cases is measured alone once a round. A measurement that fails is recorded as
failed, with its reason. Writes links.json (every figure), links.md and links.svg.

cases.py has the weather, measure.py what is measured, report.py and chart.py what is made of it.
"""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / part) for part in ("tests/lab", "tests/e2e", "bench/lib")]

# pylint: disable=wrong-import-position
import chart
import measure
import report
import running
from cases import CASES, Case
from setting import build_tool

CONTENDERS = {"plait": {}, "stock": {"congestion_control": "system"}}
WAYS = ("download", "upload")


class Round:
    """One round; `phase` begins its lines."""

    def __init__(self, phase, seconds, load_tool):
        self.phase, self.seconds, self.load_tool = phase, seconds, load_tool
        self.known = {}  # (sky, flow): result over that link alone

    def attempt(self, who, flow, step):
        """What `step` returns, or why it did not; says so in one line."""
        result = running.attempt(step)
        print(f"{self.phase} {who:18} {flow:9} {report.summary(result)}", flush=True)
        return result

    def flow(self, who, case, flow, extra_config=None):
        if flow == "requests":
            return self.attempt(who, flow, lambda: measure.requests(
                case, self.seconds, self.load_tool, extra_config))
        return self.attempt(who, flow, lambda: measure.bulk(case, flow, self.seconds, extra_config))

    def alone(self, who, sky, flow):
        if (sky, flow) not in self.known:
            self.known[sky, flow] = self.flow(who, Case("", (sky,)), flow)
        return self.known[sky, flow]

    def run(self, key, case):
        """{who: {flow: result}}"""
        results = {f"link {link}": {way: self.alone(f"{key}, link {link}", sky, way)
                                    for way in WAYS}
                   for link, sky in enumerate(case.skies, 1)}
        better = max(results, key=lambda name: results[name]["download"].get("mbit", 0))
        sky = case.skies[int(better.split()[1]) - 1]
        results[better]["requests"] = self.alone(f"{key}, {better}", sky, "requests")
        for name, extra_config in CONTENDERS.items():
            results[name] = {flow: self.flow(f"{key}, {name}", case, flow, extra_config)
                             for flow in (*WAYS, "requests")}
        return results


def measure_all(cases, args):
    """{case: [results of a round]}"""
    results, load_tool = {key: [] for key in cases}, build_tool("load")
    for number in range(1, args.rounds + 1):
        this_round = Round(f"{number}/{args.rounds}", args.seconds, load_tool)
        for key, case in cases.items():
            results[key].append(this_round.run(key, case))
    return results


def main():
    args = running.arguments("links", "Measure what plait makes of two links.", CASES,
                             seconds=6, rounds=1)
    cases = {name: CASES[name] for name in args.only}
    document = {"facts": running.facts(args), "results": measure_all(cases, args)}
    running.write(args, document, report.markdown(document), chart.svg(document))


if __name__ == "__main__":
    main()
