# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""U1: UDP flows over the MPTCP stream (plain-mode-08 §5.1), U2: datagrams in fragments."""

import contextlib
import ipaddress
import json
import os
import random
import socket
import struct
import threading
import time

import pytest

from conftest import Later, PlaitLab, both_families, running, server_address
from netns import (Server, connect, echo, eventually, family_of, inside, read_exactly,
                   tcp_socket)
from test_bad_input import in_syn, is_reset, pm
from test_pools import pooled
from wire import MP_CAPABLE, MP_JOIN, SO_RCVBUFFORCE, Capture

PORT = 6824
UDP = socket.IPPROTO_UDP
UDP_SEGMENT = 103


def udp_socket(lab, node, family, seconds=5):
    with inside(lab, node):
        made = socket.socket(family, socket.SOCK_DGRAM)
    made.settimeout(seconds)
    return made


def towards(lab, address, port, node="host", seconds=5):
    client = udp_socket(lab, node, family_of(address), seconds)
    client.connect((address, port))
    return client


def is_silent(client, seconds=0.5):
    """Neither an answer nor an ICMP error."""
    client.settimeout(seconds)
    try:
        client.recv(1)
    except TimeoutError:
        return True
    return False


class UdpServer:
    """Remembers who sent what, and echoes it unless told otherwise."""

    def __init__(self, lab, address, port=0, echoes=True, node="server"):
        self.socket = udp_socket(lab, node, family_of(address))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
        self.socket.settimeout(None)
        self.socket.bind((address, port))
        self.address, self.port = address, self.socket.getsockname()[1]
        self.got = []  # (datagram, peer, time)
        self._echoes, self._ended = echoes, False
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended = True
        with contextlib.suppress(OSError):  # "not connected", but it wakes the thread
            self.socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self.socket.close()

    def _serve(self):
        while True:
            data, peer = self.socket.recvfrom(1 << 17)
            if self._ended:
                return
            self.got.append((data, peer[:2], time.monotonic()))
            if self._echoes:
                self.socket.sendto(data, peer)


@contextlib.contextmanager
def served(lab, address, **kwargs):
    with UdpServer(lab, address, **kwargs) as server, \
            towards(lab, address, server.port) as client:
        yield server, client


def send_paced(client, mbit, seconds, size=1000):
    """Each datagram begins with the time it was sent at. Returns when the last one was."""
    begun = time.monotonic()
    sent = 0
    while (now := time.monotonic()) < begun + seconds:
        while sent * size * 8 < (now - begun) * mbit * 1e6:
            client.send(struct.pack("!d", now) + bytes(size - 8))
            sent += 1
        time.sleep(0.001)
    return now


def flows(lab, role, port):
    return [session for session in lab.sessions(role, port) if session["protocol"] == "udp"]


# The way of a datagram

@both_families
@pytest.mark.parametrize("size", [0, 1, 1400, 1472, 9000, 65507])
def test_U1_datagram_of_any_length_arrives_whole_and_its_answer_too(bonded, family, size):
    data = random.Random(size).randbytes(size)
    with served(bonded, server_address(bonded, family)) as (server, client):
        for _ in range(3):
            client.send(data)
            assert client.recv(1 << 17) == data
        assert [got for got, _, _ in server.got] == [data] * 3
        flow, = flows(bonded, "cpe", server.port)
        assert flow["mptcp"] and flow["state"] == "established"
        assert len(flows(bonded, "conc", server.port)) == 1


def test_U1_first_datagram_is_in_the_syn(bonded):
    with Capture(bonded, "cpe", "w1") as link, served(bonded, bonded.SERVER_V4) as (server, client):
        client.send(b"question")
        assert client.recv(100) == b"question"
        syns = [syn for syn in link.syns(PORT) if syn.payload.endswith(b"question")]
        assert {syn.payload for syn in syns} == {
            bytes.fromhex("1e0ae011") + ipaddress.ip_address(bonded.SERVER_V4).packed
            + struct.pack("!H", server.port) + b"\0" + b"\0\x08question"}
        assert all(syn.mptcp == [MP_CAPABLE] for syn in syns)
        assert not any(syn.payload for syn in link.syns(PORT) if syn.mptcp == [MP_JOIN])


