# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""U3: datagram mode's concentrator: who reaches a binding, how it ends, what it tells."""

import contextlib
import json
import socket
import time

import pytest

from conftest import both_families, server_address
from netns import eventually, family_of
from test_datagram_mode import ATTACH, POOL, asks, datagrams, entry, served
from test_udp import UdpServer, is_silent, towards, udp_socket
from test_udp_programs import stun_server


@pytest.fixture(scope="module", params=ATTACH, name="lab")
def _lab(request):
    """Where XDP is in the drivers, and where it is in the stack."""
    with datagrams(attach=request.param) as made:
        yield made


# Hairpinning and filtering

def meet(lab, address):
    """
    Hairpinning: of two ports of the host the second one sends to the first one's external
    address, and has sent nowhere else. Both external addresses.
    """
    with UdpServer(lab, address) as server, \
            udp_socket(lab, "host", family_of(address)) as one, \
            udp_socket(lab, "host", family_of(address)) as other:
        one.sendto(b"x", (address, server.port))
        assert one.recv(10) == b"x"
        external = server.got[0][1]
        for data in (b"hello", b"again"):
            other.sendto(data, external)
            got, peer = one.recvfrom(100)
            assert got == data
        one.sendto(b"welcome", peer)
        got, answering = other.recvfrom(100)
        assert (got, answering[:2]) == (b"welcome", external)
        one.sendto(b"myself", external)
        got, itself = one.recvfrom(100)
        assert (got, itself[:2]) == (b"myself", external)
        other.sendto(b"x", (address, server.port))
        assert other.recv(10) == b"x"
        assert server.got[-1][1] == peer[:2], "its mapping is the one that the first has seen"
        return external, peer[:2]


@both_families
def test_U3_customer_reaches_another_by_its_external_address(lab, family):
    one, other = meet(lab, server_address(lab, family))
    assert one[0] == other[0] and one[1] != other[1]


def test_U3_customer_reaches_pools_by_bindings_of_datagram_mode_only():
    """Hairpinning; a stream-mode binding is not for it, and who has none is nobody."""
    with datagrams(conc={"internet": {"interfaces": ["net0"], "pools": POOL}}) as lab:
        lab.run("server", ["ip", "route", "add", POOL[0]["prefix"], "via", lab.CONC_NET_V4])
        lab.plaitctl("conc", "bind", "203.0.113.66:2000", "10.1.0.2:2000", "--protocol", "udp")
        one, other = meet(lab, lab.SERVER_V4)
        assert one[0] == other[0] == "203.0.113.66"
        for address in ("203.0.113.66", "203.0.113.67"):
            before = lab.counters("conc")
            with towards(lab, address, 2000) as client:
                client.send(b"hello?")
                assert is_silent(client)
            assert lab.since("conc", before)["datagram_no_neighbour"] == 1


@pytest.mark.parametrize("filtering", ["endpoint-independent", "address-dependent",
                                       "address-and-port-dependent"])
def test_U3_stun_sees_the_configured_filtering(filtering):
    """RFC 4787 REQ-8, as a program that was made for it sees it (RFC 5780)."""
    with datagrams(conc={"datagram": {"filtering": filtering}}) as lab:
        with stun_server(lab):
            said = lab.run("host", ["turnutils_natdiscovery", "-m", "-f", lab.SERVER_V4],
                           check=False).stdout
        assert "NAT with Endpoint Independent Mapping!" in said, said
        words = filtering.replace("-", " ").title().replace("And", "and")
        assert f"NAT with {words} Filtering!" in said, said
        counted = lab.counters("conc")["datagram_filtered"]
        assert bool(counted) == (filtering != "endpoint-independent")


def test_U3_filtering_holds_between_customers():
    """Hairpinned datagrams are a remote's like any other."""
    with datagrams(conc={"datagram": {"filtering": "address-and-port-dependent"}}) as lab, \
            UdpServer(lab, lab.SERVER_V4) as server, \
            udp_socket(lab, "host", socket.AF_INET) as one, \
            udp_socket(lab, "host", socket.AF_INET) as other:
        externals = []
        for client in (one, other):
            client.sendto(b"x", (lab.SERVER_V4, server.port))
            assert client.recv(10) == b"x"
            externals.append(server.got[-1][1])
        one.sendto(b"punch", externals[1])
        assert is_silent(other)
        assert lab.counters("conc")["datagram_filtered"] == 1
        one.settimeout(5)
        other.sendto(b"hello", externals[0])
        assert one.recvfrom(10) == (b"hello", externals[1])


