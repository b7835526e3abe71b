# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""U3: datagram mode end to end (plain-mode-03, "UDP Traffic"; docs/datagram.md)."""

import contextlib
import json
import socket
import struct
import subprocess
import time

import pytest

from conftest import Later, PlaitLab, both_families, server_address
from netns import eventually, family_of, inside, stays
from test_daemon import traces
from test_udp import RULES, UdpServer, expect_ruled, is_silent, served, towards, udp_socket
from test_udp_programs import not_read
from wire import Capture, read_options

HOME = [{"name": "home-1", "sources": ["10.1.0.2", "10.2.0.2"]}]
HOME_V6 = [{"name": "home-1", "sources": ["fd10:1::2", "fd10:2::2"]}]
POOL = [{"prefix": "203.0.113.64/28"}]
ATTACH = ("native", "generic")
PORT = 6824


def config_of(attach, extra):
    return {"datagram": {"attach": attach} | (extra or {}).pop("datagram", {})} | (extra or {})


@contextlib.contextmanager
def datagrams(cpe=None, conc=None, attach="auto", **kwargs):
    """A lab in datagram mode, and a subscriber who has both links."""
    with PlaitLab(**kwargs) as lab:
        lab.take_redirected()
        lab.conc_config = {"subscribers": HOME} | config_of(attach, dict(conc or {}))
        lab.cpe_config = {"udp": "datagram"} | config_of(attach, dict(cpe or {}))
        lab.plaitd("conc", lab.conc_config)
        lab.plaitd("cpe", lab.cpe_config)
        lab.wait_answered()
        yield lab
        for role in ("cpe", "conc"):
            agent = lab.agents.get(role)
            assert not agent or agent.process.poll() is None, f"{role} died:\n{lab.log(role)}"


def asks(client, data=b"question", wanted=None):
    client.send(data)
    assert client.recv(1 << 16) == (data if wanted is None else wanted)


def bindings(lab, role):
    return json.loads(lab.plaitctl(role, "bindings", "--json").stdout)["bindings"]


def entry(lab, role, name, number):
    """One of a pinned map, by its number. (To dump all of a concentrator's takes seconds.)"""
    pin = f"/sys/fs/bpf/plait/{lab.agent_name(role)}/{name}"
    key = [str(octet) for octet in struct.pack("=I", number)]
    found = subprocess.run(["bpftool", "-j", "map", "lookup", "pinned", pin, "key", *key],
                           check=True, capture_output=True, text=True)
    return json.loads(found.stdout)["formatted"]["value"]


def path_traffic(lab, role):
    """Packets (sent, received) of each of the two paths that has had any, by its number."""
    counted = {number: entry(lab, role, "datagram_traffic", number) for number in range(2)}
    return {number: (path["sent"], path["received"]) for number, path in counted.items()
            if path["sent"] or path["received"]}


@pytest.fixture(scope="module", params=ATTACH, name="lab")
def _lab(request):
    """Where XDP is in the drivers, and where it is in the stack."""
    with datagrams(attach=request.param) as made:
        yield made


# The way of a datagram

@both_families
@pytest.mark.parametrize("size", [0, 1, 200, 1400])
def test_U3_datagram_arrives_and_its_answer_too(lab, family, size):
    address = server_address(lab, family)
    with served(lab, address) as (server, client):
        before = {role: lab.counters(role) for role in ("cpe", "conc")}
        for i in range(5):
            asks(client, bytes([i]) * size)
        peers = {peer for _, peer, _ in server.got}
        assert {peer[0] for peer in peers} == {{"v4": lab.CONC_NET_V4,
                                                "v6": lab.CONC_NET_V6}[family]}
        assert len(peers) == 1 and 61000 <= peers.pop()[1] <= 65535
        for role in ("cpe", "conc"):
            grown = lab.since(role, before[role])
            sent = grown.get("datagram_sent", 0) + grown.get("datagram_sent_summed", 0)
            assert (sent, grown["datagram_received"], grown["datagram_held"]) == (5, 5, 1), grown
        assert not lab.sessions("cpe") and not lab.sessions("conc")


