# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The binding log (plain-mode-08 §7.3, RFC 6888 §4): who had which ports, and when."""

import contextlib
import datetime
import fcntl
import ipaddress
import os
import re
import socket
import time

from conftest import PlaitLab
from lab import BUILD
from netns import Server, connect, eventually, peer_name, read_all, reset

POOL = "203.0.113.64/28"
BLOCK_PORTS = 64
SUBSCRIBERS = [{"name": "home-1", "sources": ["10.1.0.2", "10.2.0.2"]}]
FIELDS = ["event", "subscriber", "source", "protocol", "external_address", "port_first", "port_last"]
CLOCK_NOISE = datetime.timedelta(milliseconds=20)


@contextlib.contextmanager
def logging(binding_log=None, conc=None, **kwargs):
    """A lab whose concentrator has a pool; kwargs: of its plaitd."""
    with PlaitLab() as lab:
        config = {"internet": {"interfaces": ["net0"], "port_block": BLOCK_PORTS,
                               "pools": [{"prefix": POOL}]},
                  "subscribers": SUBSCRIBERS, "binding_log": binding_log} | (conc or {})
        lab.plaitd("conc", config, **kwargs)
        lab.plaitd("cpe")
        yield lab


def parse(line):
    return dict(word.split("=", 1) for word in line.removeprefix("<6>").split(" "))


def records(text):
    return [parse(line) for line in text.splitlines() if "event=" in line]


def logged(lab, event=None):
    return [record for record in records(lab.log("conc")) if event in (None, record["event"])]


def wait_for(lab, event, count=1):
    return eventually(lambda: found if len(found := logged(lab, event)) >= count else None,
                      what=f"{count} {event}")


def time_of(text):
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def who_connects(lab, server):
    """One connection from the host, opened and closed; the server's view of its other end."""
    with connect(lab, "host", server.address, server.port) as client:
        address, port = read_all(client).decode().rsplit(":", 1)
    return address, int(port)


def test_S2_a_block_is_logged_when_it_is_lent_and_returned():
    with logging() as lab, Server(lab, "server", lab.SERVER_V4, peer_name) as server:
        before = now() - CLOCK_NOISE
        address, port = who_connects(lab, server)
        lab.wait_ended(server.port)
        (lent,), (returned,) = wait_for(lab, "block-lent"), wait_for(lab, "block-returned")
        after = now() + CLOCK_NOISE
    assert list(lent) == [*FIELDS, "since"] and list(returned) == [*FIELDS, "since", "until"]
    assert {name: returned[name] for name in lent} == lent | {"event": "block-returned"}
    assert [lent[name] for name in FIELDS[1:5]] == ["home-1", "10.1.0.2", "tcp,udp", address]
    assert ipaddress.ip_address(address) in ipaddress.ip_network(POOL)
    first, last = int(lent["port_first"]), int(lent["port_last"])
    assert first <= port <= last == first + BLOCK_PORTS - 1 and (first - 1024) % BLOCK_PORTS == 0
    assert before <= time_of(lent["since"]) <= time_of(returned["until"]) <= after


def test_S2_a_block_is_one_record_for_all_of_its_connections():
    with logging() as lab, Server(lab, "server", lab.SERVER_V4) as server:
        with contextlib.ExitStack() as stack:
            for _ in range(10):
                stack.enter_context(connect(lab, "host", lab.SERVER_V4, server.port))
            assert len(wait_for(lab, "block-lent")) == 1
        server.close()
        lab.wait_ended(server.port)
        assert [record["event"] for record in logged(lab)] in (["block-lent"],
                                                               ["block-lent", "block-returned"])
        assert lab.SERVER_V4 not in lab.log("conc")


def test_S2_a_source_that_is_not_configured_names_its_subscriber():
    with logging(conc={"subscribers": []}) as lab:
        with Server(lab, "server", lab.SERVER_V4, peer_name) as server:
            who_connects(lab, server)
        lent = wait_for(lab, "block-lent")[0]
    assert lent["subscriber"] == lent["source"] and lent["source"] in ("10.1.0.2", "10.2.0.2")


def test_S2_a_block_is_returned_when_its_last_port_has_rested():
    with logging(conc={"lifetimes": {"reset": "1s"}}) as lab:
        with Server(lab, "server", lab.SERVER_V4) as server:
            client = connect(lab, "host", lab.SERVER_V4, server.port)
            with server.take():
                reset(client)
                reset_at = now()
                lab.wait_ended(server.port)
        assert not logged(lab, "block-returned")
        returned, = wait_for(lab, "block-returned")
    assert time_of(returned["until"]) - reset_at >= datetime.timedelta(seconds=1) - CLOCK_NOISE


