# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""U2, S3: datagrams in fragments put on the wire by hand, towards the server and towards the host:
what is whole arrives as it is, what is not is dropped, and nothing takes a way past plait."""

import contextlib
import dataclasses
import json
import random
import re
import socket
import subprocess
import time

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from scapy.utils import checksum

from conftest import PlaitLab, both_families, running, server_address
from netns import eventually, family_of, inside
from test_pools import routed
from test_udp import UdpServer, towards, udp_socket
from wire import Capture

UDP_PROTOCOL, FRAGMENT_HEADER = socket.IPPROTO_UDP, 44
POOLS = ["203.0.113.64/32", "2001:db8:77::/128"]
SIZE = 1400


class Wire:
    """Frames to whom `node` sends to."""

    def __init__(self, lab, node):
        router, interface = {"host": ("cpe", "lan0"), "server": ("conc", "net0")}[node]
        links = json.loads(lab.run(router, ["ip", "-j", "link", "show", "dev", interface]).stdout)
        self.lab, self.router, self._to = lab, router, links[0]["address"]
        with inside(lab, node):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._socket.bind(("eth0", 0))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def frame(self, packet, ether_type=None):
        header = Ether(src="02:00:00:00:00:01", dst=self._to)  # else scapy would look for a route
        if ether_type:
            header.type = ether_type
        return bytes(header / packet)

    def put(self, packets):
        for packet in packets:
            self._socket.send(packet if isinstance(packet, bytes) else self.frame(packet))


@dataclasses.dataclass
class Way:
    """One direction of a flow."""

    wire: Wire
    source: tuple
    destination: tuple
    take: callable  # what has arrived since

    def piece(self, ident, offset, octets, more):
        source, destination = self.source[0], self.destination[0]
        if family_of(source) == socket.AF_INET:
            return IP(src=source, dst=destination, id=ident, frag=offset // 8, proto=UDP_PROTOCOL,
                      flags="MF" if more else 0) / Raw(octets)
        return (IPv6(src=source, dst=destination)
                / IPv6ExtHdrFragment(nh=UDP_PROTOCOL, id=ident, offset=offset // 8, m=int(more))
                / Raw(octets))

    def datagram(self, payload, port=None):
        """UDP header and payload."""
        source, destination = self.source[0], self.destination[0]
        header = UDP(sport=port or self.source[1], dport=self.destination[1])
        if family_of(source) == socket.AF_INET:
            return bytes(IP(src=source, dst=destination) / header / Raw(payload))[20:]
        return bytes(IPv6(src=source, dst=destination) / header / Raw(payload))[40:]

    def pieces(self, ident, payload, size=SIZE, port=None):
        octets = self.datagram(payload, port)
        return [self.piece(ident, at, octets[at:at + size], at + size < len(octets))
                for at in range(0, len(octets), size)]

    def kernel_counts(self, v4, v6):
        """A counter of the kernel that puts fragments together here."""
        name = v4 if family_of(self.source[0]) == socket.AF_INET else v6
        said = self.wire.lab.run(self.wire.router, ["nstat", "-asz", name]).stdout
        return int(re.search(rf"^{name}\s+(\d+)", said, re.MULTILINE)[1])

    def arrives(self, *payloads):
        """These and no more, in any order."""
        got = []
        eventually(lambda: got.extend(self.take()) or len(got) >= len(payloads), 3, "arriving")
        time.sleep(0.05)
        assert sorted(got + self.take()) == sorted(payloads)

    def nothing_arrives(self):
        time.sleep(0.2)
        assert not self.take()

    def works(self):
        """The agents live and the flow goes on."""
        payload = random.randbytes(3000)
        self.wire.put(self.pieces(random.randrange(1, 65536), payload))
        self.arrives(payload)


def drain(client):
    """What waits at a socket."""
    got = []
    client.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            got.append(client.recv(1 << 17))
    return got


def taken(got):
    """What was appended to a server's list since the last call."""
    seen = [len(got)]

    def take():
        new = [data for data, _, _ in got[seen[0]:]]
        seen[0] += len(new)
        return new
    return take


