# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""U3: `reorder`, packets of datagram mode in the order they were sent in."""

import contextlib
import struct
import threading
import time

import pytest

from conftest import both_families, server_address
from netns import eventually
from test_datagram_mode import datagrams, entry, told
from test_udp import UdpServer, towards
from weather import Weather

NUMBER = struct.Struct("!Id")  # and when it was sent
LATER_MS = 8  # the second link's packets, by so much
LONG = "500ms"  # a machine with other work may stop for a while
WAYS = ("up", "down")


def in_packets(reorder, loss=0, **both):
    """Each packet takes the next link, and one of the links is the slower one."""
    weather = Weather(delay_ms=LATER_MS, loss_percent=loss)
    both |= {"reorder": reorder} if reorder else {}
    return datagrams(cpe={"datagram": {"distribution": "packet"}} | both, conc=both,
                     weather_everywhere=True, link_weather=[None, weather])


def use_both(lab, client):
    """From now on both ends know of both links, and that packets may overtake."""
    def is_answered():
        client.send(NUMBER.pack(0, 0))
        with contextlib.suppress(TimeoutError):
            return client.recv(100)

    client.settimeout(1)
    eventually(is_answered, what="an answer")
    eventually(lambda: told(lab, [32, 32])
               and entry(lab, "conc", "datagram_sets", 0)["per_packet"],
               what="use of both links at the concentrator")


def send_all(send, count, interval=0.0005):
    for number in range(1, count + 1):
        send(NUMBER.pack(number, time.monotonic()))
        time.sleep(interval)


def take_all(take, seconds=1):
    """(number, how long it was on its way in s), until there is silence."""
    got = []
    try:
        while True:
            data = take()
            number, sent = NUMBER.unpack(data)
            if number:
                got.append((number, time.monotonic() - sent))
    except TimeoutError:
        return got


def exchange(lab, address, way, count=1000):
    """What one end gets of as many datagrams, in the order it gets them."""
    with UdpServer(lab, address) as server, towards(lab, address, server.port) as client:
        use_both(lab, client)
        if way == "up":
            send_all(client.send, count)
            time.sleep(0.2)
            return [(number, when - sent) for data, _, when in server.got
                    for number, sent in [NUMBER.unpack(data)] if number]
        peer = server.got[0][1]
        sender = threading.Thread(target=send_all,
                                  args=(lambda data: server.socket.sendto(data, peer), count))
        sender.start()
        got = take_all(lambda: client.recv(100))
        sender.join()
        return got


def is_sorted(got):
    numbers = [number for number, _ in got]
    return numbers == sorted(numbers)


@pytest.fixture(scope="module", name="ordered")
def _ordered():
    with in_packets(LONG, fragmentation="on") as lab:
        yield lab


def test_U3_packets_overtake_each_other_without_reorder():
    """What the other tests here are about."""
    with in_packets(None) as lab:
        for way in WAYS:
            got = exchange(lab, lab.SERVER_V4, way)
            assert len(got) == 1000 and not is_sorted(got)


@both_families
@pytest.mark.parametrize("way", WAYS)
def test_U3_reorder_puts_packets_back_in_order(ordered, family, way):
    receiver = {"up": "conc", "down": "cpe"}[way]
    before = ordered.counters(receiver)
    got = exchange(ordered, server_address(ordered, family), way)
    assert [number for number, _ in got] == list(range(1, 1001))
    counted = ordered.since(receiver, before)
    assert counted["datagram_out_of_turn"] > 300
    assert counted["datagram_received"] >= 1001
    assert not {"datagram_unordered", "datagram_late", "let_go_failed"} & counted.keys()


def assert_bounded(got):
    assert 900 <= len(got) < 1000
    delays = sorted(delay for _, delay in got)
    assert 0.02 < delays[len(delays) * 9 // 10] < 0.1, delays[-100:]
    assert delays[len(delays) // 10] < 0.001 * LATER_MS + 0.005, "not all of them wait"
    overtaken = sum(later < earlier for (earlier, _), (later, _) in zip(got, got[1:]))
    assert overtaken < 10, f"{overtaken}: only a machine that stops gives anything up"


def test_U3_reorder_waits_for_lost_packets_no_longer_than_it_may():
    """One link loses 5 %: what there is comes in order, and within the time."""
    with in_packets("30ms", loss=5) as lab:
        for way in WAYS:
            assert_bounded(exchange(lab, lab.SERVER_V4, way))


def test_U3_reorder_shorter_than_links_differ():
    """Late packets go on all the same, counted; nothing is lost."""
    with in_packets("2ms") as lab:
        got = exchange(lab, lab.SERVER_V4, "up")
        assert sorted(number for number, _ in got) == list(range(1, 1001))
        assert lab.counters("conc")["datagram_late"] > 100


def test_U3_reorder_leaves_flows_that_keep_their_link_alone():
    """distribution: flow. Two remotes of one host port, one over the slower link."""
    weather = Weather(delay_ms=LATER_MS)
    with datagrams(cpe={"reorder": LONG}, conc={"reorder": LONG}, weather_everywhere=True,
                   link_weather=[None, weather]) as lab, UdpServer(lab, lab.SERVER_V4) as server:
        for _ in range(8):
            with towards(lab, lab.SERVER_V4, server.port) as client:
                client.send(b"first")
                assert client.recv(100) == b"first"
                for number in range(20):
                    client.send(b"%d" % number)
                assert [client.recv(100) for _ in range(20)] == \
                    [b"%d" % number for number in range(20)]
        for role in ("cpe", "conc"):
            assert lab.counters(role)["datagram_out_of_turn"] == 0


def test_U3_reorder_lets_fragments_by(ordered):
    """Nothing waits for a datagram that comes in fragments, nor it for others."""
    with UdpServer(ordered, ordered.SERVER_V4) as server, \
            towards(ordered, ordered.SERVER_V4, server.port) as client:
        use_both(ordered, client)
        for number in range(1, 51):
            data = NUMBER.pack(number, time.monotonic())
            client.send(data + b"." * 3000 if number % 5 == 0 else data)
            time.sleep(0.001)
        time.sleep(0.3)
        got = [NUMBER.unpack(data[:NUMBER.size]) + (when,) for data, _, when in server.got]
        numbers = [number for number, _, _ in got if number]
        assert sorted(numbers) == list(range(1, 51))
        small = [number for number in numbers if number % 5]
        assert small == sorted(small)
        slowest = max(when - sent for number, sent, when in got if number)
        assert slowest < 0.2, "waiting for fragments would take 500 ms"


def test_U3_killed_agent_s_successor_puts_in_order(ordered):
    ordered.agents["cpe"].process.kill()
    ordered.agents.pop("cpe").process.wait()
    ordered.plaitd("cpe", ordered.cpe_config)
    ordered.wait_answered()
    for way in WAYS:
        assert [number for number, _ in exchange(ordered, ordered.SERVER_V4, way, 300)] == \
            list(range(1, 301))
