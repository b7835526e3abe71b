# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What the benchmarks that compare have alike: arguments, what fails, files written."""

import argparse
import json
import os
import pathlib
import subprocess
import sys

from lab import ROOT, LabError

from setting import machine_facts

FAILURES = (AssertionError, LabError, subprocess.SubprocessError, ValueError, OSError, KeyError)


def arguments(name, about, choices, seconds, rounds):
    """Those of bench/NAME/run.py; --only takes some of `choices`, which are all measured
    otherwise."""
    parser = argparse.ArgumentParser(prog=f"bench/{name}/run.py", description=about)
    parser.add_argument("--seconds", type=int, default=seconds, help="length of each measurement")
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(choices),
                        help=f"comma-separated: {', '.join(choices)}")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "docs/bench",
                        help=f"where {name}.md, {name}.svg and {name}.json go")
    given = parser.parse_args()
    if unknown := set(given.only) - set(choices):
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    if os.geteuid():
        parser.error("needs root, for network namespaces")
    given.name, given.all = name, set(given.only) == set(choices)
    return given


def facts(given):
    """What a page says of how its figures came to be."""
    command = (f"sudo /usr/bin/python3 bench/{given.name}/run.py --seconds {given.seconds} "
               f"--rounds {given.rounds}")
    if not given.all:
        command += f" --only {','.join(given.only)}"
    return {**machine_facts(), "seconds": given.seconds, "rounds": given.rounds,
            "command": command}


def attempt(step):
    """What `step` returns, or {"failed": why}."""
    try:
        return step()
    except FAILURES as error:
        print(error, file=sys.stderr)
        return {"failed": (str(error) or repr(error)).strip().splitlines()[0]}


def write(given, document, markdown, svg, indent=None):
    """The page, its chart, and every figure; `indent`: of the latter."""
    given.out.mkdir(parents=True, exist_ok=True)
    figures = json.dumps(document, indent=indent) + "\n"
    for kind, content in {"json": figures, "md": markdown, "svg": svg}.items():
        (given.out / f"{given.name}.{kind}").write_text(content)
    print(f"written: {given.out}/{given.name}.md, {given.name}.svg, {given.name}.json")
