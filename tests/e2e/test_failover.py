# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""P2, TR Req6 and Req8: a link is lost, silent, flapping, back, or has another address."""

import json
import time

import pytest

from conftest import PlaitLab, running, server_address
from netns import Server, connect, echo, eventually, read_exactly, stays
from transfer import PORT, Transfer
from wire import Capture


def subflow_links(lab):
    session, = lab.sessions("cpe", PORT)
    return sorted(subflow["link"] for subflow in session["subflows"])


def link_state(lab, number):
    return json.loads(lab.plaitctl("cpe", "links", "--json").stdout)["links"][number - 1]["condition"]


def both_in_use(transfer, lab):
    eventually(lambda: subflow_links(lab) == ["dsl", "lte"], what="both subflows")
    eventually(lambda: transfer.mbit(0.5) > 60, what="the rate of both")


@pytest.fixture
def lab():
    with running(shape_mbit=[40, 40]) as made:
        yield made


both_links = pytest.mark.parametrize("link", [1, 2])
both_ways = pytest.mark.parametrize("way", ["download", "upload"])


@both_links
@both_ways
def test_P2_carrier_lost_and_back(lab, link, way):
    with Transfer(lab, way) as transfer:
        both_in_use(transfer, lab)
        cut = time.monotonic()
        lab.cut(link)
        time.sleep(1)
        assert transfer.longest_stall(cut) < 0.3
        assert transfer.mbit(0.5) > 30
        assert link_state(lab, link) == "no path"
        assert len(subflow_links(lab)) == 1
        lab.mend(link)
        both_in_use(transfer, lab)


@both_links
@both_ways
def test_P2_silent_black_hole_and_back(lab, link, way):
    with Transfer(lab, way) as transfer:
        both_in_use(transfer, lab)
        lost = time.monotonic()
        lab.set_weather(link, black_hole=True)
        eventually(lambda: link_state(lab, link) == "silent", what="silence")
        assert transfer.longest_stall(lost) < 0.8
        eventually(lambda: transfer.mbit(0.5) > 30, what="the rate of the other")
        with Server(lab, "server", lab.SERVER_V4, echo) as server:
            started = time.monotonic()
            with connect(lab, "host", lab.SERVER_V4, server.port) as client:
                client.sendall(b"new")
                assert read_exactly(client, 3) == b"new"
            assert time.monotonic() - started < 0.5, "a new one never waits for the dead link"
        lab.set_weather(link, black_hole=False)
        both_in_use(transfer, lab)


def test_P2_request_over_a_link_that_falls_silent(lab):
    with Server(lab, "server", lab.SERVER_V4, echo, PORT) as _, \
            connect(lab, "host", lab.SERVER_V4, PORT) as client:
        ask(client)
        eventually(lambda: subflow_links(lab) == ["dsl", "lte"], what="both subflows")
        for _ in range(20):
            ask(client)
            time.sleep(0.02)
        lab.set_weather(1, black_hole=True)
        asked = time.monotonic()
        ask(client)
        assert time.monotonic() - asked < 0.5


def test_P2_link_that_becomes_slow_is_not_silent():
    """Its answers come after more has been asked, and count."""
    with running(weather_everywhere=True) as lab, \
            Server(lab, "server", lab.SERVER_V4, echo, PORT) as _, \
            connect(lab, "host", lab.SERVER_V4, PORT) as client:
        ask(client)
        eventually(lambda: subflow_links(lab) == ["dsl", "lte"], what="both subflows")
        time.sleep(1)
        lab.set_weather(2, delay_ms=50)
        for _ in range(20):
            assert link_state(lab, 2) == "in use"
            time.sleep(0.05)