def test_U3_programs_are_loaded_before_they_are_needed():
    """By a CPE that has told of its links; attached they are with its first packet."""
    with datagrams() as lab:
        eventually(lambda: "programs are loaded" in lab.log("conc"), what="loaded programs")
        assert "prog/xdp" not in lab.run("conc", ["ip", "-d", "link", "show", "w1"]).stdout
        with served(lab, lab.SERVER_V4) as (_, client):
            asks(client)
        assert "prog/xdp" in lab.run("conc", ["ip", "-d", "link", "show", "w1"]).stdout


def test_U3_many_flows_at_once(lab):
    with UdpServer(lab, lab.SERVER_V4) as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(towards(lab, lab.SERVER_V4, server.port))
                   for _ in range(200)]
        for i, client in enumerate(clients):
            client.send(b"%d" % i)
        for i, client in enumerate(clients):
            assert client.recv(100) == b"%d" % i
        assert len({peer for _, peer, _ in server.got}) == 200


def test_U3_mapping_is_endpoint_independent(lab):
    """RFC 4787 REQ-1; and so is filtering (REQ-8): who is told the address may use it."""
    with UdpServer(lab, lab.SERVER_V4) as one, UdpServer(lab, lab.SERVER_V4) as other, \
            udp_socket(lab, "host", socket.AF_INET) as client:
        for server in (one, other):
            client.sendto(b"x", (lab.SERVER_V4, server.port))
            assert client.recvfrom(10) == (b"x", (lab.SERVER_V4, server.port))
        assert one.got[0][1] == other.got[0][1]
        with towards(lab, *one.got[0][1], node="server") as stranger:
            stranger.send(b"hello")
            assert client.recvfrom(10) == (b"hello", (lab.SERVER_V4, stranger.getsockname()[1]))


def test_U3_what_nobody_expects_is_dropped_silently(lab):
    before = lab.counters("conc")
    with towards(lab, lab.CONC_NET_V4, 65533, node="server") as stranger:
        stranger.send(b"hello?")
        assert is_silent(stranger)
    assert lab.since("conc", before)["udp_unsolicited"] == 1


def test_U3_bindings_are_shown_and_maps_read_well(lab):
    with served(lab, lab.SERVER_V4) as (server, client):
        asks(client)
        external = "%s:%d" % server.got[0][1]
        at_conc, = [one for one in bindings(lab, "conc") if one["external"] == external]
        assert (at_conc["protocol"], at_conc["state"], at_conc["subscriber"]) == (
            "udp", "in use", "home-1")
        host = f"{lab.HOST_V4}:{client.getsockname()[1]}"
        at_cpe, = [one for one in bindings(lab, "cpe") if one["inside"] == host]
        assert at_cpe["state"] == "in use"
        assert at_cpe["external"].split(":")[1] == at_conc["inside"].split(":")[1], "the WAN port"
        pin = f"/sys/fs/bpf/plait/{lab.agent_name('cpe')}/datagram_senders"
        assert "wan_port" in subprocess.run(["bpftool", "map", "dump", "pinned", pin], check=True,
                                            capture_output=True, text=True).stdout


@both_families
def test_U3_resolver_and_bulk(lab, family):
    address = server_address(lab, family)
    resolver = lab.popen("server", ["dnsmasq", "-k", "-C", "/dev/null", "--no-resolv",
                                    "--no-hosts", "--user=root", "--pid-file", "-p", "5300",
                                    "--address=/plait.test/192.0.2.9"], log="dnsmasq.log")
    iperf = lab.popen("server", ["iperf3", "-s", "-1"], log="iperf.log")
    lab.wait_listening("server", 5201)
    lab.wait_listening("server", 5300)
    asked = lab.run("host", ["dig", "+short", "+tries=1", "-p", "5300", f"@{address}",
                             "plait.test"])
    assert asked.stdout == "192.0.2.9\n"
    before = not_read(lab)
    measured = json.loads(lab.run("host", ["iperf3", "-c", address, "-u", "-b", "20M", "-l", "1200",
                                           "-t", "2", "-J"]).stdout)["end"]["sum"]
    lost = measured["lost_packets"] - (not_read(lab) - before)
    assert lost < 0.01 * measured["packets"] and measured["packets"] > 3000, (lost, measured)
    resolver.terminate()
    iperf.wait(5)


