# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""U1: what must not become a datagram: streams of records that are none, datagrams that are none.
Each is dropped and counted, its neighbours arrive, and what was wrong goes nowhere."""

import contextlib
import itertools
import random
import socket
import struct
import threading
import time

import pytest
from scapy.layers.inet import IP, UDP, IPOption_LSRR, IPOption_NOP, IPOption_Timestamp
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop, PadN
from scapy.packet import Raw

from conftest import PlaitLab, both_families, server_address
from netns import (IPPROTO_MPTCP, TCP_FASTOPEN_NO_COOKIE, eventually, family_of, inside,
                   read_exactly, reset)
from test_bad_input import FORBIDDEN, OWN, in_syn, is_reset, pm, refused
from test_udp import UDP as UDP_PROTOCOL, UdpServer, got, is_silent, leg, record, towards
from test_udp import conc  # noqa: F401 pylint: disable=unused-import
from test_udp_fragments import WAYS, nothing_passes_by, way_of
from test_udp_fragments import _dmesg_is_clean, _pooled  # noqa: F401 pylint: disable=unused-import

TCP_FASTOPEN = 23


# Streams, at the concentrator

@pytest.mark.parametrize("address", [*FORBIDDEN[::4], *OWN[::2]])
def test_W1_forbidden_destination_of_datagrams(conc, address):
    with refused(conc, "pm_own_address" if address in OWN else "pm_forbidden"):
        assert is_reset(in_syn(conc, pm(address, 53, UDP_PROTOCOL) + b"\0" + record(b"x")))


def test_U1_first_record_cut_between_syn_and_stream_anywhere(conc):
    first, second = record(b"first"), record(b"second")
    for split in range(len(first) + 1):
        with UdpServer(conc, conc.SERVER_V4, echoes=False) as server, \
                leg(conc, server.port, first[:split]) as client:
            client.sendall(first[split:] + second)
            assert got(server, 2) == [b"first", b"second"], split


@pytest.mark.parametrize("trailing", [b"\0", b"\0\1", b"\xff\xff" + bytes(65534), b"\5"],
                         ids=["half a length", "no payload", "one octet short", "5"])
@pytest.mark.parametrize("end", ["closed", "reset"])
def test_U1_trailing_octets_are_no_datagram(conc, trailing, end):
    before = conc.counters("conc")
    with UdpServer(conc, conc.SERVER_V4, echoes=False) as server:
        with leg(conc, server.port, record(b"whole")) as client:
            client.sendall(record(b"") + trailing)
            assert got(server, 2) == [b"whole", b""]
            time.sleep(0.05)
            if end == "closed":
                client.shutdown(socket.SHUT_WR)
                eventually(lambda: "udp_record_cut" in conc.since("conc", before), what="the end")
            else:
                reset(client)
        eventually(lambda: not conc.sessions("conc", server.port), what="the end of the session")
        assert len(server.got) == 2
    counted = "udp_record_cut" if end == "closed" else "reset_by_leg"
    assert conc.since("conc", before)[counted] == 1


@both_families
@pytest.mark.parametrize("length", [65508, 65527, 65528, 65535])
def test_U1_records_longer_than_a_datagram_can_be(conc, family, length):
    """RFC 768's length has room for 65,527 octets, an IPv4 packet for 65,507."""
    before = conc.counters("conc")
    address = server_address(conc, family)
    fits = length <= (65507 if family == "v4" else 65527)
    with UdpServer(conc, address, echoes=False) as server, \
            in_syn(conc, pm(address, server.port, UDP_PROTOCOL) + b"\0") as client:
        client.sendall(record(bytes(length)) + record(b"next"))
        assert [len(data) for data in got(server, 2 if fits else 1)] == [length] * fits + [4]
        assert conc.since("conc", before).get("udp_send_failed", 0) == (not fits)


