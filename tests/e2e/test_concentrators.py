# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""P3: what becomes of connections while no concentrator answers, and after."""

import contextlib
import json
import time

import pytest

from conftest import PlaitLab, both_families, server_address
from netns import Server, connect, echo, eventually, read_exactly


@contextlib.contextmanager
def cpe_alone(**config):
    """A CPE that has had a concentrator."""
    with PlaitLab() as lab:
        lab.plaitd("conc")
        lab.plaitd("cpe", config)
        yield lab


def ask(lab, address, port, seconds=3):
    with connect(lab, "host", address, port, timeout=seconds) as client:
        client.sendall(b"x")
        assert read_exactly(client, 1) == b"x"


def bonded_one(lab, address, port):
    """Whether a new connection is bonded."""
    before = lab.counters("cpe")
    ask(lab, address, port)
    return "established" in lab.since("cpe", before)


def wait_noticed(lab, what):
    eventually(lambda: what in lab.log("cpe"), 3, "noticing within 3 s")


@both_families
@pytest.mark.parametrize("how", ["stopped", "silent"])
def test_P3_direct_while_no_concentrator_answers_and_back(family, how):
    with cpe_alone() as lab, Server(lab, "server", server_address(lab, family), echo) as server:
        address = server_address(lab, family)
        assert bonded_one(lab, address, server.port)
        if how == "stopped":
            lab.stop_plaitd("conc")
        else:
            lab.run("conc", ["nft", "add table inet t; add chain inet t c "
                             "{ type filter hook prerouting priority -400; };"
                             "add rule inet t c tcp dport 6824 drop"])
        wait_noticed(lab, "does not answer")
        started = time.monotonic()
        assert not bonded_one(lab, address, server.port)
        assert time.monotonic() - started < 0.5
        if how == "stopped":
            lab.plaitd("conc")
        else:
            lab.run("conc", ["nft", "delete table inet t"])
        wait_noticed(lab, "answers again")
        assert bonded_one(lab, address, server.port)


@both_families
def test_P3_refused_while_no_concentrator_answers_where_configured(family):
    with cpe_alone(when_unreachable="refuse") as lab, \
            Server(lab, "server", server_address(lab, family), echo) as server:
        lab.stop_plaitd("conc")
        wait_noticed(lab, "does not answer")
        with pytest.raises(OSError, match="No route to host"):
            ask(lab, server_address(lab, family), server.port)
        lab.plaitd("conc")
        wait_noticed(lab, "answers again")
        assert bonded_one(lab, server_address(lab, family), server.port)


def test_P3_what_policy_drops_stays_dropped():
    with cpe_alone(policy=[{"match": {"protocol": "tcp", "destination_port": 9}, "action": "drop"},
                           {"match": {"protocol": "tcp"}, "action": "bond"}]) as lab, \
            Server(lab, "server", lab.SERVER_V4, echo) as server, \
            Server(lab, "server", lab.SERVER_V4, echo, 9):
        lab.stop_plaitd("conc")
        wait_noticed(lab, "does not answer")
        assert not bonded_one(lab, lab.SERVER_V4, server.port)
        with pytest.raises(TimeoutError):
            ask(lab, lab.SERVER_V4, 9, 0.5)


# Several concentrators

STATIONS = {"1": "k1", "3": "k2"}


@contextlib.contextmanager
def two_concentrators(**config):
    """A CPE with two of them, and a server that echoes on every address it has."""
    with PlaitLab(second_concentrator=True) as lab, \
            Server(lab, "server", lab.SERVER_V4, echo) as server:
        lab.plaitd("conc")
        lab.plaitd("conc2")
        lab.plaitd("cpe", config)
        lab.server_port = server.port
        yield lab


def concentrator_of(lab, source=None):
    """The name of the one that a new connection goes over."""
    with connect(lab, "host", lab.SERVER_V4, lab.server_port, source=source, timeout=5) as client:
        client.sendall(b"x")
        assert read_exactly(client, 1) == b"x"
        port = client.getsockname()[1]
        session, = [found for found in lab.sessions("cpe")
                    if found["inside"].endswith(f":{port}")]
        led = {STATIONS[flow["remote"].rpartition(":")[0].rpartition(".")[2]]
               for flow in session["subflows"]}
        assert led == {session["concentrator"]}
        return session["concentrator"]


