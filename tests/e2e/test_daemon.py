# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""plaitd's life: starting, refusing to start, ending, dying, and what it leaves: nothing."""

import contextlib
import ctypes
import errno
import json
import pathlib
import re
import signal
import subprocess

import pytest

from conftest import PlaitLab
from lab import BUILD
from netns import Server, connect, echo, error_of, eventually, inside, read_exactly

PINS, SOCKETS = pathlib.Path("/sys/fs/bpf/plait"), pathlib.Path("/run/plait")
SYSCTLS = ("net.ipv4.tcp_fastopen", "net.mptcp.pm_type", "net.mptcp.blackhole_timeout",
           "net.ipv4.tcp_tw_reuse", "net.mptcp.stale_loss_cnt", "net.mptcp.enabled", "net.ipv4.ip_forward")
SYS_BPF, BPF_PROG_QUERY, TCX_INGRESS, TCX_EGRESS = 321, 16, 46, 47
TIMEOUT = 15


@pytest.fixture
def lab():
    with PlaitLab() as made:
        yield made


def plaitd(lab, node, *args, wrapper=(), **kwargs):
    return lab.run(node, [*wrapper, BUILD / "plaitd", *args], check=False, timeout=TIMEOUT,
                   **kwargs)


def tcx_programs(lab, node):
    """{interface: number of tcx programs}; Debian 12's bpftool does not know them yet."""
    class Query(ctypes.Structure):
        """What BPF_PROG_QUERY reads of union bpf_attr."""
        _fields_ = [("ifindex", ctypes.c_uint32), ("attach_type", ctypes.c_uint32),
                    ("query_flags", ctypes.c_uint32), ("attach_flags", ctypes.c_uint32),
                    ("prog_ids", ctypes.c_uint64), ("prog_cnt", ctypes.c_uint32),
                    ("rest", ctypes.c_uint8 * 100)]

    libc, found = ctypes.CDLL(None, use_errno=True), {}
    links = json.loads(lab.run(node, ["ip", "-j", "link"]).stdout)
    with inside(lab, node):
        for link in links:
            for hook in (TCX_INGRESS, TCX_EGRESS):
                query = Query(ifindex=link["ifindex"], attach_type=hook)
                if libc.syscall(SYS_BPF, BPF_PROG_QUERY, ctypes.byref(query),
                                ctypes.sizeof(query)) == 0 and query.prog_cnt:
                    found[link["ifname"]] = found.get(link["ifname"], 0) + query.prog_cnt
    return found


def traces(lab, node):
    """All that plaitd changes in a namespace and outside of it."""
    def shown(*cmd):
        return lab.run(node, cmd).stdout

    def sysctl(name):
        done = lab.run(node, ["sysctl", "-n", name], check=False)
        return done.stdout.strip()

    name = lab.agent_name(node)
    return {
        "tcx": tcx_programs(lab, node),
        "interfaces": sorted(link["ifname"] for link in json.loads(shown("ip", "-j", "link"))),
        "rules": [shown("ip", family, "rule") for family in ("-4", "-6")],
        "routes": [[line for line in shown("ip", family, "route", "show", "table",
                                           "all").splitlines() if "proto 112" in line]
                   for family in ("-4", "-6")],
        "sysctls": {name: sysctl(name) for name in SYSCTLS},
        "pm limits": shown("ip", "mptcp", "limits"),
        "listeners": shown("ss", "-Htln"),
        "pins": sorted(path.name for path in PINS.glob(f"{name}/*")) if PINS.exists() else [],
        "pin directory": (PINS / name).exists(),
        "run": sorted(path.name for path in SOCKETS.glob(f"{name}*")) + lab.former_values(node),
        "processes": subprocess.run(["ip", "netns", "pids", lab.netns(node)], check=True, text=True,
                                    capture_output=True).stdout.split(),
    }


def fails_and_leaves_nothing(lab, node, config, status, pattern, **kwargs):
    """plaitd with `config` ends with `status` and one line that `pattern` matches."""
    before = traces(lab, node)
    done = plaitd(lab, node, "-c", config, **kwargs)
    assert done.returncode == status, done
    assert re.search(pattern, done.stderr), done.stderr
    assert traces(lab, node) == before
    return done.stderr


# Bad configuration

