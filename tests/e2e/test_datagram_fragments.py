# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""U2, S3 in datagram mode: what is too long for a link, and what comes in fragments."""

import contextlib
import os
import random
import socket
import struct
import time

import pytest
from scapy.layers.inet import IP, UDP
from scapy.packet import Raw

from conftest import both_families, server_address
from netns import eventually
from test_datagram_mode import datagrams
from test_udp import UdpServer, is_silent, towards
from test_udp_fragments import Wire

IP_MTU, IP_MTU_DISCOVER, PMTUDISC_DONT, PMTUDISC_DO = 14, 10, 0, 2
IPV6_MTU, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO = 24, 23, 2
GROWS = {"v4": 24, "v6": 16}  # over IPv4 links: a TCP header with the option for UDP's
SIZE = 1400
LIFE_S = 2


@contextlib.contextmanager
def fragmenting(value, attach="native"):
    said = {"fragmentation": value}
    with datagrams(cpe=dict(said), conc=dict(said), attach=attach) as lab:
        for node in ("host", "server"):  # what is summed by a device cannot be cut
            lab.run(node, ["ethtool", "-K", "eth0", "tx", "off"])
        yield lab


@pytest.fixture(scope="module", params=["native", "generic"], name="lab")
def _lab(request):
    with fragmenting("on", request.param) as made:
        yield made


@pytest.fixture(name="native", scope="module")
def _native():
    with fragmenting("on") as made:
        yield made


@contextlib.contextmanager
def flow(lab, address=None):
    """A bonded one: its first datagram has been answered. The server does not echo."""
    with UdpServer(lab, address or lab.SERVER_V4, echoes=False) as server, \
            towards(lab, server.address, server.port) as client:
        for each in (client, server.socket):
            if each.family == socket.AF_INET:
                each.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_DONT)
        client.send(b"first")
        eventually(lambda: server.got, what="the first datagram")
        server.socket.sendto(b"answer", server.got[0][1])
        assert client.recv(100) == b"answer"
        yield server, client


def arrived(server):
    return [data for data, _, _ in server.got[1:]]


# What XDP sends back comes out of a veth without XDP only with the next packet that XDP sends
# there: each test has one follow.

@both_families
def test_U2_host_is_told_what_fits_a_link(lab, family):
    """By ICMP, as a router would tell it (RFC 1191, RFC 8201)."""
    address = server_address(lab, family)
    level, discover, do, mtu = {
        "v4": (socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_DO, IP_MTU),
        "v6": (socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO, IPV6_MTU)}[family]
    headers = {"v4": 28, "v6": 48}[family]
    with flow(lab, address) as (server, client):
        client.setsockopt(level, discover, do)
        before = lab.counters("cpe")
        client.send(bytes(1500 - headers))
        server.socket.sendto(b"next", server.got[0][1])
        eventually(lambda: client.getsockopt(level, mtu) == 1500 - GROWS[family],
                   what="the path's MTU")
        assert lab.since("cpe", before)["datagram_mtu_told"] == 1
        client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # that of before
        longest = os.urandom(1500 - GROWS[family] - headers)
        client.send(longest)
        eventually(lambda: len(server.got) == 2, what="what fits")
        assert arrived(server) == [longest]


def test_U2_server_is_told_what_fits_a_link(lab):
    with flow(lab) as (server, client), \
            towards(lab, *server.got[0][1], node="server") as other:
        other.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_DO)
        before = lab.counters("conc")
        other.send(bytes(1472))
        eventually(lambda: lab.since("conc", before).get("datagram_mtu_told"), what="an ICMP error")
        client.send(b"next")
        eventually(lambda: other.getsockopt(socket.IPPROTO_IP, IP_MTU) == 1476,
                   what="the path's MTU")


def test_U2_too_long_for_a_link_is_cut_and_put_together(native):
    sent = [os.urandom(1472) for _ in range(20)]
    with flow(native) as (server, client):
        before = {role: native.counters(role) for role in ("cpe", "conc")}
        for data in sent:
            client.send(data)
        eventually(lambda: len(server.got) == 21, what="all of them")
        assert arrived(server) == sent
        for data in sent:
            server.socket.sendto(data, server.got[0][1])
        assert [client.recv(1 << 16) for _ in sent] == sent
        for role in ("cpe", "conc"):
            grown = native.since(role, before[role])
            assert (grown["datagram_cut"], grown["datagram_received"]) == (20, 20), grown