def test_U1_v6_preamble_has_the_source_too(bonded):
    with Capture(bonded, "cpe", "w1") as link, served(bonded, bonded.SERVER_V6) as (server, client):
        client.send(b"question")
        assert client.recv(100) == b"question"
        assert server.got[0][1] == (bonded.HOST_V6, client.getsockname()[1])
        payload = next(syn.payload for syn in link.syns(PORT) if syn.payload.endswith(b"question"))
        assert payload[:4] == bytes.fromhex("1e16e811")
        assert payload[22:26] == bytes.fromhex("1e16e011")


@both_families
def test_U1_order_and_boundaries_are_kept(bonded, family):
    rng = random.Random(7)
    sent = [struct.pack("!I", i) + rng.randbytes(rng.choice((0, 1, 40, 700, 1396, 3000)))
            for i in range(1500)]
    with served(bonded, server_address(bonded, family)) as (server, client):
        before = bonded.counters("cpe"), bonded.counters("conc")
        client.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
        for i, data in enumerate(sent):
            client.send(data)
            if i % 20 == 19:
                time.sleep(0.005)
        eventually(lambda: len(server.got) == len(sent), what="all of them")
        assert [got for got, _, _ in server.got] == sent
        assert [client.recv(1 << 16) for _ in sent] == sent
        for role, was in zip(("cpe", "conc"), before):
            grown = bonded.since(role, was)
            assert not {"udp_queue_full", "udp_send_failed"} & grown.keys(), grown


@both_families
@pytest.mark.parametrize("size", [1, 200, 1400])
def test_U1_burst_in_one_buffer_is_taken_apart_again(bonded, family, size):
    """As an interface with GRO hands it over, both ways; its last datagram is shorter."""
    burst = [random.Random(i).randbytes(size) for i in range(20)] + [b"x"] * (size > 1)
    together = [(UDP, UDP_SEGMENT, struct.pack("=H", size))]
    with served(bonded, server_address(bonded, family), echoes=False) as (server, client):
        for count in (1, 2):  # the first one begins the flow
            client.sendmsg([b"".join(burst)], together)
            eventually(lambda n=count: len(server.got) == n * len(burst),
                       what="the burst")
        assert [got for got, _, _ in server.got] == 2 * burst
        server.socket.sendmsg([b"".join(burst)], together, 0, server.got[0][1])
        assert [client.recv(1 << 16) for _ in burst] == burst


def test_U1_each_flow_has_a_leg_and_no_host_a_socket(bonded):
    with UdpServer(bonded, bonded.SERVER_V4) as server, contextlib.ExitStack() as stack:
        agent = bonded.agents["cpe"].process
        before = len(os.listdir(f"/proc/{agent.pid}/fd"))
        clients = [stack.enter_context(towards(bonded, bonded.SERVER_V4, server.port))
                   for _ in range(60)]
        for i, client in enumerate(clients):
            client.send(b"%d" % i)
        for i, client in enumerate(clients):
            assert client.recv(100) == b"%d" % i
        assert len(flows(bonded, "cpe", server.port)) == 60
        assert len(os.listdir(f"/proc/{agent.pid}/fd")) - before == 60


def test_U1_datagrams_go_over_both_links():
    with running(shape_mbit=[20, 20]) as lab, served(lab, lab.SERVER_V4, echoes=False) as \
            (server, client):
        ends = send_paced(client, mbit=32, seconds=3)
        recent = [when for _, _, when in server.got if ends - 1 < when < ends]
        assert len(recent) * 1000 * 8 > 27e6, "more than one link carries"
        flow, = flows(lab, "cpe", server.port)
        assert {subflow["link"] for subflow in flow["subflows"]} == {"dsl", "lte"}


