# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""T2: external addresses and ports come from pools; B1: bindings; S1: limits of subscribers."""

import contextlib
import ipaddress
import json
import socket
import subprocess
import threading

import pytest

from conftest import PlaitLab, both_families
from netns import Server, connect, eventually, family_of, read_exactly, reset, tcp_socket

POOL = {"v4": "203.0.113.64/28", "v6": "2001:db8:77::/120"}
HELD = ("203.0.113.64/29", "203.0.113.96/30")


def routed(lab, *prefixes):
    """The server's way to pools that are none of its own network's."""
    for prefix in prefixes:
        if ":" in prefix:
            lab.run("server", ["ip", "-6", "route", "add", prefix, "via", lab.CONC_NET_V6])


@contextlib.contextmanager
def pooled(pools, cpe=None, internet=None, **conc):
    with PlaitLab(weather_everywhere=True) as lab:
        routed(lab, *(pool["prefix"] for pool in pools))
        config = lab.plait_config("conc")["internet"] | {"pools": pools} | (internet or {})
        lab.conc_config = {"internet": config} | conc
        lab.plaitd("conc", lab.conc_config)
        lab.plaitd("cpe", {"preserve_source": {"ipv6": False}} | (cpe or {}))
        yield lab


class Listener:
    """A server that remembers who came, and echoes."""

    def __init__(self, lab, address):
        self.peers = []
        self._lock = threading.Lock()
        self._server = Server(lab, "server", address, self._serve)

    def _serve(self, connection):
        with self._lock:
            self.peers.append(connection.getpeername()[:2])
        while data := connection.recv(1 << 16):
            connection.sendall(data)

    def __enter__(self):
        self.port = self._server.__enter__().port
        return self

    def __exit__(self, *exc):
        return self._server.__exit__(*exc)


def ask(client):
    client.sendall(b"x")
    assert read_exactly(client, 1) == b"x"


def begin(lab, listener, address, source=None):
    """A connection that stays open, and what it looks like at the server."""
    known = len(listener.peers)
    client = connect(lab, "host", address, listener.port, source=source)
    ask(client)
    eventually(lambda: len(listener.peers) > known)
    return client, listener.peers[-1]


def bindings(lab):
    """The pinned map as bpftool prints it."""
    path = f"/sys/fs/bpf/plait/{lab.agent_name('conc')}/bindings"
    dumped = subprocess.run(["bpftool", "-j", "map", "dump", "pinned", path], check=True,
                            capture_output=True, text=True).stdout
    return [entry["formatted"] for entry in json.loads(dumped)]


def text_of(addr):
    size = 4 if addr["family"] == 2 else 16
    return str(ipaddress.ip_address(bytes(addr["ip"][:size])))


