# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""T4, B2: RST, FIN and half-close are carried through; idle connections end."""

import contextlib
import errno
import hashlib
import os
import socket
import threading
import time

import pytest

from conftest import both_families, running, server_address
from netns import (Server, connect, digest, echo, error_of, eventually, pair, read_all,
                   read_exactly, reset)
from wire import MP_FASTCLOSE, RST, Capture

PORT = 6824


def leg_ports(lab, port):
    """The CPE's own ports of its one session to a remote port; health checks have others."""
    def subflows():
        session, = lab.sessions("cpe", port)
        return session["subflows"]
    return {int(subflow["local"].rsplit(":", 1)[1]) for subflow in eventually(subflows)}


def fastcloses(captures, legs, outgoing):
    return [packet for capture in captures for packet in capture.tcp(PORT)
            if MP_FASTCLOSE in packet.mptcp and packet.outgoing == outgoing
            and (packet.sport if outgoing else packet.dport) in legs]


@both_families
def test_T4_hosts_rst_is_fastclose_on_the_leg_and_rst_at_the_server(bonded, family):
    before = bonded.counters("cpe"), bonded.counters("conc")
    with pair(bonded, server_address(bonded, family)) as (client, accepted, port), \
            Capture(bonded, "cpe", "w1") as w1, Capture(bonded, "cpe", "w2") as w2, \
            Capture(bonded, "server", "eth0") as net:
        legs = leg_ports(bonded, port)
        reset(client)
        assert error_of(accepted) == errno.ECONNRESET
        assert [packet for packet in net.tcp(port) if packet.flags & RST and not packet.outgoing]
        assert fastcloses((w1, w2), legs, outgoing=True)
        bonded.wait_ended(port)
    assert bonded.since("cpe", before[0])["reset_by_inside"] == 1
    assert bonded.since("conc", before[1])["reset_by_leg"] == 1


@both_families
def test_T4_servers_rst_is_fastclose_on_the_leg_and_rst_at_the_host(bonded, family):
    before = bonded.counters("cpe"), bonded.counters("conc")
    with pair(bonded, server_address(bonded, family)) as (client, accepted, port), \
            Capture(bonded, "cpe", "w1") as w1, Capture(bonded, "cpe", "w2") as w2:
        legs = leg_ports(bonded, port)
        reset(accepted)
        assert error_of(client) == errno.ECONNRESET
        assert fastcloses((w1, w2), legs, outgoing=False)
        bonded.wait_ended(port)
    assert bonded.since("conc", before[1])["reset_by_inside"] == 1
    assert bonded.since("cpe", before[0])["reset_by_leg"] == 1


def test_T4_rst_with_data_under_way(bonded):
    """Also where the relay waits for the other side to read."""
    with pair(bonded, bonded.SERVER_V4) as (client, accepted, port):
        client.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                client.send(bytes(1 << 16))
        reset(client)
        assert error_of(accepted) == errno.ECONNRESET
        bonded.wait_ended(port)


def test_T4_rst_after_the_servers_fin(bonded):
    with pair(bonded, bonded.SERVER_V4) as (client, accepted, port):
        accepted.shutdown(socket.SHUT_WR)
        assert read_all(client) == b""
        reset(client)
        eventually(lambda: not bonded.sessions("conc", port), what="the session's end")
        with pytest.raises(OSError):
            for _ in range(100):
                accepted.sendall(b"x")
                assert accepted.recv(1) == b"" or True


@both_families
def test_T4_host_half_closes_first(bonded, family):
    with pair(bonded, server_address(bonded, family)) as (client, accepted, port):
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        assert read_all(accepted) == b"question"
        answer = os.urandom(500_000)
        accepted.sendall(answer)
        accepted.close()
        assert read_all(client) == answer
        bonded.wait_ended(port)


@both_families
def test_T4_server_half_closes_first(bonded, family):
    with pair(bonded, server_address(bonded, family)) as (client, accepted, port):
        accepted.sendall(b"no more from me")
        accepted.shutdown(socket.SHUT_WR)
        assert read_all(client) == b"no more from me"
        for number in range(20):
            client.sendall(bytes([number]) * 10_000)
            assert read_exactly(accepted, 10_000) == bytes([number]) * 10_000
        client.close()
        assert read_all(accepted) == b""
        bonded.wait_ended(port)


@both_families
def test_T4_fin_follows_the_data(bonded, family):
    """close() right after a lot of data, nobody reading yet."""
    with pair(bonded, server_address(bonded, family)) as (client, accepted, port):
        sent = os.urandom(3 << 20)
        client.settimeout(10)
        sender = threading.Thread(target=lambda: (client.sendall(sent), client.close()))
        sender.start()
        time.sleep(0.2)
        assert read_all(accepted) == sent
        sender.join()
        accepted.close()
        bonded.wait_ended(port)


