# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""B3: a segment of a connection that nobody has gets a RST; what is direct is left alone."""

import contextlib
import errno
import json
import socket
import time

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from conftest import PlaitLab, both_families, server_address
from netns import (Server, connect, echo, error_of, eventually, family_of, inside, read_exactly,
                   reset, stays)
from wire import ACK, FIN, PSH, RST, SYN, Capture

POOL = {"v4": "203.0.113.64/28", "v6": "2001:db8:77::/120"}
LENT = {"v4": "203.0.113.70", "v6": "2001:db8:77::70"}
SERVER = {"v4": PlaitLab.SERVER_V4, "v6": PlaitLab.SERVER_V6}
PORT, SEQ, ACKED = 5555, 1000, 0xfffffff0


@pytest.fixture(name="lab", scope="module")
def pooled():
    """A concentrator with pools; its budget of RSTs is nearly full when a test begins."""
    with PlaitLab() as made:
        made.run("server", ["ip", "-6", "route", "add", POOL["v6"], "via", made.CONC_NET_V6])
        config = {"internet": {"interfaces": ["net0"],
                               "pools": [{"prefix": prefix} for prefix in POOL.values()]}}
        made.plaitd("conc", config)
        made.plaitd("cpe")
        made.conc_config = config
        yield made


@pytest.fixture
def full_budget():
    """Of RSTs: 100, which come back within a second."""
    time.sleep(1)
    yield
    time.sleep(1)


def build(source, destination, sport=7000, dport=PORT, **fields):
    ip = IPv6 if ":" in source else IP
    return (ip(src=source, dst=destination)
            / TCP(sport=sport, dport=dport, seq=SEQ, ack=ACKED, **fields))


def send(lab, node, *packets):
    """IP packets as they stand."""
    with inside(lab, node):
        raw = socket.socket(family_of(packets[0].src), socket.SOCK_RAW, socket.IPPROTO_RAW)
    with raw:
        for packet in packets:
            raw.sendto(bytes(packet), (packet.dst, 0))


def send_frames(lab, node, interface, to, *packets):
    """The same past the sender's own kernel, which has no such addresses."""
    with inside(lab, node):
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    with raw:
        raw.bind((interface, 0))
        for packet in packets:
            raw.send(bytes(Ether(dst=to) / packet))


def mac(lab, node, interface):
    shown = lab.run(node, ["ip", "-j", "link", "show", interface]).stdout
    return json.loads(shown)[0]["address"]


def stateless(lab, before, role="conc"):
    """What was counted of segments without a connection."""
    return {name: grown for name, grown in lab.since(role, before).items()
            if name.startswith("stateless_") or name == "syn_unsolicited"}


def resets(capture, port):
    """RSTs that arrived."""
    return [packet for packet in capture.tcp(port) if packet.flags & RST and not packet.outgoing]


@both_families
@pytest.mark.parametrize("flags,payload", [(ACK, b""), (PSH | ACK, b"hello"), (FIN | ACK, b""),
                                           (SYN | ACK, b"")], ids=["ack", "data", "fin", "syn_ack"])
def test_B3_segment_to_a_pool_without_state_gets_a_rst(lab, family, flags, payload):
    """RFC 9293 §3.10.7.1: <SEQ=SEG.ACK><CTL=RST>."""
    before = lab.counters("conc")
    with Capture(lab, "server", "eth0") as wire:
        send(lab, "server", build(SERVER[family], LENT[family], flags=flags) / payload)
        answer, = eventually(lambda: resets(wire, PORT))
        stays(lambda: len(resets(wire, PORT)) == 1, 0.1)
    assert (answer.source, answer.destination) == (LENT[family], SERVER[family])
    assert (answer.sport, answer.dport) == (PORT, 7000)
    assert (answer.flags, answer.seq, answer.payload) == (RST, ACKED, b"")
    assert stateless(lab, before) == {"stateless_reset": 1}


@both_families
@pytest.mark.parametrize("flags,why", [(RST, "stateless_dropped"), (RST | ACK, "stateless_dropped"),
                                       (FIN, "stateless_dropped"), (0, "stateless_dropped"),
                                       (SYN, "syn_unsolicited")],
                         ids=["rst", "rst_ack", "fin", "none", "syn"])
