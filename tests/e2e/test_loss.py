# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Connections over links that lose packets, and past a middlebox that empties SYNs (T5)."""

import asyncio
import hashlib
import os
import resource

import pytest

from conftest import both_families, running, server_address
from netns import AsyncServer, Server, connect, digest, eventually, read_all, run_async

CONNECTIONS, AT_ONCE, PORT = 1000, 50, 7501


@pytest.fixture(autouse=True)
def many_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def answer(reader, writer):
    writer.write(hashlib.sha256(await reader.readexactly(32)).digest())
    await reader.read()
    writer.close()


def test_T5_two_percent_loss():
    """1,000 connections all complete, at least 99.5 % as MPTCP with both subflows."""
    with running(loss_percent=[2, 2]) as lab, \
            AsyncServer(lab, "server", lab.SERVER_V4, answer, PORT):

        async def ask(gate, number):
            async with gate:
                reader, writer = await asyncio.open_connection(lab.SERVER_V4, PORT)
                question = hashlib.sha256(str(number).encode()).digest()
                writer.write(question)
                assert await reader.readexactly(32) == hashlib.sha256(question).digest()
                return writer

        async def whole():
            gate = asyncio.Semaphore(AT_ONCE)
            asked = [ask(gate, number) for number in range(CONNECTIONS)]
            writers = await asyncio.wait_for(asyncio.gather(*asked), 60)
            best = await asyncio.get_running_loop().run_in_executor(None, count_both)
            for writer in writers:
                writer.close()
            return best

        def count_both():
            """How many have both subflows, once that is enough or no more come."""
            most = {}

            def enough():
                sessions = lab.sessions("cpe", PORT)
                most["sessions"] = len(sessions)
                most["mptcp"] = sum(session["mptcp"] for session in sessions)
                most["both"] = sum(session["mptcp"] and len(session["subflows"]) == 2
                                   for session in sessions)
                return most["both"] >= 0.995 * CONNECTIONS

            try:
                eventually(enough, 30)
            except AssertionError:
                pass
            return most

        best = run_async(lab, "host", whole())
        shown = {role: {name: n for name, n in lab.counters(role).items() if n}
                 for role in ("cpe", "conc")}
        assert best["sessions"] == CONNECTIONS, (best, shown)
        assert best["both"] >= 0.995 * CONNECTIONS, (best, shown)
        assert lab.weather_counts(1)["lost"] > 50, "the link lost nothing"


@pytest.fixture(scope="module")
def stripped():
    with running(strip_syn_payload=True) as lab:
        yield lab


@both_families
def test_T5_middlebox_that_strips_syn_payload(stripped, family):
    address, sent = server_address(stripped, family), os.urandom(2 << 20)
    before = stripped.counters("conc")
    with Server(stripped, "server", address, digest) as server:
        for _ in range(5):
            with connect(stripped, "host", address, server.port) as client:
                client.sendall(sent)
                client.shutdown(1)
                assert read_all(client).decode() == hashlib.sha256(sent).hexdigest()
        grown = stripped.since("conc", before)
        assert grown["syn_without_payload"] >= 5 and grown["established"] == 5, grown
        assert server.count == 5
    assert stripped.weather_counts(1)["stripped"] >= 5
