# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""P3: what becomes of connections while no concentrator answers, and after."""

import contextlib
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
