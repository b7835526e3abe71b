# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The relay: backpressure, bounded memory, no leaks, limits (issue 2, point 9)."""

import asyncio
import contextlib
import hashlib
import os
import pathlib
import select
import socket
import threading
import time

import pytest

from conftest import running
from netns import (AsyncServer, Server, connect, digest, echo, eventually, read_all, read_exactly,
                   run_async)
from weather import Weather

BLOCK = bytes(range(256)) * 256
KIB = 1024


def memory_kib(lab, role):
    """Anonymous resident memory of plaitd."""
    status = pathlib.Path(f"/proc/{lab.agents[role].process.pid}/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0])


def files(lab, role):
    return len(os.listdir(f"/proc/{lab.agents[role].process.pid}/fd"))


def send_until_blocked(client, seconds=1.0):
    """Bytes sent until nothing more goes for `seconds`, and their digest."""
    client.setblocking(False)
    sent, digest = 0, hashlib.sha256()
    while select.select([], [client], [], seconds)[1]:
        bytes_now = client.send(BLOCK)  # may be fewer, also in between
        digest.update(BLOCK[:bytes_now])
        sent += bytes_now
    return sent, digest.digest()


def test_relay_stopped_reader_stops_the_sender(bonded):
    before = {role: memory_kib(bonded, role) for role in ("cpe", "conc")}
    with Server(bonded, "server", bonded.SERVER_V4) as server, \
            connect(bonded, "host", bonded.SERVER_V4, server.port) as client:
        sent, digest = send_until_blocked(client)
        assert 64 * KIB < sent < 64 * KIB * KIB
        for role, kib in before.items():
            assert memory_kib(bonded, role) - kib < 2 * KIB
        with server.take() as got:
            got.settimeout(10)
            assert hashlib.sha256(read_exactly(got, sent)).digest() == digest
            client.settimeout(10)
            client.sendall(b"and on")
            assert read_exactly(got, 6) == b"and on"


def test_relay_stopped_host_stops_the_server(bonded):
    with Server(bonded, "server", bonded.SERVER_V4) as server, \
            connect(bonded, "host", bonded.SERVER_V4, server.port) as client, \
            server.take() as got:
        sent, digest = send_until_blocked(got)
        assert 64 * KIB < sent < 64 * KIB * KIB
        client.settimeout(10)
        assert hashlib.sha256(read_exactly(client, sent)).digest() == digest


def test_relay_more_stopped_readers_than_pipes():
    """300 that do not read, one worker with 256 pipes: others are not held up."""
    stopped, each = 300, 1 << 20
    one = {"workers": 1}
    block = os.urandom(each)
    go = threading.Event()

    async def read_late(reader, writer):
        while not go.is_set():
            await asyncio.sleep(0.05)
        writer.write(hashlib.sha256(await reader.read(-1)).hexdigest().encode())
        writer.close()

    async def send(address, port, blocked):
        reader, writer = await asyncio.open_connection(address, port)
        writer.write(block)
        blocked.append(1)
        await writer.drain()
        writer.write_eof()
        return (await reader.read()).decode()

    with running(cpe=one, conc=one) as lab, \
            AsyncServer(lab, "server", lab.SERVER_V4, read_late, 7601, 16384), \
            Server(lab, "server", lab.SERVER_V4, echo) as server:
        async def send_all():
            blocked = []
            senders = [asyncio.create_task(send(lab.SERVER_V4, 7601, blocked))
                       for _ in range(stopped)]
            deadline = time.monotonic() + 20
            while not lab.counters("conc")["pipes_exhausted"]:
                assert time.monotonic() < deadline, (len(blocked), lab.counters("conc"))
                await asyncio.sleep(0.1)
            await asyncio.get_running_loop().run_in_executor(None, others_go_on)
            go.set()
            return await asyncio.wait_for(asyncio.gather(*senders), 40)

        def others_go_on():
            begun = time.monotonic()
            for _ in range(5):
                with connect(lab, "host", lab.SERVER_V4, server.port) as client:
                    client.sendall(BLOCK)
                    assert read_exactly(client, len(BLOCK)) == BLOCK
            assert time.monotonic() - begun < 3

        try:
            digests = run_async(lab, "host", send_all())
        finally:
            go.set()
        assert digests == [hashlib.sha256(block).hexdigest()] * stopped


@pytest.mark.parametrize("workers", [1, 4])
def test_relay_any_number_of_workers(workers):
    extra, sent = {"workers": workers}, os.urandom(1 << 20)
    with running(cpe=extra, conc=extra) as lab, \
            Server(lab, "server", lab.SERVER_V4, digest) as server:
        assert lab.status("cpe")["workers"] == lab.status("conc")["workers"] == workers
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(connect(lab, "host", lab.SERVER_V4, server.port))
                       for _ in range(40)]
            used = {session["worker"] for session in lab.sessions("cpe", server.port)}
            assert used == set(range(workers))
            for client in clients[:8]:
                client.sendall(sent)
                client.shutdown(socket.SHUT_WR)
                assert read_all(client).decode() == hashlib.sha256(sent).hexdigest()


