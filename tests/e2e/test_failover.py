# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""P2, TR Req6 and Req8: a link is lost, silent, flapping, back, or has another address."""

import json
import time

import pytest

from conftest import running
from netns import Server, connect, echo, eventually, read_exactly
from transfer import PORT, Transfer


def subflow_links(lab):
    session, = lab.sessions("cpe", PORT)
    return sorted(subflow["link"] for subflow in session["subflows"])


def link_state(lab, number):
    return json.loads(lab.plaitctl("cpe", "links", "--json").stdout)["links"][number - 1]["condition"]


def both_in_use(transfer, lab):
    eventually(lambda: subflow_links(lab) == ["dsl", "lte"], what="both subflows")
    eventually(lambda: transfer.mbit(0.5) > 60, what="the rate of both")


@pytest.fixture
def lab():
    with running(shape_mbit=[40, 40]) as made:
        yield made


both_links = pytest.mark.parametrize("link", [1, 2])
both_ways = pytest.mark.parametrize("way", ["download", "upload"])


@both_links
@both_ways
def test_P2_carrier_lost_and_back(lab, link, way):
    with Transfer(lab, way) as transfer:
        both_in_use(transfer, lab)
        cut = time.monotonic()
        lab.cut(link)
        time.sleep(1)
        assert transfer.longest_stall(cut) < 0.3
        assert transfer.mbit(0.5) > 30
        assert link_state(lab, link) == "no path"
        assert len(subflow_links(lab)) == 1
        lab.mend(link)
        both_in_use(transfer, lab)


@both_links
@both_ways
def test_P2_silent_black_hole_and_back(lab, link, way):
    with Transfer(lab, way) as transfer:
        both_in_use(transfer, lab)
        lost = time.monotonic()
        lab.set_weather(link, black_hole=True)
        eventually(lambda: link_state(lab, link) == "silent", what="silence")
        assert transfer.longest_stall(lost) < 1.5
        assert transfer.mbit(0.5) > 30
        with Server(lab, "server", lab.SERVER_V4, echo) as server:
            started = time.monotonic()
            with connect(lab, "host", lab.SERVER_V4, server.port) as client:
                client.sendall(b"new")
                assert read_exactly(client, 3) == b"new"
            assert time.monotonic() - started < 0.5, "a new one never waits for the dead link"
        lab.set_weather(link, black_hole=False)
        both_in_use(transfer, lab)


def test_P2_throttled_in_mid_transfer(lab):
    with Transfer(lab, "download") as transfer:
        both_in_use(transfer, lab)
        before = time.monotonic()
        lab.set_rate(2, 1)
        time.sleep(2)
        assert transfer.longest_stall(before) < 0.5
        assert transfer.mbit(1) > 0.9 * 0.94 * 40


def test_P2_flapping_link_is_left_alone(lab):
    """One second there, one second not: what comes over the other goes on."""
    with Transfer(lab, "download") as transfer:
        both_in_use(transfer, lab)
        start = time.monotonic()
        before = lab.counters("cpe")["subflow_left"]
        for _ in range(4):
            lab.cut(2)
            time.sleep(0.5)
            lab.mend(2)
            time.sleep(0.5)
        assert transfer.longest_stall(start) < 0.3
        assert lab.counters("cpe")["subflow_left"] - before <= 3
        both_in_use(transfer, lab)


@both_links
def test_P2_address_changes(lab, link):
    """As after a DHCP renewal."""
    with Transfer(lab, "download") as transfer:
        both_in_use(transfer, lab)
        before = time.monotonic()
        lab.run("cpe", ["ip", "addr", "del", f"10.{link}.0.2/24", "dev", f"w{link}"])
        lab.run("cpe", ["ip", "addr", "add", f"10.{link}.0.77/24", "dev", f"w{link}"])

        def addresses():
            session, = lab.sessions("cpe", PORT)
            return sorted(subflow["local"].rsplit(":", 1)[0] for subflow in session["subflows"])

        other = 3 - link
        eventually(lambda: addresses() == sorted([f"10.{link}.0.77", f"10.{other}.0.2"]),
                   what="the new address")
        both_in_use(transfer, lab)
        assert transfer.longest_stall(before) < 0.3