def unplug(lab, node, state="down"):
    """The machine is gone for the access networks, without a word."""
    for i in range(1, lab.links + 1):
        lab.run("hub", ["ip", "link", "set", f"w{i}-{node}", state])


def concentrators(lab):
    listed = json.loads(lab.plaitctl("cpe", "concentrators", "--json").stdout)["concentrators"]
    return {each["name"]: each for each in listed}


@pytest.mark.parametrize("how", ["stopped", "unplugged"])
def test_P2_new_connections_leave_a_dead_concentrator_within_3_s_and_return(how):
    with two_concentrators() as lab:
        assert concentrator_of(lab) == "k1"
        if how == "stopped":
            lab.stop_plaitd("conc")
        else:
            unplug(lab, "conc")
        started = time.monotonic()
        if how == "stopped":
            # until it is noticed, its machine refuses, as a server's would
            wait_noticed(lab, "concentrator k1 does not answer")
        # else, begun at once, it waits until that is noticed, and then goes over the other
        assert concentrator_of(lab) == "k2"
        assert time.monotonic() - started < 3
        for _ in range(5):
            started = time.monotonic()
            assert concentrator_of(lab) == "k2"
            assert time.monotonic() - started < 0.5
        assert not concentrators(lab)["k1"]["answers"] and concentrators(lab)["k2"]["answers"]
        assert " is left" not in lab.log("cpe"), "a link was taken for dead"
        if how == "stopped":
            lab.plaitd("conc")
        else:
            unplug(lab, "conc", "up")
        wait_noticed(lab, "concentrator k1 answers again")
        assert concentrator_of(lab) == "k1"


def test_P2_connections_over_the_other_concentrator_do_not_notice():
    with two_concentrators(concentrator_selection="hash") as lab:
        lab.run("host", ["sh", "-c", "for i in $(seq 10 25); do "
                                     "ip addr add 192.168.1.$i/24 dev eth0; done"])
        hosts = [f"192.168.1.{i}" for i in range(10, 26)]
        before = {host: concentrator_of(lab, (host, 0)) for host in hosts}
        assert set(before.values()) == {"k1", "k2"}
        assert before == {host: concentrator_of(lab, (host, 0)) for host in hosts}
        stays, = [[host for host in hosts if before[host] == "k2"][:1]]
        with connect(lab, "host", lab.SERVER_V4, lab.server_port, source=(stays[0], 0)) as client:
            client.sendall(b"x")
            assert read_exactly(client, 1) == b"x"
            unplug(lab, "conc")
            wait_noticed(lab, "concentrator k1 does not answer")
            client.sendall(b"y")
            assert read_exactly(client, 1) == b"y"
        assert {host: concentrator_of(lab, (host, 0)) for host in hosts} == dict.fromkeys(hosts, "k2")
        unplug(lab, "conc", "up")
        wait_noticed(lab, "concentrator k1 answers again")
        assert before == {host: concentrator_of(lab, (host, 0)) for host in hosts}


def test_P2_concentrators_by_weight():
    with two_concentrators() as lab:
        lab.stop_plaitd("cpe")
        known = lab.plait_config("cpe")["concentrators"]
        lab.plaitd("cpe", {"concentrator_selection": "weighted",
                           "concentrators": [known[0] | {"weight": 3}, known[1]]})
        names = [concentrator_of(lab) for _ in range(80)]
        assert 45 <= names.count("k1") <= 72  # 60 is the mean, 3.9 the deviation
        lab.stop_plaitd("conc")
        wait_noticed(lab, "concentrator k1 does not answer")
        assert {concentrator_of(lab) for _ in range(10)} == {"k2"}


def test_P2_all_concentrators_gone_and_one_back():
    with two_concentrators(when_unreachable="refuse") as lab:
        unplug(lab, "conc")
        unplug(lab, "conc2")
        wait_noticed(lab, "concentrator k1 does not answer")
        wait_noticed(lab, "concentrator k2 does not answer")
        with pytest.raises(OSError, match="No route to host"):
            concentrator_of(lab)
        unplug(lab, "conc2", "up")
        wait_noticed(lab, "concentrator k2 answers again")
        assert concentrator_of(lab) == "k2"