@contextlib.contextmanager
def way_of(lab, address, direction):
    with UdpServer(lab, address, echoes=False) as server, \
            towards(lab, address, server.port) as client:
        client.send(b"begin")
        eventually(lambda: server.got, what="the flow")
        external = server.got[0][1]
        if direction == "up":
            with Wire(lab, "host") as wire:
                yield Way(wire, client.getsockname()[:2], client.getpeername()[:2],
                          taken(server.got))
        else:
            with Wire(lab, "server") as wire:
                yield Way(wire, client.getpeername()[:2], external, lambda: drain(client))


@contextlib.contextmanager
def nothing_passes_by(lab):
    """No datagram is on an access network as itself, and none goes back to where it came from."""
    with contextlib.ExitStack() as stack:
        watched = {interface: stack.enter_context(Capture(lab, "conc", interface))
                   for interface in ("w1", "w2", "net0")}
        yield
        datagrams = {interface: [packet for packet in capture.packets()
                                 if packet.protocol in (UDP_PROTOCOL, FRAGMENT_HEADER)]
                     for interface, capture in watched.items()}
    assert not datagrams["w1"] + datagrams["w2"], datagrams
    back = [packet for packet in datagrams["net0"] if packet.outgoing
            and packet.destination not in (lab.SERVER_V4, lab.SERVER_V6)]
    assert not back, back


@pytest.fixture(scope="module", name="pooled")
def _pooled():
    """External addresses that no interface has, of both families."""
    with PlaitLab() as lab:
        routed(lab, *POOLS)
        internet = lab.plait_config("conc")["internet"]
        lab.plaitd("conc", {"internet": internet | {"pools": [{"prefix": p} for p in POOLS]}})
        lab.plaitd("cpe", {"preserve_source": {"ipv6": False}})
        yield lab
        for role in ("cpe", "conc"):
            assert lab.agents[role].process.poll() is None, lab.log(role)


def kernel_complaints():
    said = subprocess.run(["dmesg"], capture_output=True, text=True, check=False).stdout
    return [line for line in said.splitlines() if re.search(r"WARNING:|BUG:|Oops|refcount", line)]


@pytest.fixture(scope="module", autouse=True)
def _dmesg_is_clean():
    before = kernel_complaints()
    yield
    assert kernel_complaints() == before


WAYS = ["up-v4", "up-v6", "down-v4-pool", "down-v6-pool", "down-v4-own", "down-v6-preserved"]


@pytest.fixture(params=WAYS, name="way")
def _way(request, bonded, pooled):
    """Where the external address is a pool's, the concentrator's own, or the host's."""
    direction, family, *external = request.param.split("-")
    lab = pooled if external in (["pool"], []) else bonded
    with nothing_passes_by(lab), way_of(lab, server_address(lab, family), direction) as way:
        yield way


def test_U2_fragments_in_order(way):
    payload = random.randbytes(5000)
    way.wire.put(way.pieces(1, payload))
    way.arrives(payload)


def test_U2_fragments_in_reverse(way):
    payload = random.randbytes(5000)
    way.wire.put(reversed(way.pieces(2, payload)))
    way.arrives(payload)


def test_U2_fragments_of_two_datagrams_interleaved(way):
    one, other = random.randbytes(5000), random.randbytes(5000)
    both = zip(way.pieces(3, one), way.pieces(4, other))
    way.wire.put(piece for pair in both for piece in pair)
    way.arrives(one, other)


def test_U2_fragments_twice_are_one_datagram(way):
    payload = random.randbytes(5000)
    way.wire.put(piece for piece in way.pieces(5, payload)[:-1] for _ in range(2))
    way.wire.put(way.pieces(5, payload)[-1:])
    way.arrives(payload)


def test_U2_longest_datagram_in_small_fragments(way):
    payload = random.randbytes(65507)
    way.wire.put(way.pieces(6, payload, size=552))
    way.arrives(payload)


