# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""One measurement a function, each on a lab in which a contender runs; results are plain dicts.

CPU is counted twice: what the whole machine was busy (/proc/stat: includes the kernel's
network work, iperf3 and whatever else runs), and what the processes in the namespaces of CPE and
concentrator used. Memory is what belongs to those processes alone (smaps_rollup, Private_*):
pages that forked children share do not count.
"""

import contextlib
import json
import os
import pathlib
import subprocess

from lab import LabError

IPERF_PORT, LOAD_PORT = 5201, 7000
AGENTS = ("cpe", "conc")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

# Thousands of short connections from one address: let ports be used again after a second.
MANY_CONNECTIONS = ("net.ipv4.ip_local_port_range=1024 65535", "net.ipv4.tcp_tw_reuse=1",
                    "net.ipv4.tcp_no_metrics_save=1")


class Bench:
    """The lab plus what host and server run in it."""

    def __init__(self, lab, contender, load_tool):
        self.lab, self.contender, self.load_tool = lab, contender, load_tool
        self.address = contender.address(lab)

    def start(self):
        for node in ("host", "cpe", "conc", "server"):
            self.lab.run(node, ["sysctl", "-qw", *MANY_CONNECTIONS])
        self.lab.popen("server", [self.load_tool, "serve", self.lab.SERVER_V4, LOAD_PORT],
                       log="load.log")
        self.lab.wait_listening("server", LOAD_PORT)
        self.contender.start(self.lab)

    def load(self, mode, *options, timeout=120):
        cmd = [self.load_tool, mode, self.address, LOAD_PORT, *options]
        return json.loads(self.lab.run("host", cmd, timeout=timeout).stdout)


def machine_cpu_seconds():
    """Busy since boot, all CPUs together; time stolen or spent waiting is not busy."""
    fields = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _, _, irq, softirq = map(int, fields[:7])
    return (user + nice + system + irq + softirq) / TICKS_PER_SECOND


def pids_in(lab, node):
    listed = subprocess.run(["ip", "netns", "pids", lab.netns(node)], check=True, text=True,
                            capture_output=True).stdout
    return [int(pid) for pid in listed.split()]


def agents_cpu_seconds(lab):
    ticks = 0
    for node in AGENTS:
        for pid in pids_in(lab, node):
            with contextlib.suppress(OSError):
                stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
                ticks += sum(map(int, stat.rpartition(")")[2].split()[11:15]))
    return ticks / TICKS_PER_SECOND


def private_bytes(lab, node):
    total = 0
    for pid in pids_in(lab, node):
        with contextlib.suppress(OSError):
            for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Private_") and "Hugetlb" not in line:
                    total += int(line.split()[1]) * 1024
    return total


def mptcp_counters(lab):
    """(connections, further subflows) that the CPE has opened so far."""
    counters = json.loads(lab.run("cpe", ["nstat", "-aszj"]).stdout)["kernel"]
    return counters["MPTcpExtMPCapableSYNACKRX"], counters["MPTcpExtMPJoinSynAckRx"]


def link_bytes(lab):
    return [sum(lab.interface_bytes("cpe", f"w{i}")) for i in range(1, lab.links + 1)]


def iperf3(bench, seconds, streams, download):
    """iperf3's own account of one transfer, by a server of its own."""
    lab = bench.lab
    server = lab.popen("server", ["iperf3", "-s", "-1", "-p", IPERF_PORT], log="iperf3.log")
    try:
        lab.wait_listening("server", IPERF_PORT)
        done = lab.run("host", ["iperf3", "-J", "-c", bench.address, "-p", IPERF_PORT,
                                "-t", seconds, "-P", streams, *(["-R"] if download else [])],
                       timeout=seconds + 30, check=False)
    finally:
        server.kill()
        server.wait()
    result = json.loads(done.stdout)
    if "error" in result:
        raise LabError(f"iperf3: {result['error']}")
    return result["end"]["sum_received"]


def observe(lab):
    return {"machine": machine_cpu_seconds(), "agents": agents_cpu_seconds(lab),
            "mptcp": mptcp_counters(lab), "links": link_bytes(lab)}


def bulk(bench, seconds, streams, download):
    """iperf3 for `seconds`: goodput, CPU used meanwhile, and how the legs looked."""
    before = observe(bench.lab)
    received = iperf3(bench, seconds, streams, download)
    after = observe(bench.lab)
    connections, joins = (late - early for late, early in zip(after["mptcp"], before["mptcp"]))
    carried = [late - early for late, early in zip(after["links"], before["links"])]
    gigabytes = received["bytes"] / 1e9
    return {
        "gbit_per_second": received["bits_per_second"] / 1e9,
        "machine_cpu_seconds_per_gb": (after["machine"] - before["machine"]) / gigabytes,
        "agents_cpu_seconds_per_gb": (after["agents"] - before["agents"]) / gigabytes,
        "mptcp_connections": connections,
        "subflows_per_connection": 1 + joins / connections if connections else 0,
        "link_shares": [part / sum(carried) for part in carried],
    }


def connections_per_second(bench, seconds):
    return bench.load("cps", "--concurrency", "64", "--seconds", str(seconds))


def first_byte(bench, count=1000):
    return bench.load("ttfb", "--count", str(count))


def idle_memory(bench):
    """Private bytes per session and in all, per side, while sessions are held that have each
    carried 1 KB. What a program sets aside when it starts shows in the total only."""
    lab, count = bench.lab, bench.contender.idle_sessions
    bench.load("ttfb", "--count", "10")
    before = {node: private_bytes(lab, node) for node in AGENTS}
    holder = lab.popen("host", [bench.load_tool, "idle", bench.address, LOAD_PORT,
                                "--count", count],
                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    held = json.loads(holder.stdout.readline())["held"]
    after = {node: private_bytes(lab, node) for node in AGENTS}
    holder.kill()
    if held < 0.99 * count:
        raise LabError(f"only {held} of {count} sessions could be held")
    return {"sessions": held,
            **{node: (after[node] - before[node]) / held for node in AGENTS},
            **{f"{node}_total": after[node] for node in AGENTS}}