def test_U1_noise_is_records(conc):
    """Whatever comes, what is whole is a datagram, and what is not never is."""
    noise = random.Random(5).randbytes(300_000)
    expected, at = [], 0
    while (end := at + 2 + int.from_bytes(noise[at:at + 2], "big")) <= len(noise):
        expected.append(noise[at + 2:end])
        at = end
    sent = [data for data in expected if len(data) <= 65507]
    before = conc.counters("conc")
    with UdpServer(conc, conc.SERVER_V4, echoes=False) as server, leg(conc, server.port) as client:
        for part in range(0, len(noise), 10_000):
            client.sendall(noise[part:part + 10_000])
            time.sleep(0.005)
        client.shutdown(socket.SHUT_WR)
        eventually(lambda: not conc.sessions("conc", server.port), what="the end")
        assert got(server, len(sent)) == sent
    grown = conc.since("conc", before)
    assert grown.get("udp_send_failed", 0) == len(expected) - len(sent)
    assert grown.get("udp_record_cut", 0) == (at < len(noise))


# Streams, at the CPE

class HandConcentrator:
    """Answers health checks; connections that say something wait in .taken, with what they said."""

    def __init__(self, lab):
        lab.run("conc", ["sysctl", "-qw", "net.ipv4.tcp_fastopen=3"])
        with inside(lab, "conc"):
            self._socket = socket.socket(socket.AF_INET6, socket.SOCK_STREAM, IPPROTO_MPTCP)
        self._socket.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN, 16)
        self._socket.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 1)
        self._socket.bind(("::", PlaitLab.PORT))
        self._socket.listen(16)
        self.taken = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()
        for connection, _ in self.taken:
            connection.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._hear, args=(connection,), daemon=True).start()

    def _hear(self, connection):
        connection.settimeout(5)
        with contextlib.suppress(OSError):
            if said := connection.recv(1 << 16):
                self.taken.append((connection, said))
                return
        connection.close()


@pytest.fixture(scope="module", name="by_hand")
def _by_hand():
    with PlaitLab() as lab, HandConcentrator(lab) as concentrator:
        lab.plaitd("cpe")
        lab.wait_answered()
        yield lab, concentrator
        assert lab.agents["cpe"].process.poll() is None, lab.log("cpe")


@contextlib.contextmanager
def leg_by_hand(by_hand):
    """(host's socket, concentrator's end of its leg)"""
    lab, concentrator = by_hand
    with towards(lab, lab.SERVER_V4, 5000) as client:
        client.send(b"question")
        connection, said = eventually(lambda: concentrator.taken and concentrator.taken.pop())
        with connection:
            assert said.endswith(record(b"question"))
            yield client, connection


def test_U1_cpe_takes_records_in_one_octet_pieces(by_hand):
    datagrams = [b"", b"a", bytes(range(50)), b"last"]
    with leg_by_hand(by_hand) as (client, connection):
        for octet in b"".join(map(record, datagrams)):
            connection.sendall(bytes([octet]))
        assert [client.recv(100) for _ in datagrams] == datagrams
        client.send(b"more")
        assert read_exactly(connection, 6) == record(b"more")


@pytest.mark.parametrize("length", [65508, 65535])
def test_U1_cpe_drops_records_longer_than_a_datagram_can_be(by_hand, length):
    lab, _ = by_hand
    before = lab.counters("cpe")
    with leg_by_hand(by_hand) as (client, connection):
        connection.sendall(record(bytes(length)) + record(b"next"))
        assert client.recv(1 << 17) == b"next"
        assert lab.since("cpe", before)["udp_send_failed"] == 1


@pytest.mark.parametrize("trailing", [b"\0", b"\0\5half"], ids=["length", "payload"])
def test_U1_cpe_sends_nothing_of_a_record_cut_by_the_end(by_hand, trailing):
    lab, _ = by_hand
    before = lab.counters("cpe")
    with leg_by_hand(by_hand) as (client, connection):
        connection.sendall(record(b"whole") + trailing)
        connection.shutdown(socket.SHUT_WR)
        assert client.recv(100) == b"whole"
        eventually(lambda: "udp_record_cut" in lab.since("cpe", before), what="counting")
        assert is_silent(client, 0.2)


