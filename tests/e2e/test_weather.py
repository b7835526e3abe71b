# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The lab's weather, measured with UDP packets between CPE and concentrator; no plait runs.

What is left to chance is held against bounds of at least four standard deviations.
"""

import contextlib
import dataclasses
import itertools
import json
import pathlib
import socket
import statistics
import struct
import subprocess
import time

import pytest

import weather
from lab import Lab, start_time
from netns import inside

LAB_COMMAND = pathlib.Path(__file__).resolve().parents[1] / "lab/lab"
ENDS = {"up": ("cpe", "conc"), "down": ("conc", "cpe")}
ADDRESSES = {"cpe": "10.1.0.2", "conc": "10.1.0.1"}
PORT = 7600
SO_RCVBUFFORCE = 33
SO_TIMESTAMPNS = 35
STAMP = struct.Struct("=IQ")
ROOM_BYTES = 32 << 20
HEADER_BYTES = 14 + 20 + 8  # Ethernet, IPv4, UDP
LATE_MS = 2  # how far a delay may be off, on a slow machine too

both_directions = pytest.mark.parametrize("direction", weather.DIRECTIONS)


@dataclasses.dataclass
class Packet:
    """One that arrived."""

    number: int
    sent_ns: int
    arrived_ns: int

    @property
    def delay_ms(self):
        return (self.arrived_ns - self.sent_ns) / 1e6


@contextlib.contextmanager
def wire(lab, direction):
    """A sender and a receiver at the two ends of link 1."""
    source, sink = ENDS[direction]
    with inside(lab, source):
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with inside(lab, sink):
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sender, receiver:
        receiver.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ROOM_BYTES)
        receiver.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        receiver.bind((ADDRESSES[sink], PORT))
        sender.connect((ADDRESSES[sink], PORT))
        yield sender, receiver


def received(receiver, patience):
    """What arrives until nothing has for `patience` seconds, stamped by the kernel."""
    receiver.settimeout(patience)
    packets = []
    with contextlib.suppress(TimeoutError):
        while True:
            content, ancillary, _, _ = receiver.recvmsg(2048, 64)
            seconds, nanoseconds = struct.unpack("qq", ancillary[0][2])
            packets.append(Packet(*STAMP.unpack_from(content),
                                  seconds * 1_000_000_000 + nanoseconds))
    return packets


def send(lab, direction, count, gap=0.0, size=64, patience=0.1, halfway=None):
    """Sends `count` packets of `size` bytes on the wire and returns those that arrived, in
    order of arrival. `halfway` is called when half of them are sent."""
    filling = bytes(size - HEADER_BYTES - STAMP.size)
    with wire(lab, direction) as (sender, receiver):
        for number in range(count):
            if halfway and number == count // 2:
                halfway()
            sender.send(STAMP.pack(number, time.time_ns()) + filling)
            if gap:
                time.sleep(gap)
        return received(receiver, patience)


def delays(packets):
    return [packet.delay_ms for packet in packets]


def numbers(packets):
    return [packet.number for packet in packets]


def nearly_all(values):
    """The largest but for the 5 % that a busy machine may spoil."""
    return statistics.quantiles(values, n=20)[-1]


def seconds(packets):
    """From the first arrival to the last."""
    return (packets[-1].arrived_ns - packets[0].arrived_ns) / 1e9


def lost_runs(packets, count):
    """The lengths of the runs of lost packets."""
    arrived = set(numbers(packets))
    runs = itertools.groupby(range(count), key=arrived.__contains__)
    return [len(list(run)) for there, run in runs if not there]


def overtaken(packets):
    """How many arrived after one that was sent later."""
    latest = itertools.accumulate(numbers(packets), max)
    return sum(number < most for number, most in zip(numbers(packets), latest))


def assert_untouched(lab, direction):
    packets = send(lab, direction, 100, gap=0.0002)
    assert numbers(packets) == list(range(100))
    assert statistics.median(delays(packets)) < LATE_MS


def other(direction):
    return {"up": "down", "down": "up"}[direction]


@pytest.fixture(scope="module")
def windy():
    with Lab(links=1, weather_everywhere=True) as lab:
        send(lab, "up", 1)  # finds its neighbour, which takes a while
        yield lab


@pytest.fixture(name="lab")
def _clear_again(windy):
    yield windy
    windy.set_weather(1, **vars(weather.CLEAR))


def delay_line_pids(lab):
    listed = subprocess.run(["ip", "netns", "pids", lab.netns("acc1")], check=True, text=True,
                            capture_output=True).stdout
    return [int(pid) for pid in listed.split()]


def test_delay_line_only_where_needed_and_gone_with_its_lab():
    with Lab(links=2, link_weather=[weather.Weather(rate_mbit=100), None]) as lab:
        send(lab, "up", 1)
        assert_untouched(lab, "up")
        assert delay_line_pids(lab) == []
        lab.set_weather(1, "down", delay_ms=10)
        pids = delay_line_pids(lab)
        assert len(pids) == 1
        assert min(delays(send(lab, "down", 20))) >= 10
        assert_untouched(lab, "up")
    assert start_time(pids[0]) is None
    assert not (weather.PINS / lab.id).exists()


def test_weather_from_the_start():
    with Lab(links=1, shape_mbit=[100], link_weather=[{"up": weather.Weather(delay_ms=10)}]) as lab:
        send(lab, "up", 1)
        assert min(delays(send(lab, "up", 20))) >= 10
        assert_untouched(lab, "down")
        assert lab.weather_of(1, "up") == weather.Weather(rate_mbit=100, delay_ms=10)


@both_directions
def test_delay(lab, direction):
    lab.set_weather(1, direction, delay_ms=20)
    packets = send(lab, direction, 100, gap=0.001)
    assert numbers(packets) == list(range(100))
    assert min(delays(packets)) >= 20
    assert nearly_all(delays(packets)) < 20 + LATE_MS
    assert_untouched(lab, other(direction))


def test_jitter_keeps_the_order(lab):
    lab.set_weather(1, "up", delay_ms=10, jitter_ms=10)
    packets = send(lab, "up", 400, gap=0.001)
    assert numbers(packets) == list(range(400))
    assert min(delays(packets)) >= 10
    assert nearly_all(delays(packets)) < 20 + LATE_MS
    assert statistics.pstdev(delays(packets)) > 1


def test_delay_changes_while_packets_are_under_way(lab):
    lab.set_weather(1, "down", delay_ms=60)
    packets = send(lab, "down", 60, gap=0.001,
                   halfway=lambda: lab.set_weather(1, "down", delay_ms=20))
    assert numbers(packets) == list(range(60)), "a shorter delay keeps the order"
    assert delays(packets)[0] >= 60
    assert 20 <= delays(packets)[-1] < 60
    lab.set_weather(1, "down", delay_ms=40)
    assert delays(send(lab, "down", 1))[0] >= 40


def test_rate_burst_and_queue(lab):
    """What the bucket holds passes at once, what the queue holds at the rate, the rest never."""
    rate_bytes, burst, queue_ms, size = 2_500_000, 64 << 10, 200, 1400
    lab.set_weather(1, "up", rate_mbit=rate_bytes * 8e-6, burst_bytes=burst, queue_ms=queue_ms)
    packets = send(lab, "up", 700, size=size)
    assert queue_ms <= max(delays(packets)) < 1.3 * queue_ms
    assert numbers(packets) != list(range(700)), "the queue took everything"
    shaped = packets[len(packets) // 3:]
    assert (len(shaped) - 1) * size / seconds(shaped) == pytest.approx(rate_bytes, rel=0.05)
    at_once = len(packets) * size - rate_bytes * seconds(packets)
    assert 0.8 * burst < at_once < 1.6 * burst
    assert_untouched(lab, "down")


def test_rate_changes_while_a_queue_waits(lab):
    lab.set_weather(1, "down", rate_mbit=1, queue_ms=500)
    slow = send(lab, "down", 40, size=1000, patience=0.5)
    faster = send(lab, "down", 40, size=1000, patience=0.5,
                  halfway=lambda: lab.set_weather(1, "down", rate_mbit=100))
    assert numbers(slow) == numbers(faster) == list(range(40))
    assert 0.2 < seconds(slow) < 0.3
    assert seconds(faster) < 0.15
    lab.set_rate(1, None)
    assert_untouched(lab, "down")


@both_directions
def test_random_loss(lab, direction):
    lab.set_weather(1, direction, loss_percent=20)
    runs = lost_runs(send(lab, direction, 2000), 2000)
    assert 300 < sum(runs) < 500
    assert sum(runs) / len(runs) < 1.6, "single packets"
    assert lab.weather_counts(1, direction)["lost"] == sum(runs)
    assert_untouched(lab, other(direction))


def test_burst_loss(lab):
    """On average 1 packet in 11 is lost, 5 in a row."""
    lab.set_weather(1, "down", burst_enter_percent=2, burst_leave_percent=20)
    runs = lost_runs(send(lab, "down", 8000), 8000)
    assert 360 < sum(runs) < 1150
    assert 3.3 < sum(runs) / len(runs) < 6.7
    assert_untouched(lab, "up")
    lab.set_weather(1, "down", burst_enter_percent=0)
    assert_untouched(lab, "down")


def test_duplication(lab):
    lab.set_weather(1, "up", duplicate_percent=10)
    packets = send(lab, "up", 2000)
    assert set(numbers(packets)) == set(range(2000))
    assert 140 < len(packets) - 2000 < 260
    assert_untouched(lab, "down")


def test_reordering(lab):
    lab.set_weather(1, "up", delay_ms=5, reorder_percent=10)
    packets = send(lab, "up", 1000, gap=0.0001)
    assert sorted(numbers(packets)) == list(range(1000))
    assert 60 < overtaken(packets) < 140
    assert statistics.median(delays(packets)) < 5 + LATE_MS
    assert_untouched(lab, "down")


@both_directions
def test_black_hole(lab, direction):
    lab.set_weather(1, direction, black_hole=True)
    assert send(lab, direction, 20) == []
    lab.set_weather(1, direction, black_hole=False)
    assert_untouched(lab, direction)


def flags(lab, node):
    shown = lab.run(node, ["ip", "-j", "link", "show", "w1"]).stdout
    return json.loads(shown)[0]["flags"]


def test_cut_and_mend(lab):
    lab.cut(1)
    assert "NO-CARRIER" in flags(lab, "cpe") and "UP" in flags(lab, "cpe")
    assert "LOWER_UP" in flags(lab, "conc"), "the concentrator sees nothing of it"
    assert lab.is_cut(1)
    assert send(lab, "down", 5) == []
    lab.mend(1)
    assert not lab.is_cut(1)
    for direction in weather.DIRECTIONS:
        assert_untouched(lab, direction)


@pytest.mark.parametrize("fields", [{"loss_percent": 101}, {"delay_ms": -1}, {"rate_mbit": 0},
                                    {"burst_enter_percent": 1}])
def test_impossible_weather_is_refused(lab, fields):
    with pytest.raises(ValueError):
        lab.set_weather(1, **fields)


def command(lab, *args):
    return subprocess.run([LAB_COMMAND, "--id", lab.id, *args], check=True, text=True,
                          capture_output=True).stdout


def test_the_command_changes_the_weather(lab):
    command(lab, "weather", "1", "down", "delay=15ms", "loss=50%")
    assert_untouched(lab, "up")
    packets = send(lab, "down", 200)
    assert 60 < len(packets) < 140
    assert min(delays(packets)) >= 15
    assert "down delay=15ms loss=50%" in command(lab, "status")
    command(lab, "cut", "1")
    assert "cut" in command(lab, "status")
    command(lab, "mend", "1")
    command(lab, "weather", "1", "both", "delay=0ms", "loss=0%")
    assert_untouched(lab, "down")
