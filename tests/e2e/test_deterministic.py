# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""T2: deterministic pools (RFC 7422): who has which ports follows from the configuration."""

import contextlib
import json
import subprocess

import pytest

from lab import BUILD
from netns import Server, connect, peer_name, read_all
from test_pools import Listener, ask, begin, bindings, other_link_only, pooled, refused

V4 = {"prefix": "203.0.113.64/28", "translation": "deterministic",
      "inside": ["10.1.0.0/24", "10.2.0.0/24"]}
V6 = {"prefix": "2001:db8:77::/124", "translation": "deterministic",
      "inside": ["10.1.0.0/24", "fd10:1::/120"]}
TIED = [{"name": "home-1", "sources": ["10.2.0.2", "10.1.0.2"]}]
SHARE = 64512 // 32  # of 512 subscribers' sixteen addresses


def computed(source):
    """RFC 7422 §2 as V4 has it: external address, first and last port."""
    third, host = source.split(".")[1], int(source.split(".")[3])
    number = host + 256 * (third == "2")
    first = 1024 + number // 16 * SHARE
    return f"203.0.113.{64 + number % 16}", first, first + SHARE - 1


def whois(lab, *words):
    """Offline: with the file alone, in another network namespace than plaitd's."""
    config = lab.write_config("conc", lab.conc_config)
    done = subprocess.run([BUILD / "plaitctl", "whois", "-c", config, *words, "--json"],
                          capture_output=True, text=True, check=True)
    return [(row["external"], row["port_first"], row["port_last"], row["source"], row["from"])
            for row in json.loads(done.stdout)["whois"]]


def seen(lab, listener):
    client, peer = begin(lab, listener, lab.SERVER_V4)
    return client, peer[0], peer[1]


def test_T2_deterministic_block_is_what_the_server_sees_and_whois_computes():
    with pooled([V4]) as lab, Listener(lab, lab.SERVER_V4) as listener, \
            contextlib.ExitStack() as stack:
        address, first, last = computed("10.1.0.2")
        ports = set()
        for _ in range(30):
            client, external, port = seen(lab, listener)
            stack.enter_context(client)
            assert external == address and first <= port <= last
            ports.add(port)
        assert len(ports) == 30 and max(ports) - min(ports) > 300, "at random within the block"
        block = [(address, first, last, "10.1.0.2", "configuration")]
        assert whois(lab, "10.1.0.2") == block
        for port in (*ports, first, last):
            assert whois(lab, f"{address}:{port}") == block
        pool, = json.loads(lab.plaitctl("conc", "pools", "--json").stdout)["pools"]
        assert (pool["translation"], pool["block_ports"], pool["blocks_lent"]) == (
            "deterministic", SHARE, 1)


@pytest.mark.parametrize("subscribers, blocks", [([], ("10.1.0.2", "10.2.0.2")),
                                                 (TIED, ("10.2.0.2", "10.2.0.2"))])
def test_T2_deterministic_blocks_are_of_each_source_and_a_name_ties_them(subscribers, blocks):
    with pooled([V4], subscribers=subscribers) as lab, \
            Listener(lab, lab.SERVER_V4) as listener, contextlib.ExitStack() as stack:
        for turn, block in enumerate(blocks):
            if turn:
                other_link_only(lab, stack)
            client, external, port = seen(lab, listener)
            stack.enter_context(client)
            address, first, last = computed(block)
            assert external == address and first <= port <= last


def test_T2_deterministic_block_that_is_full_refuses_and_its_neighbour_is_not():
    with pooled([V4], internet={"port_block": 6}) as lab, \
            Listener(lab, lab.SERVER_V4) as listener, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(seen(lab, listener)[0]) for _ in range(6)]
        assert {port for _, port in listener.peers} == set(range(1024, 1030))
        refused(lab, listener, "subscriber_ports")
        other_link_only(lab, stack)
        client, external, port = seen(lab, listener)
        stack.enter_context(client)
        number = 256 + 2  # 10.2.0.2
        assert external == "203.0.113.66" and (port - 1024) // 6 == number // 16
        for client in clients:
            ask(client)


