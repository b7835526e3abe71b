# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""P2: uneven links give nearly their sum, and a poor one does not drag a good one down."""

import json
import pathlib
import re
import signal
import socket
import subprocess

import pytest

from conftest import running
from netns import Server, connect, digest, eventually, read_exactly
from weather import Weather

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


MB = 1 << 20


def carried_mb(lab, link):
    """Both directions, since the lab began."""
    return sum(lab.interface_bytes("cpe", f"w{link}")) / MB


def delays(*each_ms):
    return [Weather(delay_ms=ms, rate_mbit=40) for ms in each_ms]


def test_P2_link_that_was_being_joined_as_backup_takes_part_in_bulk_that_begins():
    """While the handshake of the second subflow is under way, it could not be told."""
    def answer(connection):
        read_exactly(connection, 2)
        connection.sendall(bytes(16 * MB))

    with running(link_weather=delays(15, 80)) as lab, \
            Server(lab, "server", lab.SERVER_V4, answer) as server, \
            connect(lab, "host", lab.SERVER_V4, server.port) as client:
        client.sendall(b"?")
        eventually(lambda: lab.counters("cpe")["joined"], what="a join")
        client.sendall(b"!")
        read_exactly(client, 16 * MB)
        assert carried_mb(lab, 2) > 0.4  # at 80 ms it takes its time to prove itself


def test_P2_upload_that_is_there_at_once_gets_its_second_link_soon():
    """The kernel refuses a join before the first acknowledgement, and after the FIN."""
    with running(link_weather=delays(15, 15)) as lab, \
            Server(lab, "server", lab.SERVER_V4, digest) as server, \
            connect(lab, "host", lab.SERVER_V4, server.port) as client:
        client.sendall(bytes(8 * MB))
        client.shutdown(socket.SHUT_WR)
        assert len(read_exactly(client, 64)) == 64
        assert carried_mb(lab, 2) > 1


def congestion_controls(lab, node):
    """Those of plait's that sockets of legs have at `node`."""
    sockets = lab.run(node, ["ss", "-Htin", "( dport", "=", f":{lab.PORT}", "or", "sport", "=",
                             f":{lab.PORT}", ")"]).stdout
    return set(re.findall(r"\bplait_[a-z0-9]{8}\b", sockets))


def names_known():
    """The kernel's, and so also of instances in other network namespaces."""
    return AVAILABLE.read_text().split()


def maps_known():
    shown = subprocess.run(["bpftool", "-j", "struct_ops", "show"], check=True,
                           capture_output=True, text=True).stdout
    return {entry["id"] for entry in json.loads(shown)}


def maps_of(pid):
    """The ids of all maps a process holds."""
    held = [file.read_text() for file in pathlib.Path(f"/proc/{pid}/fdinfo").iterdir()]
    return {int(number) for text in held for number in re.findall(r"^map_id:\s*(\d+)", text, re.M)}


@pytest.mark.parametrize("ending", ["stop", "kill"])
def test_P2_congestion_control_comes_and_goes_with_its_instance(ending):
    with running(conc={"congestion_control": "system"}) as lab:
        start_iperf3(lab)
        lab.popen("host", ["iperf3", "-c", lab.SERVER_V4, "-t", "3"], log="load.log")
        name, = eventually(lambda: congestion_controls(lab, "cpe"), what="use of it")
        assert not congestion_controls(lab, "conc")
        assert name in names_known()
        agent = lab.agents.pop("cpe")
        own_map, = maps_of(agent.process.pid) & maps_known()
        agent.process.send_signal(signal.SIGKILL if ending == "kill" else signal.SIGTERM)
        agent.process.wait()
        eventually(lambda: name not in names_known(), what="its end")
        eventually(lambda: own_map not in maps_known(), what="its map's end")
        lab.plaitd("cpe")
        lab.popen("host", ["iperf3", "-c", lab.SERVER_V4, "-t", "3"], log="load.log")
        eventually(lambda: congestion_controls(lab, "cpe") - {name}, what="one of another name")