def test_S2_what_is_lent_at_the_end_is_returned():
    with logging() as lab, Server(lab, "server", lab.SERVER_V4) as server:
        resting = connect(lab, "host", lab.SERVER_V4, server.port)
        with server.take():
            reset(resting)
            lab.wait_ended(server.port)
        with connect(lab, "host", lab.SERVER_V4, server.port):
            assert not logged(lab, "block-returned")
            log = lab.agents["conc"].log
            assert lab.stop_plaitd("conc") == 0
        ended = [record["event"] for record in records(log.read_text())]
    assert ended == ["block-lent", "block-returned"]


def test_S2_each_session_where_configured_and_no_destination():
    with logging({"per": "session"}) as lab:
        with Server(lab, "server", lab.SERVER_V4, peer_name) as server:
            before = now() - CLOCK_NOISE
            ends = [who_connects(lab, server) for _ in range(3)]
            lab.wait_ended(server.port)
            created, ended = wait_for(lab, "binding-created", 3), wait_for(lab, "binding-ended", 3)
            after = now() + CLOCK_NOISE
        assert len(logged(lab)) == 6 and lab.SERVER_V4 not in lab.log("conc")
    assert [(record["external_address"], int(record["port_first"])) for record in created] == ends
    for record in created + ended:
        assert record["port_first"] == record["port_last"]
        assert [record[name] for name in FIELDS[1:4]] == ["home-1", record["source"], "tcp"]
        assert record["source"] in ("10.1.0.2", "10.2.0.2")
    spans = {record["port_first"]: record for record in ended}
    for record in created:
        span = spans[record["port_first"]]
        assert span["since"] == record["since"]
        assert before <= time_of(span["since"]) <= time_of(span["until"]) <= after


def test_S2_destinations_where_configured():
    with logging({"per": "session", "destination": True}) as lab:
        with Server(lab, "server", lab.SERVER_V4, peer_name) as server:
            who_connects(lab, server)
        records_made = wait_for(lab, "binding-created") + wait_for(lab, "binding-ended")
    assert [record["destination"] for record in records_made] == 2 * [f"{lab.SERVER_V4}:{server.port}"]


def test_S2_switched_off():
    with logging({"per": "off"}) as lab:
        with Server(lab, "server", lab.SERVER_V4, peer_name) as server:
            who_connects(lab, server)
            lab.wait_ended(server.port)
        log = lab.agents["conc"].log
        lab.stop_plaitd("conc")
        assert records(log.read_text()) == []


def test_S2_a_file_is_appended_to(tmp_path):
    path = tmp_path / "bindings.log"
    path.write_text("what was there\n")
    with logging({"file": str(path)}) as lab:
        with Server(lab, "server", lab.SERVER_V4, peer_name) as server:
            who_connects(lab, server)
        eventually(lambda: len(path.read_text().splitlines()) == 3)
        assert not logged(lab)
        os.truncate(path, 0)  # as logrotate's copytruncate does
        with Server(lab, "server", lab.SERVER_V4, peer_name) as server:
            who_connects(lab, server)
        eventually(lambda: len(path.read_text().splitlines()) == 2)
        lines = path.read_text().splitlines()
    assert [parse(line)["event"] for line in lines] == ["block-lent", "block-returned"]
    assert lines[0].startswith("event=block-lent subscriber=home-1 ")


def test_S2_a_file_that_cannot_be_opened_is_said_before_anything_is_served(tmp_path):
    with PlaitLab() as lab:
        config = lab.write_config("conc", {
            "internet": {"interfaces": ["net0"], "pools": [{"prefix": POOL}]},
            "binding_log": {"file": str(tmp_path / "nowhere" / "bindings.log")}})
        done = lab.run("conc", [BUILD / "plaitd", "-c", config], check=False, timeout=15)
    assert done.returncode == 1
    assert "nowhere/bindings.log: No such file or directory" in done.stderr


@contextlib.contextmanager
def stopped_reader(path):
    """A FIFO that is full, with a reader who does not read. Yields how to read all of it."""
    os.mkfifo(path)
    reader = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(reader, 4096 * b"\n")

    def read():
        text = b""
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(reader, 1 << 16):
                text += piece
        return text.decode()

    try:
        yield read
    finally:
        os.close(reader)


