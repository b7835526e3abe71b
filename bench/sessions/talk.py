# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Host and server of bench/sessions: very many connections that are open at a time.

    talk.py serve ADDRESS PORT BYTES
    talk.py hold  ADDRESS PORT BYTES COUNT

hold opens COUNT connections and prints a line of JSON; when it gets a line it sends BYTES at random
on every one and prints another; it holds them until its input ends. The server answers with the
SHA-256 of what it got and BYTES at random of its own with theirs. A connection counts as right
when both digests are.
"""

import asyncio
import hashlib
import json
import os
import resource
import sys

CONNECTING_AT_ONCE, TALKING_AT_ONCE = 64, 256
SECONDS = 60
DIGEST_BYTES = hashlib.sha256().digest_size


def digest(octets):
    return hashlib.sha256(octets).digest()


async def serve(address, port, size):
    async def answer(reader, writer):
        try:
            while True:
                got, own = await reader.readexactly(size), os.urandom(size)
                writer.write(digest(got) + own + digest(own))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(answer, address, port, backlog=4096)
    await server.serve_forever()


async def talk(stream, size):
    reader, writer = stream
    sent = os.urandom(size)
    writer.write(sent)
    got = await reader.readexactly(DIGEST_BYTES + size + DIGEST_BYTES)
    theirs, own, owns = got[:DIGEST_BYTES], got[DIGEST_BYTES:-DIGEST_BYTES], got[-DIGEST_BYTES:]
    return (theirs, owns) == (digest(sent), digest(own))


async def each(steps, at_once):
    """What came of each step, None where it failed; some at once."""
    turn = asyncio.Semaphore(at_once)

    async def take(step):
        async with turn:
            try:
                return await asyncio.wait_for(step, SECONDS)
            except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError):
                return None

    return await asyncio.gather(*map(take, steps))


def tell(**figures):
    print(json.dumps(figures), flush=True)


async def hold(address, port, size, count):
    streams = await each([asyncio.open_connection(address, port) for _ in range(count)],
                         CONNECTING_AT_ONCE)
    tell(open=sum(stream is not None for stream in streams))
    while await asyncio.to_thread(sys.stdin.readline):
        results = await each([talk(stream, size) for stream in streams if stream],
                             TALKING_AT_ONCE)
        tell(right=results.count(True), wrong=results.count(False), failed=results.count(None))


def main():
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    mode, address, *numbers = sys.argv[1:]
    asyncio.run({"serve": serve, "hold": hold}[mode](address, *map(int, numbers)))


if __name__ == "__main__":
    main()
