# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""W1, W2, W3: the exact octets of the first SYN on the access network."""

import ipaddress
import socket
import struct

import pytest

from conftest import both_families, running, server_address
from netns import (MSG_FASTOPEN, TCP_FASTOPEN_NO_COOKIE, Server, connect, echo, eventually,
                   family_of, peer_name, read_all, read_exactly, tcp_socket, text_of)
from wire import MP_CAPABLE, MP_JOIN, Capture

PORT = 6824


def address_and_port(address, port):
    return ipaddress.ip_address(address).packed + struct.pack("!H", port)


def destination_v4(address, port):
    return bytes.fromhex("1e0ae006") + address_and_port(address, port)


def source_v4(address, port):
    return bytes.fromhex("1e0ae806") + address_and_port(address, port)


def destination_v6(address, port):
    return bytes.fromhex("1e16e006") + address_and_port(address, port)


def source_v6(address, port):
    return bytes.fromhex("1e16e806") + address_and_port(address, port)


def first_syn(lab, address, handler=echo):
    """The first SYN of the leg, the client's address and the server's port."""
    with Server(lab, "server", address, handler) as server, Capture(lab, "cpe", "w1") as link, \
            connect(lab, "host", address, server.port) as client:
        return link.syns(PORT), client.getsockname()[:2], server.port


def test_W2_W3_syn_of_a_v4_connection(bonded):
    syns, _, port = first_syn(bonded, bonded.SERVER_V4)
    expected = bytes.fromhex("1e 0a e0 06  cb 00 71 02") + struct.pack("!H", port) + b"\0"
    assert {syn.payload for syn in syns} == {expected}
    assert {(syn.source, syn.destination, syn.dport) for syn in syns} == \
        {("10.1.0.2", "10.1.0.1", PORT)}
    assert all(syn.mptcp == [MP_CAPABLE] for syn in syns)


def test_W2_W3_syn_of_a_v6_connection(bonded):
    syns, (_, source_port), port = first_syn(bonded, bonded.SERVER_V6)
    expected = (bytes.fromhex("1e 16 e8 06  fd00 0001 0000 0000 0000 0000 0000 0002")
                + struct.pack("!H", source_port)
                + bytes.fromhex("1e 16 e0 06  2001 0db8 000f 0000 0000 0000 0000 0002")
                + struct.pack("!H", port) + b"\0")
    assert {syn.payload for syn in syns} == {expected}
    assert {(syn.source, syn.destination, syn.dport) for syn in syns} == \
        {("fd10:1::2", "fd10:1::1", PORT)}
    assert all(syn.mptcp == [MP_CAPABLE] for syn in syns)


def test_W2_scapy_reads_the_same_option(bonded):
    from scapy.layers.inet import TCP  # pylint: disable=import-outside-toplevel
    syns, _, port = first_syn(bonded, bonded.SERVER_V4)
    # the preamble has the form of TCP options: padded, scapy takes it for such
    header = TCP(dport=PORT, dataofs=8)
    octets = bytes(header)[:20] + syns[0].payload + b"\0"
    (kind, value), *rest = TCP(octets).options
    assert (kind, bytes(value)) == (30, destination_v4(bonded.SERVER_V4, port)[2:])
    assert all(name in ("EOL", "NOP") for name, _ in rest)


def tfo_socket(lab, family):
    client = tcp_socket(lab, "host", family)
    client.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 1)
    return client


@both_families
def test_W2_hosts_own_syn_data_follows_eol_and_arrives_once(bonded, family):
    address, data = server_address(bonded, family), b"first words in my SYN"
    with Server(bonded, "server", address) as server, Capture(bonded, "host", "eth0") as lan, \
            Capture(bonded, "cpe", "w1") as link:
        with tfo_socket(bonded, family_of(address)) as client:
            client.sendto(data, MSG_FASTOPEN, (address, server.port))
            client.sendall(b"|second")
            client.shutdown(socket.SHUT_WR)
            with server.take() as got:
                assert read_all(got) == data + b"|second"
                got.sendall(b"answer")
            assert read_all(client) == b"answer"
        assert lan.syns(server.port)[0].payload == data, "the host's SYN had no data"
        assert link.syns(PORT)[0].payload.endswith(b"\0" + data)


@both_families
def test_W2_no_preamble_with_mp_join(bonded, family):
    address = server_address(bonded, family)
    with Server(bonded, "server", address, echo) as server, \
            Capture(bonded, "cpe", "w2") as link, \
            connect(bonded, "host", address, server.port) as client:
        client.sendall(b"x")
        read_exactly(client, 1)
        eventually(lambda: len(bonded.sessions("cpe", server.port)[0]["subflows"]) == 2)
        syns = link.syns(PORT)
    assert len(syns) == 1 and syns[0].mptcp == [MP_JOIN] and syns[0].payload == b""
    assert syns[0].source == {"v4": "10.2.0.2", "v6": "fd10:2::2"}[family]


# preserve_source

@pytest.fixture(scope="module")
def preserving():
    both = {"preserve_source": {"ipv4": True, "ipv6": False}}
    with running(cpe=both, conc=both) as lab:
        yield lab


def test_W3_v4_source_is_preserved_where_configured(preserving):
    syns, client, port = first_syn(preserving, preserving.SERVER_V4)
    expected = source_v4(*client) + destination_v4(preserving.SERVER_V4, port) + b"\0"
    assert {syn.payload for syn in syns} == {expected}
    with Server(preserving, "server", preserving.SERVER_V4, peer_name) as server, \
            connect(preserving, "host", preserving.SERVER_V4, server.port) as client:
        assert read_all(client).decode() == text_of(client.getsockname())


def test_W3_v6_source_is_not_preserved_where_configured(preserving):
    syns, _, port = first_syn(preserving, preserving.SERVER_V6)
    assert {syn.payload for syn in syns} == {destination_v6(preserving.SERVER_V6, port) + b"\0"}
    with Server(preserving, "server", preserving.SERVER_V6, peer_name) as server, \
            connect(preserving, "host", preserving.SERVER_V6, server.port) as client:
        assert read_all(client).decode().startswith("[2001:db8:f::1]:")


@pytest.fixture(scope="module", params=["cpe", "conc"])
def one_preserves(request):
    """A lab where only one end preserves sources, of both families."""
    ends = {role: {"preserve_source": {"ipv4": role == request.param, "ipv6": role == request.param}}
            for role in ("cpe", "conc")}
    with running(**ends) as lab:
        yield lab, request.param


@both_families
def test_W3_source_is_not_preserved_unless_both_ends_are_configured_to(one_preserves, family):
    """The CPE says it where it is to, and only there."""
    lab, who = one_preserves
    address = server_address(lab, family)
    syns, client, port = first_syn(lab, address)
    source, destination = {"v4": (source_v4, destination_v4),
                           "v6": (source_v6, destination_v6)}[family]
    told = source(*client) if who == "cpe" else b""
    assert {syn.payload for syn in syns} == {told + destination(address, port) + b"\0"}
    with Server(lab, "server", address, peer_name) as server, \
            connect(lab, "host", address, server.port) as other:
        own = {"v4": "203.0.113.1:", "v6": "[2001:db8:f::1]:"}[family]
        assert read_all(other).decode().startswith(own)
