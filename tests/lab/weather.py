# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The weather of one access network: what a link does to packets, each direction on its own.

A link with weather runs through a namespace of its own, between a port towards the CPE and a
port towards the concentrator. What a port receives meets weather.bpf.c (clsact ingress), which
draws for loss and duplication and sends it on to the other port, where it is shaped (tbf on the
egress). Programs and maps of a link are pinned under /sys/fs/bpf/plait-lab/ID/LINK/, so that a
later command can change the settings while traffic runs.

Delay, jitter and reordering are the work of delay_line.c, a process that holds frames it reads
from a TAP and writes them back when they are due: the kernel this is developed on has no netem,
and a BPF program can time a packet but not keep one. A direction takes the detour only while
it has a delay, and the process is started only by the first that has.

tc and bpftool are entered with nsenter, never `tc -n`: that remounts /sys and hides bpffs.
"""

import dataclasses
import json
import pathlib
import struct
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCES = [ROOT / "tests/lab" / name for name in ("weather.bpf.c", "weather.h", "delay_line.c")]
OBJECT = ROOT / "build/lab/weather.bpf.o"
DELAY_LINE = ROOT / "build/lab/delay_line"
BPFFS = pathlib.Path("/sys/fs/bpf")
PINS = BPFFS / "plait-lab"

DIRECTIONS = ("up", "down")  # up is from CPE to concentrator; in the order of weather.h
IN_PORT = {"up": "to-cpe", "down": "to-conc"}
OUT_PORT = {"up": "to-conc", "down": "to-cpe"}
TAP = {"up": "delay-up", "down": "delay-down"}
# What reaches a TAP while the delay line waits for its turn on a busy machine.
TAP_QUEUE_FRAMES = 4096

BURST_MS = 2
BURST_MIN_BYTES = 5 * 1514


def build_object():
    """Has make build what is loaded and run here, unless that has been done since the last
    change."""
    built = (OBJECT, DELAY_LINE)
    newest = max(source.stat().st_mtime for source in SOURCES)
    if not all(file.exists() and file.stat().st_mtime >= newest for file in built):
        subprocess.run(["make", "-s", "-C", str(ROOT),
                        *(str(file.relative_to(ROOT)) for file in built)], check=True)


@dataclasses.dataclass(frozen=True)
class Weather:
    """What one direction of a link does to packets; as it stands here, nothing.

    ARP and neighbour discovery are spared from all loss but the black hole's, so with 100 %
    loss a link is silent while its neighbours still answer."""

    rate_mbit: float | None = None
    burst_bytes: int | None = None  # of the shaper; None: what a link sends in 2 ms
    # Deep enough for cubic to fill the link, shallow enough to stay below a home router's bloat.
    queue_ms: float = 40
    delay_ms: float = 0
    jitter_ms: float = 0  # at most so much more, changing smoothly; packets keep their order
    reorder_percent: float = 0  # held back by another 5 ms, so that later ones overtake
    loss_percent: float = 0
    # Bursts in which every packet is lost: how likely each packet begins, or ends, one.
    burst_enter_percent: float = 0
    burst_leave_percent: float = 0
    duplicate_percent: float = 0
    black_hole: bool = False
    strip_syn_payload: bool = False

    def __post_init__(self):
        for name, value in vars(self).items():
            if value is None:
                continue
            if value < 0 or name.endswith("_percent") and value > 100:
                raise ValueError(f"{name} cannot be {value:g}")
        if self.rate_mbit == 0:
            raise ValueError("rate_mbit cannot be 0: that is a black_hole")
        if self.burst_enter_percent and not self.burst_leave_percent:
            raise ValueError("burst_leave_percent cannot be 0: the first burst would not end")

    @property
    def delays(self):
        return bool(self.delay_ms or self.jitter_ms or self.reorder_percent)

    @property
    def shaper(self):
        """tbf with its parameters; nothing if the rate is not limited."""
        if self.rate_mbit is None:
            return []
        burst = self.burst_bytes or max(self.rate_mbit * 125 * BURST_MS, BURST_MIN_BYTES)
        return ["tbf", "rate", f"{self.rate_mbit * 1000:.0f}kbit", "burst", f"{burst:.0f}",
                "latency", f"{self.queue_ms:g}ms"]

    def settings(self, out_ifindex, delay_line_ifindex):
        """struct weather_settings of weather.h."""
        def per_million(percent):
            return round(percent * 10000)

        return struct.pack(
            "<12I", out_ifindex, delay_line_ifindex, per_million(self.loss_percent),
            per_million(self.burst_enter_percent), per_million(self.burst_leave_percent),
            per_million(self.duplicate_percent), per_million(self.reorder_percent),
            round(self.delay_ms * 1000), round(self.jitter_ms * 1000),
            self.black_hole, self.strip_syn_payload, 0)


CLEAR = Weather()


class AccessNetwork:
    """The namespace that link `link` of `lab` runs through."""

    def __init__(self, lab, link):
        self.lab = lab
        self.node = f"acc{link}"
        self.pins = PINS / lab.id / str(link)

    def attach(self):
        """From now on the ports are joined, with clear weather."""
        build_object()
        self.pins.mkdir(parents=True)
        self.lab.run(self.node, ["bpftool", "prog", "loadall", OBJECT, self.pins / "programs",
                                 "pinmaps", self.pins])
        for direction in DIRECTIONS:
            self._write(direction, CLEAR)
            self._run_at_ingress(IN_PORT[direction], direction)

    def change(self, direction, before, after):
        """The weather of a direction changes from `before` to `after`."""
        if after.delays and not self._has_delay_line():
            self._start_delay_line()
        self._write(direction, after)
        if after.shaper != before.shaper:
            action = ["replace"] if after.shaper else ["del"]
            self.lab.run(self.node, ["tc", "qdisc", *action, "dev", OUT_PORT[direction], "root",
                                     *after.shaper])

    def set_carrier(self, on):
        """Whether the CPE's interface has a carrier."""
        port = OUT_PORT["down"]
        self.lab.run(self.node, ["ip", "link", "set", port, "up" if on else "down"])
        if on:
            self.lab.wait_up(self.node, [port])

    def has_carrier(self):
        return "UP" in self._interfaces()[OUT_PORT["down"]]["flags"]

    def counts(self):
        """Packets `seen`, `lost`, `stripped` and `duplicated` by direction, since the lab came
        up."""
        dump = self.lab.run(self.node, ["bpftool", "-j", "map", "dump", "pinned",
                                        self.pins / "counts"])
        entries = json.loads(dump.stdout)
        return {direction: entry["formatted"]["value"]
                for direction, entry in zip(DIRECTIONS, entries)}

    def _interfaces(self):
        listed = json.loads(self.lab.run(self.node, ["ip", "-j", "link"]).stdout)
        return {interface["ifname"]: interface for interface in listed}

    def _has_delay_line(self):
        return TAP["down"] in self._interfaces()

    def _start_delay_line(self):
        for direction, tap in TAP.items():
            self.lab.run(self.node, ["ip", "tuntap", "add", tap, "mode", "tap"])
            self.lab.run(self.node, ["ip", "link", "set", tap, "txqueuelen", TAP_QUEUE_FRAMES,
                                     "up"])
            self._run_at_ingress(tap, f"deliver_{direction}")
        self.lab.popen(self.node, [DELAY_LINE, self.pins / "settings"],
                       log=f"{self.node}-delay-line.log")
        self.lab.wait_up(self.node, TAP.values())

    def _run_at_ingress(self, interface, program):
        self.lab.run(self.node, ["tc", "qdisc", "add", "dev", interface, "clsact"])
        self.lab.run(self.node, ["tc", "filter", "add", "dev", interface, "ingress", "bpf",
                                 "direct-action", "object-pinned",
                                 self.pins / "programs" / program])

    def _write(self, direction, weather):
        interfaces = self._interfaces()
        delay_line = interfaces[TAP[direction]]["ifindex"] if weather.delays else 0
        value = weather.settings(interfaces[OUT_PORT[direction]]["ifindex"], delay_line)
        self.lab.run(self.node, ["bpftool", "map", "update", "pinned", self.pins / "settings",
                                 "key", DIRECTIONS.index(direction), 0, 0, 0,
                                 "value", *value])
