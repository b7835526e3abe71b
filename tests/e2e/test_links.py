# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""P2: uneven links give nearly their sum, and a poor one does not drag a good one down."""

import json
import pathlib

import pytest

from conftest import running
from netns import eventually

AVAILABLE = pathlib.Path("/proc/sys/net/ipv4/tcp_available_congestion_control")
SECONDS = 5


def goodput(lab, *args):
    """Mbit/s at the receiver, by iperf3."""
    done = lab.run("host", ["iperf3", "-J", "-c", lab.SERVER_V4, "-t", str(SECONDS), *args])
    return json.loads(done.stdout)["end"]["sum_received"]["bits_per_second"] / 1e6


def start_iperf3(lab):
    lab.popen("server", ["iperf3", "-s"], log="iperf3.log")
    lab.wait_listening("server", 5201)


# tcp headers leave 0.94 of a link's rate
@pytest.mark.parametrize("mbit,wanted", [((40, 4), 0.85 * 0.94 * 44), ((60, 1), 0.9 * 0.94 * 60)],
                         ids=["40+4", "60+1"])
@pytest.mark.parametrize("way", ["upload", "download"])
def test_P2_uneven_links(mbit, wanted, way):
    with running(shape_mbit=list(mbit)) as lab:
        start_iperf3(lab)
        assert goodput(lab, *(["-R"] if way == "download" else [])) > wanted


def test_P2_congestion_control_comes_and_goes_with_its_instance():
    with running(conc={"congestion_control": "system"}) as lab:
        start_iperf3(lab)

        def own(node):
            """What the instance's congestion control is called: like its TAP device."""
            links = json.loads(lab.run(node, ["ip", "-j", "link"]).stdout)
            name, = [link["ifname"] for link in links if link["ifname"].startswith("plait-")]
            return name.replace("-", "_")

        def known():
            return AVAILABLE.read_text().split()

        name = own("cpe")
        assert name in known() and own("conc") not in known()
        lab.popen("host", ["iperf3", "-c", lab.SERVER_V4, "-t", "3"], log="load.log")
        eventually(lambda: name in lab.run("cpe", ["ss", "-Htin", "dport", "=",
                                                   f":{lab.PORT}"]).stdout, what="use of it")
        assert name not in lab.run("conc", ["ss", "-Htin", "sport", "=", f":{lab.PORT}"]).stdout
        agent = lab.agents.pop("cpe")
        agent.process.kill()
        agent.process.wait()
        eventually(lambda: name not in known(), what="its end")
