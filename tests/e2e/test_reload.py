# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""plaitctl reload and SIGHUP: all of what has changed is taken, or nothing; sessions stay."""

import contextlib
import errno
import hashlib
import json
import os
import re
import signal
import socket
import threading
import time

import pytest

from conftest import PlaitLab, running
from netns import (Server, connect, digest, echo, error_of, eventually, inside, pair, read_all,
                   read_exactly)

both_roles = pytest.mark.parametrize("role", ["cpe", "conc"])
POOLS = [{"prefix": "203.0.113.64/28"}]
BASE = {"cpe": {}, "conc": {"internet": {"interfaces": ["net0"], "pools": POOLS}}}
PORT = 7501
DIRECT = [{"match": {"destination_port": PORT}, "action": "direct"}]


@pytest.fixture(scope="module")
def shared():
    with running(**BASE) as made:
        yield made


@pytest.fixture
def lab(shared):
    """Has its first configuration again afterwards."""
    yield shared
    for role in ("cpe", "conc"):
        reload(shared, role)


def change(lab, role, extra):
    """Writes a configuration: BASE's and `extra`, or a text."""
    if not isinstance(extra, str):
        extra = BASE[role] | extra
    return lab.write_config(role, extra)


def reload(lab, role, **extra):
    """The keys that have changed by it."""
    change(lab, role, extra)
    return json.loads(lab.plaitctl(role, "reload", "--json").stdout)["changed"]


def refused(lab, role, extra):
    """Why the configuration was not taken, after its file's name."""
    path = change(lab, role, extra)
    done = lab.plaitctl(role, "reload", check=False)
    assert (done.returncode, done.stdout) == (1, "")
    line, = done.stderr.splitlines()
    assert "configuration not reloaded, nothing has changed: " + line.split(": ", 2)[2] in lab.log(role)
    return re.fullmatch(f"plaitctl: plaitd says: {re.escape(str(path))}:(.*)", line)[1].strip()


def bonded_one(lab, port):
    """Whether a new connection is bonded."""
    before = lab.counters("cpe")
    with connect(lab, "host", lab.SERVER_V4, port, timeout=3) as client:
        client.sendall(b"hello")
        assert read_exactly(client, 5) == b"hello"
    return "established" in lab.since("cpe", before)


def is_alive(client, accepted):
    client.sendall(b"ping")
    assert read_exactly(accepted, 4) == b"ping"
    accepted.sendall(b"pong")
    assert read_exactly(client, 4) == b"pong"
    return True


class Upload:
    """An upload that goes on until it is left; then the server must have got all of it."""

    def __init__(self, lab):
        self.stack = contextlib.ExitStack()
        server = self.stack.enter_context(Server(lab, "server", lab.SERVER_V4, digest))
        self.port = server.port
        self.client = self.stack.enter_context(connect(lab, "host", lab.SERVER_V4, server.port))
        self.ended = threading.Event()
        self.whole, self.sent = hashlib.sha256(), 0
        self.thread = threading.Thread(target=self._send)

    def _send(self):
        while not self.ended.is_set():
            part = os.urandom(1 << 16)
            self.client.sendall(part)
            self.whole.update(part)
            self.sent += len(part)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        with self.stack:
            self.ended.set()
            self.thread.join()
            if not kind:
                self.client.shutdown(1)
                assert read_all(self.client).decode() == self.whole.hexdigest()


# What can change

def test_daemon_reload_of_policy_is_for_new_connections_and_a_transfer_goes_on(lab):
    with Server(lab, "server", lab.SERVER_V4, echo, port=PORT), Upload(lab) as upload:
        assert bonded_one(lab, PORT)
        assert reload(lab, "cpe", policy=DIRECT) == ["policy"]
        assert not bonded_one(lab, PORT)
        to_it = [{"match": {"destination_port": upload.port}, "action": "drop"}]
        assert reload(lab, "cpe", policy=to_it) == ["policy"]
        assert bonded_one(lab, PORT)
        for _ in range(10):
            reload(lab, "cpe", policy=DIRECT)
            reload(lab, "cpe")
        sent = upload.sent
        eventually(lambda: upload.sent > sent)
        assert len(lab.sessions("cpe", upload.port)) == 1


