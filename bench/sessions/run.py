#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Very many sessions through one pair, all open at a time, and what each costs the agents.

    sudo /usr/bin/python3 bench/sessions/run.py [--sessions 9000] [--bytes 16384]

In a fresh lab the host opens that many connections to the server. While all of them are open,
each carries that many bytes at random both ways, and each direction's SHA-256 is checked. Memory
of each plaitd is taken before, with all open, and when they have carried their bytes and are
still open. Writes sessions.md.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/lab"), str(ROOT / "bench/lib")]

# pylint: disable=wrong-import-position
from lab import Lab

from setting import machine_facts
from talk import TALKING_AT_ONCE

PORT = 7000
ROLES = {"cpe": "CPE", "conc": "concentrator"}
TALK = pathlib.Path(__file__).with_name("talk.py")
KINDS = {"Pss": "PSS", "Rss": "RSS", "Private": "private"}


def memory(pid):
    """KB of a process, by kind; Private is what it has for itself alone."""
    kinds = dict.fromkeys(KINDS, 0)
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, size = line.split()[:2]
        for kind in KINDS:
            if name == f"{kind}:" or (kind == "Private" and name.startswith("Private_")):
                kinds[kind] += int(size)
    return kinds


class Pair:
    """A lab with plait at both ends, a server, and a host that can hold connections."""

    def __init__(self, lab, args):
        self.lab, self.args = lab, args
        lab.plaitd("conc")
        lab.plaitd("cpe")
        lab.popen("server", self.talk("serve"), log="serve.log")
        lab.wait_listening("server", PORT)

    def talk(self, mode, *more):
        return [sys.executable, TALK, mode, self.lab.SERVER_V4, PORT, self.args.bytes, *more]

    def pid(self, role):
        return self.lab.agents[role].process.pid

    def memory(self):
        return {role: memory(self.pid(role)) for role in ROLES}

    def count(self, role, noun):
        return json.loads(self.lab.plaitctl(role, noun, "--json").stdout)[noun]

    def sessions(self):
        """Of each role: sessions it has, and subflows of them all."""
        found = {role: self.count(role, "sessions") for role in ROLES}
        return {"sessions": {role: len(sessions) for role, sessions in found.items()},
                "subflows": sum(len(session["subflows"]) for session in found["cpe"])}


def timed(step):
    started = time.monotonic()
    return step() | {"seconds": time.monotonic() - started}


def forget_peak(pid):
    """Loading BPF programs takes more than anything later."""
    pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak(pid):
    """KB: the most that was resident since forget_peak()."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if "VmHWM" in line)


def measure(pair):
    before = pair.memory()
    for role in ROLES:
        forget_peak(pair.pid(role))
    holder = pair.lab.popen("host", pair.talk("hold", pair.args.sessions), stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, text=True)
    opened = timed(lambda: json.loads(holder.stdout.readline()))
    time.sleep(2)  # further subflows
    with_all = pair.memory()
    print(file=holder.stdin, flush=True)
    carried = timed(lambda: json.loads(holder.stdout.readline()))
    return {"opened": opened, "carried": carried,
            "memory": {"none open": before, "all open": with_all,
                       "all open, bytes carried": pair.memory()},
            "peak": {role: peak(pair.pid(role)) for role in ROLES},
            "fallbacks": sum(pair.count(role, "counters")["fallback_tcp"] for role in ROLES),
            **pair.sessions()}


def row(*cells):
    return f"| {' | '.join(cells)} |"


def table(result, sessions):
    none = result["memory"]["none open"]
    yield row("KB", "", *ROLES.values(), *(f"a session, {title}" for title in ROLES.values()))
    yield row("---", "---", *["---:"] * 4)
    for kind, title in KINDS.items():
        for when, now in result["memory"].items():
            grown = [f"{(now[role][kind] - none[role][kind]) / sessions:.2f}" for role in ROLES]
            yield row(title, when, *(f"{now[role][kind]:,}" for role in ROLES),
                      *(["", ""] if now is none else grown))
    yield row("RSS", "most, from none open on",
              *(f"{result['peak'][role]:,}" for role in ROLES), "", "")


def markdown(result, args):
    facts, opened, carried = machine_facts(), result["opened"], result["carried"]
    return "\n".join([
        f"# {args.sessions:,} sessions at a time", "",
        f"Measured on {facts['date']}, Linux {facts['kernel']}, {facts['machine']}, "
        f"{facts['cpus']} CPUs, everything on one machine in network namespaces, by", "",
        f"    sudo /usr/bin/python3 bench/sessions/run.py --sessions {args.sessions} "
        f"--bytes {args.bytes}", "",
        f"One host opened {opened['open']:,} of {args.sessions:,} connections to one server, in "
        f"{opened['seconds']:.1f} s, and held them to the end. While all were open each carried",
        f"{args.bytes:,} octets at random both ways, {TALKING_AT_ONCE} of them at a time, in "
        f"{carried['seconds']:.1f} s. Each direction's SHA-256 was checked: right on "
        f"{carried['right']:,}, wrong on",
        f"{carried['wrong']:,}; {carried['failed']:,} got no answer. In the end the CPE had "
        f"{result['sessions']['cpe']:,} sessions with {result['subflows']:,} subflows, the",
        f"concentrator {result['sessions']['conc']:,}; {result['fallbacks']} had fallen back to "
        "plain TCP.", "",
        *table(result, args.sessions), "",
        "Memory is plaitd's own, of /proc/PID/smaps_rollup and, the most, of /proc/PID/status. "
        "What the kernel has for sockets, pipes",
        "and BPF maps is not in it. A session takes two file descriptors of each agent: 20,000 a "
        "process, this machine's limit, are",
        "room for some 9,380. PSS shares pages of libraries out among all who use them, so it depends "
        "on what else runs.", ""])


def parse_arguments():
    parser = argparse.ArgumentParser(description="Many sessions at a time through one pair.")
    parser.add_argument("--sessions", type=int, default=9000)
    parser.add_argument("--bytes", type=int, default=16384, help="of each session, each way")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "docs/bench",
                        help="where sessions.md goes")
    return parser.parse_args()


def is_good(result, args):
    return (result["opened"]["open"] == result["carried"]["right"] == args.sessions
            and set(result["sessions"].values()) == {args.sessions} and not result["fallbacks"])


def main():
    args = parse_arguments()
    if os.geteuid():
        sys.exit("run.py: needs root, for network namespaces")
    with Lab() as lab:
        result = measure(Pair(lab, args))
    page = markdown(result, args)
    (args.out / "sessions.md").write_text(page)
    print(f"{page}\nwritten: {args.out}/sessions.md")
    if not is_good(result, args):
        sys.exit("run.py: not all sessions were right")


if __name__ == "__main__":
    main()
