# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""A2: DSCP of both directions on all three legs (plain-mode-08 §6)."""

import contextlib
import socket

import pytest

from conftest import both_families, running, server_address
from netns import Server, connect, echo, eventually, family_of, read_exactly, tcp_socket
from wire import MP_JOIN, Capture

EF, AF21 = 46, 18


def mark(sock, dscp):
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, dscp << 2)
    else:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, dscp << 2)


class Seen:
    """What a connection looked like on the LAN, on both links and on the internet side."""

    def __init__(self, lab, address, asked=EF, answered=AF21):
        with contextlib.ExitStack() as stack:
            self._captures = [stack.enter_context(Capture(lab, node, interface)) for node, interface
                              in (("host", "eth0"), ("cpe", "w1"), ("cpe", "w2"), ("server", "eth0"))]
            server = stack.enter_context(Server(lab, "server", address, echo, before_listening=
                                                lambda listener: mark(listener, answered)))
            client = stack.enter_context(tcp_socket(lab, "host", family_of(address)))
            mark(client, asked)
            client.connect((address, server.port))
            for _ in range(2):
                client.sendall(bytes(100_000))
                read_exactly(client, 100_000)
                session, = eventually(lambda: [s for s in lab.sessions("cpe", server.port)
                                               if len(s["subflows"]) == 2])
            ports = {int(subflow["local"].rpartition(":")[2]) for subflow in session["subflows"]}
            client.shutdown(socket.SHUT_WR)
            assert client.recv(1) == b""
            client.close()
            lab.wait_ended(server.port)
            lan, *links, internet = self._captures
            self.lan, self.internet = lan.tcp(server.port), internet.tcp(server.port)
            self.links = [[packet for packet in link.tcp()
                           if {packet.sport, packet.dport} & ports] for link in links]
        assert all(len(packets) > 4 for packets in (self.lan, self.internet, *self.links))


def check(packets, up, down, is_up):
    for packet in packets:
        assert packet.dscp == (up if is_up(packet) else down), packet


def check_lan(seen, up, down):
    check(seen.lan, up, down, lambda packet: packet.outgoing)


def check_internet(seen, up, down):
    check(seen.internet, up, down, lambda packet: not packet.outgoing)


def check_links(seen, up, down):
    for link in seen.links:
        # the kernel answers a join by itself, reflecting it, before the connection's options count
        joined = {packet.sport for packet in link if packet.is_syn and MP_JOIN in packet.mptcp}
        check([packet for packet in link if packet.payload or packet.dport not in joined],
              up, down, lambda packet: packet.outgoing)


@both_families
def test_A2_dscp_is_preserved_on_all_legs(bonded, family):
    seen = Seen(bonded, server_address(bonded, family))
    assert any(packet.is_syn for packet in seen.lan + seen.internet)
    check_lan(seen, EF, AF21)
    check_internet(seen, EF, AF21)
    check_links(seen, EF, AF21)


@both_families
def test_A2_connection_without_dscp_stays_without(bonded, family):
    seen = Seen(bonded, server_address(bonded, family), asked=0, answered=0)
    for packets in (seen.lan, seen.internet, *seen.links):
        assert {packet.dscp for packet in packets} == {0}


def remarked(cpe, conc):
    return running(cpe={"dscp": cpe}, conc={"dscp": conc})


@both_families
def test_A2_dscp_is_remarked_side_by_side(family):
    with remarked({"leg": 10, "lan": 12}, {"leg": 20, "internet": 14}) as lab:
        seen = Seen(lab, server_address(lab, family))
        check_lan(seen, EF, 12)
        check_links(seen, 10, 20)
        check_internet(seen, 14, AF21)


@both_families
def test_A2_one_value_is_for_both_sides_and_passed_on(family):
    """The concentrator preserves what it gets, which the CPE has set to 0."""
    with remarked(0, "preserve") as lab:
        seen = Seen(lab, server_address(lab, family))
        check_lan(seen, EF, 0)
        check_links(seen, 0, AF21)
        check_internet(seen, 0, AF21)


@both_families
def test_A2_ecn_is_each_legs_own(family):
    with running() as lab:
        for node in ("host", "cpe", "conc", "server"):
            lab.run(node, ["sysctl", "-qw", "net.ipv4.tcp_ecn=1"])
        seen = Seen(lab, server_address(lab, family))
        check_lan(seen, EF, AF21)
        check_internet(seen, EF, AF21)
        check_links(seen, EF, AF21)
        for packets in (seen.lan, seen.internet, *seen.links):
            assert {packet.ecn for packet in packets if packet.payload and not packet.is_syn} == {2}
            assert {packet.ecn for packet in packets if packet.is_syn} <= {0}


@both_families
def test_A2_eager_cpe_passes_on_the_hosts_at_once_and_the_servers_with_its_data(eager_cpe, family):
    seen = Seen(eager_cpe, server_address(eager_cpe, family))
    check_internet(seen, EF, AF21)
    check_links(seen, EF, AF21)
    check([packet for packet in seen.lan if packet.outgoing or packet.payload], EF, AF21, lambda packet: packet.outgoing)
