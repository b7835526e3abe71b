# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""B2: how long a silent connection is kept, at either end; test_endings.py has the CPE's part."""

import contextlib
import errno
import json
import os
import pathlib
import socket
import time

import pytest

from conftest import both_families, running, server_address
from netns import (Server, connect, echo, error_of, eventually, pair, read_exactly, reset,
                   stays)
from wire import MP_FASTCLOSE, RST, Capture

SHORT = {"lifetimes": {"tcp_established": "2s", "tcp_transitory": "1s", "reset": "2s"}}
POOL = {"internet": {"interfaces": ["net0"], "pools": [{"prefix": "203.0.113.64/28"}]}}


@pytest.fixture(scope="module")
def impatient():
    """A concentrator with short lifetimes; the CPE has the defaults."""
    with running(conc=SHORT | POOL) as lab:
        yield lab


@pytest.fixture(scope="module")
def hasty():
    """Both are in a hurry."""
    with running(cpe=SHORT, conc=SHORT) as lab:
        yield lab


def bindings(lab):
    return json.loads(lab.plaitctl("conc", "bindings", "--json").stdout)["bindings"]


def is_open(connection):
    """Neither FIN nor RST has come."""
    connection.setblocking(False)
    try:
        return connection.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        connection.setblocking(True)


@both_families
def test_B2_concentrator_resets_the_servers_end_of_an_idle_connection(impatient, family):
    before = impatient.counters("conc")
    with pair(impatient, server_address(impatient, family)) as (client, accepted, port), \
            Capture(impatient, "conc", "w1") as w1, Capture(impatient, "conc", "w2") as w2:
        begun = time.monotonic()
        assert error_of(accepted) == errno.ECONNRESET
        assert 1.5 < time.monotonic() - begun < 3.5
        assert error_of(client) in (0, errno.ECONNRESET)
        client.close()
        assert not [packet for capture in (w1, w2) for packet in capture.tcp(impatient.PORT)
                    if MP_FASTCLOSE in packet.mptcp and packet.outgoing]
        impatient.wait_ended(port)
    assert impatient.since("conc", before)["expired"] == 1


def test_B2_expired_entry_frees_its_port(impatient):
    with pair(impatient, impatient.SERVER_V4) as (client, accepted, _):
        assert len(bindings(impatient)) == 1
        assert error_of(accepted) == errno.ECONNRESET
        eventually(lambda: not bindings(impatient))
        client.close()


def test_B2_fastclose_on_expiry_at_the_concentrator():
    """plain-mode-08 §4.3.3."""
    with running(conc={"lifetimes": {"tcp_established": "1s"}, "fastclose_on_expiry": True}) as lab, \
            pair(lab, lab.SERVER_V4) as (client, accepted, port), \
            Capture(lab, "server", "eth0") as net, \
            Capture(lab, "conc", "w1") as w1, Capture(lab, "conc", "w2") as w2:
        assert error_of(accepted) == errno.ECONNRESET
        assert error_of(client) == errno.ECONNRESET
        assert [packet for packet in net.tcp(port) if packet.flags & RST and not packet.outgoing]
        assert [packet for capture in (w1, w2) for packet in capture.tcp(lab.PORT)
                if MP_FASTCLOSE in packet.mptcp and packet.outgoing]
        lab.wait_ended(port)


def test_B2_traffic_either_way_refreshes(hasty):
    """One connection has only bytes from the host, the other only from the server."""
    with pair(hasty, hasty.SERVER_V4) as (up, up_accepted, _), \
            pair(hasty, hasty.SERVER_V4) as (down, down_accepted, _):
        for _ in range(8):
            for sender, receiver in ((up, up_accepted), (down_accepted, down)):
                sender.sendall(b"x")
                assert read_exactly(receiver, 1) == b"x"
            time.sleep(0.5)
        assert all(map(is_open, (up, up_accepted, down, down_accepted)))