def test_B3_what_gets_no_rst(lab, family, flags, why):
    """A RST least of all (RFC 9293 §3.10.7.1); nor a SYN to a NAT (RFC 5382 REQ-4)."""
    before = lab.counters("conc")
    with Capture(lab, "server", "eth0") as wire:
        send(lab, "server", build(SERVER[family], LENT[family], flags=flags))
        eventually(lambda: stateless(lab, before) == {why: 1})
        stays(lambda: not [packet for packet in wire.tcp(PORT) if not packet.outgoing], 0.1)


@both_families
def test_B3_wrong_checksum_gets_no_rst(lab, family):
    with Capture(lab, "server", "eth0") as wire:
        send(lab, "server", build(SERVER[family], LENT[family], flags=ACK, chksum=0xbad))
        stays(lambda: not resets(wire, PORT), 0.3)


@pytest.mark.parametrize("source", ["224.0.0.9", "255.255.255.255", "127.0.0.1", "0.0.0.0",
                                    "240.0.0.1", "203.0.113.1", "10.1.0.255", "ff02::1", "::1",
                                    "::", "fe80::99"])
def test_B3_sources_that_must_not_be_answered(lab, source):
    family = "v6" if ":" in source else "v4"
    captures = [Capture(lab, "conc", interface) for interface in ("net0", "w1", "w2", "lo")]
    with contextlib.ExitStack() as stack:
        for capture in captures:
            stack.enter_context(capture)
        send_frames(lab, "server", "eth0", mac(lab, "conc", "net0"),
                    build(source, LENT[family], flags=ACK))
        eventually(lambda: [packet for packet in captures[0].tcp(PORT) if not packet.outgoing])
        stays(lambda: not any(packet.flags & RST for capture in captures
                              for packet in capture.tcp(PORT)), 0.2)


def test_B3_broadcast_frames_get_no_rst(lab):
    before = lab.counters("conc")
    with Capture(lab, "server", "eth0") as wire:
        send_frames(lab, "server", "eth0", "ff:ff:ff:ff:ff:ff",
                    build(SERVER["v4"], LENT["v4"], flags=ACK))
        eventually(lambda: stateless(lab, before) == {"stateless_dropped": 1})
        stays(lambda: not resets(wire, PORT), 0.1)


@both_families
@pytest.mark.usefixtures("full_budget")
def test_B3_rsts_are_limited(lab, family):
    """100 at once, and 100 a second; the others are dropped and counted."""
    packets = [build(SERVER[family], LENT[family], sport=8000 + i, flags=ACK) for i in range(500)]
    before = lab.counters("conc")
    with Capture(lab, "server", "eth0") as wire:
        begun = time.monotonic()
        send(lab, "server", *packets)
        took = time.monotonic() - begun
        eventually(lambda: sum(stateless(lab, before).values()) == 500)
        counted = stateless(lab, before)
        answered = eventually(lambda: len(resets(wire, PORT)) >= 100 and resets(wire, PORT))
    assert counted == {"stateless_reset": len(answered), "stateless_limited": 500 - len(answered)}
    assert 100 <= len(answered) <= 102 + took * 100
    assert {packet.seq for packet in answered} == {ACKED}
    assert len({packet.dport for packet in answered}) == len(answered)


@pytest.mark.parametrize("address", ["10.1.0.1", "fd10:1::1"])
def test_B3_customer_port_without_a_connection_gets_the_kernels_rst(lab, address):
    source = address[:-1] + "2"
    with Capture(lab, "cpe", "w1") as wire:
        send(lab, "cpe", build(source, address, sport=7001, dport=lab.PORT, flags=ACK))
        answer, = eventually(lambda: resets(wire, 7001))
        send(lab, "cpe", build(source, address, sport=7001, dport=lab.PORT, flags=RST))
        stays(lambda: len(resets(wire, 7001)) == 1, 0.1)
    assert (answer.source, answer.destination, answer.sport) == (address, source, lab.PORT)
    assert (answer.flags, answer.seq) == (RST, ACKED)


# Half-dead connections