@both_families
def test_U3_host_is_told_of_a_closed_port(lab, family):
    address = server_address(lab, family)
    with towards(lab, address, 9, seconds=1) as client:
        before = {role: lab.counters(role) for role in ("cpe", "conc")}
        client.send(b"anybody?")
        with pytest.raises(ConnectionRefusedError):
            client.recv(100)
        for role in ("cpe", "conc"):
            assert lab.since(role, before[role])["datagram_error"] == 1


# What is on the wire

@both_families
def test_U3_links_carry_tcp_formatted_packets_only(family):
    with datagrams(weather_everywhere=True) as lab, contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Capture(lab, f"acc{link}", port))
                 for link in (1, 2) for port in ("to-cpe", "to-conc")]
        address = server_address(lab, family)
        with served(lab, address) as (server, client):
            for i in range(4):
                asks(client, b"question %d" % i)
            seen = [packet for wire in wires for packet in wire.packets()]
            assert not [packet for packet in seen if packet.protocol == socket.IPPROTO_UDP
                        and packet.payload and b"question" in packet.payload]
            ours = [packet for packet in seen if packet.payload.startswith(b"question")]
            up = [packet for packet in ours if packet.dport == PORT and not packet.outgoing]
            down = [packet for packet in ours if packet.sport == PORT and not packet.outgoing]
            assert len(up) == len(down) == 4
            for packet, bits in [(one, 0xe4) for one in up] + [(one, 0xec) for one in down]:
                (kind, value), = packet.options
                ip = socket.inet_pton(family_of(address), address)
                assert kind == 30
                assert value == bytes([bits, 0]) + ip + struct.pack("!H", server.port)
            assert sorted(packet.ack for packet in up) == [1, 2, 3, 4], "counted by the binding"


def test_U3_families_are_mixed():
    """IPv4 hosts over links that have IPv6 only."""
    only_v6 = [{"name": "k1", "port": PORT, "addresses": ["fd10:1::1", "fd10:2::1"]}]
    with datagrams(cpe={"concentrators": only_v6}, conc={"subscribers": HOME_V6}) as lab:
        for address in (lab.SERVER_V4, lab.SERVER_V6):
            with served(lab, address) as (_, client):
                asks(client)


def test_U3_external_addresses_are_those_of_the_pools():
    with datagrams(conc={"internet": {"interfaces": ["net0"], "pools": POOL}}) as lab:
        lab.run("server", ["ip", "route", "add", POOL[0]["prefix"], "via", lab.CONC_NET_V4])
        with served(lab, lab.SERVER_V4) as (server, client):
            asks(client)
            assert server.got[0][1][0].startswith("203.0.113.6") or \
                server.got[0][1][0].startswith("203.0.113.7")
            with towards(lab, server.got[0][1][0], 2000, node="server") as stranger:
                stranger.send(b"hello?")
                assert is_silent(stranger)


# Which link

def links_of(first, second=1, **more):
    return [{"name": "dsl", "interface": "w1", "weight": first},
            {"name": "lte", "interface": "w2", "weight": second} | more]


def shares(lab, server, way, flows=40, packets=25):
    """Of the packets of many flows: how many leave over each link, as their sender counts."""
    role = {"up": "cpe", "down": "conc"}[way]
    before = path_traffic(lab, role)
    with contextlib.ExitStack() as stack:
        for _ in range(flows):
            client = stack.enter_context(towards(lab, server.address, server.port))
            for _ in range(packets):
                asks(client)
    after = path_traffic(lab, role)
    return [after.get(i, (0, 0))[0] - before.get(i, (0, 0))[0] for i in range(2)]


def told(lab, weights):
    """Whether the concentrator has heard these shares, of 64, from the CPE."""
    slots = entry(lab, "conc", "datagram_sets", 0)["slot"]
    return [slots.count(i) for i in range(len(weights))] == weights


@pytest.mark.parametrize("distribution", ["flow", "packet"])
def test_U3_weights_share_packets_out_both_ways(distribution):
    with datagrams(cpe={"links": links_of(3), "datagram": {"distribution": distribution}}) as lab, \
            UdpServer(lab, lab.SERVER_V4) as server:
        with towards(lab, lab.SERVER_V4, server.port) as client:
            asks(client)
            eventually(lambda: told(lab, [48, 16]), what="the CPE's weights at the concentrator")
        for way in ("up", "down"):
            dsl, lte = shares(lab, server, way)
            assert dsl + lte == 1000
            if distribution == "packet":
                assert 740 <= dsl <= 760, (dsl, lte)
            else:
                assert 500 <= dsl <= 950 and dsl % 25 == lte % 25 == 0, (dsl, lte)