@both_families
def test_T2_connections_leave_from_the_pool_with_a_block_of_ports(family):
    address = {"v4": "203.0.113.2", "v6": "2001:db8:f::2"}[family]
    with pooled([{"prefix": POOL[family]}], internet={"port_block": 64}) as lab, \
            Listener(lab, address) as listener, contextlib.ExitStack() as stack:
        for _ in range(40):
            client, _ = begin(lab, listener, address)
            stack.enter_context(client)
        addresses = {peer[0] for peer in listener.peers}
        ports = [peer[1] for peer in listener.peers]
        assert len(addresses) == 1
        assert ipaddress.ip_address(addresses.pop()) in ipaddress.ip_network(POOL[family])
        assert len(set(ports)) == 40 and min(ports) >= 1024
        assert len({(port - 1024) // 64 for port in ports}) == 1
        assert ports != sorted(ports), "at random within the block"
        assert {entry["key"]["protocol"] for entry in bindings(lab)} == {6}
        assert {text_of(entry["value"]["subscriber"]) for entry in bindings(lab)} <= {
            "10.1.0.2", "fd10:1::2"}


@both_families
def test_B1_binding_goes_with_its_last_session_and_the_map_shows_it(family):
    address = {"v4": "203.0.113.2", "v6": "2001:db8:f::2"}[family]
    with pooled([{"prefix": POOL[family]}]) as lab, Listener(lab, address) as listener:
        client, peer = begin(lab, listener, address)
        entry, = bindings(lab)
        external = entry["key"]["external"]
        assert (text_of(external), int.from_bytes(
            external["port"].to_bytes(2, "little"), "big")) == peer
        client.close()
        eventually(lambda: not bindings(lab), what="the binding's end")


def test_T2_subscriber_keeps_one_address_across_its_links_and_over_time():
    tied = {"subscribers": [{"name": "home", "sources": ["10.1.0.2", "10.2.0.2"]}]}
    links = [{"name": "dsl", "interface": "w1", "weight": 1},
             {"name": "lte", "interface": "w2", "weight": 2}]
    with pooled([{"prefix": prefix} for prefix in HELD], cpe={"links": links}, **tied) as lab, \
            Listener(lab, lab.SERVER_V4) as listener:
        for _ in range(30):
            client, _ = begin(lab, listener, lab.SERVER_V4)
            client.close()
        begun = {session["subflows"][0]["link"] for session in lab.sessions("cpe")}
        assert begun <= {"dsl", "lte"}
        assert len({peer[0] for peer in listener.peers}) == 1


def test_T2_prefixes_that_are_apart_are_one_pool():
    """A block is all of an address here, so two subscribers have an address each."""
    with pooled([{"prefix": "203.0.113.64/32"}, {"prefix": "203.0.113.96/32"}],
                internet={"port_block": 64512}) as lab, \
            Listener(lab, lab.SERVER_V4) as listener, contextlib.ExitStack() as stack:
        stack.enter_context(begin(lab, listener, lab.SERVER_V4)[0])
        other_link_only(lab, stack)
        stack.enter_context(begin(lab, listener, lab.SERVER_V4)[0])
        assert {peer[0] for peer in listener.peers} == {"203.0.113.64", "203.0.113.96"}


def other_link_only(lab, stack):
    """From now on new connections begin on link 2: another subscriber, if nothing ties them."""
    lab.cut(1)
    stack.callback(lab.mend, 1)
    eventually(lambda: "link dsl is left" in lab.log("cpe"))


def connect_from(lab, address, port, source):
    """Like connect(), from a local port that others may use, too."""
    client = tcp_socket(lab, "host", family_of(address))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    client.bind(source)
    client.connect((address, port))
    return client


@both_families
def test_T2_same_host_and_port_look_the_same_to_two_servers(family):
    """Endpoint-independent mapping, RFC 4787 REQ-1 and RFC 5382 REQ-1."""
    address = {"v4": "203.0.113.2", "v6": "2001:db8:f::2"}[family]
    source = ({"v4": "192.168.1.2", "v6": "fd00:1::2"}[family], 40002)
    with pooled([{"prefix": POOL[family]}],
                cpe={"preserve_source": {"ipv4": True, "ipv6": True}},
                preserve_source={"ipv4": False, "ipv6": False}) as lab, \
            Listener(lab, address) as one, Listener(lab, address) as other, \
            connect_from(lab, address, one.port, source) as first, \
            connect_from(lab, address, other.port, source) as second:
        ask(first)
        ask(second)
        assert one.peers == other.peers
        assert len(bindings(lab)) == 1
        first.close()
        lab.wait_ended(one.port)
        assert len(bindings(lab)) == 1, "the other session still needs it"


def test_T2_port_parity_is_kept_where_configured():
    """RFC 4787 REQ-4."""
    with pooled([{"prefix": POOL["v4"]}], internet={"port_parity": "keep"},
                cpe={"preserve_source": {"ipv4": True}}) as lab, \
            Listener(lab, lab.SERVER_V4) as listener:
        for port in range(41000, 41016):
            client, peer = begin(lab, listener, lab.SERVER_V4, ("192.168.1.2", port))
            client.close()
            assert peer[1] % 2 == port % 2


def test_T2_prefix_translation_keeps_all_but_the_prefix():
    """RFC 6296: /48 to /48, 16 bits make up for the checksum."""
    with pooled([{"prefix": "2001:db8:77::/48", "translation": "prefix"}],
                cpe={"preserve_source": {"ipv6": True}}) as lab, \
            Listener(lab, lab.SERVER_V6) as listener:
        client, peer = begin(lab, listener, lab.SERVER_V6, ("fd00:1::2", 42000))
        # fd00:1:0:0:: is fd01 in ones' complement, 2001:db8:77:: is 2e30; the rest is 0
        assert peer == ("2001:db8:77:ced1::2", 42000)
        client.close()


def test_T2_prefix_translation_of_whom_nobody_tells_is_refused():
    with pooled([{"prefix": "2001:db8:77::/48", "translation": "prefix"}]) as lab, \
            Listener(lab, lab.SERVER_V6) as listener:
        before = lab.counters("conc")
        with pytest.raises(ConnectionRefusedError):
            connect(lab, "host", lab.SERVER_V6, listener.port)
        assert "no_source" in lab.since("conc", before)
        assert not listener.peers


def refused(lab, listener, why):
    before = lab.counters("conc")
    with pytest.raises(ConnectionRefusedError):
        connect(lab, "host", lab.SERVER_V4, listener.port)
    assert why in lab.since("conc", before)


@pytest.mark.parametrize("limits,most,why", [({"sessions": 5}, 5, "subscriber_sessions"),
                                             ({"ports": 5}, 5, "subscriber_ports"),
                                             ({"blocks": 1}, 6, "subscriber_ports"),
                                             ({"new_per_second": 1}, 1, "subscriber_rate")],
                         ids=["sessions", "ports", "blocks", "rate"])
def test_S1_subscriber_at_its_limit_is_refused_and_its_neighbour_is_not(limits, most, why):
    with pooled([{"prefix": POOL["v4"]}], internet={"port_block": 6 if "blocks" in limits else 64},
                limits={"subscriber": limits}) as lab, \
            Listener(lab, lab.SERVER_V4) as listener, contextlib.ExitStack() as stack:
        for _ in range(most):
            stack.enter_context(begin(lab, listener, lab.SERVER_V4)[0])
        refused(lab, listener, why)
        other_link_only(lab, stack)
        stack.enter_context(begin(lab, listener, lab.SERVER_V4)[0])


def test_T2_pool_that_is_exhausted_refuses_and_takes_what_comes_back():
    with pooled([{"prefix": "203.0.113.64/32"}], internet={"port_block": 32256}) as lab, \
            Listener(lab, lab.SERVER_V4) as listener, contextlib.ExitStack() as stack:
        client, _ = begin(lab, listener, lab.SERVER_V4)
        stack.enter_context(client)
        assert len(bindings(lab)) == 1
    with pooled([{"prefix": "203.0.113.64/32"}], internet={"port_block": 64512}) as lab, \
            Listener(lab, lab.SERVER_V4) as listener, contextlib.ExitStack() as stack:
        client, _ = begin(lab, listener, lab.SERVER_V4)
        other_link_only(lab, stack)
        refused(lab, listener, "pool_exhausted")
        client.close()
        lab.wait_ended(listener.port)
        stack.enter_context(begin(lab, listener, lab.SERVER_V4)[0])


def test_B1_full_table_refuses_and_evicts_nobody():
    with pooled([{"prefix": POOL["v4"]}], limits={"bindings": 3}) as lab, \
            Listener(lab, lab.SERVER_V4) as listener, contextlib.ExitStack() as stack:
        clients = [begin(lab, listener, lab.SERVER_V4)[0] for _ in range(3)]
        for client in clients:
            stack.enter_context(client)
        refused(lab, listener, "bindings_full")
        for client in clients:
            ask(client)


def test_B2_port_rests_after_a_reset():
    with pooled([{"prefix": POOL["v4"]}], lifetimes={"reset": "2s"}) as lab, \
            Listener(lab, lab.SERVER_V4) as listener:
        client, _ = begin(lab, listener, lab.SERVER_V4)
        reset(client)
        lab.wait_ended(listener.port)
        assert len(bindings(lab)) == 1
        eventually(lambda: not bindings(lab), 5, "the end of its rest")


def test_B1_restarted_agent_lets_ports_of_its_earlier_life_rest():
    """RFC 6888 REQ-8."""
    with pooled([{"prefix": "203.0.113.64/32"}], internet={"port_block": 64}) as lab, \
            Listener(lab, lab.SERVER_V4) as listener, contextlib.ExitStack() as stack:
        for _ in range(30):
            stack.enter_context(begin(lab, listener, lab.SERVER_V4)[0])
        before = set(listener.peers)
        lab.kill_and_restart("conc", lab.conc_config)
        assert "30 external ports of an earlier run rest" in lab.log("conc")
        assert len(bindings(lab)) == 30
        for _ in range(30):
            stack.enter_context(begin(lab, listener, lab.SERVER_V4)[0])
        after = set(listener.peers) - before
        assert len(after) == 30, "none of the old ones"
        assert {peer[0] for peer in after} == {"203.0.113.64"}
