# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""W1, S1, T2: what a concentrator refuses. Nothing of it reaches the internet side, and each
refusal is counted under its own reason. The client is in the CPE's namespace, without plaitd."""

import contextlib
import ipaddress
import os
import socket
import struct
import time

import pytest

from conftest import PlaitLab
from netns import (MSG_FASTOPEN, Server, connect, echo, error_of, eventually, inside,
                   mptcp_socket, read_exactly, tcp_socket)
from wire import RST, SYN, Capture

CONC_V4, CONC_V6, PORT = "10.1.0.1", "fd10:1::1", PlaitLab.PORT
TCP, UDP = 6, 17


def pm(address, port=80, protocol=TCP, is_source=False, subtype=0xe):
    """A PM option by hand, plain-mode-08 §4.1."""
    octets = ipaddress.ip_address(address).packed
    tail = octets + (struct.pack("!H", port) if port is not None else b"")
    return bytes([30, 4 + len(tail), subtype << 4 | (8 if is_source else 0), protocol]) + tail


@pytest.fixture(scope="module")
def conc():
    """A lab with a concentrator only; of link 2 its addresses of clients are not allowed."""
    with PlaitLab() as lab:
        lab.plaitd("conc", {"customer": {"allow": ["10.1.0.0/24", "fd10:1::/64"]}})
        lab.run("cpe", ["sysctl", "-qw", "net.ipv4.tcp_fastopen=3"])
        yield lab
        assert lab.agents["conc"].process.poll() is None, lab.log("conc")


@contextlib.contextmanager
def refused(lab, reason, at_least=1):
    """Whatever happens meanwhile is counted under `reason` and nothing goes to the internet."""
    before = lab.counters("conc")
    with Capture(lab, "conc", "net0") as net:
        yield
        grown = eventually(lambda: (now := lab.since("conc", before)).get(reason, 0) >= at_least
                           and now, 8, f"counting {reason}")
        ours = [packet for packet in net.packets()
                if packet.protocol in (socket.IPPROTO_TCP, UDP)]
        assert not ours, ours
    assert "established" not in grown, grown
    refusals = {"plain_tcp_refused", "join_with_payload", "source_not_allowed", "syn_checksum",
                "syn_malformed", "pm_malformed", "pm_forbidden", "pm_own_address", "pm_protocol",
                "preamble_timeout", "preamble_cut"}
    assert refusals & grown.keys() == {reason}, grown
    eventually(lambda: not lab.sessions("conc"), what="no session left")


def in_syn(lab, preamble, to=CONC_V4, source=None):
    """An MPTCP connection with `preamble` in its SYN."""
    client = mptcp_socket(lab, "cpe", socket.AF_INET6 if ":" in to else socket.AF_INET)
    try:
        if source:
            client.bind((source, 0))
        client.sendto(preamble, MSG_FASTOPEN, (to, PORT))
    except BaseException:
        client.close()
        raise
    return client


def on_stream(lab, to=CONC_V4):
    """An MPTCP connection without payload in its SYN."""
    client = mptcp_socket(lab, "cpe", socket.AF_INET6 if ":" in to else socket.AF_INET)
    client.connect((to, PORT))
    return client


def is_reset(client):
    """The connection ends by RST or is refused."""
    try:
        return error_of(client) != 0
    finally:
        client.close()


MALFORMED = {
    "length 9": bytes([30, 9, 0xe0, TCP, 203, 0, 113, 2, 0]) + b"\0" * 4,
    "length 0": bytes([30, 0, 0xe0, TCP]) + b"\0" * 8,
    "length 2": bytes([30, 2]) + b"\0" * 8,
    "length 11": bytes([30, 11, 0xe0, TCP, 203, 0, 113, 2, 0, 80, 0]) + b"\0",
    "length 255": bytes([30, 255, 0xe0, TCP, 203, 0, 113, 2, 0, 80]) + b"\0" * 300,
    "unknown sub-type only": pm("203.0.113.2", subtype=0xa) + b"\0",
    "other kind": bytes([99, 10]) + pm("203.0.113.2")[2:] + b"\0",
    "EOL only": b"\0",
    "NOPs only": b"\1" * 300,
    "source only": pm("203.0.113.2", is_source=True) + b"\0",
    "two destinations": pm("203.0.113.2") * 2 + b"\0",
    "two families": pm("2001:db8::1", 9, is_source=True) + pm("203.0.113.2") + b"\0",
    "port 0": pm("203.0.113.2", 0) + b"\0",
    "HTTP": b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x55" * 300,
}

