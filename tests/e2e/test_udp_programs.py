# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""U1: programs people use UDP with: DNS, HTTP/3, VPNs, iperf3; what STUN says of the way
(RFC 5780)."""

import contextlib
import hashlib
import json
import random
import re
import socket
import subprocess

import pytest

from conftest import both_families, server_address
from netns import Server, connect, digest, eventually, read_all
from test_pools import pooled
from test_udp import EXTERNAL, INCOMING, let_in


@contextlib.contextmanager
def program(lab, node, cmd, log):
    """It runs meanwhile."""
    process = lab.popen(node, cmd, log=log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def wait_bound(lab, port):
    eventually(lambda: lab.run("server", ["ss", "-Hlun", f"sport = :{port}"]).stdout, 10,
               f"a server at UDP port {port}")


@contextlib.contextmanager
def bonded_meanwhile(lab, port, octets):
    """The one flow to the server's port carries at least so many octets, with both links."""
    def carried(role):
        flows = [flow for flow in lab.sessions(role, port) if flow["protocol"] == "udp"]
        assert len(flows) <= 1 and all(flow["mptcp"] for flow in flows), flows
        return sum(flow[way]["bytes"] for flow in flows for way in ("up", "down"))

    before = {role: (carried(role), lab.counters(role)) for role in ("cpe", "conc")}
    yield
    for role, (was, counters) in before.items():
        assert carried(role) - was >= octets
        assert "udp_send_failed" not in lab.since(role, counters)
    assert lab.since("cpe", before["cpe"][1])["udp_steered"] > 100
    flow, = lab.sessions("cpe", port)
    assert {subflow["link"] for subflow in flow["subflows"]} == {"dsl", "lte"}


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


def not_read(lab):
    """Datagrams that programs on the server did not read in time; the families count apart."""
    counted = lab.run("server", ["nstat", "-asz", "UdpRcvbufErrors", "Udp6RcvbufErrors"]).stdout
    return sum(int(line.split()[1]) for line in counted.splitlines()[1:])


def test_U1_iperf3_hardly_any_loss(bonded):
    before = not_read(bonded)
    bonded.popen("server", ["iperf3", "-s", "-1", "-p", "5202"], log="iperf3-udp.log")
    bonded.wait_listening("server", 5202)
    done = bonded.run("host", ["iperf3", "-c", bonded.SERVER_V4, "-p", "5202", "-u", "-b", "20M",
                               "-l", "1200", "-t", "3", "-J"])
    got = json.loads(done.stdout)["end"]["sum"]
    lost = got["lost_packets"] - (not_read(bonded) - before)
    assert got["packets"] > 5500 and lost < 10
    assert got["jitter_ms"] < 20


@contextlib.contextmanager
def stun_server(lab):
    """One that answers from two addresses and two ports of each."""
    lab.run("server", ["ip", "addr", "add", "203.0.113.3/24", "dev", "eth0"])
    stun = lab.popen("server", ["turnserver", "-n", "-S", "-L", lab.SERVER_V4,
                                "-L", "203.0.113.3", "--no-cli", "--no-tls", "--no-dtls",
                                "--log-file=stdout", "--simple-log",
                                f"--pidfile={lab.dir}/turn.pid",
                                f"--db={lab.dir}/turn.db"], log="turn.log")
    try:
        lab.wait_listening("server", 3478)
        yield
    finally:
        stun.terminate()
        stun.wait()


def test_U1_T2_stun_sees_endpoint_independent_mapping_and_dependent_filtering():
    told = {"preserve_source": {"ipv4": True, "ipv6": False}}
    with pooled([{"prefix": "203.0.113.64/28"}], cpe=told, **told) as lab:
        with stun_server(lab):
            said = lab.run("host", ["turnutils_natdiscovery", "-m", "-f", lab.SERVER_V4],
                           check=False).stdout
        assert "NAT with Endpoint Independent Mapping!" in said, said
        assert "NAT with Address and Port Dependent Filtering!" in said, said


@pytest.fixture(scope="module", name="certificate")
def _certificate(tmp_path_factory):
    """(key, certificate) files."""
    place = tmp_path_factory.mktemp("certificate")
    key, certificate = place / "key.pem", place / "certificate.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                    "/CN=plait.example", "-keyout", key, "-out", certificate],
                   check=True, capture_output=True)
    return key, certificate


@both_families
def test_U1_file_by_http3(bonded, certificate, family):
    """ngtcp2 at both ends."""
    server, port = server_address(bonded, family), {"v4": 4434, "v6": 4436}[family]
    content = random.Random(3).randbytes(4_000_000)
    there, here = bonded.dir / f"http3-{family}", bonded.dir / f"fetched-{family}"
    for place in (there, here):
        place.mkdir()
    (there / "file").write_bytes(content)
    with program(bonded, "server", ["gtlsserver", "-q", "-d", there, server, port, *certificate],
                 f"http3-{family}.log"):
        wait_bound(bonded, port)
        with bonded_meanwhile(bonded, port, len(content)):
            bonded.run("host", ["gtlsclient", "-q", "--exit-on-all-streams-close",
                                f"--download={here}", server, port,
                                f"https://plait.example:{port}/file"], timeout=30)
    fetched = (here / "file").read_bytes()
    assert hashlib.sha256(fetched).digest() == hashlib.sha256(content).digest()