def test_U1_link_fails_and_the_flow_goes_on():
    with running(weather_everywhere=True) as lab, served(lab, lab.SERVER_V4) as (_, client):
        client.send(b"before")
        assert client.recv(100) == b"before"
        eventually(lambda: len(lab.sessions("cpe")[0]["subflows"]) == 2, what="both subflows")
        lab.cut(1)
        client.send(b"after")
        assert client.recv(100) == b"after"


# What is bonded

RULES = [{"match": {"protocol": "udp", "destination_port": 7001}, "action": "direct"},
         {"match": {"protocol": "udp", "destination_port": 7002}, "action": "drop"},
         {"match": {"protocol": "tcp"}, "action": "drop"}]


def expect_ruled(lab):
    """A CPE with RULES bonds UDP to port 7000 and none other; in streams or datagram mode."""
    seen_from = {7000: lab.CONC_NET_V4, 7001: lab.HOST_V4, 7002: None}
    for port, source in seen_from.items():
        with UdpServer(lab, lab.SERVER_V4, port) as server, \
                towards(lab, lab.SERVER_V4, port) as client:
            client.send(b"x")
            if source:
                assert client.recv(10) == b"x"
                assert server.got[0][1][0] == source
            else:
                assert is_silent(client) and not server.got


def test_W4_udp_follows_the_policy():
    with running(cpe={"policy": RULES}) as lab:
        expect_ruled(lab)
        assert [flow["remote"] for flow in lab.sessions("cpe")] == [f"{lab.SERVER_V4}:7000"]


def test_W4_udp_is_left_to_the_kernel_where_it_is_not_bonded():
    with running(cpe={"udp": "off"}) as lab, served(lab, lab.SERVER_V4) as (server, client):
        client.send(bytes(3000))
        assert client.recv(5000) == bytes(3000)
        assert server.got[0][1][0] == lab.HOST_V4 and not lab.sessions("cpe")


@pytest.mark.parametrize("udp", ["off", "datagram"])
def test_U1_concentrator_that_takes_no_streams_refuses(udp):
    with PlaitLab() as lab:
        lab.plaitd("conc", {"udp": udp})
        with in_syn(lab, pm(lab.SERVER_V4, 7000, UDP) + b"\0\0\1x") as client:
            assert is_reset(client)
        assert lab.counters("conc")["pm_protocol"] == 1


# Queues