def test_S3_overlapping_fragments_are_dropped(way):
    """RFC 5722: neither's octets are taken."""
    octets = way.datagram(bytes(2400))
    counter = "IpExtReasmOverlaps", "Ip6ReasmFails"
    before = way.kernel_counts(*counter)
    way.wire.put([way.piece(7, 0, octets[:1200], True),
                  way.piece(7, 0, octets[:8] + b"x" * 1200, True),
                  way.piece(7, 1200, octets[1200:], False)])
    way.wire.put([way.piece(8, 0, octets[:1200], True),
                  way.piece(8, 1192, bytes(8) + octets[1200:], False)])
    way.nothing_arrives()
    assert way.kernel_counts(*counter) >= before + 2
    way.works()


def test_S3_tiny_first_fragment(way):
    """With a UDP header it is whole, or not; with less of one it is none."""
    payload = random.randbytes(1000)
    octets = way.datagram(payload)
    way.wire.put([way.piece(9, 0, octets[:8], True), way.piece(9, 8, octets[8:], False)])
    way.arrives(payload)
    way.wire.put([way.piece(10, 0, octets[:4], True), way.piece(10, 8, octets[8:], False)])
    way.wire.put([way.piece(11, 0, b"", True), way.piece(11, 8, octets[8:], False)])
    way.nothing_arrives()
    way.works()


def test_S3_fragments_without_end_beginning_or_middle(way):
    for ident, left_out in ((12, 0), (13, 1), (14, -1)):
        pieces = way.pieces(ident, random.randbytes(5000))
        del pieces[left_out]
        way.wire.put(pieces)
    way.nothing_arrives()
    way.works()


def test_S3_fragments_longer_than_a_datagram(way):
    """The "ping of death"."""
    way.wire.put([way.piece(15, 0, way.datagram(bytes(1400))[:1400], True),
                  way.piece(15, 65528, bytes(1400), False)])
    way.nothing_arrives()
    way.works()


def test_S3_wrong_checksum_over_fragments(way):
    octets = bytearray(way.datagram(random.randbytes(2400)))
    octets[2000] ^= 1
    counter = "UdpInCsumErrors", "Udp6InCsumErrors"
    before = way.kernel_counts(*counter)
    way.wire.put([way.piece(16, 0, bytes(octets[:1400]), True),
                  way.piece(16, 1400, bytes(octets[1400:]), False)])
    way.nothing_arrives()
    assert way.kernel_counts(*counter) == before + 1
    way.works()


# Who has no flow

def test_U2_fragments_open_a_flow(pooled):
    """Their own first datagram is in fragments, its first one last."""
    with UdpServer(pooled, pooled.SERVER_V4, echoes=False) as server, \
            Wire(pooled, "host") as wire, nothing_passes_by(pooled), \
            udp_socket(pooled, "host", socket.AF_INET) as client:
        client.bind((pooled.HOST_V4, 0))
        way = Way(wire, client.getsockname(), (pooled.SERVER_V4, server.port), taken(server.got))
        payload = random.randbytes(5000)
        wire.put(reversed(way.pieces(20, payload)))
        way.arrives(payload)
        assert len(pooled.sessions("cpe", server.port)) == 1


@both_families
def test_S3_fragments_of_strangers_reach_nobody(pooled, family):
    """At a pool's address, from an address that a flow knows, and another port of it."""
    with nothing_passes_by(pooled), \
            way_of(pooled, server_address(pooled, family), "down") as way:
        before = pooled.counters("conc")
        for order in (list, reversed):
            ident = 21 if order is list else 22
            way.wire.put(order(way.pieces(ident, bytes(5000), port=way.source[1] ^ 1)))
        way.nothing_arrives()
        grown = pooled.since("conc", before)
        assert grown["udp_unsolicited"] == 2, grown
        assert grown["fragment_dropped"] == grown["fragment_early"] + 3 == 6
        way.works()