BAD = {
    "unknown key": ("role: cpe\nlans: 1\n", r":2:1: .*lans"),
    "wrong type": ("role: cpe\nlan: {interfaces: lan0}\n", r":2:19: lan\.interfaces"),
    "bad value": ("role: cpe\nlan: {interfaces: [lan0]}\nhandshake: hasty\n", r":3:12: handshake"),
    "no YAML": ("role: cpe\nlan: {interfaces: [lan0\n", r":[23]:\d+: "),
    "no role": ("mode: plain\n", r":1:1: role"),
    "bad role": ("role: cep\n", r":1:7: role"),
    "bad address": ("role: concentrator\ncustomer: {interfaces: [w1], addresses: [10.1.0.300]}\n",
                    r":2:42: customer\.addresses"),
    "overlapping pools": ("role: concentrator\ninternet:\n  pools: [{prefix: 203.0.113.0/24}, "
                          "{prefix: 203.0.113.64/28}]\n",
                          r":3:46: internet\.pools\[1\]\.prefix: 203\.0\.113\.64/28 overlaps with "),
    "pool with host bits": ("role: concentrator\ninternet: {pools: [{prefix: 203.0.113.65/28}]}\n",
                            r":2:29: internet\.pools\[0\]\.prefix: .* the prefix is 203\.0\.113\.64/28"),
    "pool that is no prefix": ("role: concentrator\ninternet: {pools: [{prefix: everything}]}\n",
                               r":2:29: internet\.pools\[0\]\.prefix: expected .* not \"everything\""),
    "tabs": ("role: cpe\nlan:\n\tinterfaces: [lan0]\n", r":3:\d+: "),
    "empty": ("", r": the file is empty"),
}


@pytest.mark.parametrize("text,pattern", BAD.values(), ids=BAD.keys())
def test_daemon_bad_configuration(bonded, text, pattern):
    path = bonded.dir / "bad.yaml"
    path.write_text(text)
    for args in ([], ["--check"]):
        done = plaitd(bonded, "host", "-c", path, *args)
        assert done.returncode == 2
        line, = done.stderr.splitlines()
        assert re.match(re.escape(str(path)) + pattern, line), line


def test_daemon_bad_configuration_attaches_nothing(lab):
    path = lab.write_config("cpe", {"handshake": "hasty"})
    line = fails_and_leaves_nothing(lab, "cpe", path, 2, r"\.yaml:\d+:\d+: handshake")
    assert len(line.splitlines()) == 1


def test_daemon_configuration_file_that_is_not_there(bonded):
    done = plaitd(bonded, "host", "-c", "/nowhere.yaml")
    assert done.returncode == 2 and done.stderr == "/nowhere.yaml: No such file or directory\n"


def test_daemon_check(lab):
    before = traces(lab, "cpe")
    done = plaitd(lab, "cpe", "-c", lab.write_config("cpe"), "--check")
    assert (done.returncode, done.stderr) == (0, "")
    assert traces(lab, "cpe") == before


def test_daemon_help_version_and_usage(bonded):
    done = plaitd(bonded, "host", "--help")
    assert done.returncode == 0 and done.stdout.startswith("usage: plaitd")
    done = plaitd(bonded, "host", "--version")
    assert done.returncode == 0 and re.fullmatch(r"plaitd \d+\.\d+\.\d+\n", done.stdout)
    for args in ([], ["--nonsense"], ["-c"], ["-c", "x", "y"]):
        done = plaitd(bonded, "host", *args)
        assert done.returncode == 2 and "usage: plaitd" in done.stderr


# What cannot work

def test_daemon_unknown_lan_interface_of_a_cpe(lab):
    config = lab.write_config("cpe", {"lan": {"interfaces": ["nolan"]}})
    fails_and_leaves_nothing(lab, "cpe", config, 1, "nolan: No such device")


@pytest.mark.parametrize("extra", [{"internet": {"interfaces": ["nonet"]}},
                                   {"customer": {"interfaces": ["nonet"]}}],
                         ids=["internet", "customer"])
def test_daemon_unknown_interface_of_a_concentrator(lab, extra):
    fails_and_leaves_nothing(lab, "conc", lab.write_config("conc", extra), 1,
                             "nonet: No such device")


def test_daemon_address_the_concentrator_does_not_have(lab):
    extra = {"customer": {"addresses": ["10.9.9.9"]}}
    fails_and_leaves_nothing(lab, "conc", lab.write_config("conc", extra), 1, r"10\.9\.9\.9")


def test_daemon_mptcp_switched_off(lab):
    lab.run("cpe", ["sysctl", "-qw", "net.mptcp.enabled=0"])
    line = fails_and_leaves_nothing(lab, "cpe", lab.write_config("cpe"), 1, "net.mptcp.enabled")
    assert len(line.splitlines()) == 1


@pytest.mark.parametrize("capability", ["net_admin", "bpf", "net_raw"])
def test_daemon_missing_capability(lab, capability):
    dropped = ["setpriv", f"--bounding-set=-{capability}", f"--inh-caps=-{capability}"]
    line = fails_and_leaves_nothing(lab, "cpe", lab.write_config("cpe"), 1,
                                    f"CAP_{capability.upper()}", wrapper=dropped)
    assert len(line.splitlines()) == 1


# The end

