# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The contenders of bench/udp. The server is reached at its own address by all of them."""

import time

from lab import LabError

from contender import MPTCPIZE, Contender, Plait, Routed, in_kernel_subflows

PORT = 1194


class OpenVpn(Contender):
    """A tunnel over one TCP connection, MPTCP by mptcpize, without encryption."""

    name = "openvpn"
    title = "OpenVPN over TCP (mptcpize, no cipher)"

    def start(self, lab):
        in_kernel_subflows(lab)
        common = ["--dev", "tun0", "--dev-type", "tun", "--cipher", "none", "--auth", "none",
                  "--port", str(PORT), "--verb", "1", "--socket-flags", "TCP_NODELAY", "--txqueuelen", "1000"]
        lab.popen("conc", [*MPTCPIZE, "openvpn", *common, "--proto", "tcp-server",
                           "--local", "10.1.0.1", "--ifconfig", "10.99.0.1", "10.99.0.2"],
                  log="openvpn-conc.log")
        lab.wait_listening("conc", PORT)
        lab.popen("cpe", [*MPTCPIZE, "openvpn", *common, "--proto", "tcp-client",
                          "--remote", "10.1.0.1", "--nobind",
                          "--ifconfig", "10.99.0.2", "10.99.0.1"], log="openvpn-cpe.log")
        for node in ("conc", "cpe"):
            self._wait_up(lab, node)
        lab.run("cpe", ["ip", "route", "replace", lab.SERVER_V4, "via", "10.99.0.1"])
        lab.run("conc", ["ip", "route", "replace", lab.HOST_V4, "via", "10.99.0.2"])

    @staticmethod
    def _wait_up(lab, node):
        deadline = time.monotonic() + 10
        while "Sequence Completed" not in (lab.dir / f"openvpn-{node}.log").read_text():
            if time.monotonic() > deadline:
                raise LabError("openvpn does not come up")
            time.sleep(0.1)


class Datagrams(Contender):
    """plait in datagram mode, flow by flow."""

    name = "datagram"
    title = "plait, udp: datagram"
    cpe, both = {}, {}

    def start(self, lab):
        lab.take_redirected()
        lab.plaitd("conc", {"subscribers": [{"name": "home-1",
                                             "sources": ["10.1.0.2", "10.2.0.2"]}]} | self.both)
        lab.plaitd("cpe", {"udp": "datagram"} | self.cpe | self.both)


class DatagramsInOrder(Datagrams):
    """The same, packet by packet, and put back in order."""

    name = "reorder"
    title = "plait, udp: datagram, distribution: packet, reorder: 20ms"
    cpe, both = {"datagram": {"distribution": "packet"}}, {"reorder": "20ms"}


def everyone():
    """In the order of tables and charts."""
    return [Routed(), Plait(), Datagrams(), DatagramsInOrder(), OpenVpn()]
