# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What bench/udp measures in a lab where a contender runs. Times are of one machine's clock."""

import json
import pathlib
import socket
import statistics
import struct
import subprocess
import threading
import time

from netns import inside

TOOL = pathlib.Path(__file__).resolve().parents[2] / "build/bench/datagrams"
PORT, PAYLOAD = 7000, 200
LOWEST_PPS, HIGHEST_PPS, CLOSE = 5000, 1000000, 1.02
MAY_LOSE = 0.01
SETTLES = 0.3  # seconds for what is on its way


def cpu_seconds():
    """Of the whole machine, and not idle."""
    fields = [int(field) for field in
              pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    return (sum(fields) - fields[3] - fields[4]) / 100


def receiver(lab, what):
    made = lab.popen("server", [TOOL, what, lab.SERVER_V4, PORT], text=True,
                     stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    time.sleep(0.2)
    return made


def asked(made):
    made.stdin.write("\n")
    made.stdin.flush()
    return json.loads(made.stdout.readline())


def offer(lab, counter, rate, seconds, together):
    """Sends at a rate, so many in one burst; (sent, received, CPU seconds)."""
    before = cpu_seconds()
    done = lab.run("host", [TOOL, "send", lab.SERVER_V4, PORT, PAYLOAD, rate, seconds,
                            together])
    time.sleep(SETTLES)
    spent = cpu_seconds() - before
    return json.loads(done.stdout)["sent"], asked(counter)["received"], spent


def carried(lab, counter, rate, seconds, together):
    """Figures at a rate; None if more than MAY_LOSE did not arrive."""
    sent, received, spent = offer(lab, counter, rate, seconds, together)
    if received < sent * (1 - MAY_LOSE):
        return None
    return {"pps": received / seconds, "cpu_us": spent / received * 1e6}


def throughput(lab, seconds, together):
    """The highest rate that is carried (RFC 2544 §26.1, with a little loss allowed)."""
    counter = receiver(lab, "count")
    offer(lab, counter, LOWEST_PPS, 1, 1)
    low, high, best = LOWEST_PPS, HIGHEST_PPS, {}
    while high / low > CLOSE:
        rate = int((low * high) ** 0.5)
        found = carried(lab, counter, rate, seconds, together)
        low, high, best = (rate, high, found) if found else (low, rate, best)
    return best


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


def delays(lab, seconds):
    """One way, a thousand a second, from the host's send() to the server's socket."""
    made = receiver(lab, "delays")
    send = [TOOL, "send", lab.SERVER_V4, PORT, PAYLOAD, 1000]
    lab.run("host", [*send, 1, 1])
    time.sleep(SETTLES)
    asked(made)
    lab.run("host", [*send, seconds, 1])
    time.sleep(SETTLES)
    return asked(made)


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
