# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""One measurement a function, each on a fresh lab in which plait runs; results are plain dicts.

Bytes are counted where they arrive, so that what waits in a link's queue does not count: the
CPE's interfaces in a download, the concentrator's in an upload.
"""

import contextlib
import json
import subprocess
import threading
import time

from lab import Lab
from netns import eventually, inside
from transfer import Transfer

from cases import HAPPENINGS

SAMPLE_S = 0.1
SHOWN_STALL_S = 0.2
LEAD_S = 0.5  # of the bulk transfer before the requests
LOAD_PORT = 7000
RECEIVER = {"download": "cpe", "upload": "conc"}


class LinkMeter:
    """What each link brings `node`, each SAMPLE_S."""

    def __init__(self, lab, node):
        self.names = [f"w{i}" for i in range(1, lab.links + 1)]
        self.samples = []  # (time, bytes received by each link)
        self.ended = threading.Event()
        with inside(lab, node):
            self.file = open("/proc/thread-self/net/dev", encoding="ascii")
        self.thread = threading.Thread(target=self._sample)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()
        self.file.close()

    def _sample(self):
        due = time.monotonic()
        while not self.ended.wait(max(0, due - time.monotonic())):
            self.samples.append((time.monotonic(), self._received()))
            due += SAMPLE_S

    def _received(self):
        self.file.seek(0)
        lines = [line.partition(":") for line in self.file]
        received = {name.strip(): rest.split()[0] for name, colon, rest in lines if colon}
        return [int(received[name]) for name in self.names]

    def mbit(self):
        """The rate of each link, sample by sample."""
        return [[round((late[link] - early[link]) * 8e-6 / (after - before), 2)
                 for (before, early), (after, late) in zip(self.samples, self.samples[1:])]
                for link in range(len(self.names))]


@contextlib.contextmanager
def bonded(skies, extra_config=None):
    """A lab with one link a sky, and plait that has found all of them."""
    with Lab(links=len(skies), link_weather=[sky.weather for sky in skies]) as lab:
        lab.plaitd("conc", extra_config)
        lab.plaitd("cpe", extra_config)
        eventually(lambda: all(link["condition"] == "in use" for link in links_of(lab)),
                   what="links in use")
        yield lab


def links_of(lab):
    return json.loads(lab.plaitctl("cpe", "links", "--json").stdout)["links"]


def pass_time(lab, case, start, seconds):
    """Lets `seconds` since `start` go by, with what happens meanwhile."""
    for when, what, link in case.changes():
        time.sleep(max(0, start + when * seconds - time.monotonic()))
        HAPPENINGS[what](lab, link)
    time.sleep(max(0, start + seconds - time.monotonic()))


def stalled_since(transfer, case, start, seconds):
    """From when on stalls count: the first change, or the first byte."""
    if changes := case.changes():
        return start + changes[0][0] * seconds
    return transfer.arrived[0][0] if transfer.arrived else start


def bulk(case, way, seconds, extra_config=None):
    """Goodput from connect() on, the longest time without a byte, and what each link carried."""
    with bonded(case.skies, extra_config) as lab, LinkMeter(lab, RECEIVER[way]) as meter:
        start = time.monotonic()
        with Transfer(lab, way) as transfer:
            pass_time(lab, case, start, seconds)
            gaps = list(transfer.gaps(stalled_since(transfer, case, start, seconds)))
            arrived = sum(size for _, size in transfer.arrived)
    return {"mbit": arrived * 8e-6 / seconds,
            "stall_s": max(after - before for before, after in gaps),
            "stalls": [[round(before - start, 3), round(after - start, 3)]
                       for before, after in gaps if after - before > SHOWN_STALL_S],
            "link_mbit": meter.mbit()}


def requests(case, seconds, load_tool, extra_config=None):
    """Times of 1 KB exchanges, one each 20 ms, beside a bulk download."""
    with bonded(case.skies, extra_config) as lab:
        lab.popen("server", [load_tool, "serve", lab.SERVER_V4, LOAD_PORT], log="load.log")
        lab.wait_listening("server", LOAD_PORT)
        with Transfer(lab, "download"):
            time.sleep(LEAD_S)
            pacer = lab.popen("host", [load_tool, "pace", lab.SERVER_V4, LOAD_PORT,
                                       "--seconds", seconds], stdout=subprocess.PIPE, text=True)
            pass_time(lab, case, time.monotonic(), seconds)
            output, _ = pacer.communicate(timeout=10)
    times = json.loads(output)
    return {"p50_ms": times["median_us"] / 1e3, "p99_ms": times["p99_us"] / 1e3,
            "unanswered": times["errors"]}
