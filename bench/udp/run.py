#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""UDP through plait beside routed, and beside OpenVPN over TCP under mptcpize.

    sudo /usr/bin/python3 bench/udp/run.py [--seconds 5] [--rounds 3] [--only plait,openvpn]

Each round measures each contender once, in a fresh lab: the highest rate of datagrams of 200
octets of which 99 % arrive, one by one and in bursts that an interface with GRO would hand on as
one buffer; one-way delays of single ones; and of a steady flow while one link loses 1 %. Writes udp.json, udp.md and udp.svg.
"""

import pathlib
import statistics
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / each) for each in ("tests/lab", "tests/e2e", "bench/lib")]

# pylint: disable=wrong-import-position
from lab import Lab

import chart
import contenders
import measure
import report
import running

BURST = 32


def say(phase, contender, key, result):
    shown = " ".join(f"{name}={value:.4g}" for name, value in result.items()
                     if isinstance(value, (int, float)))
    print(f"{phase} {contender.name:8} {key:8} {shown or result.get('failed')}", flush=True)


def run_round(contender, phase, args, results):
    steps = {"rate": lambda lab: measure.throughput(lab, 1, 1),
             "bursts": lambda lab: measure.throughput(lab, 1, BURST),
             "single": lambda lab: measure.delays(lab, args.seconds),
             "lossy": lambda lab: measure.lossy(lab, args.seconds)}
    for key, step in steps.items():
        with Lab(weather_everywhere=key == "lossy") as lab:
            def measured(lab=lab, step=step):
                contender.start(lab)
                return step(lab)

            result = running.attempt(measured)
        results[contender.name].setdefault(key, []).append(result)
        say(phase, contender, key, result)


def medians(results):
    """Of each contender and figure, over the rounds that worked."""
    def of(rounds):
        names = {name for each in rounds for name, value in each.items()
                 if isinstance(value, (int, float))}
        return {name: statistics.median(each[name] for each in rounds if name in each)
                for name in names}
    return {name: {key: of(rounds) for key, rounds in measured.items()}
            for name, measured in results.items()}


def main():
    everyone = contenders.everyone()
    args = running.arguments("udp", "Compare plait's UDP with its alternatives.",
                             [each.name for each in everyone], seconds=5, rounds=3)
    chosen = [each for each in everyone if each.name in args.only]
    results = {each.name: {} for each in chosen}
    for number in range(1, args.rounds + 1):
        for contender in chosen:
            run_round(contender, f"{number}/{args.rounds}", args, results)
    facts, figures = running.facts(args), medians(results)
    delays = {name: measured["lossy"][0].get("delays_ms", [])
              for name, measured in results.items()}
    running.write(args, {"facts": facts, "figures": figures, "delays_ms": delays},
                  report.page(facts, chosen, figures), chart.delays(delays))


if __name__ == "__main__":
    main()