def test_U1_full_queue_drops_the_newest_and_delays_no_longer():
    """8 Mbit/s into 2 + 2: what arrives is in order and hardly older than udp_queue."""
    with running(cpe={"udp_queue": "200ms"}, shape_mbit=[2, 2]) as lab, \
            served(lab, lab.SERVER_V4, echoes=False) as (server, client):
        ends = send_paced(client, mbit=8, seconds=4)
        eventually(lambda: server.got[-1][2] < time.monotonic() - 1, what="the end")
        sent = [struct.unpack_from("!d", data)[0] for data, _, _ in server.got]
        delays = sorted(when - begun for (_, _, when), begun in zip(server.got, sent)
                        if begun > ends - 2.5)
        assert sent == sorted(sent)
        assert delays[-1] < 0.8 and delays[len(delays) // 2] < 0.5, delays[-1]
        assert lab.counters("cpe")["udp_queue_full"] > 100
        assert len(delays) * 1000 * 8 / 2.5 > 2.5e6, "and the links were used"


# The concentrator's internet side

def test_U1_datagrams_nobody_waits_for_are_dropped_silently():
    with pooled([{"prefix": "203.0.113.64/32"}]) as lab:
        before = lab.counters("conc")
        with towards(lab, "203.0.113.64", 40000, "server") as stranger:
            stranger.send(b"hello?")
            assert is_silent(stranger)
        assert lab.since("conc", before)["udp_unsolicited"] == 1


def test_U1_only_the_remote_of_a_flow_reaches_the_host():
    with pooled([{"prefix": "203.0.113.64/32"}]) as lab, \
            served(lab, lab.SERVER_V4) as (server, client):
        client.send(b"x")
        assert client.recv(10) == b"x"
        external = server.got[0][1]
        assert external[0] == "203.0.113.64"
        with towards(lab, *external, node="server") as stranger:
            stranger.send(b"not asked for")
            assert is_silent(stranger) and is_silent(client)


def test_T2_udp_mapping_is_endpoint_independent_and_its_port_rests():
    """RFC 6888 REQ-8: nobody else gets it for 120 s."""
    told = {"preserve_source": {"ipv4": True, "ipv6": False}}
    with pooled([{"prefix": "203.0.113.64/28"}], cpe=told, **told) as lab, \
            UdpServer(lab, lab.SERVER_V4) as one, UdpServer(lab, lab.SERVER_V4) as other:
        with udp_socket(lab, "host", socket.AF_INET) as client:
            for server in (one, other):
                client.sendto(b"x", (lab.SERVER_V4, server.port))
                assert client.recvfrom(10) == (b"x", (lab.SERVER_V4, server.port))
            assert one.got[0][1] == other.got[0][1]
            lab.plaitctl("cpe", "close", "--all")
            lab.wait_ended(one.port)
            lab.wait_ended(other.port)
            entry, = json.loads(lab.plaitctl("conc", "bindings", "--json").stdout)["bindings"]
            assert (entry["protocol"], entry["state"], entry["sessions"]) == ("udp", "resting", 0)
            client.sendto(b"y", (lab.SERVER_V4, one.port))
            assert client.recv(10) == b"y"
            assert one.got[1][1] == one.got[0][1], "but who had it"


# From the internet (T3)

EXTERNAL, INCOMING = "203.0.113.65", 5300
TWO_WAYS = [{"name": "home-1", "sources": ["10.1.0.2", "10.2.0.2"]}]


@contextlib.contextmanager
def let_in(protocols=("udp",)):
    conc = [{"external": f"{EXTERNAL}:{INCOMING}", "inside": f"10.1.0.2:{INCOMING}",
             "protocol": protocol} for protocol in protocols]
    cpe = [{"port": INCOMING, "inside": "192.168.1.2:53", "protocol": protocol}
           for protocol in protocols]
    with pooled([{"prefix": "203.0.113.64/28"}], cpe={"bindings": cpe}, bindings=conc,
                subscribers=TWO_WAYS) as lab:
        yield lab


def test_T3_datagrams_to_a_binding_reach_the_host_and_its_answers_the_sender():
    with let_in() as lab, UdpServer(lab, lab.HOST_V4, 53, node="host") as host, \
            towards(lab, EXTERNAL, INCOMING, "server") as one, \
            towards(lab, EXTERNAL, INCOMING, "server") as other:
        for size in (5, 0, 1400, 9000):
            for client in (one, other):
                data = bytes([client is one]) * size
                client.send(data)
                assert client.recv(1 << 16) == data
        assert {peer for _, peer, _ in host.got} == {
            (lab.SERVER_V4, client.getsockname()[1]) for client in (one, other)}
        assert len(lab.sessions("conc")) == len(lab.sessions("cpe")) == 2
        eventually(lambda: all(len(session["subflows"]) == 2 for session in lab.sessions("conc")),
                   what="subflows over both links")
        # the host asks back, from the same port
        host.socket.sendto(b"and you?", (lab.SERVER_V4, one.getsockname()[1]))
        assert one.recv(100) == b"and you?"


def test_T3_customer_reaches_another_by_its_external_address_by_udp():
    """Hairpinning (RFC 4787 REQ-9a): the other sees an external address and port."""
    with let_in() as lab, UdpServer(lab, lab.HOST_V4, 53, node="host") as host, \
            towards(lab, EXTERNAL, INCOMING) as client:
        for data in (b"hairpin", b"again"):
            client.send(data)
            assert client.recv(100) == data
        (address, port), = {peer for _, peer, _ in host.got}
        assert address == EXTERNAL and port != client.getsockname()[1]


def test_T3_binding_for_udp_is_none_for_tcp_and_both_may_be():
    with let_in() as lab, UdpServer(lab, lab.HOST_V4, 53, node="host"), \
            tcp_socket(lab, "server", socket.AF_INET, timeout=1) as client:
        with pytest.raises(TimeoutError):
            client.connect((EXTERNAL, INCOMING))
    with let_in(("tcp", "udp")) as lab, UdpServer(lab, lab.HOST_V4, 53, node="host"), \
            Server(lab, "host", lab.HOST_V4, echo, 53), \
            towards(lab, EXTERNAL, INCOMING, "server") as datagrams, \
            connect(lab, "server", EXTERNAL, INCOMING) as stream:
        datagrams.send(b"a")
        stream.sendall(b"b")
        assert datagrams.recv(10) == b"a" and read_exactly(stream, 1) == b"b"


def test_T3_udp_is_bound_and_unbound_at_run_time():
    with pooled([{"prefix": "203.0.113.64/28"}]) as lab, \
            UdpServer(lab, lab.HOST_V4, 53, node="host"):
        lab.plaitctl("conc", "bind", f"{EXTERNAL}:{INCOMING}", f"10.1.0.2:{INCOMING}",
                     "--protocol", "udp")
        lab.plaitctl("cpe", "bind", str(INCOMING), "192.168.1.2:53", "--protocol", "udp")
        with towards(lab, EXTERNAL, INCOMING, "server") as client:
            client.send(b"x")
            assert client.recv(10) == b"x"
            lab.plaitctl("conc", "unbind", f"{EXTERNAL}:{INCOMING}", "--protocol", "udp")
            client.send(b"goes on")
            assert client.recv(10) == b"goes on"
        with towards(lab, EXTERNAL, INCOMING, "server") as client:
            client.send(b"too late")
            assert is_silent(client)


# Expiry

def expect_expiry(lab, server, link):
    """In two seconds from now, and not at once."""
    assert len(flows(lab, "cpe", server.port)) == len(flows(lab, "conc", server.port)) == 1
    lab.wait_ended(server.port, 10)
    assert lab.counters("cpe")["expired"] + lab.counters("conc")["expired"] >= 1
    fastclose = 7  # RFC 8684 §3.5
    assert any(option[0] >> 4 == fastclose for packet in link.tcp(PORT)
               for kind, option in packet.options if kind == 30 and option)


@pytest.fixture(scope="session", name="idle_flow")
def _idle_flow():
    """A flow that is silent from this module's first test on."""
    short = {"lifetimes": {"udp": "120s"}}
    with running(cpe=short, conc=short) as lab, served(lab, lab.SERVER_V4) as (server, client), \
            Capture(lab, "cpe", "w1") as link:
        client.send(b"x")
        assert client.recv(10) == b"x"
        with Later(118, lambda: expect_expiry(lab, server, link)) as expiry:
            yield expiry


@pytest.fixture(autouse=True)
def _idle_meanwhile(idle_flow):
    return idle_flow


# Bad input, at the concentrator

@pytest.fixture(scope="module")
def conc():
    with PlaitLab() as lab:
        lab.plaitd("conc")
        lab.run("cpe", ["sysctl", "-qw", "net.ipv4.tcp_fastopen=3"])
        yield lab
        assert lab.agents["conc"].process.poll() is None, lab.log("conc")


def record(data):
    return struct.pack("!H", len(data)) + data


@contextlib.contextmanager
def leg(lab, port, first=b""):
    with in_syn(lab, pm(lab.SERVER_V4, port, UDP) + b"\0" + first) as client:
        yield client


def got(server, count):
    eventually(lambda: len(server.got) >= count, what="datagrams")
    return [data for data, _, _ in server.got]


def test_U1_records_in_one_octet_pieces(conc):
    datagrams = [b"", b"a", bytes(range(200)), b"last"]
    with UdpServer(conc, conc.SERVER_V4) as server, leg(conc, server.port) as client:
        for octet in b"".join(map(record, datagrams)):
            client.sendall(bytes([octet]))
        assert got(server, 4) == datagrams
        assert read_exactly(client, 2) == b"\0\0"
        assert read_exactly(client, 3) == record(b"a")


@pytest.mark.parametrize("seed", range(3))
def test_U1_records_in_pieces_of_any_length(conc, seed):
    rng = random.Random(seed)
    datagrams = [rng.randbytes(rng.choice((0, 1, 2, 300, 1400, 9000, 65507))) for _ in range(60)]
    stream = b"".join(map(record, datagrams))
    with UdpServer(conc, conc.SERVER_V4, echoes=False) as server, \
            leg(conc, server.port) as client:
        while stream:
            size = rng.choice((1, 2, 3, 1000, 5000, 65536, 100000))
            client.sendall(stream[:size])
            stream = stream[size:]
            time.sleep(0.001)
        assert got(server, 60) == datagrams


def test_U1_many_records_in_one_segment(conc):
    datagrams = [b"%d" % i for i in range(200)]
    with UdpServer(conc, conc.SERVER_V4) as server, \
            leg(conc, server.port, b"".join(map(record, datagrams[:50]))) as client:
        client.sendall(b"".join(map(record, datagrams[50:])))
        assert got(server, 200) == datagrams


def test_U1_record_too_long_for_udp_is_dropped_and_the_next_one_is_not(conc):
    before = conc.counters("conc")
    with UdpServer(conc, conc.SERVER_V4) as server, leg(conc, server.port) as client:
        client.sendall(record(bytes(65535)) + record(b"next"))
        assert got(server, 1) == [b"next"]
        assert conc.since("conc", before)["udp_send_failed"] == 1


def test_U1_record_cut_by_the_end(conc):
    before = conc.counters("conc")
    with UdpServer(conc, conc.SERVER_V4) as server, leg(conc, server.port, record(b"whole")) as client:
        client.sendall(struct.pack("!H", 100) + b"half")
        assert got(server, 1) == [b"whole"]
        client.shutdown(socket.SHUT_WR)
        eventually(lambda: "udp_record_cut" in conc.since("conc", before), what="counting")
    eventually(lambda: not conc.sessions("conc"), what="the end")
    assert len(server.got) == 1


def test_U1_port_nobody_listens_on_ends_nothing(conc):
    with leg(conc, 9, record(b"x")) as client:
        time.sleep(0.2)  # for the ICMP error
        client.sendall(record(b"y"))
        eventually(lambda: conc.sessions("conc", 9)[0]["up"]["packets"] == 2, what="both")


# At the CPE

def test_plaitctl_shows_and_closes_flows(bonded):
    with served(bonded, bonded.SERVER_V4) as (server, client):
        client.send(b"x")
        assert client.recv(10) == b"x"
        flow, = flows(bonded, "cpe", server.port)
        assert flow["inside"] == f"{bonded.HOST_V4}:{client.getsockname()[1]}"
        closed = json.loads(bonded.plaitctl("cpe", "close", "--remote",
                                            f"{bonded.SERVER_V4}:{server.port}", "--json").stdout)
        assert closed["closed"] == 1
        bonded.wait_ended(server.port)
        client.send(b"anew")
        assert client.recv(10) == b"anew"


@pytest.mark.late
def test_B2_idle_flow_ends_after_two_minutes_by_fastclose(idle_flow):
    idle_flow.result()