# The end

def keep_asking(client, seconds, process):
    """One who asks twice a second; how long it took the process to end, None if it has not."""
    begun = time.monotonic()
    while time.monotonic() < begun + seconds:
        if process.poll() is not None:
            return time.monotonic() - begun
        asks(client)
        time.sleep(0.5)
    return None


def draining_for(role, seconds):
    """A lab whose CPE stays with a concentrator that does not answer, for want of another."""
    drains = {role: {"drain": f"{seconds}s"}}
    return datagrams(cpe={"when_unreachable": "refuse"} | drains.get("cpe", {}),
                     conc=drains.get("conc"))


@pytest.mark.parametrize("role", ["cpe", "conc"])
def test_U3_drain_waits_for_what_flows(role):
    """And not for what is silent."""
    with draining_for(role, 60) as lab, served(lab, lab.SERVER_V4) as (_, client):
        asks(client)
        process = lab.agents[role].process
        process.terminate()
        assert keep_asking(client, 12, process) is None
        silent = time.monotonic()
        assert process.wait(15) == 0
        assert time.monotonic() - silent > 5
        lab.agents.pop(role)


@pytest.mark.parametrize("role", ["cpe", "conc"])
def test_U3_drain_has_a_limit(role):
    with draining_for(role, 3) as lab, served(lab, lab.SERVER_V4) as (_, client):
        asks(client)
        process = lab.agents[role].process
        process.terminate()
        with contextlib.suppress(TimeoutError, ConnectionRefusedError):
            ended = keep_asking(client, 10, process)
            assert ended and 2 < ended < 5
        assert process.wait(5) == 0
        lab.agents.pop(role)


# What is told

def subscriber_links(lab):
    """What the concentrator tells of the only subscriber's links, by address."""
    subscriber, = json.loads(lab.plaitctl("conc", "subscribers", "--json").stdout)["subscribers"]
    return {link["address"]: link for link in subscriber["links"]}


def test_U3_loss_and_order_of_a_subscriber_s_links_are_shown():
    """At the concentrator, of what comes up."""
    with datagrams(cpe={"datagram": {"distribution": "packet"}}, weather_everywhere=True) as lab, \
            served(lab, lab.SERVER_V4) as (_, client):
        assert not subscriber_links(lab) and lab.status("conc")["datagram_bindings"] == 0
        asks(client)
        for _ in range(4):  # a packet over each link, and a look before anything is lost
            asks(client)
        time.sleep(0.3)
        lab.set_weather(2, "up", loss_percent=30)
        for _ in range(400):
            client.send(b"x")
            time.sleep(0.001)
        eventually(lambda: 30 <= subscriber_links(lab)["10.2.0.2"]["datagrams_lost"] <= 90,
                   what="loss")
        dsl = subscriber_links(lab)["10.1.0.2"]
        assert dsl["datagrams_lost"] == dsl["datagrams_late"] == 0
        assert dsl["datagrams_received"] >= 200 and dsl["datagrams_sent"]
        assert lab.status("conc")["datagram_bindings"] == 1
        shown = lab.plaitctl("conc", "subscribers").stdout.splitlines()
        assert [row.split()[0] for row in shown] == ["NAME", "home-1", "10.1.0.2", "10.2.0.2"]


def test_U3_concentrator_is_called_by_the_address_it_has_now():
    with datagrams() as lab, served(lab, lab.SERVER_V4) as (_, client):
        asks(client)
        net0, = json.loads(lab.run("conc", ["ip", "-j", "link", "show", "net0"]).stdout)
        lab.run("conc", ["ip", "addr", "del", f"{lab.CONC_NET_V4}/24", "dev", "net0"])
        lab.run("conc", ["ip", "addr", "add", "203.0.113.9/24", "dev", "net0"])

        def called():
            return bytes(entry(lab, "conc", "datagram_routers", net0["ifindex"])["ipv4"]["ip"][:4])

        eventually(lambda: called() == socket.inet_aton("203.0.113.9"), what="the new address")