def test_U2_too_long_for_a_link_goes_direct_unless_configured():
    with fragmenting("off") as lab, flow(lab) as (server, client):
        before = lab.counters("cpe")
        client.send(bytes(1472))
        eventually(lambda: len(server.got) == 2, what="it")
        assert server.got[1][1][0] != server.got[0][1][0], "through the concentrator"
        assert lab.since("cpe", before)["datagram_too_big"] == 1


# In fragments

def pieces(source, destination, ident, payload, size=SIZE):
    octets = bytes(IP(src=source[0], dst=destination[0])
                   / UDP(sport=source[1], dport=destination[1]) / Raw(payload))[20:]
    return [IP(src=source[0], dst=destination[0], id=ident, frag=at // 8, proto=17, ttl=60,
               flags="MF" if at + size < len(octets) else 0) / Raw(octets[at:at + size])
            for at in range(0, len(octets), size)]


ORDERS = {"in order": lambda it: it, "reversed": lambda it: it[::-1],
          "first last but one": lambda it: it[2:] + it[:2],
          "twice": lambda it: [each for one in it for each in (one, one)]}


@pytest.mark.parametrize("order", ORDERS)
def test_U2_fragments_of_a_host_arrive(lab, order):
    payload = random.Random(order).randbytes(5000)
    with flow(lab) as (server, client), Wire(lab, "host") as wire:
        before = {role: lab.counters(role) for role in ("cpe", "conc")}
        wire.put(ORDERS[order](pieces(client.getsockname(), (lab.SERVER_V4, server.port), 77,
                                      payload)))
        eventually(lambda: len(server.got) == 2, what="the datagram")
        assert server.got[1][:2] == (payload, server.got[0][1])
        assert lab.since("cpe", before["cpe"])["datagram_fragment_sent"] == 3
        assert lab.since("conc", before["conc"])["datagram_fragment_received"] == 3


@pytest.mark.parametrize("order", ORDERS)
def test_U2_fragments_of_a_server_arrive(lab, order):
    payload = random.Random(order).randbytes(5000)
    with flow(lab) as (server, client), Wire(lab, "server") as wire:
        wire.put(ORDERS[order](pieces((lab.SERVER_V4, server.port), server.got[0][1], 78, payload)))
        assert client.recv(1 << 16) == payload
        assert is_silent(client)


def test_U2_many_datagrams_in_fragments_each_way(native):
    """As the kernels of host and server make them, so that each first one has to be cut."""
    sent = [struct.pack("!I", i) + os.urandom(3000 + i) for i in range(40)]
    with flow(native) as (server, client):
        for data in sent:
            client.send(data)
            time.sleep(0.002)
        eventually(lambda: len(server.got) == 41, what="all of them")
        assert arrived(server) == sent
        for data in sent:
            server.socket.sendto(data, server.got[0][1])
            time.sleep(0.002)
        assert [client.recv(1 << 16) for _ in sent] == sent


def test_S3_fragments_whose_first_does_not_come_are_forgotten(lab):
    with flow(lab) as (server, client), Wire(lab, "host") as wire:
        before = lab.counters("cpe")
        wire.put(pieces(client.getsockname(), (lab.SERVER_V4, server.port), 79, bytes(5000))[1:])
        # beside them the last copy of a datagram that was complete may have been waiting
        eventually(lambda: lab.since("cpe", before).get("datagram_early_dropped", 0) >= 3,
                   LIFE_S + 3, "forgetting them")
        assert len(server.got) == 1
        wire.put(pieces(client.getsockname(), (lab.SERVER_V4, server.port), 80, b"on" * 2000))
        eventually(lambda: len(server.got) == 2, what="another datagram")
        assert arrived(server) == [b"on" * 2000]


def test_U2_cutting_in_the_stack_is_warned_of(lab):
    """Said where it is so, and nowhere else."""
    said = "fragmentation: on needs XDP in the driver"
    assert (said in lab.log("cpe")) == (lab.cpe_config["datagram"]["attach"] == "generic")