def test_U3_backup_takes_part_when_the_others_fail_and_no_longer():
    with datagrams(cpe={"links": links_of(1, use="backup")}, weather_everywhere=True) as lab, \
            UdpServer(lab, lab.SERVER_V4) as server:
        with towards(lab, lab.SERVER_V4, server.port) as client:
            asks(client)
            eventually(lambda: told(lab, [64, 0]), what="use of the first link")
            assert shares(lab, server, "up", flows=4, packets=5) == [20, 0]
            lab.cut(1)
            eventually(lambda: told(lab, [0, 64]), what="use of the second link")
            assert shares(lab, server, "up", flows=4, packets=5) == [0, 20]
            lab.mend(1)
            eventually(lambda: told(lab, [64, 0]), what="use of the first link again")
            assert shares(lab, server, "down", flows=4, packets=5) == [20, 0]


@pytest.mark.parametrize("how", ["cut", "black hole"])
def test_U3_failed_link_s_flows_go_over_the_other(how):
    """Both ways, as soon as streams would be moved, and back again."""
    with datagrams(weather_everywhere=True) as lab, contextlib.ExitStack() as stack:
        server = stack.enter_context(UdpServer(lab, lab.SERVER_V4))
        clients = [stack.enter_context(towards(lab, lab.SERVER_V4, server.port, seconds=0.1))
                   for _ in range(16)]
        for client in clients:
            client.settimeout(5)
            asks(client)
            client.settimeout(0.1)
        eventually(lambda: told(lab, [32, 32]), what="use of both links")
        if how == "cut":
            lab.cut(1)
        else:
            lab.set_weather(1, black_hole=True)
        failed = time.monotonic()
        waiting = list(clients)
        while waiting:
            assert time.monotonic() - failed < 2, f"{len(waiting)} flows are left behind"
            for client in list(waiting):
                client.send(b"after")
                with contextlib.suppress(TimeoutError):
                    if client.recv(100) == b"after":
                        waiting.remove(client)
        assert path_traffic(lab, "cpe").keys() >= {0, 1}
        if how == "cut":
            lab.mend(1)
        else:
            lab.set_weather(1, black_hole=False)
        eventually(lambda: told(lab, [32, 32]), 10, what="use of both links again")


def delays_of(server, client, count):
    """How long those of `count` datagrams took that arrived, the shortest first."""
    server.got.clear()
    for _ in range(count):
        client.send(struct.pack("!d", time.monotonic()))
        time.sleep(0.001)
    time.sleep(0.2)
    return sorted(when - struct.unpack("!d", data)[0] for data, _, when in server.got)


def nearly_all(delays):
    return delays[len(delays) * 99 // 100]


def test_U3_loss_on_one_link_delays_nothing_on_the_other():
    """10 % lost on one: what comes over the other is as soon there as ever."""
    with datagrams(cpe={"datagram": {"distribution": "packet"}}, weather_everywhere=True) as lab, \
            served(lab, lab.SERVER_V4, echoes=False) as (server, client):
        client.send(struct.pack("!d", time.monotonic()))
        eventually(lambda: server.got, what="the first one")
        as_ever = delays_of(server, client, 200)
        lab.set_loss(2, 10)
        delays = delays_of(server, client, 1000)
        assert 900 <= len(delays) <= 990, "none is sent again"
        assert nearly_all(delays) < max(0.01, 2 * nearly_all(as_ever)), delays[-20:]


# Whose packets are taken

def formatted(lab, source, destination, sport, remote, data):
    """Send a TCP-formatted packet from the CPE's machine, with whatever source."""
    option = bytes.fromhex("1e0ae400") + socket.inet_aton(remote[0]) \
        + struct.pack("!H", remote[1]) + b"\1\1"
    header = struct.pack("!HHIIBBHHH", sport, PORT, 1, 1, 8 << 4, 0x18, 65535, 0, 0) + option
    pseudo = socket.inet_aton(source) + socket.inet_aton(destination) \
        + struct.pack("!BBH", 0, 6, len(header) + len(data))
    octets = pseudo + header + data + b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    total = (total & 0xffff) + (total >> 16)
    total = (total & 0xffff) + (total >> 16)
    header = header[:16] + struct.pack("!H", total ^ 0xffff) + header[18:]
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(header) + len(data), 1, 0, 64, 6, 0,
                     socket.inet_aton(source), socket.inet_aton(destination))
    with inside(lab, "cpe"):
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    with raw:
        raw.sendto(ip + header + data, (destination, 0))