def test_P2_a_concentrator_without_a_port_of_its_own_is_checked_by_echoes():
    with PlaitLab() as lab, Server(lab, "server", lab.SERVER_V4, echo) as server:
        known, = lab.plait_config("cpe")["concentrators"]
        lab.run("conc", ["ip", "link", "set", "w1", "down"])
        lab.run("conc", ["ip", "link", "set", "w2", "down"])
        lab.plaitd("cpe", {"concentrators": [known | {"port": "preserve"}]})
        wait_noticed(lab, "concentrator k1 does not answer")
        lab.run("conc", ["ip", "link", "set", "w1", "up"])
        lab.run("conc", ["ip", "link", "set", "w2", "up"])
        wait_noticed(lab, "concentrator k1 answers again")
        assert server.port


# Names

def names_for(lab, hosts="", name_server="203.0.113.77"):
    """A command that gives a program name files of its own, whose name server is silent if no
    other is given, and the path of its /etc/hosts."""
    files = {"hosts": hosts, "resolv.conf": f"nameserver {name_server}\n"}
    for name, text in files.items():
        (lab.dir / name).write_text(text)
    binds = " && ".join(f"mount --bind {lab.dir}/{name} /etc/{name}" for name in files)
    return ["unshare", "--mount", "sh", "-c", f"{binds} && exec \"$@\"", "sh"], lab.dir / "hosts"


def test_P2_concentrator_by_name_that_changes_its_address():
    with PlaitLab() as lab, Server(lab, "server", lab.SERVER_V4, echo) as server:
        own_files, hosts = names_for(lab, "10.1.0.1 k1.example\nfd10:1::1 k1.example\n",
                                     lab.SERVER_V4)  # which says that there is none
        lab.plaitd("conc")
        lab.plaitd("cpe", {"concentrators": [{"name": "k1", "addresses": ["k1.example"]}]},
                   prefix=own_files)
        wait_noticed(lab, "k1.example is 10.1.0.1")
        eventually(lambda: bonded_one(lab, lab.SERVER_V4, server.port))
        hosts.write_text("10.2.0.1 k1.example\n")
        eventually(lambda: "k1.example is 10.2.0.1" in lab.log("cpe"), 8, "the new address")
        assert bonded_one(lab, lab.SERVER_V4, server.port)
        listed, = concentrators(lab).values()
        assert listed["addresses"] == ["10.2.0.1"]
        hosts.write_text("")
        eventually(lambda: "k1.example leads to no address" in lab.log("cpe"), 15, "its end")
        assert bonded_one(lab, lab.SERVER_V4, server.port), "what was known goes on to count"


def test_P2_name_that_leads_to_nothing_does_not_stop_the_others():
    with PlaitLab() as lab, Server(lab, "server", lab.SERVER_V4, echo) as server:
        own_files, hosts = names_for(lab, "127.0.0.1 here.example\n")
        lab.plaitd("conc")
        known, = lab.plait_config("cpe")["concentrators"]
        lab.plaitd("cpe", {"concentrators": [
            {"name": "lost", "addresses": ["nowhere.example", "here.example"]}, known]},
                   prefix=own_files)
        wait_noticed(lab, "concentrator lost does not answer")
        wait_noticed(lab, "here.example leads to no address")
        assert bonded_one(lab, lab.SERVER_V4, server.port)
        eventually(lambda: "nowhere.example leads to no address" in lab.log("cpe"), 15, "giving up")
        hosts.write_text("10.1.0.1 nowhere.example\n")
        eventually(lambda: "concentrator lost answers again" in lab.log("cpe"), 15, "its return")


def test_P3_only_a_name_that_leads_to_nothing_is_no_concentrator():
    with PlaitLab() as lab, Server(lab, "server", lab.SERVER_V4, echo) as server:
        own_files, _ = names_for(lab)
        lab.plaitd("cpe", {"concentrators": [{"name": "k1", "addresses": ["nowhere.example"]}]},
                   prefix=own_files)
        wait_noticed(lab, "concentrator k1 does not answer")
        assert not bonded_one(lab, lab.SERVER_V4, server.port)
        started = time.monotonic()
        assert lab.stop_plaitd("cpe") == 0
        assert time.monotonic() - started < 2, "the question is still on its way"
