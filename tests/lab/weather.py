# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The weather of one access network: rate by tbf, loss and SYN stripping by TC BPF.

A link with weather runs through a namespace of its own, where a bridge joins the
port towards the CPE and the port towards the concentrator. What a port sends is
shaped (tbf on its egress); what a port receives meets weather.bpf.c (clsact ingress).
Both ports of a link share one program and one pair of maps, pinned under
/sys/fs/bpf/plait-lab/ID/LINK/ so that a later command can change them while traffic runs.

tc and bpftool are entered with nsenter, never `tc -n`: that remounts /sys and hides bpffs.
"""

import json
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCE = pathlib.Path(__file__).resolve().parent / "weather.bpf.c"
OBJECT = ROOT / "build/lab/weather.bpf.o"
BPFFS = pathlib.Path("/sys/fs/bpf")
PINS = BPFFS / "plait-lab"

PORTS = ("to-cpe", "to-conc")
# Deep enough for cubic to fill the link, shallow enough to stay below a home router's bloat.
QUEUE_MS = 40
BURST_MS = 2
BURST_MIN_BYTES = 5 * 1514


def build_object():
    """Compiles weather.bpf.c as the Makefile does, when it has not done so yet."""
    if OBJECT.exists() and OBJECT.stat().st_mtime >= SOURCE.stat().st_mtime:
        return
    OBJECT.parent.mkdir(parents=True, exist_ok=True)
    # clang's bpf target does not look where Debian keeps asm/types.h.
    multiarch = subprocess.run(["cc", "-print-multiarch"], check=True, text=True,
                               capture_output=True).stdout.strip()
    subprocess.run(["clang", "-O2", "-g", "-target", "bpf", f"-I/usr/include/{multiarch}",
                    "-c", str(SOURCE), "-o", str(OBJECT)], check=True)


class Weather:
    """Weather of link `link` of the lab `lab_id`; `run(cmd)` runs in its access namespace."""

    def __init__(self, lab_id, link, run):
        self.pins = PINS / lab_id / str(link)
        self.run = run

    def attach(self):
        build_object()
        self.pins.mkdir(parents=True)
        self.run(["bpftool", "prog", "load", str(OBJECT), str(self.pins / "program"),
                  "pinmaps", str(self.pins)])
        for port in PORTS:
            self.run(["tc", "qdisc", "add", "dev", port, "clsact"])
            self.run(["tc", "filter", "add", "dev", port, "ingress", "bpf", "direct-action",
                      "object-pinned", str(self.pins / "program")])

    def set_rate(self, mbit):
        """Shapes both directions to `mbit`; None takes the shaper off."""
        for port in PORTS:
            if mbit is None:
                self.run(["tc", "qdisc", "del", "dev", port, "root"], check=False)
                continue
            burst = max(int(mbit * 125 * BURST_MS), BURST_MIN_BYTES)
            self.run(["tc", "qdisc", "replace", "dev", port, "root", "tbf",
                      "rate", f"{int(mbit * 1000)}kbit", "burst", str(burst),
                      "latency", f"{QUEUE_MS}ms"])

    def set_fate(self, loss_percent, strip_syn_payload):
        """Each direction loses `loss_percent` of its packets from now on."""
        value = (round(loss_percent * 10000).to_bytes(4, "little")
                 + int(strip_syn_payload).to_bytes(4, "little"))
        self.run(["bpftool", "map", "update", "pinned", str(self.pins / "settings"),
                  "key", "0", "0", "0", "0", "value", *(str(byte) for byte in value)])

    def counts(self):
        """Packets `seen`, `lost` and `stripped` since the lab came up, both directions together."""
        dump = self.run(["bpftool", "-j", "map", "dump", "pinned", str(self.pins / "counts")])
        return json.loads(dump.stdout)[0]["formatted"]["value"]