def test_T2_deterministic_for_some_and_shared_for_the_rest():
    pools = [V4 | {"inside": ["10.2.0.0/24"]}, {"prefix": "203.0.113.96/30"}]
    with pooled(pools) as lab, Listener(lab, lab.SERVER_V4) as listener, \
            contextlib.ExitStack() as stack:
        client, external, _ = seen(lab, listener)
        stack.enter_context(client)
        assert external.startswith("203.0.113.9")
        other_link_only(lab, stack)
        client, external, port = seen(lab, listener)
        stack.enter_context(client)
        assert external == "203.0.113.66" and 1024 <= port < 1024 + 4032
        assert "event=block-lent" in lab.log("conc")
        assert "203.0.113.66" not in lab.log("conc"), "what is computed is not logged"


def test_T2_who_is_inside_of_no_deterministic_pool_is_refused_and_counted():
    with pooled([V4 | {"inside": ["10.3.0.0/24"]}]) as lab, \
            Listener(lab, lab.SERVER_V4) as listener:
        refused(lab, listener, "subscriber_outside")
        assert not listener.peers and not bindings(lab)


def test_T2_deterministic_addresses_of_the_other_family():
    with pooled([V6]) as lab, Server(lab, "server", lab.SERVER_V6, peer_name) as server:
        with connect(lab, "host", lab.SERVER_V6, server.port) as client:
            address, port = read_all(client).decode().rsplit(":", 1)
        found, = whois(lab, f"{address}:{port}")
        assert found[0] == address.strip("[]") and found[3] in ("10.1.0.2", "fd10:1::2")
        assert found in whois(lab, found[3])


@pytest.mark.parametrize("per", ["block", "session"])
def test_T2_S2_deterministic_is_logged_as_configuration_once(per):
    with pooled([V4], binding_log={"per": per}) as lab, \
            Listener(lab, lab.SERVER_V4) as listener:
        for _ in range(3):
            seen(lab, listener)[0].close()
        lab.wait_ended(listener.port)
        log = lab.agents["conc"].log
        lab.stop_plaitd("conc")
        lines = log.read_text().splitlines()
        told = [line for line in lines if "deterministic pool 203.0.113.64/28" in line]
        assert len(told) == 1
        assert "a block of 2016 ports for each address of 10.1.0.0/24 10.2.0.0/24" in told[0]
        assert sum("event=" in line for line in lines) == (6 if per == "session" else 0)


def test_T2_deterministic_after_a_restart():
    """RFC 6888 REQ-8: ports of the earlier run rest, and the block is the same."""
    with pooled([V4]) as lab, Listener(lab, lab.SERVER_V4) as listener, \
            contextlib.ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(seen(lab, listener)[0])
        before = set(listener.peers)
        lab.kill_and_restart("conc", lab.conc_config)
        assert "10 external ports of an earlier run rest" in lab.log("conc")
        for _ in range(10):
            stack.enter_context(seen(lab, listener)[0])
        after = set(listener.peers) - before
        address, first, last = computed("10.1.0.2")
        assert len(after) == 10
        assert all(peer[0] == address and first <= peer[1] <= last for peer in after)


def test_T2_deterministic_with_more_subscribers_than_blocks_is_refused_by_check():
    with pooled([V4]) as lab:
        config = lab.write_config("conc", {"internet": lab.conc_config["internet"] | {
            "port_block": 4032}})
        done = lab.run("conc", [BUILD / "plaitd", "-c", config, "--check"], check=False)
    assert done.returncode == 2
    assert ("more subscribers than blocks: 512 addresses, and 203.0.113.64/28 has 256 blocks of "
            "4032 ports") in done.stderr


def test_T2_deterministic_ports_are_bound_to_whom_they_are_computed_for():
    with pooled([V4]) as lab, Listener(lab, lab.SERVER_V4) as listener, \
            contextlib.ExitStack() as stack:
        address, first, last = computed("10.1.0.2")
        bound = lab.plaitctl("conc", "bind", f"{address}:{last}", "10.1.0.2:8080", check=False)
        assert bound.returncode == 0, bound.stderr
        other = lab.plaitctl("conc", "bind", f"{address}:{last + 1}", "10.1.0.2:8081", check=False)
        assert other.returncode == 1
        assert f"{address}:{last + 1} is not in the block of who is inside" in other.stderr
        client, external, port = seen(lab, listener)
        stack.enter_context(client)
        assert external == address and first <= port < last