def test_daemon_sigterm_leaves_nothing_and_resets_connections(lab):
    before = {node: traces(lab, node) for node in ("cpe", "conc")}
    lab.plaitd("conc")
    lab.plaitd("cpe")
    during = traces(lab, "cpe")
    assert set(during["tcx"]) == {"lan0", "w1", "w2"} | \
        {name for name in during["interfaces"] if name.startswith("plait")}
    assert during["pins"] and during["sysctls"]["net.mptcp.pm_type"] == "1"
    with Server(lab, "server", lab.SERVER_V4) as server, \
            connect(lab, "host", lab.SERVER_V4, server.port) as client, \
            server.take() as accepted:
        client.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                client.send(bytes(1 << 16))
        assert lab.stop_plaitd("cpe") == 0
        assert error_of(client) == errno.ECONNRESET
        assert error_of(accepted) == errno.ECONNRESET
    assert traces(lab, "cpe") == before["cpe"]
    assert lab.stop_plaitd("conc") == 0
    assert traces(lab, "conc") == before["conc"]


def test_daemon_sigterm_of_the_concentrator_resets_connections(lab):
    lab.plaitd("conc")
    lab.plaitd("cpe")
    with Server(lab, "server", lab.SERVER_V6) as server, \
            connect(lab, "host", lab.SERVER_V6, server.port) as client, \
            server.take() as accepted:
        assert lab.stop_plaitd("conc") == 0
        assert error_of(client) == errno.ECONNRESET
        assert error_of(accepted) == errno.ECONNRESET


def test_daemon_drains_as_long_as_configured(lab):
    lab.plaitd("conc")
    agent = lab.plaitd("cpe", {"drain": "10s"})
    with Server(lab, "server", lab.SERVER_V4, echo) as server:
        with connect(lab, "host", lab.SERVER_V4, server.port) as client:
            agent.process.terminate()
            eventually(lambda: "draining" in lab.log("cpe"), what="draining")
            client.sendall(b"still")
            assert read_exactly(client, 5) == b"still"
            # what is new goes direct
            with connect(lab, "host", lab.SERVER_V4, server.port) as other:
                other.sendall(b"new")
                assert read_exactly(other, 3) == b"new"
                assert len(lab.sessions("cpe", server.port)) == 1
            assert agent.process.poll() is None
        assert agent.process.wait(timeout=3) == 0


def kill(lab, role):
    agent = lab.agents.pop(role)
    agent.process.send_signal(signal.SIGKILL)
    agent.process.wait(timeout=5)


@pytest.mark.parametrize("role", ["cpe", "conc"])
def test_daemon_kill_9_and_restart(lab, role):
    """The next start works, and its end restores what was there before the first."""
    before = traces(lab, role)
    lab.plaitd("conc")
    lab.plaitd("cpe")
    with Server(lab, "server", lab.SERVER_V4, echo) as server:
        with connect(lab, "host", lab.SERVER_V4, server.port) as client:
            client.sendall(b"one")
            assert read_exactly(client, 3) == b"one"
            kill(lab, role)
        lab.plaitd(role)
        assert lab.sessions(role) == []
        with connect(lab, "host", lab.SERVER_V4, server.port) as client:
            client.sendall(b"two")
            assert read_exactly(client, 3) == b"two"
            eventually(lambda: len(lab.sessions("cpe", server.port)) == 1)
        rules = lab.run(role, ["ip", "rule"]).stdout.splitlines()
        assert len(rules) == len(set(rules))
    assert lab.stop_plaitd(role) == 0
    assert traces(lab, role) == before


@contextlib.contextmanager
def two_instances(lab):
    """Two CPEs in one namespace, each with a LAN of its own: the name and process of the second."""
    name = lab.agent_name("cpe") + "-b"
    lab.run("cpe", ["ip", "link", "add", "lan9", "type", "veth", "peer", "nobody"])
    lab.run("cpe", ["ip", "link", "set", "lan9", "up"])
    lab.plaitd("conc")
    lab.plaitd("cpe")
    config = lab.dir / "other.yaml"
    config.write_text(json.dumps(lab.plait_config("cpe")
                                 | {"name": name, "lan": {"interfaces": ["lan9"]}}))
    process = lab.popen("cpe", [BUILD / "plaitd", "-c", config], log="other.log")
    eventually((SOCKETS / f"{name}.sock").exists, what="the second instance")
    yield name, process
    if process.poll() is None:
        process.terminate()
        process.wait(timeout=5)