def keep_alive(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)


def test_B2_hosts_keepalives_refresh_at_the_cpe():
    with running(cpe=SHORT) as lab, pair(lab, lab.SERVER_V4) as (client, accepted, _):
        keep_alive(client)
        stays(lambda: is_open(client) and is_open(accepted), 5)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)
        assert error_of(client) == errno.ECONNRESET


def test_B2_servers_keepalives_refresh_at_the_concentrator(impatient):
    with pair(impatient, impatient.SERVER_V4) as (client, accepted, _):
        keep_alive(accepted)
        stays(lambda: is_open(client) and is_open(accepted), 5)
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)
        assert error_of(accepted) == errno.ECONNRESET


def test_B2_half_open_connection_is_transitory():
    """A server that never answers, where nobody waits for its answer (RFC 5382 REQ-5)."""
    with running(conc=SHORT | {"handshake": "eager"}) as lab:
        lab.run("server", ["nft", "add table inet t; add chain inet t c "
                                  "{ type filter hook input priority 0; }; "
                                  "add rule inet t c tcp dport 7500 drop"])
        before = lab.counters("conc")
        begun = time.monotonic()
        with connect(lab, "host", lab.SERVER_V4, 7500) as client:
            assert error_of(client) == errno.ECONNRESET
        assert 0.5 < time.monotonic() - begun < 3
        lab.wait_ended(7500)
        assert lab.since("conc", before)["dial_timeout"] == 1


@both_families
def test_B2_closing_connection_is_transitory_and_refreshed(impatient, family):
    """The server has closed; the host goes on for a while, and then says nothing more."""
    with pair(impatient, server_address(impatient, family)) as (client, accepted, port):
        accepted.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
        for _ in range(5):
            client.sendall(b"x")
            assert read_exactly(accepted, 1) == b"x"
            time.sleep(0.5)
        begun = time.monotonic()
        assert error_of(accepted) == errno.ECONNRESET
        assert time.monotonic() - begun < 1.5
        client.close()
        impatient.wait_ended(port)


def test_B2_reset_connection_is_known_as_long_as_configured(hasty):
    """08 §4.4.4: after that its segments are anybody's again."""
    with pair(hasty, hasty.SERVER_V4) as (client, accepted, port):
        hasty.run("host", ["nft", "add table inet t; add chain inet t c "
                                  "{ type filter hook input priority 0; }; "
                                  "add rule inet t c tcp flags & rst != 0 drop"])
        with contextlib.ExitStack() as stack:
            stack.callback(hasty.run, "host", ["nft", "delete table inet t"])
            reset(accepted)
            hasty.wait_ended(port)
            before = hasty.counters("cpe")
            client.sendall(b"x")
            eventually(lambda: hasty.since("cpe", before).get("stateless_reset"))
            eventually(lambda: hasty.since("cpe", before).get("direct_stateless"))


def cpu_seconds(process):
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_B2_idle_connections_cost_nothing_until_they_expire():
    with running(cpe={"lifetimes": {"tcp_established": "6s"}}, conc=POOL) as lab, \
            Server(lab, "server", lab.SERVER_V4, echo) as server, contextlib.ExitStack() as stack:
        agents = [lab.agents[role].process for role in ("cpe", "conc")]
        before = [cpu_seconds(agent) for agent in agents]
        clients = [stack.enter_context(connect(lab, "host", lab.SERVER_V4, server.port))
                   for _ in range(200)]
        time.sleep(1)
        opened = [cpu_seconds(agent) for agent in agents]
        time.sleep(2)
        for agent, was, then in zip(agents, before, opened):
            assert cpu_seconds(agent) - then < max(0.1, (then - was) / 3), "of what opening took"
        assert {error_of(client, 10) for client in clients} == {errno.ECONNRESET}
        lab.wait_ended(server.port)
        assert lab.counters("cpe")["expired"] == 200
        eventually(lambda: not bindings(lab))
