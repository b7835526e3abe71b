# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""plaitctl whois, under sanitizers: by a configuration alone, by a log, by a made-up agent."""
import json

import pytest

from test_control_channel import (  # noqa: F401: fixtures
    agent, agent_binary, plaitctl, plaitctl_binary)

CONFIG = """\
role: concentrator
customer: {interfaces: [w1], addresses: [10.1.0.1]}
internet:
  interfaces: [net0]
  pools:
  - {prefix: 203.0.113.64/28, translation: deterministic, inside: [10.1.0.0/24, 10.2.0.0/24]}
  - {prefix: "2001:db8:77::/124", translation: deterministic, inside: ["fd10:1::/120", 10.1.0.0/24]}
  - {prefix: 203.0.113.80/28}
subscribers: [{name: home-1, sources: [10.9.0.1, 10.1.0.2, 10.2.0.2]}]
"""
PREFIXED = """\
role: concentrator
customer: {interfaces: [w1], addresses: [10.1.0.1]}
internet: {interfaces: [net0], pools: [{prefix: "2001:db8:77::/48", translation: prefix}]}
"""
LENT = """\
role: concentrator
customer: {interfaces: [w1], addresses: [10.1.0.1]}
internet: {interfaces: [net0], pools: [{prefix: 203.0.113.80/28}]}
"""
# external, ports, subscriber, source
HOME = ("203.0.113.66", 1024, 3039, "home-1", "10.1.0.2")
HOME_V6 = ("2001:db8:77::2", 33280, 35295, "home-1", "10.1.0.2")


@pytest.fixture
def whois(plaitctl, tmp_path):  # noqa: F811
    def ask(*words, config=CONFIG, log=None):
        options = []
        if config:
            (tmp_path / "plait.yaml").write_text(config)
            options += ["-c", str(tmp_path / "plait.yaml")]
        if log is not None:
            (tmp_path / "log").write_text(log)
            options += ["--log", str(tmp_path / "log")]
        return plaitctl("whois", *options, *words, "--json")
    return ask


def rows(done):
    assert done.returncode == 0 and not done.stderr, done.stderr
    return [tuple(row[key] for key in ("external", "port_first", "port_last", "subscriber", "source"))
            for row in json.loads(done.stdout)["whois"]]


@pytest.mark.parametrize("words, expected", [
    (["10.1.0.0"], [("203.0.113.64", 1024, 3039, "10.1.0.0", "10.1.0.0"),
                    ("2001:db8:77::", 33280, 35295, "10.1.0.0", "10.1.0.0")]),
    (["10.2.0.255"], [("203.0.113.79", 63520, 65535, "10.2.0.255", "10.2.0.255")]),
    (["fd10:1::13"], [("2001:db8:77::3", 3040, 5055, "fd10:1::13", "fd10:1::13")]),
    (["home-1"], [HOME, HOME_V6]),
    (["10.9.0.1"], [HOME, HOME_V6]),
    (["10.2.0.2"], [HOME, HOME_V6]),
    (["203.0.113.66:1024"], [HOME]),
    (["203.0.113.66:3039"], [HOME]),
    (["203.0.113.66:3040"], [("203.0.113.66", 3040, 5055, "10.1.0.18", "10.1.0.18")]),
    (["[2001:db8:77::2]:33280"], [HOME_V6]),
    (["203.0.113.66:1024", "AT", "2026-02-03T04:05:06Z"], [HOME]),
])
def test_what_is_deterministic_is_computed_offline(whois, words, expected):
    done = whois(*words)
    assert rows(done) == expected
    assert {(row["from"], row["protocol"], row["since"], row["until"])
            for row in json.loads(done.stdout)["whois"]} == {("configuration", "tcp,udp", "", "")}


def test_a_port_that_lets_connections_in_is_of_the_binding(whois):
    binding = "bindings: [{external: 203.0.113.66:80, inside: 10.2.0.2:8080}]\n"
    assert rows(whois("203.0.113.66:80", config=CONFIG + binding)) == [
        ("203.0.113.66", 80, 80, "home-1", "10.2.0.2")]