def test_daemon_reload_of_who_is_allowed_and_a_transfer_goes_on(lab):
    with Server(lab, "server", lab.SERVER_V4, echo, port=PORT), Upload(lab) as upload:
        assert bonded_one(lab, PORT)
        before = lab.counters("conc")
        customer = {"allow": ["10.9.0.0/24", "10.8.0.0/16"]}
        assert reload(lab, "conc", customer=customer) == ["customer.allow"]
        eventually(lambda: lab.since("conc", before).get("source_not_allowed"))
        eventually(lambda: not bonded_one(lab, PORT), what="going direct")
        sent = upload.sent
        eventually(lambda: upload.sent > sent)
        assert reload(lab, "conc", customer={"allow": None}) == ["customer.allow"]
        eventually(lambda: bonded_one(lab, PORT), what="being bonded again")
        assert reload(lab, "conc") == ["customer.allow"]
        for _ in range(10):
            assert bonded_one(lab, PORT)
        assert len(lab.sessions("conc", upload.port)) == 1


def test_daemon_reload_of_links_moves_sessions(lab):
    """A link becomes a backup, and takes part again."""
    def subflows():
        session, = lab.sessions("cpe", PORT)
        return {subflow["link"]: subflow["backup"] for subflow in session["subflows"]}

    def send(connection):
        for _ in range(8):
            connection.sendall(bytes(1 << 20))

    with Server(lab, "server", lab.SERVER_V4, digest, port=PORT), \
            connect(lab, "host", lab.SERVER_V4, PORT) as client:
        send(client)
        eventually(lambda: subflows() == {"dsl": False, "lte": False})
        first, second = lab.plait_config("cpe")["links"]
        other = second | {"use": "backup", "weight": 7, "type": "LTE"}
        assert reload(lab, "cpe", links=[first, other]) == [
            "links[1].type", "links[1].weight", "links[1].use"]
        eventually(lambda: subflows() == {"dsl": False, "lte": True})
        shown = json.loads(lab.plaitctl("cpe", "links", "--json").stdout)["links"]
        assert [(link["use"], link["weight"], link["type"]) for link in shown] == \
            [("always", 1, ""), ("backup", 7, "LTE")]
        assert reload(lab, "cpe", links=[first, other | {"use": "always"}]) == ["links[1].use"]
        eventually(lambda: subflows() == {"dsl": False, "lte": False})


def test_daemon_reload_of_a_links_limit_is_looked_at():
    with running(shape_mbit=[None, None], weather_everywhere=True) as lab:
        first, second = lab.plait_config("cpe")["links"]
        lab.set_weather(1, delay_ms=20)
        lab.write_config("cpe", {"links": [first | {"max_rtt": "10ms", "max_loss_percent": 50},
                                           second]})
        lab.plaitctl("cpe", "reload")
        eventually(lambda: "link dsl is left: slow" in lab.log("cpe"))


def test_daemon_reload_of_concentrators_weight_and_selection(lab):
    concentrator, = lab.plait_config("cpe")["concentrators"]
    assert reload(lab, "cpe", concentrators=[concentrator | {"weight": 9}],
                  concentrator_selection="weighted") == ["concentrators[0].weight",
                                                         "concentrator_selection"]
    shown, = json.loads(lab.plaitctl("cpe", "concentrators", "--json").stdout)["concentrators"]
    assert shown["weight"] == 9


@both_roles
def test_daemon_reload_of_lifetimes_is_for_sessions_that_are_there(lab, role):
    with pair(lab, lab.SERVER_V4) as (client, accepted, port):
        time.sleep(0.3)  # its subflows have come to be
        assert reload(lab, role, lifetimes={"tcp_established": "1s"}) == [
            "lifetimes.tcp_established"]
        assert error_of(client if role == "cpe" else accepted) == errno.ECONNRESET
        eventually(lambda: not lab.sessions(role, port))


def test_daemon_reload_of_a_longer_lifetime_keeps_what_is_there(lab):
    assert reload(lab, "cpe", lifetimes={"tcp_established": "2s"})
    with pair(lab, lab.SERVER_V4) as (client, accepted, _):
        assert reload(lab, "cpe")
        time.sleep(2.5)
        assert is_alive(client, accepted)


