# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""T5: the host's SYN is answered by what the server answers."""

import contextlib
import errno
import os
import select
import socket
import threading
import time

import pytest

from conftest import both_families, running, server_address
from netns import (Server, connect, echo, eventually, family_of, read_all, read_exactly,
                   tcp_socket)
from weather import Weather
from wire import ACK, RST, SYN, Capture

CLOSED_PORT = 9


def refusal(lab, address, port, timeout=10):
    """(errno, seconds) of a connect() that must not succeed."""
    client = tcp_socket(lab, "host", family_of(address), timeout=timeout)
    begun = time.monotonic()
    with client:
        try:
            client.connect((address, port))
        except socket.timeout:
            return errno.ETIMEDOUT, time.monotonic() - begun
        except OSError as error:
            return error.errno, time.monotonic() - begun
    raise AssertionError("connected")


def no_syn_ack(capture, port):
    return not [packet for packet in capture.tcp(port) if packet.flags & (SYN | ACK) == SYN | ACK]


@contextlib.contextmanager
def firewall(lab, node, *rules):
    """nftables rules in the input hook of `node`."""
    hook = "chain input { type filter hook input priority 0; " + "; ".join(rules) + "; }"
    lab.run(node, ["nft", "-f", "-"], input=f"table inet test {{\n{hook}\n}}\n")
    try:
        yield
    finally:
        lab.run(node, ["nft", "delete", "table", "inet", "test"])


@contextlib.contextmanager
def slow_to_answer(lab, port, seconds):
    """The server's SYN+ACK to the first SYN comes `seconds` late: the SYN is dropped until then.
    (TCP's own retransmission after 1 s then passes.)"""
    with firewall(lab, "server", f"tcp dport {port} drop"):
        timer = threading.Timer(seconds, lambda: lab.run(
            "server", ["nft", "flush", "table", "inet", "test"]))
        timer.start()
        try:
            yield
        finally:
            timer.join()


@both_families
def test_T5_refused_destination_is_refused_at_the_host(bonded, family):
    before = {role: bonded.counters(role) for role in ("cpe", "conc")}
    with Capture(bonded, "host", "eth0") as seen:
        error, seconds = refusal(bonded, server_address(bonded, family), CLOSED_PORT)
        assert (error, seconds < 0.5) == (errno.ECONNREFUSED, True), (error, seconds)
        assert no_syn_ack(seen, CLOSED_PORT)
        assert len(seen.syns(CLOSED_PORT)) == 1
        assert [packet.flags & RST for packet in seen.tcp(CLOSED_PORT)][1:] == [RST]
    for role in ("cpe", "conc"):
        assert bonded.since(role, before[role])["dial_refused"] == 1
        assert not bonded.sessions(role, CLOSED_PORT)


@both_families
def test_T5_destination_without_route_is_unreachable_at_the_host(bonded, family):
    address = {"v4": "198.51.100.1", "v6": "2001:db8:dead::1"}[family]
    ip = ["ip", "-4" if family == "v4" else "-6", "route"]
    bonded.run("conc", [*ip, "add", "unreachable", address])
    try:
        with Capture(bonded, "host", "eth0") as seen:
            error, seconds = refusal(bonded, address, 80)
            assert error in (errno.EHOSTUNREACH, errno.ENETUNREACH) and seconds < 1
            assert no_syn_ack(seen, 80)
    finally:
        bonded.run("conc", [*ip, "del", "unreachable", address])


@both_families
def test_T5_destination_nobody_has_is_unreachable_at_the_host(bonded, family):
    address = {"v4": "203.0.113.77", "v6": "2001:db8:f::77"}[family]
    error, seconds = refusal(bonded, address, 80, timeout=15)
    assert error in (errno.EHOSTUNREACH, errno.ENETUNREACH), (errno.errorcode[error], seconds)
    assert seconds < 12


@both_families
def test_T5_silent_destination_stays_silent(bonded, family):
    port = 7100
    with firewall(bonded, "server", f"tcp dport {port} drop"), \
            Capture(bonded, "host", "eth0") as seen, Capture(bonded, "conc", "net0") as net:
        error, _ = refusal(bonded, server_address(bonded, family), port, timeout=4)
        assert error == errno.ETIMEDOUT
        assert not [packet for packet in seen.packets() if not packet.outgoing
                    and port in (packet.sport, packet.dport)]
        assert net.syns(port)
    # the host has given up; nothing may be left of it
    eventually(lambda: not bonded.run("conc", ["ss", "-Htna", f"dport = :{port}"]).stdout, 40,
               "the end of the concentrator's attempts")
    eventually(lambda: not bonded.sessions("conc", port) and not bonded.sessions("cpe", port), 40)


