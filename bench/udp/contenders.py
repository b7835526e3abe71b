# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The contenders of bench/udp. The server is reached at its own address by all of them."""

from contender import MPTCPIZE, Contender, Plait, Routed, in_kernel_subflows

PORT = 1194


class OpenVpn(Contender):
    """A tunnel over one TCP connection, MPTCP by mptcpize, without encryption."""

    name = "openvpn"
    title = "OpenVPN over TCP (mptcpize, no cipher)"

    def start(self, lab):
        in_kernel_subflows(lab)
        common = ["--dev", "tun0", "--dev-type", "tun", "--cipher", "none", "--auth", "none",
                  "--port", str(PORT), "--verb", "1", "--tcp-nodelay", "--txqueuelen", "1000"]
        lab.popen("conc", [*MPTCPIZE, "openvpn", *common, "--proto", "tcp-server",
                           "--local", "10.1.0.1", "--ifconfig", "10.99.0.1", "10.99.0.2"],
                  log="openvpn-conc.log")
        lab.wait_listening("conc", PORT)
        lab.popen("cpe", [*MPTCPIZE, "openvpn", *common, "--proto", "tcp-client",
                          "--remote", "10.1.0.1", "--nobind",
                          "--ifconfig", "10.99.0.2", "10.99.0.1"], log="openvpn-cpe.log")
        self._wait_up(lab)
        lab.run("cpe", ["ip", "route", "replace", lab.SERVER_V4, "via", "10.99.0.1"])
        lab.run("conc", ["ip", "route", "replace", lab.HOST_V4, "via", "10.99.0.2"])

    @staticmethod
    def _wait_up(lab):
        lab.run("cpe", ["sh", "-c", "for i in $(seq 100); do "
                        "ping -c 1 -W 1 -q 10.99.0.1 >/dev/null 2>&1 && exit 0; sleep 0.1; "
                        "done; exit 1"])


def everyone():
    """In the order of tables and charts."""
    return [Routed(), Plait(), OpenVpn()]