def test_both_directions_agree(whois):
    for inside in ("10.1.0.77", "10.2.0.200"):
        external, first, last, _, _ = rows(whois(inside))[0]
        for port in (first, last):
            assert rows(whois(f"{external}:{port}"))[0][4] == inside


def test_text_is_a_table(plaitctl, tmp_path):  # noqa: F811
    (tmp_path / "plait.yaml").write_text(CONFIG)
    done = plaitctl("-c", str(tmp_path / "plait.yaml"), "whois", "203.0.113.66:1024")
    assert done.stdout.splitlines()[1].split() == ["203.0.113.66", "1024-3039", "tcp,udp", "home-1",
                                                   "10.1.0.2", "-", "-", "configuration"]


@pytest.mark.parametrize("words, status, text", [
    (["192.0.2.1:4242"], 1, "192.0.2.1:4242: of no pool in "),
    (["203.0.113.66:1023"], 1, "203.0.113.66:1023: nobody; ports below 1024 are not lent"),
    (["203.0.113.66:33280"], 1, "nobody; it would be 10.2.0.2, which is of home-1, whose block begins "
                                "at 203.0.113.66:1024"),
    (["home-2"], 1, "home-2: no subscriber of "),
    (["203.0.113.81:4242"], 1, "plaitd is not running under this name"),
    (["203.0.113.81:4242", "AT", "2026-02-03T04:05:06Z"], 2, "name it with --log FILE"),
    (["203.0.113.81:4242", "AT", "2026-02-03T04:05:06"], 2,
     '"2026-02-03T04:05:06" is no time such as 2026-02-03T04:05:06Z'),
    (["203.0.113.81:4242", "AT"], 2, "expected AT and a time behind 203.0.113.81:4242"),
    (["203.0.113.81:4242", "2026-02-03T04:05:06Z"], 2, "expected AT and a time"),
    (["203.0.113.81:4242", "--log", "/tmp"], 2, "a log tells of the past"),
    (["203.0.113.81:0"], 2, '"203.0.113.81:0" is no ADDRESS:PORT, address or name'),
    ([], 2, "say of which ADDRESS:PORT"),
    (["--all", "home-1"], 2, "--all: unknown option"),
])
def test_what_cannot_be_told_is_said(whois, words, status, text):
    done = whois(*words)
    assert (done.returncode, done.stdout) == (status, "") and text in done.stderr, done.stderr


def test_who_is_inside_of_nothing_where_nothing_is_lent(whois):
    done = whois("10.3.0.1", config=CONFIG.replace("  - {prefix: 203.0.113.80/28}\n", ""))
    assert done.returncode == 1 and "10.3.0.1: it has no ports that are known of" in done.stderr


def test_a_prefix_that_replaces_another(whois):
    done = whois("[2001:db8:77::1]:4242", config=PREFIXED)
    assert done.returncode == 1 and "replaces the host's own, nothing is lent" in done.stderr


def test_a_bad_configuration_is_refused_at_its_place(whois):
    done = whois("10.1.0.1", config=CONFIG.replace("/28, translation", "/29, translations"))
    assert done.returncode == 2 and "plait.yaml:6:31: internet.pools[0].translations" in done.stderr


# The log ------------------------------------------------------------------------------------

def record(event, subscriber, source, since, until=None, first=1024, last=1535, protocol="tcp,udp"):
    return (f"event={event} subscriber={subscriber} source={source} protocol={protocol} "
            f"external_address=203.0.113.81 port_first={first} port_last={last} since={since}"
            + (f" until={until}" if until else "") + "\n")


def at(minute):
    return f"2026-02-03T04:{minute:02}:00.000Z"


LOG = (record("block-lent", "home-1", "10.9.0.1", at(10))
       + "<6>" + record("block-returned", "home-1", "10.9.0.1", at(10), at(20))
       + "plaitd: something else\n"
       + record("block-lent", "10.3.0.7", "10.3.0.7", at(30))
       + record("binding-created", "10.3.0.7", "10.3.0.7", at(31), None, 1100, 1100, "tcp")
       + record("binding-ended", "10.3.0.7", "10.3.0.7", at(31), at(32), 1100, 1100, "tcp"))