@contextlib.contextmanager
def alone(**conc):
    """A concentrator, and nobody at the CPE's end."""
    with PlaitLab() as lab:
        lab.take_redirected()
        lab.plaitd("conc", conc)
        yield lab


def test_U3_subscribers_are_told_apart():
    """The same WAN port of two, over their links."""
    with alone() as lab, UdpServer(lab, lab.SERVER_V4, echoes=False) as server:
        remote = (lab.SERVER_V4, server.port)
        for link in (1, 2, 1):
            formatted(lab, f"10.{link}.0.2", f"10.{link}.0.1", 61000, remote, b"from %d" % link)
            eventually(lambda: server.got and server.got[-1][0] == b"from %d" % link,
                       what="its arrival")
        peers = [peer for _, peer, _ in server.got]
        assert peers[0] == peers[2] != peers[1]
        assert {one["subscriber"] for one in bindings(lab, "conc")} == {"10.1.0.2", "10.2.0.2"}


def test_U3_who_is_no_subscriber_is_not_heard():
    customer = {"allow": ["10.1.0.0/24"]}
    with alone(customer=customer) as lab, UdpServer(lab, lab.SERVER_V4, echoes=False) as server:
        remote = (lab.SERVER_V4, server.port)
        for attached in (False, True):
            before = lab.counters("conc")
            formatted(lab, "10.2.0.2", "10.2.0.1", 61000, remote, b"stranger")
            eventually(lambda: lab.since("conc", before).get("datagram_source") == 1,
                       what="its count")
            if not attached:
                formatted(lab, "10.1.0.2", "10.1.0.1", 61000, remote, b"subscriber")
                eventually(lambda: server.got, what="its arrival")
        assert [data for data, _, _ in server.got] == [b"subscriber"]
        assert len(bindings(lab, "conc")) == 1


@pytest.fixture(scope="module", name="unused")
def _unused():
    """A concentrator without a binding, as long as nobody makes one."""
    with alone() as lab:
        yield lab


@pytest.mark.parametrize("remote, reason", [(("127.0.0.1", 80), "pm_forbidden"),
                                            (("203.0.113.1", 80), "pm_own_address"),
                                            (("203.0.113.2", 0), "datagram_option")])
def test_U3_remote_that_must_not_be_reached_gets_no_binding(unused, remote, reason):
    before = unused.counters("conc")
    formatted(unused, "10.1.0.2", "10.1.0.1", 61000, remote, b"x")
    eventually(lambda: unused.since("conc", before).get(reason) == 1, what=reason)
    assert not bindings(unused, "conc")


def test_U3_subscriber_s_limits_hold():
    with alone(limits={"subscriber": {"ports": 2}}) as lab, \
            UdpServer(lab, lab.SERVER_V4, echoes=False) as server:
        for port in (61000, 61002):
            formatted(lab, "10.1.0.2", "10.1.0.1", port, (lab.SERVER_V4, server.port), b"%d" % port)
            eventually(lambda: server.got and server.got[-1][0] == b"%d" % port, what="its arrival")
        before = lab.counters("conc")
        formatted(lab, "10.1.0.2", "10.1.0.1", 61004, (lab.SERVER_V4, server.port), b"x")
        eventually(lambda: lab.since("conc", before).get("subscriber_ports") == 1, what="its count")
        formatted(lab, "10.2.0.2", "10.2.0.1", 61004, (lab.SERVER_V4, server.port), b"other")
        eventually(lambda: server.got[-1][0] == b"other", what="another's")
        assert len(server.got) == 3


