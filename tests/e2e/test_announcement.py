# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""T2: routes to the pools in the main table, which a routing daemon (BIRD) announces."""

import contextlib
import ipaddress
import json

import pytest

from conftest import PlaitLab, both_families, server_address
from lab import BUILD
from netns import Server, connect, eventually, peer_name

PROTOCOL = 112
POOLS = {"v4": "198.51.100.0/28", "v6": "2001:db8:77::/120"}
OTHERS = {"v4": "198.51.100.64/28", "v6": "2001:db8:99::/120"}
IP = {"v4": ["ip", "-4"], "v6": ["ip", "-6"]}

SPEAKER = """
log stderr all;
router id {router_id};
protocol device {{ scan time 1; }}
protocol kernel {{ learn; ipv4 {{ {kernel} }}; }}
protocol kernel {{ learn; ipv6 {{ {kernel} }}; }}
template bgp session {{
    local as {own_as};
    connect delay time 1; connect retry time 1; error wait time 1, 1;
}}
protocol bgp from session {{ neighbor {peer_v4} as {peer_as}; ipv4 {{ {bgp} }}; }}
protocol bgp from session {{ neighbor {peer_v6} as {peer_as}; ipv6 {{ {bgp} }}; }}
"""


def start_bird(lab, node, **settings):
    config, control = lab.dir / f"bird-{node}.conf", lab.dir / f"bird-{node}.ctl"
    config.write_text(SPEAKER.format(**settings))
    lab.popen(node, ["bird", "-f", "-c", config, "-s", control, "-P", lab.dir / f"bird-{node}.pid"],
              log=f"bird-{node}.log")


def start_birds(lab):
    """One beside the concentrator announces what plaitd installs; the server's learns it."""
    start_bird(lab, "conc", router_id="1.1.1.1", own_as=65001, peer_as=65002,
               peer_v4=lab.SERVER_V4, peer_v6=lab.SERVER_V6,
               kernel=f"import filter {{ if krt_source = {PROTOCOL} then accept; reject; }}; "
                      "export none;",
               bgp="import none; export where source = RTS_INHERIT;")
    start_bird(lab, "server", router_id="2.2.2.2", own_as=65002, peer_as=65001,
               peer_v4=lab.CONC_NET_V4, peer_v6=lab.CONC_NET_V6,
               kernel="import none; export where source = RTS_BGP;",
               bgp="import all; export none;")


def main_routes(lab, node, family, *which):
    """Routes of the main table."""
    return json.loads(lab.run(node, [*IP[family], "-j", "-details", "route", "show", *which])
                      .stdout)


def announced(lab, family):
    return {(route["dst"], route["type"])
            for route in main_routes(lab, "conc", family, "proto", str(PROTOCOL))}


def wanted(family):
    return {(POOLS[family], "blackhole")}


def start_concentrator(lab, **internet):
    config = lab.plait_config("conc")["internet"] | internet
    lab.plaitd("conc", {"internet": config})


def pools_of(*prefixes):
    return {"pools": [{"prefix": prefix} for prefix in prefixes]}


@contextlib.contextmanager
def announcing():
    """A lab whose server knows no way to the pools; the concentrator announces them."""
    with PlaitLab() as lab:
        for family in IP:
            lab.run("server", [*IP[family], "route", "del", "default"])
        start_concentrator(lab, **pools_of(*POOLS.values()), route_protocol=PROTOCOL)
        yield lab


def test_T2_pool_is_reached_over_the_route_that_bird_has_learnt():
    """Over BGP; the server's answers find no other way."""
    with announcing() as lab:
        lab.plaitd("cpe", {"preserve_source": {"ipv6": False}})
        for family, pool in POOLS.items():
            with Server(lab, "server", server_address(lab, family), peer_name) as server, \
                    pytest.raises(OSError):
                connect(lab, "host", server.address, server.port, timeout=0.7)
            assert not main_routes(lab, "server", family, pool)
        start_birds(lab)
        for family, pool in POOLS.items():
            learnt, = eventually(lambda f=family, p=pool: main_routes(lab, "server", f, p), 20,
                                 f"BIRD's learning {pool}")
            assert learnt["protocol"] == "bird"
            with Server(lab, "server", server_address(lab, family), peer_name) as server, \
                    connect(lab, "host", server.address, server.port) as client:
                seen = client.recv(100).decode().rpartition(":")[0].strip("[]")
                assert ipaddress.ip_address(seen) in ipaddress.ip_network(pool)
        lab.stop_plaitd("conc")
        for family, pool in POOLS.items():
            assert not announced(lab, family)
            eventually(lambda f=family, p=pool: not main_routes(lab, "server", f, p), 10,
                       f"BIRD's forgetting {pool}")


@both_families
def test_T2_nothing_is_announced_unless_configured(family):
    with PlaitLab() as lab:
        before = main_routes(lab, "conc", family)
        start_concentrator(lab, **pools_of(POOLS[family]))
        assert main_routes(lab, "conc", family) == before
        lab.stop_plaitd("conc")
        start_concentrator(lab, **pools_of(POOLS[family]), route_protocol=PROTOCOL)
        assert announced(lab, family) == wanted(family)
        lab.stop_plaitd("conc")
        assert main_routes(lab, "conc", family) == before


@both_families
def test_T2_announcement_of_a_killed_run_is_taken_up_and_ends(family):
    """Another prefix of the same protocol number is somebody's own."""
    with announcing() as lab:
        other = ["blackhole", OTHERS[family], "proto", str(PROTOCOL)]
        lab.run("conc", [*IP[family], "route", "add", *other])
        agent = lab.agents.pop("conc")
        agent.process.kill()
        agent.process.wait()
        assert wanted(family) < announced(lab, family)
        start_concentrator(lab, **pools_of(POOLS[family]), route_protocol=PROTOCOL)
        assert wanted(family) < announced(lab, family)
        assert "not announced" not in lab.log("conc")
        lab.stop_plaitd("conc")
        assert announced(lab, family) == {(OTHERS[family], "blackhole")}


@both_families
@pytest.mark.parametrize("kind", ["unicast", "blackhole"])
def test_T2_route_of_someone_else_to_the_pool_stays(family, kind):
    foreign = {"unicast": ["unicast", POOLS[family], "dev", "net0"],
               "blackhole": ["blackhole", POOLS[family], "proto", "static"]}[kind]
    with PlaitLab() as lab:
        lab.run("conc", [*IP[family], "route", "add", *foreign])
        before = main_routes(lab, "conc", family)
        start_concentrator(lab, **pools_of(POOLS[family], OTHERS[family]),
                           route_protocol=PROTOCOL)
        assert f"pool {POOLS[family]} is not announced" in lab.log("conc")
        assert announced(lab, family) == {(OTHERS[family], "blackhole")}
        lab.stop_plaitd("conc")
        assert main_routes(lab, "conc", family) == before


def test_T2_second_plaitd_of_the_name_leaves_the_announcement_alone():
    with announcing() as lab:
        second = lab.run("conc", [BUILD / "plaitd", "-c", lab.agents["conc"].config], check=False)
        assert second.returncode == 1 and "is running already" in second.stderr
        assert announced(lab, "v4") == wanted("v4")