FORBIDDEN = ["127.0.0.1", "127.1.2.3", "0.0.0.0", "0.1.2.3", "224.0.0.1", "239.255.255.250",
             "255.255.255.255", "::", "::1", "ff02::1", "ff0e::1", "::ffff:127.0.0.1",
             "::ffff:224.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::e000:1"]

OWN = ["10.1.0.1", "10.2.0.1", "203.0.113.1", "fd10:1::1", "2001:db8:f::1"]


@pytest.mark.parametrize("preamble", MALFORMED.values(), ids=MALFORMED.keys())
def test_W1_malformed_preamble_in_the_syn(conc, preamble):
    with refused(conc, "pm_malformed"):
        assert is_reset(in_syn(conc, preamble))


@pytest.mark.parametrize("preamble", MALFORMED.values(), ids=MALFORMED.keys())
def test_W1_malformed_preamble_on_the_stream(conc, preamble):
    with refused(conc, "pm_malformed"):
        client = on_stream(conc)
        client.sendall(preamble)
        assert is_reset(client)


@pytest.mark.parametrize("address", FORBIDDEN)
@pytest.mark.parametrize("where", ["syn", "stream"])
def test_W1_forbidden_destination(conc, address, where):
    with refused(conc, "pm_forbidden"):
        if where == "syn":
            client = in_syn(conc, pm(address) + b"\0")
        else:
            client = on_stream(conc)
            client.sendall(pm(address) + b"\0")
        assert is_reset(client)


@pytest.mark.parametrize("address", ["::1", "ff02::1", "::"])
def test_W1_forbidden_source(conc, address):
    """Only looked at where the source is preserved, which is IPv6 by default."""
    with refused(conc, "pm_forbidden"):
        assert is_reset(in_syn(conc, pm(address, 4000, is_source=True)
                               + pm(conc.SERVER_V6) + b"\0"))


@pytest.mark.parametrize("address", OWN)
def test_W1_concentrators_own_address(conc, address):
    with refused(conc, "pm_own_address"):
        assert is_reset(in_syn(conc, pm(address, 22) + b"\0"))


def test_W1_own_address_as_source(conc):
    with refused(conc, "pm_own_address"):
        assert is_reset(in_syn(conc, pm(conc.CONC_NET_V6, 4000, is_source=True)
                               + pm(conc.SERVER_V6) + b"\0"))


@pytest.mark.parametrize("protocol", [0, 1, 132, 255])
def test_W1_other_protocol(conc, protocol):
    with refused(conc, "pm_protocol"):
        assert is_reset(in_syn(conc, pm(conc.SERVER_V4, protocol=protocol) + b"\0"))


@pytest.mark.parametrize("to", [CONC_V4, CONC_V6])
def test_S1_plain_tcp_client(conc, to):
    with refused(conc, "plain_tcp_refused"):
        with pytest.raises(ConnectionRefusedError):
            connect(conc, "cpe", to, PORT)


def test_S1_plain_tcp_client_with_a_valid_preamble_in_its_syn(conc):
    with refused(conc, "plain_tcp_refused"):
        with inside(conc, "cpe"):
            client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        client.settimeout(5)
        client.setsockopt(socket.IPPROTO_TCP, 34, 1)
        with client, pytest.raises(ConnectionRefusedError):
            client.sendto(pm(conc.SERVER_V4) + b"\0", MSG_FASTOPEN, (CONC_V4, PORT))
            client.recv(1)


@pytest.mark.parametrize("to,source", [("10.2.0.1", "10.2.0.2"), ("fd10:2::1", "fd10:2::2")])
@pytest.mark.parametrize("where", ["syn", "stream"])
def test_S1_source_that_is_not_allowed(conc, to, source, where):
    """Strangers are not answered."""
    with refused(conc, "source_not_allowed"), Capture(conc, "cpe", "w2") as link:
        client = mptcp_socket(conc, "cpe", socket.AF_INET6 if ":" in to else socket.AF_INET, 0.7)
        with client, pytest.raises(socket.timeout):
            client.bind((source, 0))
            if where == "syn":
                client.sendto(pm(conc.SERVER_V4) + b"\0", MSG_FASTOPEN, (to, PORT))
                client.recv(1)
            else:
                client.connect((to, PORT))
        assert not [packet for packet in link.tcp(PORT) if not packet.outgoing]
        assert not conc.sessions("conc")