def test_U3_one_interface_may_be_both():
    """A concentrator whose customers come from the internet."""
    with PlaitLab() as lab:
        lab.take_redirected()
        interfaces = ["w1", "w2", "net0"]
        lab.plaitd("conc", {"subscribers": HOME, "customer": {"interfaces": interfaces}})
        lab.plaitd("cpe", {"udp": "datagram"})
        lab.wait_answered()
        with served(lab, lab.SERVER_V4) as (_, client):
            for _ in range(3):
                asks(client)


def test_U3_another_concentrator_takes_over():
    with PlaitLab(second_concentrator=True) as lab:
        for role in ("conc", "conc2"):
            lab.plaitd(role, {"subscribers": HOME, "datagram": {"attach": "generic"}})
        lab.plaitd("cpe", {"udp": "datagram", "datagram": {"attach": "generic"}})
        lab.wait_answered(2)
        with served(lab, lab.SERVER_V4) as (server, client):
            asks(client)
            assert server.got[0][1][0] == lab.CONC_NET_V4
            lab.stop_plaitd("conc")
            lab.wait_answered(1)
            asks(client, b"again")
            assert server.got[-1][1][0] == "203.0.113.3"


@pytest.mark.parametrize("udp", ["off", "stream"])
def test_U3_concentrator_that_takes_no_datagrams(udp):
    with alone(udp=udp) as lab, UdpServer(lab, lab.SERVER_V4, echoes=False) as server:
        formatted(lab, "10.1.0.2", "10.1.0.1", 61000, (lab.SERVER_V4, server.port), b"x")
        stays(lambda: not server.got, 0.5)


@pytest.fixture(scope="module", name="ruled")
def _ruled():
    with datagrams(cpe={"policy": RULES}) as lab:
        yield lab


def test_W4_policy_decides_in_datagram_mode_too(ruled):
    expect_ruled(ruled)


def test_W4_policy_decides_for_each_remote_of_a_bonded_port(ruled):
    """Also while nothing new is bonded: what is stays so."""
    with UdpServer(ruled, ruled.SERVER_V4, 7000) as bonded, \
            UdpServer(ruled, ruled.SERVER_V4, 7001) as direct, \
            udp_socket(ruled, "host", socket.AF_INET) as client:
        for drained in (False, True):
            if drained:
                ruled.plaitctl("cpe", "drain")
            for port in (7000, 7001):
                client.sendto(b"x", (ruled.SERVER_V4, port))
                assert client.recvfrom(10) == (b"x", (ruled.SERVER_V4, port))
        ruled.plaitctl("cpe", "drain", "--off")
        assert {peer[0] for _, peer, _ in bonded.got} == {ruled.CONC_NET_V4}
        assert {peer[0] for _, peer, _ in direct.got} == {ruled.HOST_V4}


def test_U3_streams_and_datagrams_at_one_concentrator():
    with datagrams() as lab:
        with served(lab, lab.SERVER_V4) as (server, client):
            asks(client)
        lab.stop_plaitd("cpe")
        lab.plaitd("cpe")
        lab.wait_answered()
        with served(lab, lab.SERVER_V4) as (server, client):
            asks(client)
            assert len(lab.sessions("conc", server.port)) == 1


# Life

def expect_expiry_and_rest(lab, server, client):
    """In two seconds from now, and not at once."""
    external = "%s:%d" % server.got[0][1]
    host = f"{lab.HOST_V4}:{client.getsockname()[1]}"
    assert [one["state"] for one in bindings(lab, "conc")] == ["in use"]
    eventually(lambda: bindings(lab, "conc")[0]["state"] == "resting", 8, what="expiry")
    assert bindings(lab, "conc")[0]["external"] == external
    eventually(lambda: [one["state"] for one in bindings(lab, "cpe")
                        if one["inside"] == host] == ["resting"], 5, what="expiry at the CPE")
    assert "prog/xdp" not in lab.run("conc", ["ip", "-d", "link", "show", "w1"]).stdout
    asks(client, b"still there")
    assert server.got[-1][1] == server.got[0][1], "nobody else has had it"


@pytest.fixture(scope="session", name="idle_binding")
def _idle_binding():
    """A binding that is silent from this module's first test on."""
    short = {"lifetimes": {"udp": "120s"}}
    with datagrams(cpe=short, conc=short) as lab, served(lab, lab.SERVER_V4) as (server, client):
        asks(client)
        with Later(118, lambda: expect_expiry_and_rest(lab, server, client)) as expiry:
            yield expiry