def test_daemon_two_instances_side_by_side(lab):
    with two_instances(lab) as (other, process):
        for name in (lab.agent_name("cpe"), other):
            done = lab.run("cpe", [BUILD / "plaitctl", "-n", name, "status", "--json"])
            assert json.loads(done.stdout)["name"] == name
        done = lab.run("cpe", [BUILD / "plaitctl", "status"], check=False)
        assert done.returncode == 2 and other in done.stderr
        works(lab)
        process.terminate()
        assert process.wait(timeout=5) == 0
        works(lab)
        left = traces(lab, "cpe")
        assert left["sysctls"]["net.mptcp.pm_type"] == "1", "the first instance needs it"
        assert left["tcx"]["lan0"] == 2 and len(left["rules"][0].splitlines()) == 3 + 3


def test_daemon_last_of_two_instances_restores_the_machine(lab):
    before = traces(lab, "cpe")
    with two_instances(lab) as (_, process):
        assert lab.stop_plaitd("cpe") == 0
        during = traces(lab, "cpe")["sysctls"]
        assert during["net.mptcp.pm_type"] == "1"
        assert int(during["net.ipv4.tcp_fastopen"], 0) & 3 == 3
        process.terminate()
        assert process.wait(timeout=5) == 0
    lab.run("cpe", ["ip", "link", "del", "lan9"])
    assert traces(lab, "cpe") == before


def works(lab):
    before = lab.counters("cpe")
    with Server(lab, "server", lab.SERVER_V4, echo) as server, \
            connect(lab, "host", lab.SERVER_V4, server.port, timeout=3) as client:
        client.sendall(b"hello")
        assert read_exactly(client, 5) == b"hello"
    assert lab.since("cpe", before)["established"] == 1


@pytest.mark.parametrize("role", ["cpe", "conc"])
def test_daemon_second_of_the_same_name_is_refused_and_harms_nothing(lab, role):
    lab.plaitd("conc")
    lab.plaitd("cpe")
    with Server(lab, "server", lab.SERVER_V4, echo) as server, \
            connect(lab, "host", lab.SERVER_V4, server.port) as client:
        client.sendall(b"a")
        assert read_exactly(client, 1) == b"a"
        during = traces(lab, role)
        done = plaitd(lab, role, "-c", lab.agents[role].config)
        assert done.returncode == 1 and done.stderr
        assert traces(lab, role) == during
        client.sendall(b"still there")
        assert read_exactly(client, 11) == b"still there"
        assert len(lab.sessions(role, server.port)) == 1
    works(lab)


# plaitctl and bpftool

def test_daemon_plaitctl_exit_statuses(bonded):
    def plaitctl(*args):
        return bonded.run("cpe", [BUILD / "plaitctl", *args], check=False).returncode

    name = bonded.agent_name("cpe")
    for noun in ("status", "sessions", "links", "counters"):
        assert plaitctl("-n", name, noun) == plaitctl("-n", name, noun, "--json") == 0
    assert plaitctl("-n", "nobody", "status") == 1
    assert plaitctl("-n", "no/body", "status") == 2
    assert plaitctl("-n", name, "nonsense") == plaitctl("-n", name) == plaitctl("--no") == 2
    assert plaitctl("--help") == plaitctl("--version") == 0


def test_daemon_plaitctl_links(bonded):
    links = json.loads(bonded.plaitctl("cpe", "links", "--json").stdout)["links"]
    assert [(link["name"], link["interface"], link["state"], link["use"]) for link in links] == \
        [("dsl", "w1", "up", "always"), ("lte", "w2", "up", "always")]
    assert {"10.1.0.2", "fd10:1::2"} <= set(links[0]["addresses"])
    links = json.loads(bonded.plaitctl("conc", "links", "--json").stdout)["links"]
    assert [(link["interface"], link["use"]) for link in links] == \
        [("w1", "customer"), ("w2", "customer"), ("net0", "internet")]


@pytest.mark.parametrize("role", ["cpe", "conc"])
def test_B1_bpftool_prints_sessions_with_field_names(bonded, role):
    with Server(bonded, "server", bonded.SERVER_V4, echo) as server, \
            connect(bonded, "host", bonded.SERVER_V4, server.port) as client:
        client.sendall(b"x")
        read_exactly(client, 1)
        pin = PINS / bonded.agent_name(role) / "sessions"
        dumped = bonded.run(role, ["bpftool", "-j", "map", "dump", "pinned", pin]).stdout
        port = int.from_bytes(server.port.to_bytes(2, "big"), "little")
        entry, = [entry["formatted"] for entry in json.loads(dumped)
                  if entry["formatted"]["key"]["remote"]["port"] == port]
    assert {"inside", "remote", "protocol"} <= set(entry["key"])
    assert entry["key"]["remote"]["ip"][:4] == [203, 0, 113, 2]
    assert entry["key"]["protocol"] == 6
    assert {"created_ns", "last_seen_ns", "up_packets", "up_bytes", "down_packets", "down_bytes",
            "state", "flags"} <= set(entry["value"])
    assert entry["value"]["up_packets"] >= 2 and entry["value"]["state"] == \
        "PLAIT_SESSION_ESTABLISHED"