def test_daemon_reload_of_subscribers_limits(lab):
    with Server(lab, "server", lab.SERVER_V4) as server, \
            connect(lab, "host", lab.SERVER_V4, server.port), \
            connect(lab, "host", lab.SERVER_V4, server.port):
        assert reload(lab, "conc", limits={"subscriber": {"sessions": 2}}) == [
            "limits.subscriber.sessions"]
        with pytest.raises(ConnectionRefusedError):
            connect(lab, "host", lab.SERVER_V4, server.port)
        assert reload(lab, "conc", limits={"subscriber": {"sessions": 3}})
        with connect(lab, "host", lab.SERVER_V4, server.port):
            assert len(lab.sessions("conc", server.port)) == 3


def test_daemon_reload_of_what_becomes_of_connections_without_concentrator():
    with running() as lab, Server(lab, "server", lab.SERVER_V4, echo) as server:
        lab.stop_plaitd("conc")
        eventually(lambda: "does not answer" in lab.log("cpe"))
        assert not bonded_one(lab, server.port)
        lab.write_config("cpe", {"when_unreachable": "refuse"})
        lab.plaitctl("cpe", "reload")
        with pytest.raises(OSError, match="No route to host"):
            bonded_one(lab, server.port)
        lab.write_config("cpe")
        lab.plaitctl("cpe", "reload")
        assert not bonded_one(lab, server.port)


def test_daemon_reload_while_drained_takes_nothing_new(lab):
    with Server(lab, "server", lab.SERVER_V4, echo, port=PORT):
        lab.plaitctl("cpe", "drain")
        as_many_as_may_be = [{"match": {"destination_port": port}, "action": "bond"}
                             for port in range(1, 65)]
        assert reload(lab, "cpe", policy=as_many_as_may_be) == ["policy"]
        assert lab.status("cpe")["draining"] and not bonded_one(lab, PORT)
        lab.plaitctl("cpe", "drain", "--off")
        assert bonded_one(lab, PORT)


@both_roles
def test_daemon_reload_of_nothing(lab, role):
    assert lab.plaitctl(role, "reload").stdout == "nothing has changed\n"
    assert reload(lab, role) == []


def test_daemon_reload_says_what_has_changed(lab):
    change(lab, "cpe", {"drain": "1s", "fastclose_on_expiry": True})
    assert lab.plaitctl("cpe", "reload").stdout == "changed: fastclose_on_expiry, drain\n"
    assert "configuration reloaded: changed: fastclose_on_expiry, drain" in lab.log("cpe")


def test_daemon_reload_lets_nothing_pass_between_two_policies(lab):
    """Both drop it, but not by the same rule."""
    drop = {"match": {"destination_port": PORT}, "action": "drop"}
    others = [{"match": {"destination_port": port}, "action": "direct"} for port in range(1, 60)]
    reload(lab, "cpe", policy=[*others, drop])
    before, ended = lab.counters("cpe"), threading.Event()

    def knock():
        with inside(lab, "host"):
            while not ended.is_set():
                with socket.socket() as client:
                    client.setblocking(False)
                    client.connect_ex((lab.SERVER_V4, PORT))

    thread = threading.Thread(target=knock)
    thread.start()
    try:
        for _ in range(50):
            assert reload(lab, "cpe", policy=[drop]) == ["policy"]
            assert reload(lab, "cpe", policy=[*others, drop]) == ["policy"]
    finally:
        ended.set()
        thread.join()
    grown = lab.since("cpe", before)
    assert grown["drop_policy"] > 1000
    assert "syn_held" not in grown and "direct_policy" not in grown


# What cannot

@both_roles
@pytest.mark.parametrize("text,why", [
    ("role: {role}\nhandshake: hasty\n", r"2:12: handshake: .*"),
    ("role: {role}\nlanes: 1\n", r"2:1: .*lanes.*"),
    ("role: {role}\n", r"1:1: .*: missing"),
    ("role: [", r"\d+:\d+: .*"),
    ("", r"the file is empty"),
])
def test_daemon_reload_of_a_bad_file_changes_nothing_and_says_where(lab, role, text, why):
    full = {"cpe": "cpe", "conc": "concentrator"}[role]
    before = lab.status(role)
    with pair(lab, lab.SERVER_V4) as (client, accepted, _):
        assert re.fullmatch(why, refused(lab, role, text.replace("{role}", full)))
        assert is_alive(client, accepted)
    assert lab.status(role)["pid"] == before["pid"]