def fingerprint(certificate):
    said = subprocess.run(["openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in",
                           certificate], check=True, capture_output=True, text=True).stdout
    return said.strip().partition("=")[2]


def use_tunnel(lab, inside, port):
    """Pings as long as go through unfragmented, and a file to the server's end, `inside`."""
    eventually(lambda: not lab.run("host", ["ping", "-c", "1", "-W", "1", inside],
                                   check=False).returncode, 15, "a tunnel")
    said = lab.run("host", ["ping", "-c", "20", "-i", "0.02", "-M", "do", "-s", "1300", inside])
    assert "20 received" in said.stdout and "1308 bytes from" in said.stdout
    content = random.Random(4).randbytes(2_000_000)
    with bonded_meanwhile(lab, port, len(content)), \
            Server(lab, "server", inside, digest) as server, \
            connect(lab, "host", inside, server.port) as client:
        client.sendall(content)
        client.shutdown(socket.SHUT_WR)
        assert read_all(client).decode() == hashlib.sha256(content).hexdigest()


def test_U1_openvpn(bonded, certificate):
    """Over UDP, TLS with certificates; ping and TCP inside."""
    port, (key, public) = 1194, certificate
    common = ["openvpn", "--dev-type", "tun", "--dev", "ovpn0", "--port", port, "--cert", public,
              "--key", key, "--peer-fingerprint", fingerprint(public), "--cipher", "AES-256-GCM"]
    at_server = [*common, "--tls-server", "--dh", "none", "--local", bonded.SERVER_V4, "--ifconfig",
                 "10.99.1.1", "10.99.1.2"]
    at_host = [*common, "--tls-client", "--nobind", "--remote", bonded.SERVER_V4, "--ifconfig",
               "10.99.1.2", "10.99.1.1"]
    with program(bonded, "server", at_server, "openvpn-server.log"):
        wait_bound(bonded, port)
        with program(bonded, "host", at_host, "openvpn-host.log"):
            use_tunnel(bonded, "10.99.1.1", port)


@contextlib.contextmanager
def wireguard(lab, node, address, *settings):
    """An interface: the kernel's, or that of wireguard-go where it has none."""
    name = f"wg{lab.id}{node[0]}"
    made = lab.run(node, ["ip", "link", "add", name, "type", "wireguard"], check=False)
    with contextlib.ExitStack() as stack:
        if made.returncode:
            stack.enter_context(program(lab, node, ["wireguard-go", "-f", name], f"{name}.log"))
            eventually(lambda: not lab.run(node, ["wg", "show", name], check=False).returncode)
        lab.run(node, ["wg", "set", name, *settings])
        lab.run(node, ["ip", "addr", "add", address, "dev", name])
        lab.run(node, ["ip", "link", "set", name, "up"])
        yield


def wireguard_key(lab, name):
    """(file of the private key, public key)"""
    file = lab.dir / name
    file.write_text(lab.run("host", ["wg", "genkey"]).stdout)
    return file, lab.run("host", ["wg", "pubkey"], input=file.read_text()).stdout.strip()


def test_U1_wireguard(bonded):
    port = 51820
    (key, public), (peers_key, peers_public) = (wireguard_key(bonded, f"wg-{end}")
                                                for end in ("host", "server"))
    with wireguard(bonded, "server", "10.99.2.1/24", "listen-port", port, "private-key", peers_key,
                   "peer", public, "allowed-ips", "10.99.2.2/32"), \
            wireguard(bonded, "host", "10.99.2.2/24", "private-key", key, "peer", peers_public,
                      "allowed-ips", "10.99.2.1/32", "endpoint", f"{bonded.SERVER_V4}:{port}"):
        use_tunnel(bonded, "10.99.2.1", port)


def test_T3_stun_server_behind_a_binding_answers_all_remotes():
    """Endpoint-independent filtering, where it is configured: each is told its own address."""
    with let_in() as lab:
        lab.run("server", ["ip", "addr", "add", "203.0.113.3/24", "dev", "eth0"])
        with program(lab, "host", ["turnserver", "-n", "-S", "-L", lab.HOST_V4, "-p", "53",
                                   "--no-cli", "--no-tls", "--no-dtls", "--log-file=stdout",
                                   "--simple-log",
                                   f"--pidfile={lab.dir}/turn.pid", f"--db={lab.dir}/turn.db"],
                     "turn-host.log"):
            lab.wait_listening("host", 53)
            for remote in (lab.SERVER_V4, "203.0.113.3"):
                said = lab.run("server", ["turnutils_stunclient", "-L", remote, "-p",
                                          str(INCOMING), EXTERNAL]).stdout
                assert re.search(rf"UDP reflexive addr: {re.escape(remote)}:\d+", said), said
