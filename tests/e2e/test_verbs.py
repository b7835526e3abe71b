# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What plaitctl has a running plaitd do, at either end: drain, close."""

import contextlib
import errno
import json

import pytest

from conftest import PlaitLab, both_families, running, server_address
from netns import Server, connect, echo, error_of, eventually, pair, read_exactly, text_of

both_roles = pytest.mark.parametrize("role", ["cpe", "conc"])


@pytest.fixture(scope="module")
def lab():
    with running() as made:
        yield made


def do(lab, role, *args):
    """What plaitctl printed, if that is what it did."""
    done = lab.plaitctl(role, *args)
    assert done.stderr == ""
    return done.stdout


def refused(lab, role, *args, status=1):
    """Why plaitctl did not do it."""
    done = lab.plaitctl(role, *args, check=False)
    assert (done.returncode, done.stdout) == (status, "")
    return done.stderr.removeprefix("plaitctl: ").removeprefix("plaitd says: ").rstrip("\n")


def works(client, accepted):
    """Both ways."""
    client.sendall(b"ping")
    assert read_exactly(accepted, 4) == b"ping"
    accepted.sendall(b"pong")
    assert read_exactly(client, 4) == b"pong"


def answers(lab):
    """Whether the CPE knows that each of its concentrators does."""
    shown = json.loads(lab.plaitctl("cpe", "concentrators", "--json").stdout)["concentrators"]
    return [concentrator["answers"] for concentrator in shown]


def ask(lab, address, port):
    with connect(lab, "host", address, port, timeout=3) as client:
        client.sendall(b"hello")
        assert read_exactly(client, 5) == b"hello"


# drain

@pytest.fixture
def drained(lab):
    """Drains a role for as long as the test runs."""
    with contextlib.ExitStack() as stack:
        def drain(role):
            stack.callback(lab.plaitctl, role, "drain", "--off")
            return do(lab, role, "drain")
        yield drain
    eventually(lambda: answers(lab) == [True])


def test_daemon_drain_of_a_cpe_sends_what_is_new_direct(lab, drained):
    with Server(lab, "server", lab.SERVER_V4, echo) as server, \
            pair(lab, lab.SERVER_V4) as (client, accepted, _):
        assert drained("cpe") == "new connections are not taken; sessions left: 1\n"
        assert lab.status("cpe")["draining"] and not lab.status("conc")["draining"]
        before = lab.counters("cpe")
        ask(lab, lab.SERVER_V4, server.port)
        assert "established" not in lab.since("cpe", before)
        works(client, accepted)
        assert do(lab, "cpe", "drain", "--off") == "new connections are taken\n"
        assert not lab.status("cpe")["draining"]
        ask(lab, lab.SERVER_V4, server.port)
        assert lab.since("cpe", before)["established"] == 1


def test_daemon_drain_of_a_concentrator_refuses_what_is_new(lab, drained):
    with Server(lab, "server", lab.SERVER_V4, echo) as server, \
            pair(lab, lab.SERVER_V4) as (client, accepted, _):
        drained("conc")
        assert lab.status("conc")["draining"]
        with pytest.raises(ConnectionRefusedError):
            ask(lab, lab.SERVER_V4, server.port)
        works(client, accepted)
        do(lab, "conc", "drain", "--off")
        ask(lab, lab.SERVER_V4, server.port)


def test_daemon_drain_of_a_concentrator_sends_cpes_elsewhere(lab, drained):
    with Server(lab, "server", lab.SERVER_V4, echo) as server, \
            pair(lab, lab.SERVER_V4) as (client, accepted, _):
        drained("conc")
        eventually(lambda: answers(lab) == [False], what="noticing")
        before = lab.counters("cpe")
        ask(lab, lab.SERVER_V4, server.port)
        assert "established" not in lab.since("cpe", before)
        works(client, accepted)
        do(lab, "conc", "drain", "--off")
        eventually(lambda: answers(lab) == [True], what="noticing")
        ask(lab, lab.SERVER_V4, server.port)
        assert lab.since("cpe", before)["established"] == 1


