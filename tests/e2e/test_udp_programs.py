# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""U1: programs people use UDP with: DNS, iperf3, and what STUN says of the way (RFC 5780)."""

import json

import pytest

from netns import eventually
from test_pools import pooled


@pytest.mark.parametrize("address", ["v4", "v6"])
def test_U1_dig_through_it(bonded, address):
    server = bonded.SERVER_V4 if address == "v4" else bonded.SERVER_V6
    dns = bonded.popen("server", ["dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts",
                                  "--port=5300", "--conf-file=/dev/null", "--user=root",
                                  "--pid-file", "--bind-interfaces",
                                  "--address=/plait.example/192.0.2.7",
                                  "--txt-record=long.example," + ",".join(["x" * 250] * 12)],
                       log="dnsmasq.log")
    try:
        def dig(*words):
            return bonded.run("host", ["dig", f"@{server}", "-p", "5300", "+short", "+tries=1",
                                       "+notcp", *words], check=False).stdout

        eventually(lambda: dig("plait.example") == "192.0.2.7\n", what="an answer")
        assert len(dig("+bufsize=4096", "TXT", "long.example")) > 3000, "in fragments"
        assert any(session["protocol"] == "udp" for session in bonded.sessions("cpe", 5300))
    finally:
        dns.terminate()
        dns.wait()


def test_U1_iperf3_hardly_any_loss(bonded):
    bonded.popen("server", ["iperf3", "-s", "-1", "-p", "5202"], log="iperf3-udp.log")
    bonded.wait_listening("server", 5202)
    done = bonded.run("host", ["iperf3", "-c", bonded.SERVER_V4, "-p", "5202", "-u", "-b", "20M",
                               "-l", "1200", "-t", "3", "-J"])
    got = json.loads(done.stdout)["end"]["sum"]
    assert got["packets"] > 5500 and got["lost_packets"] < 10
    assert got["jitter_ms"] < 5


def test_U1_T2_stun_sees_endpoint_independent_mapping_and_dependent_filtering():
    told = {"preserve_source": {"ipv4": True, "ipv6": False}}
    with pooled([{"prefix": "203.0.113.64/28"}], cpe=told, **told) as lab:
        lab.run("server", ["ip", "addr", "add", "203.0.113.3/24", "dev", "eth0"])
        stun = lab.popen("server", ["turnserver", "-n", "-S", "-L", lab.SERVER_V4,
                                    "-L", "203.0.113.3", "--no-cli", "--no-tls", "--no-dtls",
                                    "--log-file=stdout", "--simple-log",
                                    f"--pidfile={lab.dir}/turn.pid",
                                    f"--db={lab.dir}/turn.db"], log="turn.log")
        try:
            lab.wait_listening("server", 3478)
            said = lab.run("host", ["turnutils_natdiscovery", "-m", "-f", lab.SERVER_V4],
                           check=False).stdout
        finally:
            stun.terminate()
            stun.wait()
        assert "NAT with Endpoint Independent Mapping!" in said, said
        assert "NAT with Address and Port Dependent Filtering!" in said, said