@both_families
def test_T5_slow_server_still_connects(bonded, family):
    """Its SYN+ACK comes after the hold: the CPE's next attempt takes the connection over,
    whichever worker it comes to."""
    address, count = server_address(bonded, family), 8
    before = bonded.counters("conc")
    with Server(bonded, "server", address, echo) as server, \
            slow_to_answer(bonded, server.port, 0.9), contextlib.ExitStack() as stack:
        clients = [stack.enter_context(tcp_socket(bonded, "host", family_of(address)))
                   for _ in range(count)]
        begun = time.monotonic()
        for client in clients:
            client.setblocking(False)
            client.connect_ex((address, server.port))
        for client in clients:
            _, ready, _ = select.select([], [client], [], 10)
            assert ready and not client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        seconds = time.monotonic() - begun
        for client in clients:
            client.settimeout(5)
            client.sendall(b"at last")
            assert read_exactly(client, 7) == b"at last"
        assert all(session["mptcp"] for session in bonded.sessions("cpe", server.port))
        assert server.count == count, "the server saw connections nobody wanted"
    grown = bonded.since("conc", before)
    assert grown["hold_expired"] == grown["adopted"] == count, grown
    assert "dial_failed" not in grown
    assert seconds < 1.5


@both_families
def test_T5_faithful_server_that_speaks_first(bonded, family):
    address = server_address(bonded, family)
    with Server(bonded, "server", address, lambda c: c.sendall(b"220 hello\r\n")) as server, \
            connect(bonded, "host", address, server.port) as client:
        assert read_all(client) == b"220 hello\r\n"


@pytest.fixture(scope="module")
def far_away():
    with running(link_weather=[Weather(delay_ms=15), Weather(delay_ms=15)]) as lab:
        yield lab


@both_families
@pytest.mark.parametrize("closes", [False, True], ids=["waits", "closes"])
def test_T5_server_that_speaks_before_the_handshake_is_over(far_away, family, closes):
    """The concentrator has the greeting before the third ACK has come over the links."""
    def greet(connection):
        connection.sendall(b"220 hello")
        if not closes:
            connection.recv(1)
        connection.close()

    address = server_address(far_away, family)
    with Server(far_away, "server", address, greet) as server:
        for _ in range(5):
            with connect(far_away, "host", address, server.port, timeout=1) as client:
                assert read_exactly(client, 9) == b"220 hello"
                if closes:
                    assert client.recv(1) == b""
        far_away.wait_ended(server.port)


def test_T5_server_that_sends_much_at_once_over_a_long_path(far_away):
    sent = os.urandom(16 << 20)  # more than all buffers on the way hold

    def talk(connection):
        connection.sendall(sent)
        connection.close()

    with Server(far_away, "server", far_away.SERVER_V4, talk) as server, \
            connect(far_away, "host", far_away.SERVER_V4, server.port) as client:
        assert read_all(client) == sent


@both_families
def test_T5_no_round_trip_more_than_direct(bonded, family):
    """Exactly one SYN of each leg is answered before the host is."""
    address = server_address(bonded, family)
    with Server(bonded, "server", address, echo) as server, \
            Capture(bonded, "conc", "net0") as net, Capture(bonded, "cpe", "w1") as link, \
            Capture(bonded, "host", "eth0") as lan, \
            connect(bonded, "host", address, server.port):
        assert len(net.syns(server.port)) == 1
        assert len({packet.seq for packet in link.syns(6824)}) == 1
        assert len(lan.syns(server.port)) == 1


# handshake: eager

@both_families
def test_T5_eager_puts_the_request_in_the_syn(eager_cpe, family):
    address = server_address(eager_cpe, family)
    request = b"GET / HTTP/1.0\r\n\r\n"
    with Server(eager_cpe, "server", address, echo) as server, \
            Capture(eager_cpe, "cpe", "w1") as link:
        with connect(eager_cpe, "host", address, server.port) as client:
            client.sendall(request)
            assert read_exactly(client, len(request)) == request
            client.sendall(b"more")
            assert read_exactly(client, 4) == b"more"
        syn = link.syns(6824)[0]
        assert syn.payload.endswith(b"\0" + request), syn.payload
        assert not [packet for packet in link.tcp(6824) if packet.outgoing and not packet.is_syn
                    and request in packet.payload]


@both_families
def test_T5_eager_server_that_speaks_first(eager_cpe, family):
    address = server_address(eager_cpe, family)
    with Server(eager_cpe, "server", address, lambda c: c.sendall(b"220 hello\r\n")) as server, \
            connect(eager_cpe, "host", address, server.port) as client:
        assert read_all(client) == b"220 hello\r\n"


def test_T5_eager_refused_destination_is_reset(eager_cpe):
    with connect(eager_cpe, "host", eager_cpe.SERVER_V4, CLOSED_PORT) as client:
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_T5_eager_host_that_closes_at_once(eager_cpe):
    with Server(eager_cpe, "server", eager_cpe.SERVER_V4) as server:
        with connect(eager_cpe, "host", eager_cpe.SERVER_V4, server.port) as client:
            client.sendall(b"bye")
        with server.take() as got:
            assert read_all(got) == b"bye"
        eventually(lambda: not eager_cpe.sessions("cpe", server.port), what="the session's end")


@both_families
def test_T5_eager_concentrator(family):
    with running(conc={"handshake": "eager"}) as lab:
        address = server_address(lab, family)
        with Server(lab, "server", address, echo) as server:
            with connect(lab, "host", address, server.port) as client:
                client.sendall(b"hello")
                assert read_exactly(client, 5) == b"hello"
            with pytest.raises(ConnectionError):  # too late to refuse, or just in time
                with connect(lab, "host", address, CLOSED_PORT) as client:
                    client.recv(1)