@pytest.mark.parametrize("words, expected", [
    (["203.0.113.81:1100", "AT", at(15)], [("home-1", at(10), at(20), "tcp,udp")]),
    (["203.0.113.81:1535", "AT", "2026-02-03T05:15:00+01:00"], [("home-1", at(10), at(20), "tcp,udp")]),
    (["203.0.113.81:1100", "AT", at(31)], [("10.3.0.7", at(30), "", "tcp,udp"),
                                          ("10.3.0.7", at(31), at(32), "tcp")]),
    (["203.0.113.81:1100", "at", at(59)], [("10.3.0.7", at(30), "", "tcp,udp")]),
    (["home-1", "AT", at(15)], [("home-1", at(10), at(20), "tcp,udp")]),
    (["10.3.0.7", "AT", at(40)], [("10.3.0.7", at(30), "", "tcp,udp")]),
])
def test_the_past_is_in_the_log(whois, words, expected):
    found = json.loads(whois(*words, log=LOG, config=None).stdout)["whois"]
    assert [(row["subscriber"], row["since"], row["until"], row["protocol"]) for row in found] == (
        expected)
    assert {row["from"] for row in found} == {"log"}


def test_a_source_has_its_name_from_the_configuration(whois):
    tied = LENT + "subscribers: [{name: home-1, sources: [10.9.0.1, 10.2.0.2]}]\n"
    assert whois("10.2.0.2", "AT", at(15), config=LENT, log=LOG).returncode == 1
    assert rows(whois("10.2.0.2", "AT", at(15), config=tied, log=LOG)) == [
        ("203.0.113.81", 1024, 1535, "home-1", "10.9.0.1")]


def test_the_configuration_names_the_log(whois, tmp_path):
    (tmp_path / "named").write_text(LOG)
    config = CONFIG + f"binding_log: {{file: {tmp_path}/named}}\n"
    assert rows(whois("203.0.113.81:1100", "AT", at(15), config=config)) == [
        ("203.0.113.81", 1024, 1535, "home-1", "10.9.0.1")]


@pytest.mark.parametrize("log, text", [
    (LOG, "203.0.113.81:1100: nobody had it"),
    (LOG, "it begins later, at 2026-02-03T04:10:00.000Z"),
    ("", "there is no record in it"),
    ("event=block-lent subscriber=\n" + LOG, "1 lines are no whole records, and passed over"),
])
def test_a_log_that_does_not_know_says_so(whois, log, text):
    done = whois("203.0.113.81:1100", "AT", at(5), log=log)
    assert (done.returncode, done.stdout) == (1, "") and text in done.stderr


@pytest.mark.parametrize("path, text", [("/nonexistent", "No such file"), ("/tmp", "Is a directory")])
def test_a_log_that_cannot_be_read_is_said(plaitctl, path, text):  # noqa: F811
    done = plaitctl("whois", "--log", path, "203.0.113.81:1100", "AT", at(5))
    assert done.returncode == 1 and f"{path}: {text}" in done.stderr


# The agent ----------------------------------------------------------------------------------

EVIL = "d\x1b]0;x\a\x7fsl"


def test_a_running_agent_is_asked_for_the_block(agent, whois):  # noqa: F811
    for words in (["192.0.2.64:1024"], ["192.0.2.64:1535"], ["192.0.2.7"]):
        done = whois(*words, config=None)
        assert rows(done) == [("192.0.2.64", 1024, 1535, EVIL, "192.0.2.7")]
        assert json.loads(done.stdout)["whois"][0]["from"] == "agent"


@pytest.mark.parametrize("word, text", [
    ("192.0.2.64:1536", "nobody has it"), ("192.0.2.64:80", "ports below 1024 are not lent"),
    ("192.0.2.1:4242", "of no pool of plaitd's"), ("192.0.2.8", "it has no ports that are known of"),
])
def test_what_a_running_agent_does_not_know(agent, whois, word, text):  # noqa: F811
    done = whois(word, config=None)
    assert (done.returncode, done.stdout) == (1, "") and text in done.stderr
