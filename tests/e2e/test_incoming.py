# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""T3: connections from the internet to a CPE's host, let in by bindings (plain-mode-08 §4.4.2)."""

import contextlib
import errno
import hashlib
import ipaddress
import json
import os
import socket
import struct
import time

import pytest

from conftest import PlaitLab, both_families
from netns import (Server, connect, digest, echo, error_of, eventually, peer_name, read_all,
                   read_exactly, reset, tcp_socket, text_of)
from wire import MP_CAPABLE, Capture

PORT, SERVICE = 8080, 80
EXTERNAL = {"v4": "203.0.113.65", "v6": "2001:db8:77::65"}
POOLS = [{"prefix": "203.0.113.64/28"}, {"prefix": "2001:db8:77::/112"}]


def endpoint(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def host_address(lab, family):
    return {"v4": lab.HOST_V4, "v6": lab.HOST_V6}[family]


def cpe_address(family):
    return {"v4": "10.1.0.2", "v6": "fd10:1::2"}[family]


def conc_bindings():
    """Each family has its own port at the CPE."""
    return [{"external": endpoint(EXTERNAL["v4"], PORT), "inside": endpoint("10.1.0.2", 8004)},
            {"external": endpoint(EXTERNAL["v6"], PORT), "inside": endpoint("10.1.0.2", 8006)}]


def cpe_bindings(lab):
    return [{"port": 8004, "inside": endpoint(lab.HOST_V4, SERVICE)},
            {"port": 8006, "inside": endpoint(lab.HOST_V6, SERVICE)}]


@contextlib.contextmanager
def let_in(cpe=None, conc=None, **kwargs):
    with PlaitLab(weather_everywhere=True, **kwargs) as lab:
        lab.run("server", ["ip", "-6", "route", "add", "2001:db8:77::/112", "via",
                           lab.CONC_NET_V6])
        internet = lab.plait_config("conc")["internet"] | {"pools": POOLS}
        subscriber = {"name": "home-1", "sources": ["10.1.0.2", "10.2.0.2"]}
        lab.plaitd("conc", {"internet": internet, "bindings": conc_bindings(),
                            "subscribers": [subscriber]} | (conc or {}))
        lab.plaitd("cpe", {"bindings": cpe_bindings(lab)} | (cpe or {}))
        yield lab


@pytest.fixture(scope="module")
def lab():
    with let_in() as lab:
        yield lab


@both_families
def test_T3_host_sees_who_asks_for_it(lab, family):
    with Server(lab, "host", host_address(lab, family), peer_name, SERVICE), \
            connect(lab, "server", EXTERNAL[family], PORT) as client:
        seen = read_all(client).decode()
        assert seen == text_of(client.getsockname())


@both_families
def test_T3_customer_reaches_another_by_its_external_address(lab, family):
    """Hairpinning (RFC 5382 REQ-8): the other sees an external address and port, too."""
    with Server(lab, "host", host_address(lab, family), peer_name, SERVICE), \
            connect(lab, "host", EXTERNAL[family], PORT) as client:
        seen, _, _ = read_all(client).decode().rpartition(":")
        assert any(ipaddress.ip_address(seen.strip("[]")) in ipaddress.ip_network(pool["prefix"])
                   for pool in POOLS), seen


def sessions(lab, role, family):
    """Those of connections from the internet in a family, by the port of their plain side."""
    port = SERVICE if role == "cpe" else PORT
    return [session for session in lab.sessions(role)
            if session["inside"] == endpoint(host_address(lab, family) if role == "cpe"
                                             else EXTERNAL[family], port)]


@both_families
def test_T3_bytes_arrive_whole_both_ways_over_all_links(lab, family):
    sent = os.urandom(8 << 20)
    with Server(lab, "host", host_address(lab, family), echo, SERVICE), \
            connect(lab, "server", EXTERNAL[family], PORT) as client:
        back = hashlib.sha256()
        for at in range(0, len(sent), 1 << 16):
            client.sendall(sent[at:at + (1 << 16)])
            back.update(read_exactly(client, 1 << 16))
        assert back.digest() == hashlib.sha256(sent).digest()
        for role in ("cpe", "conc"):
            session, = eventually(lambda role=role: [s for s in sessions(lab, role, family)
                                                     if len(s["subflows"]) == 2])
            assert session["remote"] == text_of(client.getsockname())
            assert session["mptcp"]
        assert sorted(s["link"] for s in sessions(lab, "cpe", family)[0]["subflows"]) == \
            ["dsl", "lte"]


@both_families
def test_T3_half_close_and_digest(lab, family):
    sent = os.urandom(3 << 20)
    with Server(lab, "host", host_address(lab, family), digest, SERVICE), \
            connect(lab, "server", EXTERNAL[family], PORT) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        assert read_all(client).decode().strip() == hashlib.sha256(sent).hexdigest()


@both_families
def test_T3_syn_to_the_cpe_has_the_remote_as_source(lab, family):
    with Server(lab, "host", host_address(lab, family), echo, SERVICE), \
            Capture(lab, "cpe", "w1") as link, \
            connect(lab, "server", EXTERNAL[family], PORT) as client:
        client.sendall(b"x")
        read_exactly(client, 1)
        syns = [syn for syn in link.syns() if syn.dport in (8004, 8006) and syn.payload]
        address, port = client.getsockname()[:2]
    head = {"v4": "1e0ae806", "v6": "1e16e806"}[family]
    expected = (bytes.fromhex(head) + ipaddress.ip_address(address).packed
                + struct.pack("!H", port) + b"\0")
    assert {syn.payload for syn in syns} == {expected}
    assert {(syn.source, syn.destination) for syn in syns} == {("10.1.0.1", "10.1.0.2")}
    assert all(syn.mptcp == [MP_CAPABLE] for syn in syns)


@both_families
def test_T3_refused_at_the_host_is_refused_in_the_internet(lab, family):
    started = time.monotonic()
    with pytest.raises(ConnectionRefusedError):
        connect(lab, "server", EXTERNAL[family], PORT)
    assert time.monotonic() - started < 0.5


def test_T3_silent_host_stays_silent(lab):
    """Nothing is answered before the host has."""
    lab.run("host", ["iptables", "-I", "INPUT", "-p", "tcp", "--dport", str(SERVICE), "-j", "DROP"])
    try:
        with tcp_socket(lab, "server", socket.AF_INET, timeout=1.5) as client, \
                pytest.raises(TimeoutError):
            client.connect((EXTERNAL["v4"], PORT))
    finally:
        lab.run("host", ["iptables", "-F", "INPUT"])


@pytest.mark.parametrize("end", ["host", "remote"])
def test_T3_reset_goes_through(lab, end):
    with Server(lab, "host", lab.HOST_V4, port=SERVICE) as server, \
            connect(lab, "server", EXTERNAL["v4"], PORT) as client:
        client.sendall(b"x")
        accepted = server.take()
        assert read_exactly(accepted, 1) == b"x"
        first, other = (accepted, client) if end == "host" else (client, accepted)
        reset(first)
        assert error_of(other) == errno.ECONNRESET
    eventually(lambda: not sessions(lab, "cpe", "v4") + sessions(lab, "conc", "v4"))


def test_T3_server_that_speaks_first(lab):
    def greet(connection):
        connection.sendall(b"220 ready")
        connection.recv(1)

    with Server(lab, "host", lab.HOST_V4, greet, SERVICE), \
            connect(lab, "server", EXTERNAL["v4"], PORT) as client:
        assert read_exactly(client, 9) == b"220 ready"


def test_T3_strangers_are_not_let_in(lab):
    """Neither at the CPE, from a host or from an address that is no concentrator's, nor to a
    port that nothing is bound to."""
    before = lab.counters("cpe")
    lab.run("conc", ["ip", "addr", "add", "10.1.0.77/24", "dev", "w1"])
    try:
        for node, address, source in (("host", "192.168.1.1", None),
                                      ("conc", "10.1.0.2", ("10.1.0.77", 0))):
            with pytest.raises(ConnectionRefusedError):
                connect(lab, node, address, 8004, source=source)
    finally:
        lab.run("conc", ["ip", "addr", "del", "10.1.0.77/24", "dev", "w1"])
    assert lab.since("cpe", before)["source_not_allowed"] >= 1
    with tcp_socket(lab, "server", socket.AF_INET, timeout=0.5) as client, \
            pytest.raises(TimeoutError):
        client.connect((EXTERNAL["v4"], PORT + 1))


def test_T3_plain_tcp_from_a_concentrator_is_refused(lab):
    before = lab.counters("cpe")
    with pytest.raises(ConnectionRefusedError):
        connect(lab, "conc", "10.1.0.2", 8004, source=("10.1.0.1", 0))
    assert lab.since("cpe", before)["plain_tcp_refused"] == 1


def test_T3_plaitctl_shows_what_lets_in(lab):
    def shown(role):
        listed = json.loads(lab.plaitctl(role, "bindings", "--json").stdout)["bindings"]
        return {(b["external"], b["inside"], b["state"]) for b in listed}

    assert ("*:8004", endpoint(lab.HOST_V4, SERVICE), "configured") in shown("cpe")
    assert (endpoint(EXTERNAL["v4"], PORT), "10.1.0.2:8004", "configured") in shown("conc")


def test_T3_first_link_dead_the_other_is_tried():
    with let_in() as lab:
        lab.cut(1)
        with Server(lab, "host", lab.HOST_V4, echo, SERVICE), \
                connect(lab, "server", EXTERNAL["v4"], PORT, timeout=8) as client:
            client.sendall(b"x")
            assert read_exactly(client, 1) == b"x"
            session, = sessions(lab, "cpe", "v4")
            assert [subflow["link"] for subflow in session["subflows"]] == ["lte"]


def test_T3_link_fails_and_the_connection_goes_on():
    with let_in() as lab, Server(lab, "host", lab.HOST_V4, echo, SERVICE), \
            connect(lab, "server", EXTERNAL["v4"], PORT) as client:
        def ask():
            client.sendall(bytes(1 << 16))
            read_exactly(client, 1 << 16)

        ask()
        eventually(lambda: len(sessions(lab, "cpe", "v4")[0]["subflows"]) == 2)
        lab.cut(1)
        ask()
        lab.mend(1)

        def both_again():
            ask()
            return len(sessions(lab, "cpe", "v4")[0]["subflows"]) == 2

        eventually(both_again, 10)


@pytest.mark.parametrize("conc", [{"handshake": "eager"}, {}], ids=["eager", "faithful"])
def test_T3_eager_cpe(conc):
    with let_in(cpe={"handshake": "eager"}, conc=conc) as lab, \
            Server(lab, "host", lab.HOST_V4, echo, SERVICE), \
            connect(lab, "server", EXTERNAL["v4"], PORT) as client:
        client.sendall(b"x")
        assert read_exactly(client, 1) == b"x"


def test_T3_ports_below_1024_and_limits_of_the_subscriber():
    bindings = [{"external": "203.0.113.66:443", "inside": "10.1.0.2:8004"}]
    with let_in(conc={"bindings": bindings, "limits": {"subscriber": {"sessions": 1}}}) as lab, \
            Server(lab, "host", lab.HOST_V4, echo, SERVICE), \
            connect(lab, "server", "203.0.113.66", 443) as client:
        client.sendall(b"x")
        assert read_exactly(client, 1) == b"x"
        with pytest.raises(ConnectionRefusedError):
            connect(lab, "server", "203.0.113.66", 443)


def do(lab, role, *args):
    return lab.plaitctl(role, *args).stdout


def refused(lab, role, *args):
    done = lab.plaitctl(role, *args, check=False)
    assert done.returncode == 1
    return done.stderr


def test_T3_bind_and_unbind_at_run_time(lab):
    external, inside = "203.0.113.65:9000", endpoint(lab.HOST_V4, SERVICE)
    assert do(lab, "cpe", "bind", "9000", inside) == f"*:9000 leads to {inside}\n"
    assert do(lab, "conc", "bind", external, "10.1.0.2:9000") == \
        f"{external} leads to 10.1.0.2:9000\n"
    with Server(lab, "host", lab.HOST_V4, echo, SERVICE), \
            connect(lab, "server", EXTERNAL["v4"], 9000) as client:
        client.sendall(b"x")
        assert read_exactly(client, 1) == b"x"
        assert do(lab, "conc", "unbind", external) == f"{external} lets nobody in any more\n"
        assert do(lab, "cpe", "unbind", "9000") == "*:9000 lets nobody in any more\n"
        client.sendall(b"still")
        assert read_exactly(client, 5) == b"still"
        with tcp_socket(lab, "server", socket.AF_INET, timeout=0.5) as other, \
                pytest.raises(TimeoutError):  # the binding is there as long as its session
            other.connect((EXTERNAL["v4"], 9000))
    eventually(lambda: external not in do(lab, "conc", "bindings"))


def test_T3_bindings_that_cannot_be_are_refused(lab):
    assert "198.51.100.1:80 is in no pool" in refused(lab, "conc", "bind", "198.51.100.1:80",
                                                      "10.1.0.2:1")
    assert "is not free" in refused(lab, "conc", "bind", endpoint(EXTERNAL["v4"], PORT),
                                    "10.1.0.2:1")
    assert "a multicast address" in refused(lab, "conc", "bind", "203.0.113.65:1", "224.0.0.1:1")
    assert "no address with a port" in refused(lab, "conc", "bind", "203.0.113.65", "10.1.0.2:1")
    assert "is not bound" in refused(lab, "conc", "unbind", "203.0.113.65:1")
    assert "no port" in refused(lab, "cpe", "bind", "203.0.113.65:1", "192.168.1.2:1")
    assert "is not free" in refused(lab, "cpe", "bind", "8004", "192.168.1.2:1")
    assert "is not bound" in refused(lab, "cpe", "unbind", "1")


def test_T3_configured_bindings_outlive_a_killed_run():
    with let_in() as lab, Server(lab, "host", lab.HOST_V4, echo, SERVICE):
        for role in ("conc", "cpe"):
            lab.kill_and_restart(role, lab.agents[role].config.read_text())
        with connect(lab, "server", EXTERNAL["v4"], PORT) as client:
            client.sendall(b"x")
            assert read_exactly(client, 1) == b"x"