@pytest.fixture(autouse=True)
def _idle_meanwhile(idle_binding):
    return idle_binding


def test_U3_configuration_is_read_again():
    """What there is stays, and takes the new way."""
    with datagrams() as lab, served(lab, lab.SERVER_V4) as (server, client):
        asks(client)
        eventually(lambda: told(lab, [32, 32]), what="equal weights")
        lab.write_config("cpe", lab.cpe_config | {
            "links": links_of(3), "datagram": {"attach": "auto", "distribution": "packet"}})
        lab.plaitctl("cpe", "reload")
        eventually(lambda: told(lab, [48, 16]), what="the new weights")
        before = path_traffic(lab, "cpe")
        for _ in range(64):
            asks(client)
        after = path_traffic(lab, "cpe")
        assert [after[i][0] - before.get(i, (0, 0))[0] for i in range(2)] == [48, 16]
        assert len({peer for _, peer, _ in server.got}) == 1


def test_U3_draining_concentrator_takes_no_new_binding():
    with datagrams() as lab, served(lab, lab.SERVER_V4) as (_, client), \
            UdpServer(lab, lab.SERVER_V4) as other:
        asks(client)
        lab.plaitctl("conc", "drain")
        asks(client, b"goes on")
        before = lab.counters("conc")
        with towards(lab, lab.SERVER_V4, other.port) as late:
            late.send(b"too late")
            assert is_silent(late) and not other.got
        assert lab.since("conc", before)["draining"] >= 1


def test_U3_loss_and_order_of_each_link_are_shown():
    with datagrams(cpe={"datagram": {"distribution": "packet"}}, weather_everywhere=True) as lab, \
            served(lab, lab.SERVER_V4) as (_, client):
        asks(client)
        eventually(lambda: told(lab, [32, 32]), what="use of both links")
        time.sleep(1.1)  # a look before anything is lost
        lab.set_weather(2, "down", loss_percent=30)
        for _ in range(400):
            client.send(b"x")
            time.sleep(0.001)

        def lost():
            listed = json.loads(lab.plaitctl("cpe", "links", "--json").stdout)["links"]
            return [link["datagrams_lost"] for link in listed]

        eventually(lambda: 30 <= lost()[1] <= 90, what="loss")
        assert lost()[0] == 0
        listed = lab.plaitctl("cpe", "links").stdout.splitlines()
        assert "LOST" in listed[0] and "LATE" in listed[0]


def test_U3_nothing_is_left():
    with PlaitLab() as lab:
        lab.take_redirected()
        before = {role: traces(lab, role) for role in ("cpe", "conc")}
        lab.plaitd("conc", {"subscribers": HOME})
        lab.plaitd("cpe", {"udp": "datagram"})
        lab.wait_answered()
        reserved = ["sysctl", "-n", "net.ipv4.ip_local_reserved_ports"]
        assert lab.run("cpe", reserved).stdout == "61000-65535\n"
        with served(lab, lab.SERVER_V4) as (_, client):
            asks(client)
            assert "prog/xdp" in lab.run("cpe", ["ip", "-d", "link", "show", "lan0"]).stdout
            assert "prog/xdp" in lab.run("conc", ["ip", "-d", "link", "show", "w1"]).stdout
        for role in ("cpe", "conc"):
            lab.stop_plaitd(role)
            assert traces(lab, role) == before[role]


@pytest.mark.parametrize("role", ["cpe", "conc"])
def test_U3_killed_agent_s_successor_keeps_the_mapping(role):
    with datagrams() as lab, served(lab, lab.SERVER_V4) as (server, client):
        asks(client)
        lab.agents[role].process.kill()
        lab.agents.pop(role).process.wait()
        assert "prog/xdp" not in lab.run(role, ["ip", "-d", "link", "show", "w1"]).stdout
        lab.plaitd(role, lab.cpe_config if role == "cpe" else lab.conc_config)
        lab.wait_answered()
        asks(client, b"again")
        assert server.got[-1][1] == server.got[0][1]


@pytest.mark.late
def test_U3_silent_binding_expires_and_its_ports_rest(idle_binding):
    idle_binding.result()
