# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What may stand between host and server, and those that every contest has."""

MPTCPIZE = ["mptcpize", "run"]


def in_kernel_subflows(lab):
    """One more subflow a connection, from the CPE's second link."""
    for node in ("cpe", "conc"):
        lab.run(node, ["sysctl", "-qw", "net.mptcp.blackhole_timeout=0"])
        lab.run(node, ["ip", "mptcp", "limits", "set", "subflow", "2", "add_addr_accepted", "2"])
    lab.run("cpe", ["ip", "mptcp", "endpoint", "add", "10.2.0.2", "dev", "w2", "subflow"])
    lab.run("cpe", ["ip", "rule", "add", "from", "10.2.0.2", "lookup", "2"])
    lab.run("cpe", ["ip", "route", "add", "default", "via", "10.2.0.1", "dev", "w2", "table", "2"])


class Contender:
    name = ""
    title = ""
    proxies = True  # runs processes in cpe and concentrator
    idle_sessions = 5000  # 0: none are measured

    def start(self, lab):
        """Starts everything and returns when it serves."""

    def address(self, lab):
        return lab.SERVER_V4


class Routed(Contender):
    name = "routed"
    title = "routed, no proxy"
    proxies = False
    idle_sessions = 0


class Plait(Contender):
    name = "plait"
    title = "plait"

    def start(self, lab):
        lab.plaitd("conc")
        lab.plaitd("cpe")
