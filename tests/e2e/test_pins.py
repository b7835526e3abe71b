# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""B1: what is found under an instance's name in /sys/fs/bpf/plait when it starts."""

import json
import pathlib
import subprocess

import pytest

from conftest import PlaitLab
from lab import LabError
from netns import Server, connect, echo, eventually, pair, read_exactly

PINS = pathlib.Path("/sys/fs/bpf/plait")
POOL, OTHER_POOL = "203.0.113.64/28", "203.0.113.96/28"
LIMITS = {"sessions": 1000, "bindings": 500}


@pytest.fixture(name="lab", scope="module")
def _lab():
    """A lab with a CPE; the concentrator is started by each test."""
    with PlaitLab() as made:
        made.plaitd("cpe", {"concentrators": [made.plait_config("cpe")["concentrators"][0]
                                             | {"check_interval": "100ms"}]})
        yield made


@pytest.fixture(name="pins")
def _pins(lab):
    """Where the concentrator is going to pin its maps; none runs, and its log is empty."""
    (lab.dir / f"{lab.agent_name('conc')}.log").unlink(missing_ok=True)
    path = PINS / lab.agent_name("conc")
    path.mkdir(parents=True)
    yield path
    if "conc" in lab.agents:
        lab.stop_plaitd("conc")
    assert not path.exists(), list(path.iterdir())


def bpftool(*args):
    return subprocess.run(["bpftool", *map(str, args)], check=True, capture_output=True,
                          text=True).stdout


def pin_map(path, name, kind, key, value, entries, flags=0):
    bpftool("map", "create", path, "type", kind, "key", key, "value", value, "entries", entries,
            "name", name, "flags", flags)


def start(lab, pool=POOL):
    internet = {"interfaces": ["net0"], "pools": [{"prefix": pool}]}
    lab.plaitd("conc", {"internet": internet, "limits": LIMITS, "workers": 1})


def works(lab):
    """The CPE notices, and connections are bonded."""
    before = lab.counters("conc")["established"]

    def bonded():
        with connect(lab, "host", lab.SERVER_V4, server.port) as client:
            client.sendall(b"ping")
            assert read_exactly(client, 4) == b"ping"
        return lab.counters("conc")["established"] > before

    with Server(lab, "server", lab.SERVER_V4, echo) as server:
        eventually(bonded, what="bonding")


def shape(path):
    shown = json.loads(bpftool("-j", "map", "show", "pinned", path))
    return tuple(shown[key] for key in ("type", "bytes_key", "bytes_value", "max_entries",
                                       "flags"))


@pytest.fixture(name="shapes", scope="module")
def _shapes(lab):
    """Of the maps as they are: type, octets of key and of value, entries, flags."""
    start(lab)
    found = {path.name: shape(path) for path in (PINS / lab.agent_name("conc")).iterdir()}
    lab.stop_plaitd("conc")
    return found


# Of another version of plaitd, or of none; what is not said is as it should be.
STRANGE = {
    "shorter value": ("sessions", {"value": -8}),
    "longer value": ("bindings", {"value": 8}),
    "longer key": ("bindings", {"key": 4}),
    "other limit": ("sessions", {"entries": -1}),
    "other name": ("bindings", {"name": "strange"}),
    "array": ("lapsed_sessions", {"kind": "array", "key": 4 - 44}),
    "fewer counters": ("packet_counters", {"entries": -1}),
    "counters not to be mapped": ("agent_counters", {"flags": -1024}),  # BPF_F_MMAPABLE
}


def pin_changed(path, shape_wanted, change):
    kind, *numbers = shape_wanted
    names = ("key", "value", "entries", "flags")
    pin_map(path, change.get("name", path.name), change.get("kind", kind),
            *(number + change.get(name, 0) for name, number in zip(names, numbers)))


def test_B1_pinned_map_of_the_same_layout_is_taken_up(lab, shapes, pins):
    pin_changed(pins / "bindings", shapes["bindings"], {})
    start(lab)
    assert "another layout" not in lab.log("conc")
    works(lab)


@pytest.mark.parametrize("name,change", STRANGE.values(), ids=STRANGE.keys())
def test_B1_pinned_map_of_another_layout_is_replaced(lab, shapes, pins, name, change):
    pin_changed(pins / name, shapes[name], change)
    start(lab)
    assert f"map {pins / name} has another layout, replaced" in lab.log("conc")
    assert shape(pins / name) == shapes[name]
    works(lab)


@pytest.mark.parametrize("name", ["sessions", "pool_prefixes"])
def test_B1_pinned_program_in_the_place_of_a_map_is_replaced(lab, pins, name):
    program = next(entry["id"] for entry in json.loads(bpftool("-j", "prog", "list"))
                   if entry.get("name") == "lan_ingress")
    bpftool("prog", "pin", "id", program, pins / name)
    start(lab)
    assert shape(pins / name)[0] in ("hash", "lpm_trie")
    works(lab)


@pytest.mark.parametrize("name", ["sessions", "pool_prefixes"])
def test_B1_directory_in_the_place_of_a_map_is_named(lab, pins, name):
    (pins / name).mkdir()
    with pytest.raises(LabError, match=f"<3>{pins / name} is in the way of a map: Is a directory"):
        start(lab)
    assert list(pins.iterdir()) == [pins / name], "nothing else is left"
    (pins / name).rmdir()
    start(lab)
    works(lab)


def test_B1_map_in_the_place_of_the_directory_is_named(lab, pins):
    pins.rmdir()
    pin_map(pins, "strange", "array", 4, 8, 1)
    with pytest.raises(LabError, match=f"{pins}/.* is in the way of a map: Not a directory"):
        start(lab)
    pins.unlink()
    start(lab)
    works(lab)


def test_B1_bindings_of_pools_that_are_gone_are_gone_too(lab, pins):
    """They would stay in the map for ever."""
    start(lab)
    works(lab)
    with pair(lab, lab.SERVER_V4):
        agent = lab.agents.pop("conc")
        agent.process.kill()
        agent.process.wait()
    assert json.loads(bpftool("-j", "map", "dump", "pinned", pins / "bindings"))
    start(lab, OTHER_POOL)
    assert json.loads(bpftool("-j", "map", "dump", "pinned", pins / "bindings")) == []
    works(lab)
