# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The contenders of bench/tcp: what stands between host and server, and how it is started.

Each contender sets itself up in a fresh lab: start(lab). Afterwards the host reaches the server's
ports at `address(lab)`. Those that speak MPTCP only through sockets (all but plait) get their
second subflow from the kernel's path manager: an endpoint on the CPE's second link, and a rule
that sends that address out by that link. They are tuned for this contest as well as we know how;
who knows better is welcome to a patch.
"""

from contender import MPTCPIZE, Contender, Plait, Routed, in_kernel_subflows

PORTS = (5201, 7000)  # iperf3 and the load tool
RELAY_PORT = 6900
TPROXY_MARK, TPROXY_TABLE = 1, 100


class Splice(Contender):
    """bench/splice_relay.c twice; the host addresses the CPE."""

    name = "splice"
    title = "splice relay pair (reference)"
    idle_sessions = 0  # it stands for goodput only; six files a session, of 20,000

    def __init__(self, build_tool):
        self.relay = build_tool("splice_relay")

    def address(self, lab):
        return "192.168.1.1"

    def start(self, lab):
        in_kernel_subflows(lab)
        for port in PORTS:
            lab.popen("conc", [self.relay, "10.1.0.1", port, lab.SERVER_V4, port,
                               "--mptcp-listen"], log="splice-conc.log")
            lab.popen("cpe", [self.relay, "192.168.1.1", port, "10.1.0.1", port,
                              "--mptcp-connect"], log="splice-cpe.log")
            for node in ("conc", "cpe"):
                lab.wait_listening(node, port)


HAPROXY_COMMON = """\
global
    nbthread 2
    maxconn 8000
    maxpipes 1000
    tune.pipesize 1048576
    tune.bufsize 65536
defaults
    mode tcp
    option splice-auto
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    backlog 4096
"""

HAPROXY_CPE = HAPROXY_COMMON + """\
listen lan
    bind 0.0.0.0:{port} transparent
    server concentrator 10.1.0.1:{port} send-proxy-v2
"""

# 0.0.0.0 stands for the destination the PROXY header brought.
HAPROXY_CONC = HAPROXY_COMMON + """\
listen customers
    bind 10.1.0.1:{port} accept-proxy
    server destination 0.0.0.0:0
"""


class Haproxy(Contender):
    """TPROXY on the CPE, PROXY protocol v2 to the concentrator."""

    name = "haproxy"
    title = "haproxy → haproxy (TPROXY, PROXY v2, mptcpize)"

    def start(self, lab):
        in_kernel_subflows(lab)
        self._divert(lab)
        for node, config in (("conc", HAPROXY_CONC), ("cpe", HAPROXY_CPE)):
            path = lab.dir / f"haproxy-{node}.cfg"
            path.write_text(config.format(port=RELAY_PORT))
            lab.popen(node, [*MPTCPIZE, "haproxy", "-db", "-f", path], log=f"haproxy-{node}.log")
            lab.wait_listening(node, RELAY_PORT)

    @staticmethod
    def _divert(lab):
        mark, table = str(TPROXY_MARK), str(TPROXY_TABLE)
        rule = ["iptables", "-t", "mangle", "-A", "PREROUTING", "-i", "lan0", "-p", "tcp"]
        # Known connections first: the socket match costs less than a second TPROXY look-up.
        lab.run("cpe", ["iptables", "-t", "mangle", "-N", "DIVERT"])
        lab.run("cpe", ["iptables", "-t", "mangle", "-A", "DIVERT", "-j", "MARK",
                        "--set-mark", mark])
        lab.run("cpe", ["iptables", "-t", "mangle", "-A", "DIVERT", "-j", "ACCEPT"])
        lab.run("cpe", [*rule, "-m", "socket", "--transparent", "-j", "DIVERT"])
        lab.run("cpe", [*rule, "-d", lab.SERVER_V4, "-j", "TPROXY", "--on-port", str(RELAY_PORT),
                        "--tproxy-mark", mark])
        lab.run("cpe", ["ip", "rule", "add", "fwmark", mark, "lookup", table])
        lab.run("cpe", ["ip", "route", "add", "local", "default", "dev", "lo", "table", table])


REDSOCKS_CPE = """\
base {{
    log_info = off;
    log = stderr;
    daemon = off;
    redirector = iptables;
    rlimit_nofile = 20000;
    redsocks_conn_max = 9000;
}}
redsocks {{
    local_ip = 0.0.0.0;
    local_port = {port};
    listenq = 4096;
    ip = 10.1.0.1;
    port = {port};
    type = socks5;
    splice = true;
}}
"""

DANTE_CONC = """\
errorlog: /dev/null
internal: 10.1.0.1 port = {port}
external: net0
clientmethod: none
socksmethod: none
user.privileged: root
user.unprivileged: nobody
timeout.io: 3600
client pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}
socks pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}
"""


class Redsocks(Contender):
    """iptables REDIRECT into redsocks, SOCKS 5 to dante."""

    name = "redsocks"
    title = "redsocks → dante (REDIRECT, SOCKS 5, mptcpize)"
    idle_sessions = 3000  # splicing, it needs six files a session, of 20,000

    def start(self, lab):
        in_kernel_subflows(lab)
        redsocks, dante = lab.dir / "redsocks.conf", lab.dir / "danted.conf"
        redsocks.write_text(REDSOCKS_CPE.format(port=RELAY_PORT))
        dante.write_text(DANTE_CONC.format(port=RELAY_PORT))
        lab.popen("conc", [*MPTCPIZE, "danted", "-f", dante, "-p", lab.dir / "danted.pid"],
                  log="danted.log")
        lab.popen("cpe", [*MPTCPIZE, "redsocks", "-c", redsocks], log="redsocks.log")
        lab.run("cpe", ["iptables", "-t", "nat", "-A", "PREROUTING", "-i", "lan0", "-p", "tcp",
                        "-d", lab.SERVER_V4, "-j", "REDIRECT", "--to-ports", str(RELAY_PORT)])
        for node in ("conc", "cpe"):
            lab.wait_listening(node, RELAY_PORT)


def all_contenders(build_tool):
    """In the order of tables and charts."""
    return [Routed(), Splice(build_tool), Plait(), Haproxy(), Redsocks()]