@contextlib.contextmanager
def deaf(lab, node):
    """Meanwhile nothing of a connection's end is heard there."""
    lab.run(node, ["nft", "add table inet deaf; add chain inet deaf in "
                          "{ type filter hook input priority 0; }; "
                          "add rule inet deaf in tcp flags & (fin | rst) != 0 drop"])
    try:
        yield
    finally:
        lab.run(node, ["nft", "delete table inet deaf"])


def kill_and_restart(lab, role, config=None):
    agent = lab.agents.pop(role)
    agent.process.kill()
    agent.process.wait()
    # what the kernel still does for its sockets would be over in a minute or two
    lab.run(role, ["ss", "-K", "-t"], check=False)
    lab.plaitd(role, config)


def half_dead(lab, address, server):
    client = connect(lab, "host", address, server.port)
    client.sendall(b"x")
    assert read_exactly(client, 1) == b"x"
    return client


@both_families
def test_B3_hosts_connection_of_an_earlier_run_is_reset_not_forwarded(family):
    with PlaitLab() as lab, Server(lab, "server", server_address(lab, family), echo) as server:
        lab.plaitd("conc")
        lab.plaitd("cpe")
        client = half_dead(lab, server.address, server)
        with deaf(lab, "host"):
            kill_and_restart(lab, "cpe")
        before = lab.counters("cpe")
        with client, Capture(lab, "conc", "net0") as net, Capture(lab, "host", "eth0") as wire:
            client.sendall(b"anybody there?")
            assert error_of(client) == errno.ECONNRESET
            sent = [packet for packet in wire.tcp(server.port) if packet.outgoing]
            answer, = resets(wire, server.port)
            assert not [packet for packet in net.tcp(server.port)
                        if packet.sport == sent[0].sport]
        assert (answer.source, answer.sport) == (server.address, server.port)
        assert (answer.flags, answer.seq) == (RST, sent[0].ack)
        assert lab.since("cpe", before)["stateless_reset"] >= 1
        assert "1 sessions of an earlier run dropped" in lab.log("cpe")


@both_families
def test_B3_connection_older_than_plait_is_left_alone(family):
    with PlaitLab() as lab, Server(lab, "server", server_address(lab, family), echo) as server:
        client = half_dead(lab, server.address, server)
        lab.plaitd("conc")
        lab.plaitd("cpe")
        before = lab.counters("cpe")
        with client:
            client.sendall(b"y")
            assert read_exactly(client, 1) == b"y"
        assert lab.since("cpe", before)["direct_stateless"] >= 1


@both_families
def test_B3_host_that_has_missed_the_rst_gets_another(lab, family):
    """Its session is gone in this run."""
    with Server(lab, "server", server_address(lab, family)) as server, \
            connect(lab, "host", server.address, server.port) as client:
        client.sendall(b"x")
        accepted = server.take()
        assert accepted.recv(1) == b"x"
        before = lab.counters("cpe")
        with deaf(lab, "host"):
            reset(accepted)
            lab.wait_ended(server.port)
        client.sendall(b"y")
        assert error_of(client) == errno.ECONNRESET
        assert lab.since("cpe", before)["stateless_reset"] == 1


@both_families
@pytest.mark.parametrize("preserved", [False, True], ids=["pool", "preserved"])
def test_B3_servers_connection_of_an_earlier_run_is_reset(family, preserved):
    keep = {"ipv4": preserved, "ipv6": preserved}
    config = {"preserve_source": keep}
    if not preserved:
        config |= {"internet": {"interfaces": ["net0"], "pools": [{"prefix": POOL[family]}]}}
    with PlaitLab() as lab, Server(lab, "server", server_address(lab, family)) as server:
        if family == "v6":
            lab.run("server", ["ip", "-6", "route", "add", POOL["v6"], "via", lab.CONC_NET_V6])
        lab.plaitd("conc", config)
        lab.plaitd("cpe", {"preserve_source": keep})
        with connect(lab, "host", server.address, server.port) as client:
            client.sendall(b"x")
            accepted = server.take()
            assert accepted.recv(1) == b"x"
            with deaf(lab, "server"):
                kill_and_restart(lab, "conc", config)
            before = lab.counters("conc")
            accepted.sendall(b"anybody there?")
            assert error_of(accepted) == errno.ECONNRESET
            assert lab.since("conc", before)["stateless_reset"] == 1
