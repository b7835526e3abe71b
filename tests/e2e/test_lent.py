# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What plaitctl shows of a concentrator's pools: bindings, pools, subscribers."""

import ipaddress
import json

import pytest

from conftest import PlaitLab, running
from netns import Server, connect, echo, eventually, reset

POOL, POOL_V6 = "203.0.113.64/28", "2001:db8:77::/120"
NOUNS = ("bindings", "pools", "subscribers")


@pytest.fixture(scope="module")
def lab():
    config = {"internet": {"interfaces": ["net0"], "port_block": 64,
                           "pools": [{"prefix": POOL}, {"prefix": POOL_V6}]},
              "subscribers": [{"name": "home-1", "sources": ["10.1.0.2", "10.2.0.2"]}],
              "limits": {"subscriber": {"sessions": 1000}}}
    with running(conc=config) as made:
        yield made


def shown(lab, role, noun):
    return json.loads(lab.plaitctl(role, noun, "--json").stdout)[noun]


def home(lab):
    return next(found for found in shown(lab, "conc", "subscribers") if found["name"] == "home-1")


def test_B1_plaitctl_shows_what_is_lent(lab):
    with Server(lab, "server", lab.SERVER_V4, echo) as server:
        with connect(lab, "host", lab.SERVER_V4, server.port):
            binding, = shown(lab, "conc", "bindings")
            session, = lab.sessions("conc", server.port)
            pool, _ = shown(lab, "conc", "pools")
            subscriber = home(lab)
        lab.wait_ended(server.port)
    address, port = binding["external"].split(":")
    assert ipaddress.ip_address(address) in ipaddress.ip_network(POOL) and int(port) >= 1024
    assert binding.pop("age_s") < 5
    assert binding == {"protocol": "tcp", "inside": binding["inside"], "sessions": 1,
                       "external": session["inside"], "subscriber": "home-1", "state": "in use"}
    assert pool == {"family": "ipv4", "translation": "shared", "prefixes": [POOL], "addresses": 16,
                    "block_ports": 64, "blocks": 16 * (65536 - 1024) // 64, "blocks_lent": 1,
                    "ports_lent": 1}
    assert subscriber == {"name": "home-1", "source": "10.1.0.2", "sessions": 1, "ports": 1,
                          "blocks": 1, "external_ipv4": address, "external_ipv6": "",
                          "max_sessions": 1000, "max_ports": 0, "max_blocks": 8,
                          "max_new_sessions_per_s": 0, "links": []}
    assert shown(lab, "conc", "bindings") == []
    assert [pool["blocks_lent"] for pool in shown(lab, "conc", "pools")] == [0, 0]
    assert home(lab)["external_ipv4"] == ""


def test_B1_binding_rests_after_a_reset(lab):
    with Server(lab, "server", lab.SERVER_V4) as server:
        client = connect(lab, "host", lab.SERVER_V4, server.port)
        with server.take():
            reset(client)
            binding, = eventually(lambda: [found for found in shown(lab, "conc", "bindings")
                                           if found["state"] == "resting"])
    assert binding["sessions"] == 0
    assert (home(lab)["sessions"], home(lab)["ports"]) == (0, 1)
    text = lab.plaitctl("conc", "bindings").stdout.splitlines()
    assert len(text) == 2 and binding["external"] in text[1] and "resting" in text[1]


def test_B1_pools_tell_how_they_translate():
    pools = [{"prefix": POOL, "translation": "one-to-one"},
             {"prefix": "2001:db8:77::/56", "translation": "prefix"}]
    with PlaitLab() as lab:
        lab.plaitd("conc", {"internet": {"interfaces": ["net0"], "pools": pools}})
        one_to_one, prefix = shown(lab, "conc", "pools")
    lent = {"blocks_lent": 0, "ports_lent": 0}
    assert one_to_one == {"family": "ipv4", "translation": "one-to-one", "prefixes": [POOL],
                          "addresses": 16, "block_ports": 64512, "blocks": 16} | lent
    assert prefix == {"family": "ipv6", "translation": "prefix", "prefixes": ["2001:db8:77::/56"],
                      "addresses": 0, "block_ports": 0, "blocks": 0} | lent


def test_B1_a_cpe_lends_nothing(lab):
    assert [shown(lab, "cpe", noun) for noun in NOUNS] == [[], [], []]