@both_links
@both_ways
def test_P2_throttled_in_mid_transfer(lab, link, way):
    """What waits in a link that has become poor goes over the other; later it is tried again."""
    with Transfer(lab, way) as transfer:
        both_in_use(transfer, lab)
        before = time.monotonic()
        lab.set_rate(link, 1)
        time.sleep(4)
        assert transfer.longest_stall(before) < 0.5
        assert transfer.mbit(3) > 0.9 * 0.94 * 40
        assert sorted(backups(lab)) == [False, True]
        assert link_state(lab, link) == "poor"
        lab.set_rate(link, 40)
        eventually(lambda: transfer.mbit(0.5) > 60, 12, "the rate of both")


def test_P2_flapping_link_is_left_alone(lab):
    """One second there, one second not: what comes over the other goes on."""
    with Transfer(lab, "download") as transfer:
        both_in_use(transfer, lab)
        start = time.monotonic()
        before = lab.counters("cpe")["subflow_left"]
        for _ in range(4):
            lab.cut(2)
            time.sleep(0.5)
            lab.mend(2)
            time.sleep(0.5)
        assert transfer.longest_stall(start) < 0.3
        assert lab.counters("cpe")["subflow_left"] - before <= 3
        both_in_use(transfer, lab)


@both_links
def test_P2_address_changes(lab, link):
    """As after a DHCP renewal, with no other address to go on with meanwhile."""
    lab.run("cpe", ["ip", "-6", "addr", "flush", "dev", f"w{link}", "scope", "global"])
    with Transfer(lab, "download") as transfer:
        both_in_use(transfer, lab)
        before = time.monotonic()
        lab.run("cpe", ["ip", "addr", "del", f"10.{link}.0.2/24", "dev", f"w{link}"])
        lab.run("cpe", ["ip", "addr", "add", f"10.{link}.0.77/24", "dev", f"w{link}"])

        def addresses():
            session, = lab.sessions("cpe", PORT)
            return sorted(subflow["local"].rsplit(":", 1)[0] for subflow in session["subflows"])

        other = 3 - link
        eventually(lambda: addresses() == sorted([f"10.{link}.0.77", f"10.{other}.0.2"]),
                   what="the new address")
        both_in_use(transfer, lab)
        assert transfer.longest_stall(before) < 0.3


def test_P2_address_of_the_only_link_changes_again_and_again(lab):
    """Each time the subflow from the old address is there until that from the new one is."""
    lab.run("cpe", ["ip", "-6", "addr", "flush", "dev", "w2", "scope", "global"])
    with Server(lab, "server", lab.SERVER_V4, echo, PORT) as _, \
            connect(lab, "host", lab.SERVER_V4, PORT) as client:
        ask(client)
        eventually(lambda: subflow_links(lab) == ["dsl", "lte"], what="both subflows")
        lab.cut(1)
        eventually(lambda: subflow_links(lab) == ["lte"], what="one subflow")
        for before, after in ((2, 77), (77, 78), (78, 2), (2, 79), (79, 77), (77, 2)):
            lab.run("cpe", ["ip", "addr", "del", f"10.2.0.{before}/24", "dev", "w2"])
            lab.run("cpe", ["ip", "addr", "add", f"10.2.0.{after}/24", "dev", "w2"])
            for role in ("cpe", "conc"):
                eventually(lambda: [subflow["local" if role == "cpe" else "remote"].rsplit(":", 1)[0]
                                    for subflow in lab.sessions(role, PORT)[0]["subflows"]]
                           == [f"10.2.0.{after}"], 8, f"the new address at {role}")
            ask(client)


def carried(lab, link, seconds):
    """Mbit/s over a link's interface at the CPE, both directions."""
    def count():
        return sum(lab.interface_bytes("cpe", f"w{link}"))
    before = count()
    time.sleep(seconds)
    return (count() - before) * 8e-6 / seconds


def with_use(use):
    return {"links": [{"name": "dsl", "interface": "w1"},
                      {"name": "lte", "interface": "w2", "use": use}]}


def backups(lab):
    return [subflow["backup"] for subflow in lab.sessions("cpe", PORT)[-1]["subflows"]]


