# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""A bulk transfer from or to the host, and when its bytes arrived."""

import contextlib
import threading
import time

from netns import Server, connect

PORT = 7900
CHUNK = 1 << 16


class Transfer:
    """A download or upload that goes on until it is left, and when bytes arrived."""

    def __init__(self, lab, way):
        self.arrived = []  # (time, bytes)
        self.ended = threading.Event()
        server, client = ((self._answer, self._ask) if way == "download"
                          else (self._read, self._write))
        self.stack = contextlib.ExitStack()
        self.stack.enter_context(Server(lab, "server", lab.SERVER_V4, server, PORT))
        self.connection = self.stack.enter_context(connect(lab, "host", lab.SERVER_V4, PORT))
        self.thread = threading.Thread(target=client, args=(self.connection,))
        self.thread.start()

    def _ask(self, connection):
        """A download is asked for, as by HTTP."""
        connection.sendall(b"?")
        self._read(connection)

    def _answer(self, connection):
        with contextlib.suppress(OSError):
            connection.recv(1)
        self._write(connection)

    def _write(self, connection):
        with contextlib.suppress(OSError):
            while not self.ended.is_set():
                connection.sendall(bytes(CHUNK))

    def _read(self, connection):
        with contextlib.suppress(OSError):
            while part := connection.recv(CHUNK):
                self.arrived.append((time.monotonic(), len(part)))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ended.set()
        with contextlib.suppress(OSError):
            self.connection.shutdown(2)
        self.stack.close()
        self.thread.join()

    def gaps(self, since):
        """(from, to) between two arrivals, from `since` to the last one and now."""
        times = [since] + [when for when, _ in self.arrived if when > since] + [time.monotonic()]
        return zip(times, times[1:])

    def longest_stall(self, since):
        """Seconds without a byte, from `since` to the last one and now."""
        return max(after - before for before, after in self.gaps(since))

    def mbit(self, seconds):
        """The rate of the last `seconds`."""
        start = time.monotonic() - seconds
        return sum(size for when, size in list(self.arrived) if when > start) * 8e-6 / seconds
