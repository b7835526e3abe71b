# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""W4: what is bonded, what goes direct, what is dropped."""

import contextlib
import socket
import struct
import subprocess

import pytest

from conftest import PlaitLab, both_families, server_address
from netns import (Server, connect, echo, eventually, family_of, inside, peer_name, read_all,
                   read_exactly, text_of)
from wire import Capture

OTHER_V4, OTHER_V6 = "203.0.113.200", "2001:db8:f:0:8000::1"
SECOND_LAN, SECOND_HOST = "192.168.2.1", "192.168.2.2"

POLICY = [
    {"match": {"destination_port": 7301}, "action": "direct"},
    {"match": {"protocol": "tcp", "destination_port": 7302}, "action": "drop"},
    {"match": {"destination_port": 7305}, "action": "bond"},
    {"match": {"destination_port": "7303-7310"}, "action": "direct"},
    {"match": {"destination": "203.0.113.192/26"}, "action": "direct"},
    {"match": {"destination": "2001:db8:f:0:8000::/65"}, "action": "drop"},
    {"match": {"protocol": "udp", "destination_port": 7320}, "action": "drop"},
    {"match": {"source": "192.168.1.2", "source_port": 7777}, "action": "direct"},
]


@pytest.fixture(scope="module")
def ruled():
    """A CPE with POLICY and a second LAN with a host of its own, and an ordinary concentrator."""
    with PlaitLab() as lab, second_lan(lab):
        for address in (f"{OTHER_V4}/32", f"{OTHER_V6}/128"):
            lab.run("server", ["ip", "addr", "add", address, "dev", "eth0"])
        lab.plaitd("conc")
        lab.plaitd("cpe", {"policy": POLICY, "lan": {"interfaces": ["lan0", "lan1"]}})
        yield lab


@contextlib.contextmanager
def second_lan(lab):
    name = lab.netns("host2")
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        subprocess.run(["ip", "link", "add", "lan1", "netns", lab.netns("cpe"), "type", "veth",
                        "peer", "eth0", "netns", name], check=True)
        lab.run("cpe", ["ip", "link", "set", "lan1", "up"])
        lab.run("cpe", ["ip", "addr", "add", f"{SECOND_LAN}/24", "dev", "lan1"])
        lab.run("host2", ["ip", "link", "set", "eth0", "up"])
        lab.run("host2", ["ip", "addr", "add", f"{SECOND_HOST}/24", "dev", "eth0"])
        lab.run("host2", ["ip", "route", "add", "default", "via", SECOND_LAN])
        yield
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


def ask_who(lab, address, port, source=None, node="host"):
    """(as whom the server saw us, who we are)"""
    with Server(lab, "server", address, peer_name, port=port), \
            connect(lab, node, address, port, source=source) as client:
        return read_all(client).decode(), text_of(client.getsockname())


def assert_direct(lab, *args, **kwargs):
    before = lab.counters("cpe")
    seen, own = ask_who(lab, *args, **kwargs)
    assert seen == own
    grown = lab.since("cpe", before)
    assert grown["direct_policy"] == 1 and "syn_held" not in grown, grown


def assert_bonded(lab, address, port):
    before = lab.counters("cpe")
    ask_who(lab, address, port)
    grown = lab.since("cpe", before)
    assert grown["established"] == 1 and "direct_policy" not in grown, grown


def assert_dropped(lab, address, port):
    before = lab.counters("cpe")
    with Server(lab, "server", address, echo, port=port), \
            Capture(lab, "cpe", "w1") as w1, Capture(lab, "cpe", "w2") as w2:
        with pytest.raises(socket.timeout):
            connect(lab, "host", address, port, timeout=0.6)
        assert not [packet for packet in w1.syns() + w2.syns() if packet.payload], "a leg"
    grown = lab.since("cpe", before)
    assert grown["drop_policy"] >= 1 and "syn_held" not in grown, grown


@both_families
def test_W4_port_goes_direct(ruled, family):
    assert_direct(ruled, server_address(ruled, family), 7301)


@both_families
def test_W4_port_is_dropped(ruled, family):
    assert_dropped(ruled, server_address(ruled, family), 7302)


@pytest.mark.parametrize("port", [7303, 7310])
def test_W4_ports_of_a_range_go_direct(ruled, port):
    assert_direct(ruled, ruled.SERVER_V4, port)


def test_W4_first_match_wins(ruled):
    assert_bonded(ruled, ruled.SERVER_V4, 7305)


@pytest.mark.parametrize("port", [7300, 7311])
def test_W4_ports_beside_a_range_are_bonded(ruled, port):
    assert_bonded(ruled, ruled.SERVER_V4, port)


def test_W4_prefix_goes_direct(ruled):
    assert_direct(ruled, OTHER_V4, 7400)