def test_daemon_reload_of_a_file_that_is_gone(lab):
    change(lab, "cpe", {}).unlink()
    done = lab.plaitctl("cpe", "reload", check=False)
    assert done.returncode == 1 and done.stderr.endswith(": No such file or directory\n")


UNCHANGEABLE = [
    ("cpe", {"name": "other"}, "name"),
    ("cpe", {"lan": {"interfaces": ["lan0", "lan1"]}}, "lan.interfaces"),
    ("cpe", {"handshake": "eager"}, "handshake"),
    ("cpe", {"limits": {"sessions": 10}}, "limits.sessions"),
    ("cpe", {"links": [{"name": "dsl", "interface": "w1"}]}, "links"),
    ("conc", {"customer": {"port": 6825}}, "customer.port"),
    ("conc", {"limits": {"bindings": 10}}, "limits.bindings"),
    ("conc", {"subscribers": [{"name": "a", "sources": ["10.1.0.2"]}]}, "subscribers"),
    ("conc", {"internet": {"interfaces": ["net0"]}}, "internet.pools"),
    ("conc", {"internet": {"interfaces": ["net0"], "pools": [{"prefix": "203.0.113.64/29"}]}},
     "internet.pools"),
    ("conc", {"internet": {"interfaces": ["net0"], "pools": POOLS, "port_block": 64}},
     "internet.port_block"),
]


@pytest.mark.parametrize("role,extra,key", UNCHANGEABLE, ids=[f"{role}-{key}" for role, _, key
                                                             in UNCHANGEABLE])
def test_daemon_reload_of_what_cannot_change_is_refused_as_a_whole(lab, role, extra, key):
    """With something that could change: a pool that shrinks in use loses nothing."""
    could = {"policy": DIRECT} if role == "cpe" else {"customer": {"allow": ["10.9.0.0/16"]}}
    if role == "conc" and "customer" in extra:
        could = {"customer": could["customer"] | extra["customer"]}
    with Server(lab, "server", lab.SERVER_V4, echo, port=PORT), \
            pair(lab, lab.SERVER_V4) as (client, accepted, _):
        assert refused(lab, role, extra | could) == \
            f"{key} cannot change while plaitd runs; restart it"
        assert is_alive(client, accepted)
        assert bonded_one(lab, PORT)


def test_daemon_reload_of_another_role_is_refused(lab):
    config = lab.plait_config("conc") | {"name": lab.agent_name("cpe")}
    assert refused(lab, "cpe", json.dumps(config)) == \
        "role cannot change while plaitd runs; restart it"


def test_daemon_reload_after_limits_were_cut():
    """They are not what the file says, and have not changed."""
    with PlaitLab() as lab:
        lab.plaitd("conc", prefix=["prlimit", "--nofile=2000:2000"])
        assert "limits.sessions cut" in lab.log("conc")
        assert lab.plaitctl("conc", "reload").stdout == "nothing has changed\n"


# SIGHUP

@both_roles
def test_daemon_sighup_does_the_same_and_logs(lab, role):
    agent = lab.agents[role]

    def hang_up(extra, what):
        change(lab, role, extra)
        agent.process.send_signal(signal.SIGHUP)
        eventually(lambda: what in lab.log(role), what=what)

    with Server(lab, "server", lab.SERVER_V4, echo, port=PORT), \
            pair(lab, lab.SERVER_V4) as (client, accepted, _):
        hang_up({"drain": "7s"}, "configuration reloaded: changed: drain\n")
        hang_up({"workers": 3}, f"nothing has changed: {agent.config}: workers cannot change")
        hang_up("role: cpe\nlanes: 1\n", f"nothing has changed: {agent.config}:2:1: ")
        assert is_alive(client, accepted)
        assert bonded_one(lab, PORT)
        if role == "cpe":
            hang_up({"policy": DIRECT}, "configuration reloaded: changed: drain, policy\n")
            assert not bonded_one(lab, PORT)
