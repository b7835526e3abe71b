# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Transfers over access networks with delay, jitter, loss, reordering and outage by netem.

Run inside a machine of vmtest's: kernels without sch_netem cannot."""

import contextlib
import hashlib
import os
import pathlib
import sys
import threading
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests/e2e"))

# pylint: disable=wrong-import-position
from conftest import running  # noqa: E402
from netns import Server, connect, digest, eventually, read_all, read_exactly  # noqa: E402

# More than the agents' buffers take: once a sender has said all, Linux adds no subflow any more.
SENT = os.urandom(12 << 20)
RATE_MBIT = 16
DSL = f"delay 15ms rate {RATE_MBIT}mbit limit 100"
LTE = f"delay 40ms 8ms distribution normal rate {RATE_MBIT}mbit limit 100"
ALONE_SECONDS = len(SENT) * 8 / (RATE_MBIT * 1e6)


def set_netem(lab, link, words):
    """In both directions of `link`, in place of what was there."""
    for port in ("to-cpe", "to-conc"):
        lab.run(f"acc{link}", ["tc", "qdisc", "replace", "dev", port, "root", "netem",
                               *words.split()])


@contextlib.contextmanager
def netem(*links):
    with running(weather_everywhere=True) as lab:
        for number, words in enumerate(links, 1):
            set_netem(lab, number, words)
        yield lab


def send(connection):
    connection.sendall(SENT)


def upload(lab, port):
    with connect(lab, "host", lab.SERVER_V4, port, timeout=60) as client:
        client.sendall(SENT)
        client.shutdown(1)
        return read_all(client).decode()


def download(lab, port):
    with connect(lab, "host", lab.SERVER_V4, port, timeout=60) as client:
        return hashlib.sha256(read_exactly(client, len(SENT))).hexdigest()


def link_bytes(lab):
    return [sum(lab.interface_bytes("cpe", f"w{i}")) for i in (1, 2)]


def transfer(lab, way):
    """Moves SENT, whole and over both links; how many seconds it took."""
    handler, move = {"up": (digest, upload), "down": (send, download)}[way]
    before, begun = link_bytes(lab), time.monotonic()
    with Server(lab, "server", lab.SERVER_V4, handler) as server:
        assert move(lab, server.port) == hashlib.sha256(SENT).hexdigest()
    seconds = time.monotonic() - begun
    grown = [after - then for after, then in zip(link_bytes(lab), before)]
    assert min(grown) > len(SENT) / 20, grown
    assert lab.counters("cpe")["fallback_tcp"] == 0
    return seconds


@pytest.mark.parametrize("way", ["up", "down"])
def test_two_slow_links_are_faster_than_one(way):
    with netem(DSL, LTE) as lab:
        assert transfer(lab, way) < 0.9 * ALONE_SECONDS


@pytest.mark.parametrize("way", ["up", "down"])
def test_loss_on_both_links(way):
    with netem(DSL + " loss 1%", LTE + " loss 1%") as lab:
        transfer(lab, way)


def test_reordered_and_doubled_packets():
    mess = "delay 20ms reorder 75% 50% duplicate 2%"
    with netem(mess, mess) as lab:
        transfer(lab, "up")


def test_a_link_goes_silent_in_mid_transfer():
    with netem(DSL, LTE) as lab, \
            Server(lab, "server", lab.SERVER_V4, digest) as server:
        got = []
        client = threading.Thread(target=lambda: got.append(upload(lab, server.port)))
        client.start()
        eventually(lambda: min(link_bytes(lab)) > len(SENT) / 16, 20, "traffic on both links")
        set_netem(lab, 2, "loss 100%")
        client.join()
        assert got == [hashlib.sha256(SENT).hexdigest()]