def test_W4_prefix_is_dropped(ruled):
    assert_dropped(ruled, OTHER_V6, 7400)


def test_W4_source_and_source_port_go_direct(ruled):
    assert_direct(ruled, ruled.SERVER_V4, 7401, source=(ruled.HOST_V4, 7777))


@both_families
def test_W4_what_no_rule_names_is_bonded(ruled, family):
    assert_bonded(ruled, server_address(ruled, family), 7402)


@both_families
def test_W4_udp_passes_directly(ruled, family):
    address = server_address(ruled, family)
    before = ruled.counters("cpe")
    with inside(ruled, "server"):
        server = socket.socket(family_of(address), socket.SOCK_DGRAM)
    with inside(ruled, "host"):
        client = socket.socket(family_of(address), socket.SOCK_DGRAM)
    with server, client:
        server.bind((address, 7310))
        client.settimeout(5)
        server.settimeout(5)
        client.sendto(b"ping", (address, 7310))
        assert server.recvfrom(100)[0] == b"ping"
        server.sendto(b"pong", (ruled.HOST_V4 if family == "v4" else ruled.HOST_V6,
                                client.getsockname()[1]))
        assert client.recv(100) == b"pong"
    assert ruled.since("cpe", before)["direct_policy"] >= 1


def echo_request(number, v6):
    """An ICMP echo request; of ICMPv6 the kernel fills in the checksum."""
    kind = 128 if v6 else 8
    checksum = 0 if v6 else ~(kind << 8 | 0) - 0x7061 - number & 0xffff
    return struct.pack("!BBHHH", kind, 0, checksum, 0x7061, number)


@both_families
def test_W4_icmp_passes_directly(ruled, family):
    address, v6 = server_address(ruled, family), family == "v6"
    before = ruled.counters("cpe")
    with inside(ruled, "host"):
        raw = socket.socket(family_of(address), socket.SOCK_RAW,
                            socket.IPPROTO_ICMPV6 if v6 else socket.IPPROTO_ICMP)
    with raw:
        raw.settimeout(5)
        for number in range(3):
            raw.sendto(echo_request(number, v6), (address, 0))
            reply = (129 if v6 else 0, 0x7061, number)
            while True:
                answer = raw.recv(100)[0 if v6 else 20:]
                kind, _, _, ident, got = struct.unpack("!BBHHH", answer[:8])
                if (kind, ident, got) == reply:
                    break
    assert ruled.since("cpe", before)["direct_other"] >= 3


@pytest.mark.parametrize("address", ["192.168.1.1", "fd00:1::1", "10.1.0.2", "10.2.0.2"])
def test_W4_traffic_to_the_cpe_itself_is_not_bonded(ruled, address):
    before = ruled.counters("cpe")
    with Server(ruled, "cpe", address, peer_name) as server, \
            connect(ruled, "host", address, server.port) as client:
        assert read_all(client).decode() == text_of(client.getsockname())
    grown = ruled.since("cpe", before)
    assert grown["direct_local"] == 1 and "syn_held" not in grown, grown


def test_W4_traffic_between_lan_interfaces_is_not_bonded(ruled):
    before = ruled.counters("cpe")
    with Server(ruled, "host2", SECOND_HOST, peer_name) as server, \
            connect(ruled, "host", SECOND_HOST, server.port) as client:
        assert read_all(client).decode() == text_of(client.getsockname())
    grown = ruled.since("cpe", before)
    assert grown["direct_lan"] == 1 and "syn_held" not in grown, grown


def test_W4_second_lan_is_bonded_too(ruled):
    before = ruled.counters("cpe")
    with Server(ruled, "server", ruled.SERVER_V4, echo) as server, \
            connect(ruled, "host2", ruled.SERVER_V4, server.port) as client:
        client.sendall(b"hi")
        assert read_exactly(client, 2) == b"hi"
        session, = ruled.sessions("cpe", server.port)
        assert session["inside"].startswith(SECOND_HOST)
    assert ruled.since("cpe", before)["established"] == 1


def test_W4_connection_from_before_plaitd_goes_on():
    """Segments without a session are the kernel's."""
    with PlaitLab() as lab:
        lab.plaitd("conc")
        with Server(lab, "server", lab.SERVER_V4, echo) as server, \
                connect(lab, "host", lab.SERVER_V4, server.port) as client:
            client.sendall(b"1")
            assert read_exactly(client, 1) == b"1"
            lab.plaitd("cpe")
            client.sendall(bytes(100_000))
            assert read_exactly(client, 100_000) == bytes(100_000)
            eventually(lambda: lab.counters("cpe")["direct_stateless"], what="counting")
            assert not lab.sessions("cpe")
