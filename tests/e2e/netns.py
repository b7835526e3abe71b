# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The test process's own sockets inside a lab's namespaces: clients, servers, waiting.

    with inside(lab, "host"):
        client = socket.create_connection(...)   # stays in the namespace it was made in
"""

import asyncio
import contextlib
import hashlib
import ipaddress
import select
import socket
import struct
import threading
import time

from lab import inside_netns

IPPROTO_MPTCP = 262
TCP_FASTOPEN_NO_COOKIE = 34
MSG_FASTOPEN = 0x20000000
TIMEOUT = 10


def inside(lab, node):
    """This thread is in the namespace of `node` meanwhile."""
    return inside_netns(lab.netns(node))


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def eventually(probe, seconds=5, what="it"):
    """What `probe` returns once that is true; an assertion fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = probe()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s: {value!r}"
        time.sleep(0.02)


def stays(probe, seconds):
    """Asserts that `probe` is true all the time for `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert probe()
        time.sleep(0.02)


def tcp_socket(lab, node, family, protocol=0, timeout=TIMEOUT):
    with inside(lab, node):
        made = socket.socket(family, socket.SOCK_STREAM, protocol)
    made.settimeout(timeout)
    return made


def connect(lab, node, address, port, timeout=TIMEOUT, source=None):
    """A TCP connection from `node`."""
    client = tcp_socket(lab, node, family_of(address), timeout=timeout)
    try:
        if source:
            client.bind(source)
        client.connect((address, port))
    except BaseException:
        client.close()
        raise
    return client


def mptcp_socket(lab, node, family, timeout=TIMEOUT):
    """A client's MPTCP socket that may send data in its SYN without a cookie."""
    made = tcp_socket(lab, node, family, IPPROTO_MPTCP, timeout)
    made.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 1)
    return made


def read_all(connection):
    """Everything up to FIN."""
    parts = []
    while part := connection.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def read_exactly(connection, length):
    parts = []
    while length:
        part = connection.recv(min(length, 1 << 16))
        assert part, f"FIN with {length} bytes missing"
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def reset(connection):
    """close() by RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def error_of(connection, seconds=5):
    """Waits for the end of a connection and returns the errno reading it gives; 0 is FIN."""
    connection.settimeout(seconds)
    try:
        while connection.recv(1 << 16):
            pass
    except socket.timeout:
        raise AssertionError(f"no end within {seconds} s") from None
    except OSError as error:
        return error.errno
    return 0


def text_of(address_and_port):
    """As plaitctl writes it."""
    address, port = address_and_port[:2]
    address = str(ipaddress.ip_address(address))
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


# What servers do with a connection

def echo(connection):
    while part := connection.recv(1 << 16):
        connection.sendall(part)


def digest(connection):
    """Answers the SHA-256 of everything up to FIN."""
    whole = hashlib.sha256()
    while part := connection.recv(1 << 16):
        whole.update(part)
    connection.sendall(whole.hexdigest().encode())


def peer_name(connection):
    """Says who connected."""
    connection.sendall(text_of(connection.getpeername()).encode())


class Server:
    """A TCP server in `node`, one thread a connection; port 0 picks one, see .port.

    Without a handler, connections wait in .accepted for the test to use."""

    def __init__(self, lab, node, address, handler=None, port=0, before_listening=None):
        with inside(lab, node):
            self.socket = socket.socket(family_of(address), socket.SOCK_STREAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family_of(address) == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if before_listening:
            before_listening(self.socket)
        self.socket.bind((address, port))
        self.socket.listen(1024)
        self.address, self.port = address, self.socket.getsockname()[1]
        self.handler = handler
        self.accepted = []
        self.count = 0
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self.socket.close()
        for connection in self.accepted:
            connection.close()

    def take(self, seconds=5):
        """The next connection, accepted."""
        eventually(lambda: self.accepted, seconds, "a connection to the server")
        return self.accepted.pop(0)

    def _accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            connection.settimeout(TIMEOUT)
            self.count += 1
            if self.handler:
                threading.Thread(target=self._handle, args=(connection,), daemon=True).start()
            else:
                self.accepted.append(connection)

    def _handle(self, connection):
        with connection, contextlib.suppress(OSError):
            self.handler(connection)


class AsyncServer:
    """A server for very many connections: asyncio in one thread. `talk(reader, writer)`.
    `receive_bytes`: of each connection's receive buffer, instead of the kernel's choice."""

    def __init__(self, lab, node, address, talk, port, receive_bytes=None):
        self.port = port
        with inside(lab, node):
            self._socket = socket.socket(family_of(address), socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if receive_bytes:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self._socket.bind((address, port))
        self._ready, self._stop = threading.Event(), None
        self._thread = threading.Thread(target=self._run, args=(talk,), daemon=True)
        self._thread.start()
        assert self._ready.wait(5)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self, talk):
        async def serve():
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            server = await asyncio.start_server(talk, sock=self._socket, backlog=1024)
            self._ready.set()
            await self._stop.wait()
            server.close()

        asyncio.run(serve())


def run_async(lab, node, coroutine):
    """asyncio.run() with the sockets it makes in `node`."""
    with inside(lab, node):
        return asyncio.run(coroutine)


def is_readable(connection, seconds=0):
    return bool(select.select([connection], [], [], seconds)[0])


@contextlib.contextmanager
def pair(lab, address):
    """A connection of the host that works: (its end, the server's end, the server's port)."""
    with Server(lab, "server", address) as server, \
            connect(lab, "host", address, server.port) as client:
        client.sendall(b"x")
        with server.take() as accepted:
            assert read_exactly(accepted, 1) == b"x"
            accepted.sendall(b"y")
            assert read_exactly(client, 1) == b"y"
            yield client, accepted, server.port