def ask(client):
    client.sendall(bytes(1000))
    assert read_exactly(client, 1000) == bytes(1000)


@both_ways
def test_P2_overflow_takes_part_only_while_the_first_link_is_full(way):
    with running(cpe=with_use("overflow"), shape_mbit=[20, 20]) as lab:
        with Server(lab, "server", lab.SERVER_V4, echo, PORT) as _, \
                connect(lab, "host", lab.SERVER_V4, PORT) as client:
            ask(client)
            eventually(lambda: subflow_links(lab) == ["dsl", "lte"], what="both subflows")
            for _ in range(20):
                ask(client)
            assert carried(lab, 2, 0.5) < 0.2, "idle as long as little moves"
        lab.wait_ended(PORT)
        with Transfer(lab, way) as transfer:
            eventually(lambda: transfer.mbit(1) > 1.7 * 0.94 * 20, 8, "the rate of both")
        with Server(lab, "server", lab.SERVER_V4, echo, PORT) as _, \
                connect(lab, "host", lab.SERVER_V4, PORT) as client:
            ask(client)
            eventually(lambda: backups(lab) == [False, True], 10, "the second link to be idle")


@both_ways
def test_P2_backup_takes_over(way):
    with running(cpe=with_use("backup"), shape_mbit=[20, 20]) as lab, Transfer(lab, way) as transfer:
        eventually(lambda: subflow_links(lab) == ["dsl", "lte"], what="both subflows")
        assert carried(lab, 2, 1) < 0.3
        assert transfer.mbit(0.5) > 15
        cut = time.monotonic()
        lab.cut(1)
        time.sleep(1)
        assert transfer.longest_stall(cut) < 0.3
        assert carried(lab, 2, 0.5) > 15


def test_P2_weights_divide_new_connections():
    links = [{"name": "dsl", "interface": "w1", "weight": 3},
             {"name": "lte", "interface": "w2", "weight": 1}]
    with running(cpe={"links": links}) as lab, Capture(lab, "cpe", "w1") as dsl, \
            Capture(lab, "cpe", "w2") as lte, Server(lab, "server", lab.SERVER_V4, echo) as server:
        for _ in range(200):
            with connect(lab, "host", lab.SERVER_V4, server.port) as client:
                ask(client)
        begun = [len({packet.sport for packet in link.tcp(lab.PORT)
                      if packet.outgoing and packet.is_syn and packet.payload})
                 for link in (dsl, lte)]
    assert sum(begun) >= 200
    assert 0.6 < begun[0] / sum(begun) < 0.9


@pytest.mark.parametrize("limit,weather,good", [
    ({"max_loss_percent": 20}, {"loss_percent": 60}, {"loss_percent": 0}),
    ({"max_rtt": "100ms"}, {"delay_ms": 150}, {"delay_ms": 0})], ids=["lossy", "slow"])
def test_P2_link_beyond_its_limit_is_left_until_it_is_good(limit, weather, good):
    links = [{"name": "dsl", "interface": "w1"}, {"name": "lte", "interface": "w2"} | limit]
    with running(cpe={"links": links}, weather_everywhere=True) as lab, \
            Server(lab, "server", lab.SERVER_V4, echo, PORT) as _, \
            connect(lab, "host", lab.SERVER_V4, PORT) as client:
        ask(client)
        eventually(lambda: subflow_links(lab) == ["dsl", "lte"], what="both subflows")
        lab.set_weather(2, "up", **weather)
        eventually(lambda: link_state(lab, 2) in ("lossy", "slow"), 10, "the link to be left")
        eventually(lambda: subflow_links(lab) == ["dsl"], what="one subflow")
        ask(client)
        lab.set_weather(2, "up", **good)
        eventually(lambda: link_state(lab, 2) == "in use", 20, "its return")
        eventually(lambda: subflow_links(lab) == ["dsl", "lte"], what="both subflows")


