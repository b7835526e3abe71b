# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""T1, A1: TCP connections of a host arrive whole over two access networks."""

import asyncio
import hashlib
import json
import os
import pathlib
import time

import pytest

from conftest import both_families, running, server_address
from netns import (AsyncServer, Server, connect, digest, echo, eventually, peer_name, read_all,
                   read_exactly, run_async, text_of)

FILE_BYTES = 8 << 20


@pytest.fixture(scope="module")
def file(bonded):
    path = bonded.dir / "www/file"
    path.write_bytes(os.urandom(FILE_BYTES))
    return path


def sha256(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def url_of(lab, family, path):
    address = server_address(lab, family)
    return f"http://[{address}]/{path}" if family == "v6" else f"http://{address}/{path}"


@both_families
def test_T1_A1_download(bonded, file, family):
    got = bonded.dir / f"got-{family}"
    before = bonded.counters("cpe")
    bonded.run("host", ["curl", "-sSfg", "-m", "20", "-o", got, url_of(bonded, family, "file")])
    assert sha256(got) == sha256(file)
    assert bonded.since("cpe", before)["established"] == 1


@both_families
def test_T1_A1_upload(bonded, file, family):
    before = bonded.counters("cpe")
    bonded.run("host", ["curl", "-sSfg", "-m", "20", "-T", file,
                        url_of(bonded, family, f"up/{family}")])
    assert sha256(bonded.dir / "www/up" / family) == sha256(file)
    assert bonded.since("cpe", before)["established"] == 1


@both_families
def test_T1_each_subflow_leaves_from_its_own_link(bonded, family):
    address = server_address(bonded, family)
    with Server(bonded, "server", address, echo) as server, \
            connect(bonded, "host", address, server.port) as client:
        client.sendall(b"hello")
        assert read_exactly(client, 5) == b"hello"

        def subflows(role):
            session, = bonded.sessions(role, server.port)
            assert session["mptcp"] and session["protocol"] == "tcp"
            assert session["remote"] == text_of((address, server.port))
            return session["subflows"] if len(session["subflows"]) == 2 else None

        at_cpe = eventually(lambda: subflows("cpe"), what="a second subflow")
        at_conc = eventually(lambda: subflows("conc"), what="a second subflow")
        session, = bonded.sessions("cpe", server.port)
        assert session["inside"] == text_of(client.getsockname())
        assert [subflow["backup"] for subflow in at_cpe] == [False, True], "nothing to share yet"
        client.sendall(bytes(200_000))
        read_exactly(client, 200_000)
        eventually(lambda: not any(subflow["backup"] for subflow in subflows("cpe")), what="sharing")

    def ends(subflow, this, other):
        return tuple(subflow[end].rpartition(":")[0].strip("[]") for end in (this, other))

    net = "10.{}.0.{}" if family == "v4" else "fd10:{}::{}"
    expected = {(net.format(i, 2), net.format(i, 1)) for i in (1, 2)}
    assert {ends(subflow, "local", "remote") for subflow in at_cpe} == expected
    assert {ends(subflow, "remote", "local") for subflow in at_conc} == expected
    assert {(subflow["link"], ends(subflow, "local", "remote")[0]) for subflow in at_cpe} == \
        {("dsl", net.format(1, 2)), ("lte", net.format(2, 2))}
    assert all(subflow["remote"].endswith(":6824") for subflow in at_cpe)


def test_T1_plaitctl_tells_links_in_use_from_backups():
    links = [{"name": "dsl", "interface": "w1"}, {"name": "lte", "interface": "w2",
                                                  "use": "backup"}]
    with running(cpe={"links": links}) as lab, \
            Server(lab, "server", lab.SERVER_V4, echo) as server, \
            connect(lab, "host", lab.SERVER_V4, server.port) as client:
        client.sendall(b"x")
        assert read_exactly(client, 1) == b"x"
        session, = eventually(lambda: [session for session in lab.sessions("cpe", server.port)
                                       if len(session["subflows"]) == 2])
        assert [(subflow["link"], subflow["backup"]) for subflow in session["subflows"]] == \
            [("dsl", False), ("lte", True)]
        assert "backup" in lab.plaitctl("cpe", "sessions").stdout


def test_T1_bytes_are_really_on_both_links(bonded):
    def bytes_of(links):
        return [bonded.interface_bytes("cpe", f"w{i}") for i in links]

    with Server(bonded, "server", bonded.SERVER_V4, digest) as server, \
            connect(bonded, "host", bonded.SERVER_V4, server.port) as client:
        block, whole = os.urandom(1 << 20), hashlib.sha256()
        before = bytes_of((1, 2))
        for _ in range(64):
            client.sendall(block)
            whole.update(block)
        client.shutdown(1)
        assert read_all(client).decode() == whole.hexdigest()
    sent = [after[1] - then[1] for after, then in zip(bytes_of((1, 2)), before)]
    assert sum(sent) > 64 << 20
    assert all(share > 1 << 20 for share in sent), sent


def test_T1_connection_that_was_silent_at_first_gets_both_links(bonded):
    """A person reads the login prompt's line first, then copies a file."""
    with Server(bonded, "server", bonded.SERVER_V4, echo) as server, \
            connect(bonded, "host", bonded.SERVER_V4, server.port) as client:
        time.sleep(3.4)  # the silence is what is tested
        client.sendall(bytes(200_000))
        read_exactly(client, 200_000)
        eventually(lambda: len(bonded.sessions("cpe", server.port)[0]["subflows"]) == 2, 1.5,
                   what="a second subflow")


@both_families
@pytest.mark.parametrize("way", ["up", "down"])
def test_T1_transfers_do_not_stall(bonded, family, way):
    """Thirty of 8 MB, far below a second each: a stall of MPTCP's shows as many seconds."""
    address, block, slow = server_address(bonded, family), bytes(FILE_BYTES), []

    def send(connection):
        connection.sendall(block)

    with Server(bonded, "server", address, digest if way == "up" else send) as server:
        for _ in range(30):
            begun = time.monotonic()
            with connect(bonded, "host", address, server.port, timeout=4) as client:
                if way == "up":
                    client.sendall(block)
                    client.shutdown(1)
                    assert read_all(client).decode() == hashlib.sha256(block).hexdigest()
                else:
                    assert len(read_exactly(client, FILE_BYTES)) == FILE_BYTES
            seconds = time.monotonic() - begun
            if seconds > 1:
                slow.append(round(seconds, 1))
    assert not slow


def test_T1_A1_v6_source_is_preserved(bonded):
    with Server(bonded, "server", bonded.SERVER_V6, peer_name) as server, \
            connect(bonded, "host", bonded.SERVER_V6, server.port) as client:
        assert read_all(client).decode() == text_of(client.getsockname())
        assert client.getsockname()[0] == bonded.HOST_V6


def test_T1_A1_v4_source_is_the_concentrators(bonded):
    with Server(bonded, "server", bonded.SERVER_V4, peer_name) as server, \
            connect(bonded, "host", bonded.SERVER_V4, server.port) as client:
        assert read_all(client).decode().startswith("203.0.113.1:")


def test_T1_sessions_count_packets_and_bytes(bonded):
    with Server(bonded, "server", bonded.SERVER_V4, echo) as server, \
            connect(bonded, "host", bonded.SERVER_V4, server.port) as client:
        client.sendall(bytes(100_000))
        read_exactly(client, 100_000)
        for role in ("cpe", "conc"):
            session, = bonded.sessions(role, server.port)
            for direction in ("up", "down"):
                assert 100_000 < session[direction]["bytes"] < 130_000, (role, session)
                assert 2 < session[direction]["packets"] < 300
            assert session["idle_s"] < 5 and session["state"] == "established"
    bonded.wait_ended(server.port)


@both_families
def test_T1_every_size_of_write(bonded, family):
    address = server_address(bonded, family)
    sizes = [1] * 5000 + list(range(1, 1501, 7)) + [4095, 4096, 4097, 65535, 65536, 65537, 300_001]
    block = os.urandom(max(sizes))
    with Server(bonded, "server", address, digest) as server, \
            connect(bonded, "host", address, server.port) as client:
        client.setsockopt(6, 1, 1)  # TCP_NODELAY
        whole, at = hashlib.sha256(), 0
        while at < 1 << 20:
            for size in sizes:
                whole.update(block[:size])
                client.sendall(block[:size])
                at += size
        client.shutdown(1)
        assert read_all(client).decode() == whole.hexdigest()


@both_families
def test_T1_many_small_connections(bonded, family):
    address, count, at_once = server_address(bonded, family), 500, 50

    async def answer(reader, writer):
        writer.write(hashlib.sha256(await reader.readexactly(32)).digest())
        await reader.read()
        writer.close()

    async def ask(gate, number):
        async with gate:
            reader, writer = await asyncio.open_connection(address, 7001)
            question = hashlib.sha256(str(number).encode()).digest()
            writer.write(question)
            right = await reader.readexactly(32) == hashlib.sha256(question).digest()
            writer.close()
            await writer.wait_closed()
            return right

    async def ask_all():
        gate = asyncio.Semaphore(at_once)
        return await asyncio.wait_for(
            asyncio.gather(*(ask(gate, number) for number in range(count))), 20)

    before = bonded.counters("cpe")
    with AsyncServer(bonded, "server", address, answer, 7001):
        try:
            assert run_async(bonded, "host", ask_all()) == [True] * count
        except TimeoutError:
            pytest.fail("\n".join(f"{role}: {bonded.counters(role)}\n{bonded.sessions(role, 7001)}"
                                  for role in ("cpe", "conc")))
        bonded.wait_ended(7001)
    grown = bonded.since("cpe", before)
    assert grown["established"] == count and grown["closed"] == count
    assert "fallback_tcp" not in grown


@pytest.mark.parametrize("way", ["up", "down"])
def test_T1_parallel_streams_of_iperf3(bonded, way):
    port = {"up": 5201, "down": 5202}[way]
    bonded.popen("server", ["iperf3", "-s", "-1", "-p", port], log="iperf3.log")
    bonded.wait_listening("server", port)
    done = bonded.run("host", ["iperf3", "-c", bonded.SERVER_V4, "-p", port, "-P", 8, "-t", 2,
                               "-J"] + (["-R"] if way == "down" else []))
    end = json.loads(done.stdout)["end"]
    assert len(end["streams"]) == 8
    assert all(stream["receiver"]["bytes"] > 1 << 20 for stream in end["streams"])
    assert end["sum_received"]["bits_per_second"] > 500e6


@pytest.fixture(scope="module")
def sshd(bonded):
    """sshd on the server, port 22; the path of a key that may log in."""
    for key in ("host-key", "user-key"):
        bonded.run("server", ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f",
                              bonded.dir / key])
    pathlib.Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    options = {"HostKey": bonded.dir / "host-key", "PidFile": "none", "StrictModes": "no",
               "AuthorizedKeysFile": bonded.dir / "user-key.pub", "UsePAM": "no"}
    bonded.popen("server", ["/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null"]
                 + [f"-o{name}={value}" for name, value in options.items()], log="sshd.log")
    bonded.wait_listening("server", 22)
    return bonded.dir / "user-key"


@both_families
def test_T1_ssh(bonded, sshd, family):
    sent = os.urandom(1 << 20)
    done = bonded.run("host", [
        "ssh", "-F", "none", "-i", sshd, "-oStrictHostKeyChecking=no", "-oBatchMode=yes",
        "-oUserKnownHostsFile=/dev/null", f"root@{server_address(bonded, family)}", "cat"],
        input=sent, text=None, timeout=20)
    assert done.stdout == sent