# Datagrams

@pytest.fixture(params=WAYS, name="way")
def _way(request, bonded, pooled):
    direction, family, *external = request.param.split("-")
    lab = pooled if external in (["pool"], []) else bonded
    with nothing_passes_by(lab), way_of(lab, server_address(lab, family), direction) as way:
        yield way


def ip(way, header, payload=b"", **fields):
    """A packet of the way; `header`: what is before its UDP, or None."""
    v4 = family_of(way.source[0]) == socket.AF_INET
    packet = (IP if v4 else IPv6)(src=way.source[0], dst=way.destination[0])
    if header is not None:
        packet = packet / header
    return packet / UDP(sport=way.source[1], dport=way.destination[1], **fields) / Raw(payload)


def is_v4(way):
    return family_of(way.source[0]) == socket.AF_INET


def test_U1_datagram_with_a_wrong_checksum(way):
    counter = "UdpInCsumErrors", "Udp6InCsumErrors"
    before = way.kernel_counts(*counter)
    way.wire.put([ip(way, None, b"wrong", chksum=0x1234)])
    way.nothing_arrives()
    assert way.kernel_counts(*counter) == before + 1
    way.works()


def test_U1_datagram_without_checksum(way):
    """RFC 768 allows it in IPv4, RFC 8200 §8.1 not in IPv6."""
    way.wire.put([ip(way, None, b"unchecked", chksum=0)])
    if is_v4(way):
        way.arrives(b"unchecked")
    else:
        way.nothing_arrives()
    way.works()


def test_U1_datagram_with_options_arrives_without(way):
    if is_v4(way):
        packet = ip(way, None, b"x")
        packet.options = [IPOption_NOP(), IPOption_Timestamp(flg=0, timestamp=0)]
        way.wire.put([packet])
        way.arrives(b"x")
        return
    padding = PadN(optdata=bytes(4))
    way.wire.put([ip(way, IPv6ExtHdrDestOpt(options=[padding]), b"x"),
                  ip(way, IPv6ExtHdrHopByHop(options=[padding]), b"y"),
                  ip(way, IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt(), b"z")])
    way.arrives(b"x", b"y", b"z")


@pytest.mark.parametrize("way", [way for way in WAYS if "v4" in way], indirect=True)
def test_U1_datagram_that_chooses_its_route(way):
    packet = ip(way, None, b"x")
    packet.options = [IPOption_LSRR(routers=["192.0.2.1"], pointer=4)]
    way.wire.put([packet])
    way.nothing_arrives()
    way.works()


def test_U1_datagram_cut_at_every_octet(way):
    """Once the frame is shorter than its IP header says, once that says so too."""
    whole = bytes(ip(way, None, bytes(range(20))))
    headers = 20 if is_v4(way) else 40
    packets = []
    for length in range(1, len(whole)):
        packets.append(Raw(whole[:length]))
        if length >= headers:
            packet = ip(way, None)
            packet.remove_payload()
            packets.append(type(packet)(src=packet.src, dst=packet.dst,
                                        **{"proto" if is_v4(way) else "nh": UDP_PROTOCOL})
                           / Raw(whole[headers:length]))
    way.wire.put([way.wire.frame(packet, 0x0800 if is_v4(way) else 0x86dd) for packet in packets])
    way.nothing_arrives()
    way.works()


def test_U1_datagram_whose_length_lies(way):
    """Shorter than its header, longer than its packet, or as short as is: the rest is padding."""
    lengths = itertools.chain(range(8), range(14, 40), (0xffff,))
    way.wire.put([ip(way, None, b"12345", len=length) for length in lengths])
    way.nothing_arrives()
    way.works()
