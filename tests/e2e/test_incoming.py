# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""T3: connections from the internet to a CPE's host, let in by bindings (plain-mode-08 §4.4.2)."""

import contextlib

import pytest

from conftest import PlaitLab, both_families
from netns import Server, connect, echo, eventually, peer_name, read_all, text_of

PORT, SERVICE = 8080, 80
EXTERNAL = {"v4": "203.0.113.65", "v6": "2001:db8:77::65"}
POOLS = [{"prefix": "203.0.113.64/28"}, {"prefix": "2001:db8:77::/112"}]
LISTED = {"v4": "{}:{}", "v6": "[{}]:{}"}


def endpoint(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def host_address(lab, family):
    return {"v4": lab.HOST_V4, "v6": lab.HOST_V6}[family]


def cpe_address(family):
    return {"v4": "10.1.0.2", "v6": "fd10:1::2"}[family]


def conc_bindings():
    """Each family has its own port at the CPE."""
    return [{"external": endpoint(EXTERNAL["v4"], PORT), "inside": endpoint("10.1.0.2", 8004)},
            {"external": endpoint(EXTERNAL["v6"], PORT), "inside": endpoint("10.1.0.2", 8006)}]


def cpe_bindings(lab):
    return [{"port": 8004, "inside": endpoint(lab.HOST_V4, SERVICE)},
            {"port": 8006, "inside": endpoint(lab.HOST_V6, SERVICE)}]


@contextlib.contextmanager
def let_in(cpe=None, conc=None, **kwargs):
    with PlaitLab(weather_everywhere=True, **kwargs) as lab:
        lab.run("server", ["ip", "-6", "route", "add", "2001:db8:77::/112", "via",
                           lab.CONC_NET_V6])
        internet = lab.plait_config("conc")["internet"] | {"pools": POOLS}
        subscriber = {"name": "home-1", "sources": ["10.1.0.2", "10.2.0.2"]}
        lab.plaitd("conc", {"internet": internet, "bindings": conc_bindings(),
                            "subscribers": [subscriber]} | (conc or {}))
        lab.plaitd("cpe", {"bindings": cpe_bindings(lab)} | (cpe or {}))
        yield lab


@pytest.fixture(scope="module")
def lab():
    with let_in() as lab:
        yield lab


@both_families
def test_T3_host_sees_who_asks_for_it(lab, family):
    with Server(lab, "host", host_address(lab, family), peer_name, SERVICE), \
            connect(lab, "server", EXTERNAL[family], PORT) as client:
        seen = read_all(client).decode()
        assert seen == text_of(client.getsockname())