def test_daemon_drain_of_a_concentrator_leaves_the_other_one():
    with PlaitLab(second_concentrator=True) as lab:
        for role in ("conc", "conc2", "cpe"):
            lab.plaitd(role)
        with Server(lab, "server", lab.SERVER_V4, echo) as server, \
                pair(lab, lab.SERVER_V4) as (client, accepted, port):
            do(lab, "conc", "drain")
            eventually(lambda: answers(lab) == [False, True], what="noticing")
            with connect(lab, "host", lab.SERVER_V4, server.port):
                session, = lab.sessions("cpe", server.port)
                assert session["concentrator"] == "k2"
            works(client, accepted)
            session, = lab.sessions("cpe", port)
            assert session["concentrator"] == "k1"


@both_roles
def test_daemon_drain_tells_programs(lab, drained, role):
    drained(role)
    assert json.loads(do(lab, role, "drain", "--json")) == {
        "done": "new connections are not taken; sessions left: 0", "draining": True,
        "sessions": 0}


# close

def is_reset(connection):
    return error_of(connection) == errno.ECONNRESET


@both_roles
@both_families
def test_daemon_close_ends_sessions_to_a_server(lab, role, family):
    address = server_address(lab, family)
    before = lab.counters(role)
    with pair(lab, address) as (client, accepted, port), \
            pair(lab, address) as (other_client, other_accepted, _):
        remote = text_of((address, port))
        assert do(lab, role, "close", "--remote", remote) == "1 session closed\n"
        assert is_reset(client) and is_reset(accepted)
        lab.wait_ended(port)
        works(other_client, other_accepted)
        assert lab.since(role, before)["closed_by_operator"] == 1
        assert refused(lab, role, "close", "--remote", remote) == "there is no such session"
        assert json.loads(do(lab, role, "close", "--remote", address, "--json")) == {
            "done": "1 session closed", "closed": 1}
        assert is_reset(other_client) and is_reset(other_accepted)


def test_daemon_close_by_host_at_the_cpe(lab):
    with pair(lab, lab.SERVER_V4) as (client, accepted, port), \
            pair(lab, lab.SERVER_V6) as (client_v6, accepted_v6, _), \
            connect(lab, "host", lab.SERVER_V4, port) as other:
        eventually(lambda: len(lab.sessions("cpe")) == 3)
        own = text_of(client.getsockname())
        assert refused(lab, "cpe", "close", "192.168.1.3") == "there is no such session"
        assert refused(lab, "cpe", "close", own, "--remote",
                       lab.SERVER_V6) == "there is no such session"
        assert do(lab, "cpe", "close", own) == "1 session closed\n"
        assert is_reset(client) and is_reset(accepted)
        assert do(lab, "cpe", "close", lab.HOST_V4, "--remote",
                  text_of((lab.SERVER_V4, port))) == "1 session closed\n"
        assert is_reset(other)
        works(client_v6, accepted_v6)


def test_daemon_close_by_external_address_at_the_concentrator(lab):
    with pair(lab, lab.SERVER_V4) as (client, accepted, _), \
            pair(lab, lab.SERVER_V4) as (other_client, other_accepted, _):
        external = text_of(accepted.getpeername())
        assert do(lab, "conc", "close", external) == "1 session closed\n"
        assert is_reset(client) and is_reset(accepted)
        works(other_client, other_accepted)


@both_roles
def test_daemon_close_all(lab, role):
    count = 200  # more than a worker closes at once
    with Server(lab, "server", lab.SERVER_V4) as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(lab, "host", lab.SERVER_V4, server.port))
                   for _ in range(count)]
        eventually(lambda: len(server.accepted) == count)
        assert do(lab, role, "close", "--all") == f"{count} sessions closed\n"
        assert all(is_reset(client) for client in clients)
        assert all(is_reset(accepted) for accepted in server.accepted)
        lab.wait_ended(server.port)
    assert refused(lab, role, "close", "--all") == "there is no such session"


def test_daemon_close_says_what_is_wrong(lab):
    assert refused(lab, "cpe", "close", "host") == \
        "inside: no address, or address and port: host"
    assert refused(lab, "cpe", "close", "--remote", "1.2.3.4:x") == \
        "remote: no address, or address and port: 1.2.3.4:x"
    assert refused(lab, "cpe", "close", "--all", "1.2.3.4") == "close: say either all or which"
    assert refused(lab, "cpe", "close", status=2) == "close: say which; see plaitctl --help"
