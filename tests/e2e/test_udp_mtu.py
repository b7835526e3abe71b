# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""U1, U2: path MTU in streams. Links carry datagrams of any length, so nobody is told that one
is too long; where the far side's next link takes less, it sends fragments (plain-mode-08 §5.1.2)."""

import contextlib
import random
import socket

import pytest
from scapy.layers.inet6 import ICMPv6PacketTooBig, IPv6
from scapy.packet import Raw

from conftest import both_families, server_address
from netns import eventually, inside
from test_udp import UdpServer, towards
from test_udp_fragments import Wire, way_of
from wire import ETH_P_ALL

SMALL = 1300
DISCOVER, DO = {"v4": (socket.IPPROTO_IP, 10), "v6": (socket.IPPROTO_IPV6, 23)}, 2


class Frames:
    """IP packets that arrive at an interface of `node`, as they are."""

    def __init__(self, lab, node):
        with inside(lab, node):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        self._socket.bind(("eth0", ETH_P_ALL))
        self._socket.setblocking(False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def arrived(self):
        packets = []
        with contextlib.suppress(BlockingIOError):
            while True:
                packet, address = self._socket.recvfrom(1 << 17)
                if address[2] != socket.PACKET_OUTGOING:
                    packets.append(packet)
        return packets


@contextlib.contextmanager
def mtu(lab, octets, *interfaces):
    """Of interfaces of nodes meanwhile."""
    def put(value):
        for node, interface in interfaces:
            lab.run(node, ["ip", "link", "set", interface, "mtu", str(value)])
    put(octets)
    try:
        yield
    finally:
        put(1500)


def protocol_of(packet):
    return packet[9] if packet[0] >> 4 == 4 else packet[6]


def is_complaint(packet):
    """ICMP: destination unreachable, or packet too big."""
    return (packet[0] >> 4 == 4 and packet[9] == 1 and packet[20] == 3
            or packet[0] >> 4 == 6 and packet[6] == 58 and packet[40] in (1, 2))


def forbid_fragments(client, family):
    """As QUIC and others that find out about the path themselves."""
    client.setsockopt(*DISCOVER[family], DO)


@both_families
def test_U1_datagram_too_long_for_the_internet_side_leaves_in_fragments(bonded, family):
    """Also the host's DF ends at the CPE: the concentrator's datagram is one of its own."""
    payload = random.randbytes(1400)
    address = server_address(bonded, family)
    with mtu(bonded, SMALL, ("conc", "net0")), \
            UdpServer(bonded, address, echoes=False) as server, \
            towards(bonded, address, server.port) as client, \
            Frames(bonded, "server") as at_server, Frames(bonded, "host") as at_host:
        forbid_fragments(client, family)
        for count in (1, 2):
            client.send(payload)
            eventually(lambda count=count: len(server.got) == count, what="arriving")
        assert [data for data, _, _ in server.got] == [payload] * 2
        lengths = [len(packet) for packet in at_server.arrived()
                   if protocol_of(packet) in (17, 44)]
        assert len(lengths) == 4 and max(lengths) <= SMALL
        assert not [packet for packet in at_host.arrived() if is_complaint(packet)]


@both_families
def test_U1_datagram_too_long_for_the_lan_leaves_in_fragments(bonded, family):
    payload = random.randbytes(1400)
    address = server_address(bonded, family)
    with mtu(bonded, SMALL, ("cpe", "lan0")), \
            UdpServer(bonded, address, echoes=False) as server, \
            towards(bonded, address, server.port) as client, \
            Frames(bonded, "server") as at_server, Frames(bonded, "host") as at_host:
        client.send(b"begin")
        eventually(lambda: server.got, what="the flow")
        forbid_fragments(server.socket, family)
        for _ in range(2):
            server.socket.sendto(payload, server.got[0][1])
            assert client.recv(2000) == payload
        lengths = [len(packet) for packet in at_host.arrived() if protocol_of(packet) in (17, 44)]
        assert len(lengths) == 4 and max(lengths) <= SMALL
        assert not [packet for packet in at_server.arrived() if is_complaint(packet)]


def test_U1_lan_with_longer_packets_than_any_link(bonded):
    """A router would say "fragmentation needed"; a stream does not need any."""
    payload = random.randbytes(8000)
    with mtu(bonded, 9000, ("cpe", "lan0"), ("host", "eth0"), ("conc", "net0"),
             ("server", "eth0")), \
            UdpServer(bonded, bonded.SERVER_V4) as server, \
            towards(bonded, bonded.SERVER_V4, server.port) as client, \
            Frames(bonded, "server") as at_server:
        forbid_fragments(client, "v4")
        client.send(payload)
        assert client.recv(9000) == payload
        assert [len(packet) for packet in at_server.arrived() if protocol_of(packet) == 17] == [
            8000 + 28]


def test_U1_v4_datagrams_may_be_put_in_fragments_on_the_way(bonded):
    """No router has reason to complain of them to an address that is not the host's."""
    with way_of(bonded, bonded.SERVER_V4, "up") as way, Frames(bonded, "server") as at_server:
        way.wire.put(way.pieces(1, bytes(1400)))
        way.arrives(bytes(1400))
        sent, = [packet for packet in at_server.arrived() if protocol_of(packet) == 17]
        assert not sent[6] & 0x40


@pytest.fixture(name="path_mtu_unknown")
def _path_mtu_unknown(bonded):
    def forget():
        for node in ("cpe", "conc"):
            bonded.run(node, ["ip", "-6", "route", "flush", "cache"])
    forget()
    yield
    forget()


@pytest.mark.usefixtures("path_mtu_unknown")
@pytest.mark.parametrize("towards_host", [False, True], ids=["up", "down"])
def test_U1_v6_router_that_takes_no_more_is_heeded(bonded, towards_host):
    """Its ICMP error goes to the address that speaks, the host's or the server's, who have sent
    nothing of that length over this path."""
    payload = random.randbytes(1400)
    sender, receiver = ("server", "host") if towards_host else ("host", "server")
    with way_of(bonded, bonded.SERVER_V6, "down" if towards_host else "up") as way, \
            Frames(bonded, receiver) as at_receiver, Frames(bonded, sender) as at_sender, \
            Wire(bonded, receiver) as router:
        for about in ("a datagram", "its first fragment"):
            way.wire.put(way.pieces(1, payload, size=1480))
            way.arrives(payload)
            sent = [packet for packet in at_receiver.arrived() if protocol_of(packet) in (17, 44)]
            mtu = 1400 if about == "a datagram" else 1280
            assert max(map(len, sent)) > mtu
            router.put([IPv6(src="2001:db8:bad::1", dst=way.source[0])
                        / ICMPv6PacketTooBig(mtu=mtu) / Raw(sent[0][:1200])])
            way.wire.put(way.pieces(2, payload, size=1480))
            way.arrives(payload)
            sent = [packet for packet in at_receiver.arrived() if protocol_of(packet) in (17, 44)]
            assert len(sent) == 2 and max(map(len, sent)) <= mtu
        assert not [packet for packet in at_sender.arrived() if is_complaint(packet)]