@both_families
def test_T4_ports_come_round_while_the_agents_sockets_are_in_time_wait(family):
    """Servers that close first leave TIME_WAIT at both agents, and nobody else knows of it."""
    few, rounds, port = 8, 3, 7410

    def answer(connection):
        connection.sendall(connection.recv(100))
        connection.close()

    with running() as lab:
        lab.run("cpe", ["sysctl", "-qw", f"net.ipv4.ip_local_port_range=40000 {40000 + few - 1}"])
        address = server_address(lab, family)
        before = {role: lab.counters(role) for role in ("cpe", "conc")}
        with Server(lab, "server", address, answer, port):
            for number in range(few * rounds):
                started = time.monotonic()
                with connect(lab, "host", address, port,
                             source=("", 41000 + number % few)) as client:
                    client.sendall(b"%d" % number)
                    assert read_all(client) == b"%d" % number
                assert time.monotonic() - started < 0.5
        lab.wait_ended(port)
        for role in ("cpe", "conc"):
            grown = lab.since(role, before[role])
            assert grown["established"] == few * rounds
            assert grown["time_wait_ended"] >= few * (rounds - 1), grown


@both_families
def test_T4_nc_half_closes(bonded, family):
    address, sent = server_address(bonded, family), os.urandom(200_000)
    with Server(bonded, "server", address, digest) as server:
        done = bonded.run("host", ["nc", "-N", address, server.port], input=sent, text=None,
                          timeout=10)
    assert done.stdout.decode() == hashlib.sha256(sent).hexdigest()


def test_T4_http_1_0_post_ended_by_half_close(bonded):
    body = os.urandom(100_000)

    def web(connection):
        head, _, got = read_all(connection).partition(b"\r\n\r\n")
        assert head.startswith(b"POST ")
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + hashlib.sha256(got).hexdigest().encode())

    with Server(bonded, "server", bonded.SERVER_V4, web) as server, \
            connect(bonded, "host", bonded.SERVER_V4, server.port) as client:
        client.sendall(b"POST / HTTP/1.0\r\n\r\n" + body)
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == \
            b"HTTP/1.0 200 OK\r\n\r\n" + hashlib.sha256(body).hexdigest().encode()


# B2: lifetimes

@pytest.fixture(scope="module")
def impatient():
    """A CPE that ends idle connections after 2 s; the concentrator does not."""
    with running(cpe={"lifetimes": {"tcp_established": "2s", "tcp_transitory": "1s"}}) as lab:
        yield lab


@both_families
def test_B2_idle_connection_expires(impatient, family):
    before = impatient.counters("cpe")
    with pair(impatient, server_address(impatient, family)) as (client, accepted, port), \
            Capture(impatient, "cpe", "w1") as w1, Capture(impatient, "cpe", "w2") as w2:
        legs = leg_ports(impatient, port)
        begun = time.monotonic()
        assert error_of(client) == errno.ECONNRESET
        assert 1.5 < time.monotonic() - begun < 3.5
        assert error_of(accepted) in (0, errno.ECONNRESET)
        accepted.close()
        assert not fastcloses((w1, w2), legs, outgoing=True)
        impatient.wait_ended(port)
    assert impatient.since("cpe", before)["expired"] == 1


def test_B2_active_connection_does_not_expire(impatient):
    before = impatient.counters("cpe")
    with Server(impatient, "server", impatient.SERVER_V4, echo) as server, \
            connect(impatient, "host", impatient.SERVER_V4, server.port) as client:
        for _ in range(8):
            client.sendall(b"x")
            assert read_exactly(client, 1) == b"x"
            time.sleep(0.5)
    assert "expired" not in impatient.since("cpe", before)


def test_B2_half_closed_connection_is_transitory(impatient):
    with pair(impatient, impatient.SERVER_V4) as (client, accepted, port):
        client.shutdown(socket.SHUT_WR)
        assert accepted.recv(1) == b""
        begun = time.monotonic()
        assert error_of(client) == errno.ECONNRESET
        assert 0.5 < time.monotonic() - begun < 2
        accepted.close()
        impatient.wait_ended(port)


def test_B2_fastclose_on_expiry_where_configured():
    with running(cpe={"lifetimes": {"tcp_established": "1s"}, "fastclose_on_expiry": True}) as lab:
        with pair(lab, lab.SERVER_V4) as (client, accepted, port), \
                Capture(lab, "cpe", "w1") as w1, Capture(lab, "cpe", "w2") as w2:
            legs = leg_ports(lab, port)
            assert error_of(client) == errno.ECONNRESET
            assert error_of(accepted) == errno.ECONNRESET
            assert fastcloses((w1, w2), legs, outgoing=True)
            lab.wait_ended(port)
