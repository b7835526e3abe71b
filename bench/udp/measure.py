# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What bench/udp measures in a lab where a contender runs. Times are of one machine's clock."""

import json
import pathlib
import socket
import statistics
import struct
import threading
import time

from netns import inside

IPERF_PORT, PORT = 5201, 7000
PAYLOAD = 200


def cpu_seconds():
    """Of the whole machine, and not idle."""
    fields = [int(field) for field in
              pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    return (sum(fields) - fields[3] - fields[4]) / 100


def flood(lab, seconds):
    lab.popen("server", ["iperf3", "-s", "-1", "-p", str(IPERF_PORT)], log="iperf3.log")
    lab.wait_listening("server", IPERF_PORT)
    before = cpu_seconds()
    done = lab.run("host", ["iperf3", "-c", lab.SERVER_V4, "-p", str(IPERF_PORT), "-u", "-b", "0",
                            "-l", str(PAYLOAD), "-t", str(seconds), "-J"])
    spent = cpu_seconds() - before
    server = json.loads(done.stdout)["end"]["sum"]
    arrived = server["packets"] - server["lost_packets"]
    return {"pps": arrived / seconds, "offered_pps": server["packets"] / seconds,
            "cpu_us": spent / arrived * 1e6}


def sockets(lab):
    """One of the host's, connected to one of the server's."""
    made = {}
    for node in ("server", "host"):
        with inside(lab, node):
            made[node] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made[node].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        made[node].settimeout(2)
    made["server"].bind((lab.SERVER_V4, PORT))
    made["host"].connect((lab.SERVER_V4, PORT))
    return made["host"], made["server"]


def percentiles(values, unit):
    values = sorted(values)
    return {f"p50_{unit}": statistics.median(values),
            f"p99_{unit}": values[int(len(values) * 0.99)], f"max_{unit}": values[-1]}


def echo(server, count):
    for _ in range(count):
        data, peer = server.recvfrom(2048)
        server.sendto(data, peer)


def round_trips(lab, seconds):
    """One at a time, a thousand a second at most."""
    host, server = sockets(lab)
    count, taken = seconds * 500, []
    thread = threading.Thread(target=echo, args=(server, count), daemon=True)
    thread.start()
    for _ in range(count):
        begun = time.perf_counter()
        host.send(bytes(PAYLOAD))
        host.recv(2048)
        taken.append((time.perf_counter() - begun) * 1e6)
        time.sleep(0.001)
    return percentiles(taken[50:], "us")


def lossy(lab, seconds):
    """Delays of 500 datagrams a second while link 1 loses 1 % of its packets, after 20 ms."""
    host, server = sockets(lab)
    host.send(bytes(PAYLOAD))
    server.recv(2048)
    time.sleep(1)
    for link in (1, 2):
        lab.set_weather(link, delay_ms=20, loss_percent=1 if link == 1 else 0)
    delays, count = [], seconds * 500

    def receive():
        server.settimeout(3)
        try:
            while len(delays) < count:
                delays.append((time.monotonic()
                               - struct.unpack_from("!d", server.recv(2048))[0]) * 1e3)
        except TimeoutError:
            pass  # some were lost

    thread = threading.Thread(target=receive)
    thread.start()
    begun = time.monotonic()
    for i in range(count):
        host.send(struct.pack("!d", time.monotonic()) + bytes(PAYLOAD - 8))
        time.sleep(max(0, begun + (i + 1) / 500 - time.monotonic()))
    thread.join()
    return percentiles(delays, "ms") | {"arrived_percent": 100 * len(delays) / count,
                                        "delays_ms": [round(delay, 2) for delay in delays]}