def delays(lab, server, count):
    took = []
    for _ in range(count):
        begin = time.monotonic()
        who_connects(lab, server)
        took.append(time.monotonic() - begin)
    return took


def read_records(read, count):
    """All of them come, each whole, once they are read."""
    text = ""

    def whole():
        nonlocal text
        text += read()
        return text.count("event=") >= count and text.endswith("\n")

    eventually(whole, what=f"{count} records")
    found = records(text)
    assert len(found) == count and all("since" in record for record in found)


def stop_and_time(lab):
    begin = time.monotonic()
    assert lab.stop_plaitd("conc") == 0
    return time.monotonic() - begin


def test_S2_a_reader_of_the_file_that_stops_delays_nothing(tmp_path):
    with stopped_reader(tmp_path / "fifo") as read:
        with logging({"per": "session", "file": str(tmp_path / "fifo")}) as lab:
            with Server(lab, "server", lab.SERVER_V4, peer_name) as server:
                assert max(delays(lab, server, 100)) < 0.5
                lab.wait_ended(server.port)
            read_records(read, 200)
            with Server(lab, "server", lab.SERVER_V4, peer_name) as server:
                delays(lab, server, 20)
            log = lab.agents["conc"].log
            assert 1.5 < stop_and_time(lab) < 4
            assert re.search(r"binding log: \d+ records dropped", log.read_text())


def test_S2_a_reader_of_standard_error_that_stops_delays_nothing(tmp_path):
    prefix = ["sh", "-c", f'exec "$@" 2>{tmp_path}/fifo', "sh"]
    with stopped_reader(tmp_path / "fifo") as read:
        with logging({"per": "session"}, prefix=prefix) as lab:
            with Server(lab, "server", lab.SERVER_V4, peer_name) as server:
                assert max(delays(lab, server, 100)) < 0.5
                lab.wait_ended(server.port)
            read_records(read, 200)
            with Server(lab, "server", lab.SERVER_V4, peer_name) as server:
                delays(lab, server, 20)
            assert 1.5 < stop_and_time(lab) < 4


def test_S2_a_reader_that_goes_is_told_of_once(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    with logging({"per": "session", "file": str(tmp_path / "fifo")}) as lab:
        os.close(reader)
        with Server(lab, "server", lab.SERVER_V4, peer_name) as server:
            assert max(delays(lab, server, 5)) < 0.5
            lab.wait_ended(server.port)
        eventually(lambda: lab.counters("conc")["binding_log_dropped"] == 10)
        assert lab.log("conc").count("binding log: Broken pipe") == 1


def native_fields(datagram):
    """The journal's native protocol, as far as there is no value with an end of line."""
    return dict(line.split("=", 1) for line in datagram.decode().splitlines())


AS_A_UNIT = """
mount -t tmpfs none "$1"
mkdir -p "$1/plait" "$1/systemd/journal"
mount --bind /run/plait "$1/plait"
touch "$1/systemd/journal/socket"
mount --bind "$2" "$1/systemd/journal/socket"
mount --rbind "$1" /run
shift 2
export JOURNAL_STREAM=$(stat -Lc %d:%i /proc/$$/fd/2)
exec "$@"
"""


def test_S2_fields_for_the_journal_where_it_reads_standard_error(tmp_path):
    (tmp_path / "run").mkdir()
    os.makedirs("/run/plait", exist_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journald:
        journald.bind(str(tmp_path / "socket"))
        journald.settimeout(5)
        prefix = ["unshare", "--mount", "sh", "-ec", AS_A_UNIT, "sh", str(tmp_path / "run"),
                  str(tmp_path / "socket")]
        with logging(prefix=prefix) as lab:
            with Server(lab, "server", lab.SERVER_V4, peer_name) as server:
                address, _ = who_connects(lab, server)
            lent, returned = (native_fields(journald.recv(1 << 16)) for _ in range(2))
            assert not logged(lab)
    message = parse(lent["MESSAGE"])
    assert {name.removeprefix("PLAIT_").lower(): value for name, value in lent.items()
            if name.startswith("PLAIT_")} == message
    assert (lent["PRIORITY"], lent["SYSLOG_IDENTIFIER"]) == ("6", "plaitd")
    assert (lent["PLAIT_EVENT"], returned["PLAIT_EVENT"]) == ("block-lent", "block-returned")
    assert (lent["PLAIT_SUBSCRIBER"], lent["PLAIT_EXTERNAL_ADDRESS"]) == ("home-1", address)
    assert time_of(lent["PLAIT_SINCE"]) <= time_of(returned["PLAIT_UNTIL"])