@pytest.mark.parametrize("to", ["10.1.0.1", "fd10:1::1"])
def test_S1_nobody_connects_from_the_internet_side(to):
    with PlaitLab() as lab:
        lab.plaitd("conc", {"customer": {"allow": ["0.0.0.0/0", "::/0"]}})
        before = lab.counters("conc")
        family = socket.AF_INET6 if ":" in to else socket.AF_INET
        for make in (mptcp_socket, tcp_socket):
            with make(lab, "server", family, timeout=0.5) as client:
                with pytest.raises(socket.timeout):
                    client.connect((to, PORT))
        assert lab.since("conc", before)["source_not_allowed"] >= 2
        with mptcp_socket(lab, "cpe", family) as client:
            client.connect((to, PORT))  # customers may


# SYNs by scapy: what no socket would send

@contextlib.contextmanager
def endpoint_announced(lab, address):
    """By every MPTCP connection of the CPE's."""
    lab.run("cpe", ["ip", "mptcp", "endpoint", "add", address, "id", "77", "signal"])
    try:
        yield
    finally:
        lab.run("cpe", ["ip", "mptcp", "endpoint", "del", "id", "77"])


def send_syn(lab, payload, mptcp_option, checksum=None, source="10.1.0.2"):
    """One SYN out of the CPE's link 1; returns its source port."""
    from scapy.layers.inet import IP, TCP as Tcp  # pylint: disable=import-outside-toplevel
    port = 20000 + time.monotonic_ns() // 1000 % 30000
    options = [("MSS", 1460)] + ([(30, mptcp_option)] if mptcp_option else [])
    packet = IP(src=source, dst=CONC_V4) / Tcp(sport=port, dport=PORT, flags="S", seq=1000,
                                               options=options, chksum=checksum) / payload
    with inside(lab, "cpe"):
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    with raw:
        raw.sendto(bytes(packet), (CONC_V4, 0))
    return port


CAPABLE = bytes([0x01, 0x01])			# version 1, HMAC-SHA256
JOIN = bytes([0x10, 1]) + bytes(8)		# address id 1, token and nonce 0


def answers(capture, port):
    return [packet for packet in capture.tcp(port) if not packet.outgoing]


def test_W2_join_with_a_preamble(conc):
    with refused(conc, "join_with_payload"), Capture(conc, "cpe", "w1") as link:
        port = send_syn(conc, pm(conc.SERVER_V4) + b"\0", JOIN)
        eventually(lambda: link.syns(port), what="the SYN")
        assert not answers(link, port)


@pytest.mark.parametrize("announced, toward", [("203.0.113.2", "net0"), ("10.2.0.2", "w2")])
def test_S1_announced_address_that_is_not_allowed_is_not_joined(conc, announced, toward):
    """ADD_ADDR makes a kernel connect: not to what is no CPE."""
    before = conc.counters("conc")
    with Server(conc, "server", conc.SERVER_V4, echo) as server, \
            Capture(conc, "conc", toward) as capture, endpoint_announced(conc, announced), \
            in_syn(conc, pm(conc.SERVER_V4, server.port) + b"\0") as client:
        client.sendall(b"on")
        assert read_exactly(client, 2) == b"on"
        eventually(lambda: conc.since("conc", before).get("join_not_allowed"), what="counting")
        assert not [packet for packet in capture.tcp(PORT) if packet.flags & SYN]
        client.sendall(b"and on")
        assert read_exactly(client, 6) == b"and on"


def test_W1_syn_with_a_wrong_checksum(conc):
    with refused(conc, "syn_checksum"), Capture(conc, "cpe", "w1") as link:
        port = send_syn(conc, pm(conc.SERVER_V4) + b"\0", CAPABLE, checksum=0x1234)
        eventually(lambda: conc.counters("conc")["syn_checksum"], what="counting")
        assert not answers(link, port)


def test_W1_malformed_syn_by_hand_is_answered_by_rst(conc):
    with refused(conc, "pm_malformed"), Capture(conc, "cpe", "w1") as link:
        port = send_syn(conc, b"garbage", CAPABLE)
        answer = eventually(lambda: answers(link, port), what="an answer")[0]
        assert answer.flags & RST and answer.ack == 1000 + 1 + len(b"garbage")


# Preambles that come piece by piece

def test_W1_preamble_in_one_byte_pieces_works(conc):
    preamble = pm(conc.SERVER_V4, 7200) + b"\0"
    with Server(conc, "server", conc.SERVER_V4, echo, port=7200):
        for first in (0, 1, 5, len(preamble) - 1):
            client = in_syn(conc, preamble[:first]) if first else on_stream(conc)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with client:
                for octet in preamble[first:] + b"hello":
                    client.sendall(bytes([octet]))
                    time.sleep(0.005)  # so that each octet is a segment
                assert read_exactly(client, 5) == b"hello", first