def test_P2_links_beyond_their_limits_are_better_than_none():
    links = [{"name": "dsl", "interface": "w1", "max_rtt": "100ms"},
             {"name": "lte", "interface": "w2", "max_rtt": "100ms"}]
    with running(cpe={"links": links}, weather_everywhere=True) as lab, \
            Server(lab, "server", lab.SERVER_V4, echo, PORT) as _:
        for link in (1, 2):
            lab.set_weather(link, delay_ms=100)
        eventually(lambda: link_state(lab, 1) == link_state(lab, 2) == "slow", 10, "both slow")
        before = lab.counters("cpe")
        with connect(lab, "host", lab.SERVER_V4, PORT) as client:
            ask(client)
        assert "established" in lab.since("cpe", before)


def modem(lab, number, name, *addresses):
    """A further access network that comes and goes, as a veth pair with an address at each end."""
    lab.run("cpe", ["ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}-c",
                    "netns", lab.netns("conc")])
    for node, end, last in (("cpe", name, 2), ("conc", f"{name}-c", 1)):
        for prefix in addresses:
            lab.run(node, ["ip", "addr", "add", prefix.format(number=number, last=last),
                           "dev", end, *(["nodad"] if ":" in prefix else [])])
        lab.run(node, ["ip", "link", "set", end, "up"])


V4, V6 = "10.{number}.0.{last}/24", "fd10:{number}::{last}/64"


def three_links(lab, **third):
    """Starts plait with a third link that is not there, and lets its addresses in."""
    config = lab.plait_config("conc")["customer"]
    lab.plaitd("conc", {"customer": config | {"allow": ["10.0.0.0/8", "fd10::/16"]}})
    links = lab.plait_config("cpe")["links"] + [{"name": "usb", "interface": "w9"} | third]
    lab.plaitd("cpe", {"links": links})


@pytest.mark.parametrize("addresses,family", [((V4, V6), "v4"), ((V4, V6), "v6"), ((V6,), "v6")],
                         ids=["both families-v4", "both families-v6", "IPv6 only"])
def test_P2_link_that_is_absent_at_start_comes_and_goes(addresses, family):
    with PlaitLab() as lab:
        three_links(lab, gateway=["10.9.0.1", "fd10:9::1"])
        assert "no interface w9" in lab.log("cpe")
        address = server_address(lab, family)
        with Server(lab, "server", address, echo, PORT) as _, \
                connect(lab, "host", address, PORT) as client:
            ask(client)
            eventually(lambda: subflow_links(lab) == ["dsl", "lte"], what="both subflows")
            for _ in range(2):
                modem(lab, 9, "w9", *addresses)
                eventually(lambda: subflow_links(lab) == ["dsl", "lte", "usb"], 8, "the third")
                ask(client)
                lab.run("cpe", ["ip", "link", "del", "w9"])
                eventually(lambda: subflow_links(lab) == ["dsl", "lte"], 8, "two again")
                ask(client)


def test_P2_two_links_in_one_subnet():
    """Two modems that both call themselves 192.168.8.1: each has its own table."""
    with PlaitLab() as lab:
        three_links(lab)
        modem(lab, 9, "w9", V4)
        lab.run("cpe", ["ip", "addr", "del", "10.9.0.2/24", "dev", "w9"])
        lab.run("cpe", ["ip", "addr", "add", "10.1.0.99/24", "dev", "w9"])
        lab.run("conc", ["ip", "route", "add", "10.1.0.99/32", "dev", "w9-c"])
        lab.run("conc", ["sysctl", "-qw", "net.ipv4.conf.w9-c.proxy_arp=1"])
        with Server(lab, "server", lab.SERVER_V4, echo, PORT) as _, \
                connect(lab, "host", lab.SERVER_V4, PORT) as client, Capture(lab, "cpe", "w9") as usb:
            ask(client)
            eventually(lambda: subflow_links(lab) == ["dsl", "lte", "usb"], 8, "all three")
            assert {packet.source for packet in usb.tcp(lab.PORT) if packet.outgoing} == \
                {"10.1.0.99"}