def test_S3_fragments_of_two_hosts_are_never_one_datagram(pooled):
    """The same identification, and each has what the other lacks."""
    with UdpServer(pooled, pooled.SERVER_V4, echoes=False) as server, Wire(pooled, "host") as wire:
        ways = [Way(wire, (f"192.168.1.{host}", 5000), (pooled.SERVER_V4, server.port),
                    taken(server.got)) for host in (3, 4)]
        wire.put(ways[0].pieces(23, b"x" * 2700)[:1] + ways[1].pieces(23, b"y" * 2700)[1:])
        ways[0].nothing_arrives()


# Where the policy looks at ports, which only the first fragment has

def test_W4_fragments_follow_the_policy_whichever_comes_first():
    rules = [{"match": {"protocol": "udp", "destination_port": 7001}, "action": "direct"},
             {"match": {"protocol": "udp", "destination_port": 7002}, "action": "drop"}]
    with running(cpe={"policy": rules}) as lab, Wire(lab, "host") as wire, \
            contextlib.ExitStack() as stack:
        idents = iter(range(1, 100))
        for port, sees in ((7000, lab.CONC_NET_V4), (7001, lab.HOST_V4), (7002, None)):
            server = stack.enter_context(UdpServer(lab, lab.SERVER_V4, port, echoes=False))
            way = Way(wire, (lab.HOST_V4, 6000), (lab.SERVER_V4, port), taken(server.got))
            for order in (list, reversed):
                payload = random.randbytes(5000)
                with Capture(lab, "conc", "w1") as link:
                    wire.put(order(way.pieces(next(idents), payload)))
                    if sees:
                        way.arrives(payload)
                        assert server.got[-1][1][0] == sees
                    else:
                        way.nothing_arrives()
                    by_itself = [packet for packet in link.packets()
                                 if packet.protocol == UDP_PROTOCOL]
                assert bool(by_itself) == (sees == lab.HOST_V4)
        # an identification comes round, and what it stood for is no more
        way = Way(wire, (lab.HOST_V4, 6000), (lab.SERVER_V4, 7001), None)
        wire.put(way.pieces(1, bytes(5000)))
        eventually(lambda: len(lab.sessions("cpe")) == 1)


# Never too much

def frag_memory(lab, node):
    """Octets that the kernel keeps of datagrams that are not whole, IPv4 and IPv6."""
    said = lab.run(node, ["cat", "/proc/net/sockstat", "/proc/net/sockstat6"]).stdout
    return sum(map(int, re.findall(r"FRAG6?: inuse \d+ memory (\d+)", said)))


def with_ident(frame, ident):
    """An IPv4 frame with another identification; scapy takes long to make many."""
    header = bytearray(frame[14:34])
    header[4:6], header[10:12] = ident.to_bytes(2, "big"), bytes(2)
    header[10:12] = checksum(bytes(header)).to_bytes(2, "big")
    return frame[:14] + bytes(header) + frame[34:]


@pytest.mark.parametrize("direction", ["up", "down"])
def test_S3_flood_of_datagrams_never_completed_costs_bounded_memory_for_a_time(direction):
    """500 first fragments only, and 1,500 later ones. The kernel keeps what it may of the former,
    plait 1,024 of the latter. When the kernel's time is over, all is as before."""
    with running() as lab, way_of(lab, lab.SERVER_V4, direction) as way:
        role = "cpe" if direction == "up" else "conc"
        high = 256 << 10
        lab.run(role, ["sysctl", "-qw", "net.ipv4.ipfrag_time=2", "net.ipv4.ipfrag_low_thresh=1",
                       f"net.ipv4.ipfrag_high_thresh={high}"])
        first, later = (way.wire.frame(way.piece(1, at, way.datagram(bytes(1392)), True))
                        for at in (0, 1400))
        way.wire.put(with_ident(first, ident) for ident in range(1, 501))
        assert high / 2 < frag_memory(lab, role) < 1.1 * high
        way.wire.put(with_ident(later, ident) for ident in range(10001, 11501))
        assert frag_memory(lab, role) < 1.1 * high
        way.nothing_arrives()
        eventually(lambda: frag_memory(lab, role) == 0, 8, "the kernel's giving up")
        assert way.kernel_counts("IpReasmTimeout", None) > 50
        way.works()
