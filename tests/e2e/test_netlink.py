# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""P2: what netlink tells of links comes late, twice, in part or not at all."""

import contextlib
import os
import re
import signal

import pytest

from conftest import PlaitLab, running
from netns import Server, connect, echo, eventually, read_exactly, stays
from transfer import PORT, Transfer
from weather import Weather


def batch(lab, lines):
    """ip commands in the CPE's namespace."""
    lab.run("cpe", ["ip", "-batch", "-"], input="".join(f"{line}\n" for line in lines))


@pytest.fixture
def lab():
    """With a pair of interfaces at the CPE that is nothing to plait."""
    shaped = Weather(rate_mbit=200)  # beyond Gbit/s a pause may cost seconds (docs/kernel.md)
    with running(link_weather=[shaped, shaped]) as made:
        batch(made, ["link add x0 type veth peer name x1", "link set x0 up", "link set x1 up"])
        yield made


def storm(changes):
    """Commands of that many changes to an interface that is none of plait's."""
    return [f"addr {verb} 10.77.{i % 200}.1/24 dev x0"
            for i in range(changes // 2) for verb in ("add", "del")]


@contextlib.contextmanager
def asleep(lab):
    """The CPE's plaitd does not run meanwhile; its sockets and the kernel do."""
    process = lab.agents["cpe"].process
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def missed(lab):
    """Messages that the socket by which plaitd follows changes had no room for."""
    pid = lab.agents["cpe"].process.pid
    sockets = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    with open(f"/proc/{pid}/net/netlink", encoding="ascii") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    drops, = [int(row[-2]) for row in rows
              if int(row[3], 16) and f"socket:[{row[-1]}]" in sockets]
    return drops


def subflows(lab):
    """Local addresses with ports of the session's subflows, by link."""
    session, = lab.sessions("cpe", PORT)
    return {subflow["link"]: subflow["local"] for subflow in session["subflows"]}


def addresses(lab):
    return {link: local.rsplit(":", 1)[0] for link, local in subflows(lab).items()}


def log_since(lab, before):
    return lab.log("cpe")[len(before):]


def ask(client):
    client.sendall(bytes(1000))
    assert read_exactly(client, 1000) == bytes(1000)


@contextlib.contextmanager
def bonded_session(lab):
    """A connection that has both its subflows, and a server for more."""
    with Server(lab, "server", lab.SERVER_V4, echo, PORT) as server, \
            connect(lab, "host", lab.SERVER_V4, PORT) as client:
        ask(client)
        eventually(lambda: addresses(lab) == {"dsl": "10.1.0.2", "lte": "10.2.0.2"},
                   what="both subflows")
        yield server, client


def test_P2_netlink_messages_that_were_lost_are_made_good(lab):
    """The first link's carrier gone, the second's address another, and nobody was told."""
    with bonded_session(lab) as (_, client):
        before = missed(lab)
        with asleep(lab):
            batch(lab, storm(4000))
            assert missed(lab) > before, "the socket had room for all"
            lab.cut(1)
            batch(lab, ["addr del 10.2.0.2/24 dev w2", "addr add 10.2.0.77/24 dev w2"])
        eventually(lambda: addresses(lab) == {"lte": "10.2.0.77"}, what="the new address")
        ask(client)
        with Server(lab, "server", lab.SERVER_V4, echo) as server, \
                connect(lab, "host", lab.SERVER_V4, server.port) as new:
            ask(new)
            session, = lab.sessions("cpe", server.port)
            assert [one["local"].rsplit(":", 1)[0] for one in session["subflows"]] == ["10.2.0.77"]
        lab.mend(1)
        eventually(lambda: addresses(lab) == {"dsl": "10.1.0.2", "lte": "10.2.0.77"}, 8,
                   "both links again")
        ask(client)


def test_P2_netlink_messages_lost_about_nothing_of_ours_change_nothing(lab):
    with Transfer(lab, "download") as transfer:
        eventually(lambda: len(subflows(lab)) == 2, what="both subflows")
        had, log, counted = subflows(lab), lab.log("cpe"), lab.counters("cpe")
        before = missed(lab)
        with asleep(lab):
            batch(lab, storm(4000))
        assert missed(lab) > before
        stays(lambda: subflows(lab) == had, 1)
        assert "subflow_left" not in lab.since("cpe", counted)
        assert log_since(lab, log) == ""
        eventually(lambda: transfer.mbit(0.2) > 10, what="more bytes")


def test_P2_netlink_dump_that_is_interrupted_is_read_again(lab):
    """600 addresses are more than one message of a dump holds, and they change meanwhile."""
    batch(lab, [f"addr add 10.{88 + i // 200}.{i % 200}.1/32 dev x0" for i in range(600)])
    with bonded_session(lab) as (_, client):
        log = lab.log("cpe")
        batch(lab, storm(10000))
        ask(client)
        batch(lab, ["addr del 10.2.0.2/24 dev w2", "addr add 10.2.0.77/24 dev w2"])
        eventually(lambda: addresses(lab) == {"dsl": "10.1.0.2", "lte": "10.2.0.77"}, 8,
                   "the new address")
        ask(client)
        assert "<3>" not in log_since(lab, log), log_since(lab, log)


def test_P2_netlink_told_late_what_is_over_changes_nothing(lab):
    """An address and a carrier that went and came back before plaitd could look."""
    with bonded_session(lab) as (_, client):
        had, log, counted = subflows(lab), lab.log("cpe"), lab.counters("cpe")
        with asleep(lab):
            batch(lab, ["addr del 10.2.0.2/24 dev w2", "addr add 10.2.0.2/24 dev w2"])
            lab.cut(1)
            lab.mend(1)
        stays(lambda: subflows(lab) == had, 1)
        ask(client)
        lab.cut(1)
        eventually(lambda: list(subflows(lab)) == ["lte"], what="one subflow")
        ask(client)
        assert lab.since("cpe", counted)["subflow_left"] == 1
        assert re.findall("link .* is left", log_since(lab, log)) == ["link dsl is left"]


def told_of(lab, interface):
    """How often the kernel told others of it."""
    return (lab.dir / "monitor.log").read_text().count(interface)


TOLD_TWICE = {
    "address": ["addr replace 10.{link}.0.2/24 dev w{link}"],
    "link": ["link set w{link} up", "link set w{link} alias same"],
    "route of others": ["route add 10.9{link}.0.0/24 dev w{link}", "route del 10.9{link}.0.0/24"],
}


@pytest.mark.parametrize("what", TOLD_TWICE)
def test_P2_netlink_told_twice_changes_nothing(lab, what):
    with Transfer(lab, "download") as transfer:
        eventually(lambda: len(subflows(lab)) == 2, what="both subflows")
        had, log, counted = subflows(lab), lab.log("cpe"), lab.counters("cpe")
        lab.popen("cpe", ["ip", "monitor", "link", "address", "route"], log="monitor.log")
        told_again = [line.format(link=link) for line in TOLD_TWICE[what] for link in (1, 2)]

        def tell():
            batch(lab, told_again)
            return told_of(lab, "w1") >= 50  # fewer as long as ip monitor starts

        eventually(tell, 20, "the kernel to tell of them")
        stays(lambda: subflows(lab) == had, 1)
        assert "subflow_left" not in lab.since("cpe", counted)
        assert log_since(lab, log) == ""
        assert transfer.mbit(0.5) > 10


def test_P2_netlink_change_while_plaitd_starts_is_not_missed():
    """The kernel takes a while to accept the programs; addresses were read before."""
    with PlaitLab() as lab:
        lab.plaitd("conc")
        pin = f"/sys/fs/bpf/plait/{lab.agent_name('cpe')}/sessions"
        lab.popen("cpe", ["sh", "-c", f"until [ -e {pin} ]; do sleep 0.005; done; "
                                      "ip addr del 10.2.0.2/24 dev w2; "
                                      "ip addr add 10.2.0.77/24 dev w2"])
        lab.plaitd("cpe")
        with Server(lab, "server", lab.SERVER_V4, echo, PORT) as _, \
                connect(lab, "host", lab.SERVER_V4, PORT) as client:
            ask(client)
            eventually(lambda: addresses(lab) == {"dsl": "10.1.0.2", "lte": "10.2.0.77"},
                       what="the address it has now")


def test_P2_routes_of_others_do_not_touch_the_links_tables():
    with running() as lab, contextlib.ExitStack() as stack:
        changes = lab.popen("cpe", ["ip", "-o", "monitor", "route", "rule"], log="monitor.log")
        stack.callback(changes.kill)
        batch(lab, ["link add y0 type veth peer name y1", "link set y0 up", "link set y1 up",
                    "addr add 10.99.0.1/24 dev y0", "route add 10.98.0.0/16 via 10.99.0.2 dev y0"])
        batch(lab, ["route add 10.97.0.0/16 via 10.1.0.1 dev w1"])  # this is one of link 1's

        def told():
            return (lab.dir / "monitor.log").read_text().splitlines()

        eventually(lambda: [line for line in told()
                            if line.startswith("10.97.0.0/16") and "proto 112" in line],
                   what="the copy of link 1's route")
        assert [line for line in told() if line.startswith("10.98.0.0/16")]
        ours = [line for line in told() if "proto 112" in line]
        assert not [line for line in ours if "w2" in line or "y0" in line or "10.2.0" in line]