def test_P2_limit_of_subflows_first_links_first_and_the_next_when_one_fails():
    """Two places for three links: the free one goes to the next, and who has one keeps it."""
    with running(cpe={"limits": {"subflows": 2}}, links=3, weather_everywhere=True) as lab, \
            Server(lab, "server", lab.SERVER_V4, echo, PORT) as _, \
            connect(lab, "host", lab.SERVER_V4, PORT) as client:
        ask(client)
        eventually(lambda: subflow_links(lab) == ["dsl", "lte"], what="the first two")
        stays(lambda: subflow_links(lab) == ["dsl", "lte"], 1)
        lab.cut(2)
        eventually(lambda: subflow_links(lab) == ["dsl", "link3"], what="the third")
        ask(client)
        lab.mend(2)
        eventually(lambda: link_state(lab, 2) == "in use", what="the second's return")
        stays(lambda: subflow_links(lab) == ["dsl", "link3"], 1)
        lab.cut(3)
        eventually(lambda: subflow_links(lab) == ["dsl", "lte"], what="the second again")
        ask(client)


@pytest.mark.parametrize("failure", ["carrier", "silence"])
def test_P2_limit_of_one_subflow_moves_when_its_link_fails(failure):
    with running(cpe={"limits": {"subflows": 1}}, weather_everywhere=True) as lab, \
            Server(lab, "server", lab.SERVER_V4, echo, PORT) as _, \
            connect(lab, "host", lab.SERVER_V4, PORT) as client:
        ask(client)
        stays(lambda: subflow_links(lab) == ["dsl"], 1)
        if failure == "carrier":
            lab.cut(1)
        else:
            lab.set_weather(1, black_hole=True)
        started = time.monotonic()
        ask(client)
        assert time.monotonic() - started < 2
        eventually(lambda: subflow_links(lab) == ["lte"], what="the move")
        ask(client)
        if failure == "carrier":
            lab.mend(1)
        else:
            lab.set_weather(1, black_hole=False)
        eventually(lambda: link_state(lab, 1) == "in use", what="the first link's return")
        stays(lambda: subflow_links(lab) == ["lte"], 1)
        ask(client)


def lasts(probe, seconds):
    """Whether `probe` is true all the time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not probe():
            return False
    return True


def test_P2_limit_of_one_subflow_holds_when_its_link_is_back_at_once():
    """Before the subflow over it was ended."""
    with running(cpe={"limits": {"subflows": 1}}, weather_everywhere=True) as lab, \
            Transfer(lab, "download") as transfer:
        eventually(lambda: transfer.mbit(0.2) > 10, what="bytes")
        joined = lab.counters("cpe")["joined"]
        lab.cut(1)
        lab.mend(1)
        eventually(lambda: lab.counters("cpe")["joined"] > joined, what="the join")
        eventually(lambda: lasts(lambda: len(subflow_links(lab)) == 1, 1), 10, "one again")
        assert transfer.mbit(0.5) > 10


@pytest.mark.parametrize("limit", [1, 2])
def test_S1_concentrator_refuses_subflows_beyond_its_limit(limit):
    with running(conc={"limits": {"subflows": limit}}, links=3) as lab, \
            Server(lab, "server", lab.SERVER_V4, echo, PORT) as _, \
            connect(lab, "host", lab.SERVER_V4, PORT) as client:
        ask(client)
        eventually(lambda: lab.counters("cpe")["joined"] + lab.counters("cpe")["join_failed"] >= 3,
                   what="attempts")
        assert all(len(session["subflows"]) == limit
                   for session in lab.sessions("conc", PORT)), lab.sessions("conc", PORT)
        stays(lambda: len(lab.sessions("conc", PORT)[0]["subflows"]) == limit, 1)
        ask(client)