def test_relay_leaks_neither_files_nor_memory(bonded):
    async def answer(reader, writer):
        writer.write(await reader.readexactly(1000))
        await reader.read()
        writer.close()

    async def ask(gate):
        async with gate:
            reader, writer = await asyncio.open_connection(bonded.SERVER_V4, 7602)
            writer.write(bytes(1000))
            assert await reader.readexactly(1000) == bytes(1000)
            writer.close()
            await writer.wait_closed()

    async def many(count):
        gate = asyncio.Semaphore(50)
        await asyncio.wait_for(asyncio.gather(*(ask(gate) for _ in range(count))), 30)

    def used():
        bonded.wait_ended(7602)
        return [(files(bonded, role), memory_kib(bonded, role)) for role in ("cpe", "conc")]

    with AsyncServer(bonded, "server", bonded.SERVER_V4, answer, 7602):
        run_async(bonded, "host", many(500))
        before = used()
        run_async(bonded, "host", many(1000))
        after = used()
    for (files_before, kib_before), (files_after, kib_after) in zip(before, after):
        assert files_after <= files_before + 4  # a pipe or two more may have been opened
        assert kib_after < kib_before + 256


def test_relay_limit_of_sessions():
    """Beyond limits.sessions connections are refused; those that are there go on."""
    limit = 20
    with running(cpe={"limits": {"sessions": limit}, "workers": 1}) as lab, \
            Server(lab, "server", lab.SERVER_V4, echo) as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(lab, "host", lab.SERVER_V4, server.port))
                   for _ in range(limit)]
        assert lab.status("cpe")["max_sessions"] == limit
        for _ in range(3):
            with pytest.raises(OSError):
                connect(lab, "host", lab.SERVER_V4, server.port, timeout=0.7)
        assert lab.counters("cpe")["sessions_full"] >= 3
        assert lab.status("cpe")["sessions"] <= limit
        assert server.count == limit, "servers saw connections beyond the limit"
        for client in clients:
            client.sendall(b"still here")
            assert read_exactly(client, 10) == b"still here"
        clients.pop().close()
        eventually(lambda: lab.status("cpe")["sessions"] < limit, what="a free session")
        with connect(lab, "host", lab.SERVER_V4, server.port) as client:
            client.sendall(b"in again")
            assert read_exactly(client, 8) == b"in again"


def bytes_within(client, seconds):
    """Read for so long; how many there were."""
    count, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        count += len(client.recv(1 << 20))
    return count


def test_T5_reader_that_pauses():
    """All of both links' rate at once when it reads again, though all buffers had filled."""
    def talk(connection):
        with contextlib.suppress(OSError):
            while True:
                connection.sendall(BLOCK)

    weather = Weather(rate_mbit=50, delay_ms=10)
    with running(link_weather=[weather, weather]) as lab, \
            Server(lab, "server", lab.SERVER_V4, talk) as server, \
            connect(lab, "host", lab.SERVER_V4, server.port) as client:
        bytes_within(client, 2)
        time.sleep(4)
        rates = [bytes_within(client, 0.5) * 8e-6 / 0.5 for _ in range(6)]
        assert min(rates) > 70, rates