def test_W2_data_after_the_preamble_arrives_once(conc):
    preamble = pm(conc.SERVER_V4, 7201) + b"\0"
    with Server(conc, "server", conc.SERVER_V4) as server:
        preamble = pm(conc.SERVER_V4, server.port) + b"\0"
        with in_syn(conc, preamble + b"early") as client:
            client.sendall(b"late")
            client.shutdown(socket.SHUT_WR)
            with server.take() as got:
                assert read_exactly(got, 9) == b"earlylate"
                assert got.recv(1) == b""


@pytest.mark.parametrize("first", ["syn", "stream"])
def test_W1_half_a_preamble_is_timed_out(conc, first):
    half = pm(conc.SERVER_V4)[:6]
    with refused(conc, "preamble_timeout"):
        client = in_syn(conc, half) if first == "syn" else on_stream(conc)
        if first == "stream":
            client.sendall(half)
        begun = time.monotonic()
        error = error_of(client, 7)
        client.close()
        assert error and 3 < time.monotonic() - begun < 6


def test_W1_no_preamble_at_all_is_timed_out(conc):
    with refused(conc, "preamble_timeout"):
        with on_stream(conc) as client:
            assert error_of(client, 7)


def test_W1_preamble_cut_by_fin(conc):
    with refused(conc, "preamble_cut"):
        with in_syn(conc, pm(conc.SERVER_V4)[:6]) as client:
            client.shutdown(socket.SHUT_WR)
            assert error_of(client, 3)


def test_W1_unknown_flags_and_options_are_ignored(conc):
    with Server(conc, "server", conc.SERVER_V4, echo) as server:
        option = bytearray(pm(conc.SERVER_V4, server.port))
        option[2] |= 0x07
        with in_syn(conc, b"\1" + bytes([30, 5, 0xa0, 1, 2]) + bytes(option) + b"\0hi") as client:
            assert read_exactly(client, 2) == b"hi"


def test_T1_destination_without_port_takes_the_syns_own(conc):
    """The port was left as it was (plain-mode-08 §4.4.1)."""
    with Server(conc, "server", conc.SERVER_V4, echo, port=PORT), \
            in_syn(conc, pm(conc.SERVER_V4, None) + b"\0hi") as client:
        assert read_exactly(client, 2) == b"hi"


# More than there is room for

def echoes(client, octets):
    """Whether all of it came back; False if the connection was refused."""
    try:
        client.sendall(octets)
        return read_exactly(client, len(octets)) == octets
    except ConnectionRefusedError:
        return False


def test_T2_pool_that_is_exhausted_in_mid_burst():
    """Fifty subscribers at once, and a pool of 32 blocks of ports."""
    sources = [f"10.1.0.{number}" for number in range(10, 60)]
    pool = {"interfaces": ["net0"], "port_block": 2016, "pools": [{"prefix": "203.0.113.64/32"}]}
    with PlaitLab() as lab, contextlib.ExitStack() as stack:
        lab.plaitd("conc", {"internet": pool})
        lab.run("cpe", ["sysctl", "-qw", "net.ipv4.tcp_fastopen=3"])
        lab.run("cpe", ["ip", "-batch", "-"],
                input="".join(f"addr add {source}/24 dev w1\n" for source in sources))
        server = stack.enter_context(Server(lab, "server", lab.SERVER_V4, echo))
        preamble = pm(lab.SERVER_V4, server.port) + b"\0"

        def begin(source):
            return stack.enter_context(in_syn(lab, preamble, source=source))

        neighbour = begin(sources[0])
        assert echoes(neighbour, b"first")
        before = lab.counters("conc")
        burst = {source: begin(source) for source in sources[1:]}
        served = {source: client for source, client in burst.items()
                  if echoes(client, os.urandom(1 << 16))}
        assert len(served) == 31
        grown = lab.since("conc", before)
        assert (grown["pool_exhausted"], grown["established"]) == (18, 31), grown
        assert server.count == 32
        late = begin(sources[0])  # who has a block
        assert all(echoes(client, os.urandom(1 << 16))
                   for client in (neighbour, late, *served.values()))
        refused_one = next(source for source in burst if source not in served)
        assert not echoes(begin(refused_one), b"still full")
        served.popitem()[1].close()
        eventually(lambda: len(lab.sessions("conc")) == 32, what="one session's end")
        assert echoes(begin(refused_one), b"room again")
