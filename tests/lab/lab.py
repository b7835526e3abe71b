# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The lab: host - cpe = access networks = concentrator - server, in network namespaces.

    host ──lan── cpe ══ w1, w2 ... ══ conc ──internet── server
         192.168.1.0/24   10.i.0.0/24      203.0.113.0/24
         fd00:1::/64      fd10:i::/64      2001:db8:f::/64

    with Lab(shape_mbit=[100, 50]) as lab:
        lab.plaitd("conc")
        lab.plaitd("cpe")
        lab.popen("server", ["iperf3", "-s"])
        lab.run("host", ["iperf3", "-c", lab.SERVER_V4])

Namespaces are called plait-ID-NAME. A link without weather is one veth pair between
cpe and concentrator; a link with weather (rate, delay, loss ...) runs through plait-ID-accN,
see weather.py. With a second concentrator, conc2 (10.i.0.3, fd10:i::3, 203.0.113.3, 2001:db8:f::3),
the networks have a bridge each in plait-ID-hub, and no weather. Without plait, packets are routed over link 1.

Nothing outlives a lab. What it has made is written to /run/plait-lab/ID.json before it is
made, so that down() works on a half-built lab and from another process: the command `lab`
loads a lab that an earlier command left up, and each up() first clears away the labs of
processes that were killed. Processes run by `nsenter --net`, not `ip netns exec`, which would
hide bpffs from them, and are ended by process id.
"""

import atexit
import contextlib
import ctypes
import dataclasses
import fcntl
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import weather

ROOT = weather.ROOT
BUILD = pathlib.Path(os.environ.get("PLAIT_BUILD", ROOT / "build"))
STATE_DIR = pathlib.Path("/run/plait-lab")
CONTROL_DIR = pathlib.Path("/run/plait")
CLONE_NEWNET = 0x40000000
SO_NETNS_COOKIE = 71
MOUNT_MARK = STATE_DIR / "bpffs-mounted"

# A fresh bpffs is not quite empty.
BPFFS_OWN_FILES = {"maps.debug", "progs.debug"}
ALLOWED_CONGESTION_CONTROL = pathlib.Path("/proc/sys/net/ipv4/tcp_allowed_congestion_control")

NODES = ("host", "cpe", "conc", "server")
ROUTERS = ("cpe", "conc", "conc2")
LINK_NAMES = ("dsl", "lte", "link3", "link4", "link5", "link6", "link7", "link8")
READY_SECONDS = 10
GRACE_SECONDS = 5

NODE_SYSCTLS = (
    # bbr, the default of some kernels, stalls on an unpaced veth.
    "net.ipv4.tcp_congestion_control=cubic",
    "net.ipv4.conf.all.rp_filter=0",
    "net.ipv4.conf.default.rp_filter=0",
    "net.ipv6.conf.all.accept_dad=0",
    "net.ipv6.conf.default.accept_dad=0",
)
# Nothing of its own joins the packets on their way through.
ACCESS_SYSCTLS = ("net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
ROUTER_SYSCTLS = ("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")


_libc = ctypes.CDLL(None, use_errno=True)


class LabError(Exception):
    """Something in the lab did not come up; the message says what and shows its log."""


@dataclasses.dataclass
class Agent:
    """A running plaitd."""

    name: str
    process: subprocess.Popen
    config: pathlib.Path
    log: pathlib.Path


def start_time(pid):
    """When process `pid` started, in clock ticks; None if there is none or it is a zombie."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])


def own_ancestors():
    """This process and its parents, which down() must not end."""
    pids, pid = set(), os.getpid()
    while pid > 1:
        pids.add(pid)
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
        pid = int(stat.rpartition(")")[2].split()[1])
    return pids


def merged(base, extra):
    """`base` with `extra` laid over it, mapping by mapping; a None in `extra` removes a key."""
    result = dict(base)
    for key, value in extra.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = value
    return result


def per_link(values, links, what):
    """A list with one value per link; None stands for a list of None."""
    values = list(values) if values else [None] * links
    if len(values) != links:
        raise LabError(f"{what}: {len(values)} values for {links} links")
    return values


def both_directions(sky, **fields):
    """The fields of a link's weather by direction, with those of `fields` that are not None."""
    fields = {name: value for name, value in fields.items() if value is not None}
    if not isinstance(sky, dict):
        sky = dict.fromkeys(weather.DIRECTIONS, sky or weather.CLEAR)
    return {direction: vars(sky.get(direction, weather.CLEAR)) | fields
            for direction in weather.DIRECTIONS}


def _setns(fd):
    if _libc.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


@contextlib.contextmanager
def inside_netns(name):
    """This thread is in that network namespace meanwhile."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        there = os.open(f"/run/netns/{name}", os.O_RDONLY)
        try:
            _setns(there)
        finally:
            os.close(there)
        try:
            yield
        finally:
            _setns(home)
    finally:
        os.close(home)


@contextlib.contextmanager
def state_lock():
    """Serialises what parallel labs share: the state directory and the bpffs mount."""
    STATE_DIR.mkdir(mode=0o755, exist_ok=True)
    with open(STATE_DIR / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def is_bpffs(path):
    mounts = pathlib.Path("/proc/self/mounts").read_text().splitlines()
    return any(line.split()[1:3] == [str(path), "bpf"] for line in mounts)


def mount_bpffs():
    with state_lock():
        if not is_bpffs(weather.BPFFS):
            MOUNT_MARK.touch()
            subprocess.run(["mount", "-t", "bpf", "bpf", str(weather.BPFFS)], check=True)


def unmount_bpffs():
    """Undoes mount_bpffs() when the last lab goes, unless someone else has pins there by now."""
    with state_lock():
        if not MOUNT_MARK.exists() or any(STATE_DIR.glob("*.json")):
            return
        if is_bpffs(weather.BPFFS):
            pins = [name for _, _, names in os.walk(weather.BPFFS) for name in names]
            if set(pins) - BPFFS_OWN_FILES:
                return
            subprocess.run(["umount", str(weather.BPFFS)], check=True)
        MOUNT_MARK.unlink()


@contextlib.contextmanager
def cubic_allowed():
    """A namespace may choose only what the initial one allows, at the moment of choosing."""
    with state_lock():
        before = ALLOWED_CONGESTION_CONTROL.read_text()
        if "cubic" in before.split():
            yield
            return
        ALLOWED_CONGESTION_CONTROL.write_text(before.strip() + " cubic")
        try:
            yield
        finally:
            ALLOWED_CONGESTION_CONTROL.write_text(before)


def end_processes(pids):
    """SIGTERM to each process and its group, SIGKILL to what is left after a time of grace."""
    def alive():
        return [pid for pid in pids if start_time(pid) is not None]

    def send(number):
        for pid in alive():
            with contextlib.suppress(ProcessLookupError):
                if os.getpgid(pid) == pid:
                    os.killpg(pid, number)
                else:
                    os.kill(pid, number)

    for number in (signal.SIGTERM, signal.SIGKILL):
        send(number)
        deadline = time.monotonic() + GRACE_SECONDS
        while alive() and time.monotonic() < deadline:
            time.sleep(0.01)


class Lab:
    """One lab. Links are counted from 1, as their networks and interfaces are."""

    HOST_V4, HOST_V6 = "192.168.1.2", "fd00:1::2"
    SERVER_V4, SERVER_V6 = "203.0.113.2", "2001:db8:f::2"
    CONC_NET_V4, CONC_NET_V6 = "203.0.113.1", "2001:db8:f::1"
    PORT = 6824

    def __init__(self, run_id=None, links=2, shape_mbit=None, loss_percent=None,
                 link_weather=None, strip_syn_payload=False, weather_everywhere=False,
                 second_concentrator=False, persistent=False):
        """shape_mbit, loss_percent, link_weather: one value per link, None for a link without;
        the weather of a link is a Weather for both directions, or {"up": ..., "down": ...}.
        A link that has none of these is a bare veth whose weather cannot change, unless
        strip_syn_payload or weather_everywhere is set.
        A persistent lab stays up when this process ends."""
        self.id = run_id or os.urandom(3).hex()
        self.links = links
        rates = per_link(shape_mbit, links, "shape_mbit")
        losses = per_link(loss_percent, links, "loss_percent")
        skies = per_link(link_weather, links, "link_weather")
        self.has_weather = [strip_syn_payload or weather_everywhere or given != (None,) * 3
                            for given in zip(rates, losses, skies)]
        self.weather = [both_directions(sky, rate_mbit=rate, loss_percent=loss,
                                        strip_syn_payload=strip_syn_payload or None)
                        for sky, rate, loss in zip(skies, rates, losses)]
        if second_concentrator and any(self.has_weather):
            raise LabError("there is no weather with a second concentrator")
        self.has_conc2 = second_concentrator
        self.persistent = persistent
        self.owner = [os.getpid(), start_time(os.getpid())]
        self.processes = []
        self.dir = None
        self.agents = {}
        self._children = []

    # Life

    def __enter__(self):
        return self.up()

    def __exit__(self, *_):
        self.down()

    def up(self):
        """Builds the lab; whatever goes wrong on the way is taken down again."""
        Lab.sweep()
        if self._state_file().exists():
            raise LabError(f"lab {self.id} is up already")
        if not self.persistent:
            atexit.register(self.down)
            if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
                signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        try:
            self._build()
        except BaseException:
            self.down()
            raise
        return self

    def down(self):
        """Ends every process of the lab and removes all that it made; safe to call again."""
        if not self._state_file().exists():
            return
        end_processes([pid for pid, started in self.processes if start_time(pid) == started])
        names = [name for name in map(self.netns, self._nodes()) if self._netns_exists(name)]
        self._end_stragglers(names)
        for child in self._children:
            child.poll()
        for name in names:
            self._forget_former_values(name)
            subprocess.run(["ip", "netns", "del", name], check=True)
        self._remove_files()
        self._state_file().unlink()
        unmount_bpffs()
        atexit.unregister(self.down)

    @classmethod
    def load(cls, run_id):
        """The lab of that id, left up by this or another process."""
        try:
            state = json.loads((STATE_DIR / f"{run_id}.json").read_text())
        except FileNotFoundError:
            raise LabError(f"no lab {run_id} is up") from None
        lab = cls(run_id, links=state["links"])
        vars(lab).update(state, dir=pathlib.Path(state["dir"]))
        return lab

    @staticmethod
    def all_ids():
        return sorted(path.stem for path in STATE_DIR.glob("*.json"))

    @staticmethod
    def sweep():
        """Takes down the labs whose process died without doing so."""
        for run_id in Lab.all_ids():
            with contextlib.suppress(LabError):
                lab = Lab.load(run_id)
                pid, started = lab.owner
                if not lab.persistent and start_time(pid) != started:
                    lab.down()

    # Programs

    def former_values(self, node):
        """What plaitd has noted of a namespace's former state; nothing is the same as no note."""
        file = self._former_file(self.netns(node))
        return file.read_text().splitlines() + [file.name] if file.exists() else []

    def netns(self, node):
        return f"plait-{self.id}-{node}"

    def run(self, node, cmd, check=True, timeout=60, **kwargs):
        """Runs `cmd` to its end in the namespace of `node` and returns it, output as text."""
        kwargs.setdefault("text", True)
        if "stdout" not in kwargs and "stderr" not in kwargs:
            kwargs.setdefault("capture_output", True)
        done = subprocess.run(self._enter(node, cmd), timeout=timeout, check=False, **kwargs)
        if check and done.returncode:
            raise LabError(f"{node}: {' '.join(map(str, cmd))}: exit status {done.returncode}\n"
                           f"{done.stdout or ''}{done.stderr or ''}")
        return done

    def popen(self, node, cmd, log=None, **kwargs):
        """Starts `cmd` in the namespace of `node`, to be ended by down() at the latest.
        `log` names a file in lab.dir for both its outputs."""
        with contextlib.ExitStack() as stack:
            if log:
                output = stack.enter_context(open(self.dir / log, "ab"))
                kwargs.update(stdout=output, stderr=subprocess.STDOUT)
            child = subprocess.Popen(self._enter(node, cmd), start_new_session=True, **kwargs)
        self._children.append(child)
        self.processes.append([child.pid, start_time(child.pid)])
        self._save()
        return child

    def wait_listening(self, node, port, timeout=READY_SECONDS):
        """Waits until something in `node` listens on TCP `port`."""
        deadline = time.monotonic() + timeout
        while not self.run(node, ["ss", "-Hltn", f"sport = :{port}"]).stdout:
            if time.monotonic() > deadline:
                raise LabError(f"{node}: nothing listens on port {port} after {timeout} s")
            time.sleep(0.02)

    # plait

    def agent_name(self, role):
        return f"{self._node_of(role)}-{self.id}"

    def plait_config(self, role):
        """The smallest configuration of `role` for this lab, as a dict."""
        config = {"name": self.agent_name(role), "mode": "plain"}
        if self._node_of(role) == "cpe":
            links = [{"name": LINK_NAMES[i - 1], "interface": f"w{i}"} for i in self._numbers()]
            return config | {
                "role": "cpe", "lan": {"interfaces": ["lan0"]}, "links": links,
                "concentrators": [{"name": f"k{number}", "port": self.PORT,
                                   "addresses": self._concentrator_addresses(station)}
                                  for number, station
                                  in enumerate(self._concentrators().values(), 1)]}
        allow = ([f"10.{i}.0.0/24" for i in self._numbers()]
                 + [f"fd10:{i}::/64" for i in self._numbers()])
        return config | {
            "role": "concentrator", "internet": {"interfaces": ["net0"]},
            "customer": {"interfaces": [f"w{i}" for i in self._numbers()],
                         "addresses": self._concentrator_addresses(
                             self._concentrators()[self._node_of(role)]),
                         "port": self.PORT, "allow": allow}}

    def _concentrators(self):
        """Each one's node and the last part of its addresses."""
        return {"conc": 1} | ({"conc2": 3} if self.has_conc2 else {})

    def _concentrator_addresses(self, station):
        return ([f"10.{i}.0.{station}" for i in self._numbers()]
                + [f"fd10:{i}::{station}" for i in self._numbers()])

    def write_config(self, role, extra_config=None):
        """Writes the configuration of `role` to lab.dir and returns its path. A dict is merged
        into plait_config(); a text stands as it is. (JSON is YAML.)"""
        path = self.dir / f"{self.agent_name(role)}.yaml"
        if not isinstance(extra_config, str):
            config = merged(self.plait_config(role), extra_config or {})
            extra_config = json.dumps(config, indent=2) + "\n"
        path.write_text(extra_config)
        return path

    def plaitd(self, role, extra_config=None, env=None, prefix=()):
        """Starts plaitd in role "cpe", "conc" or "conc2" and waits until it serves its control
        socket. `prefix`: a command that becomes it."""
        name = self.agent_name(role)
        config = self.write_config(role, extra_config)
        log = self.dir / f"{name}.log"
        control = CONTROL_DIR / f"{name}.sock"
        control.unlink(missing_ok=True)
        process = self.popen(self._node_of(role), [*prefix, BUILD / "plaitd", "-c", config],
                             log=log.name,
                             env={**os.environ, **(env or {})})
        self._wait_ready(process, control, log)
        agent = Agent(name, process, config, log)
        self.agents[self._node_of(role)] = agent
        return agent

    def stop_plaitd(self, role):
        """Asks plaitd of `role` to leave and waits until it has; returns its exit status."""
        agent = self.agents.pop(self._node_of(role))
        agent.process.terminate()
        return agent.process.wait(timeout=READY_SECONDS)

    def plaitctl(self, role, *args, check=True):
        """Runs plaitctl against the agent of `role`."""
        cmd = [BUILD / "plaitctl", "-n", self.agent_name(role), *args]
        return self.run(self._node_of(role), cmd, check=check)

    # Links

    def set_weather(self, link, direction=None, **fields):
        """Changes fields of the weather of `link` while traffic runs; see weather.Weather.
        direction: "up" (from CPE to concentrator), "down", or None for both."""
        network = self._access_network(link)
        for way in [direction] if direction else weather.DIRECTIONS:
            before = self.weather_of(link, way)
            after = dataclasses.replace(before, **fields)
            network.change(way, before, after)
            self.weather[link - 1][way] = vars(after)
        self._save()

    def weather_of(self, link, direction):
        return weather.Weather(**self.weather[link - 1][direction])

    def set_rate(self, link, mbit):
        """Shapes both directions of `link` to `mbit` Mbit/s; None takes the shaper off."""
        self.set_weather(link, rate_mbit=mbit)

    def set_loss(self, link, percent):
        """Loses `percent` of the packets of `link`, each direction on its own."""
        self.set_weather(link, loss_percent=percent)

    def set_strip(self, link, strip):
        """Whether `link` takes the payload out of SYN segments."""
        self.set_weather(link, strip_syn_payload=strip)

    def cut(self, link):
        """The CPE's interface of `link` loses its carrier; the concentrator's does not."""
        self._access_network(link).set_carrier(False)

    def mend(self, link):
        """Undoes cut(); when it returns, packets pass again."""
        self._access_network(link).set_carrier(True)
        self.wait_up("cpe", [f"w{link}"])

    def is_cut(self, link):
        return not self._access_network(link).has_carrier()

    def weather_counts(self, link, direction=None):
        """Packets `seen`, `lost`, `stripped` and `duplicated` on a link with weather, both
        directions together if none is given."""
        counts = self._access_network(link).counts()
        if direction:
            return counts[direction]
        return {name: counts["up"][name] + counts["down"][name] for name in counts["up"]}

    def take_redirected(self):
        """Packets that XDP redirects get through. A veth takes them in the driver if its far end
        has NAPI, by GRO or by an XDP program of its own."""
        ends = [("host", "eth0"), ("server", "eth0")]
        ends += [("conc", f"w{i}") for i in self._numbers()]
        ends += [(node, port) for node in self._nodes() if node.startswith("acc")
                 for port in weather.IN_PORT.values()]
        for node, interface in ends:
            self.run(node, ["ethtool", "-K", interface, "gro", "on"])

    def interface_bytes(self, node, interface):
        """(received, sent) bytes of an interface."""
        shown = self.run(node, ["ip", "-j", "-s", "link", "show", "dev", interface]).stdout
        counted = json.loads(shown)[0]["stats64"]
        return counted["rx"]["bytes"], counted["tx"]["bytes"]

    # Building

    def _numbers(self):
        return range(1, self.links + 1)

    def _nodes(self):
        return [*NODES, *(["conc2", "hub"] if self.has_conc2 else []),
                *(f"acc{i}" for i in self._numbers() if self.has_weather[i - 1])]

    @staticmethod
    def _node_of(role):
        return {"concentrator": "conc"}.get(role, role)

    def _state_file(self):
        return STATE_DIR / f"{self.id}.json"

    def _save(self):
        kept = ("id", "links", "weather", "has_weather", "has_conc2", "persistent", "owner", "processes")
        state = {key: getattr(self, key) for key in kept} | {"dir": str(self.dir)}
        draft = self._state_file().with_suffix(".draft")
        draft.write_text(json.dumps(state))
        draft.replace(self._state_file())

    def _enter(self, node, cmd):
        return ["nsenter", f"--net=/run/netns/{self.netns(node)}", "--", *map(str, cmd)]

    def _ip(self, node, lines):
        self.run(node, ["ip", "-batch", "-"], input="\n".join(lines) + "\n")

    def _build(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=f"plait-lab-{self.id}-"))
        self.dir.chmod(0o755)
        with state_lock():
            self._save()
        mount_bpffs()
        with cubic_allowed():
            for node in self._nodes():
                self._make_node(node)
        self._make_wires()
        for node, lines in self._addresses().items():
            self._ip(node, lines)
        for node in self._nodes():
            self.wait_up(node)
        for link in self._numbers():
            if self.has_weather[link - 1]:
                self._make_weather(link)

    def _make_node(self, node):
        subprocess.run(["ip", "netns", "add", self.netns(node)], check=True)
        sysctls = (ACCESS_SYSCTLS if node not in (*NODES, *ROUTERS)
                   else NODE_SYSCTLS + (ROUTER_SYSCTLS if node in ROUTERS else ()))
        self.run(node, ["sysctl", "-qw", *sysctls])

    def _make_wires(self):
        wires = self._wires_through_hub() if self.has_conc2 else self._wires()
        lines = [f"link add name {name} netns {self.netns(node)} type veth "
                 f"peer name {peer} netns {self.netns(peer_node)}"
                 for node, name, peer_node, peer in wires]
        subprocess.run(["ip", "-batch", "-"], input="\n".join(lines) + "\n", text=True, check=True)

    def _wires(self):
        wires = [("cpe", "lan0", "host", "eth0"), ("conc", "net0", "server", "eth0")]
        for i in self._numbers():
            if self.has_weather[i - 1]:
                wires += [("cpe", f"w{i}", f"acc{i}", "to-cpe"),
                          ("conc", f"w{i}", f"acc{i}", "to-conc")]
            else:
                wires.append(("cpe", f"w{i}", "conc", f"w{i}"))
        return wires

    def _hub_networks(self):
        """The hub's bridges and the nodes on each."""
        access = {f"w{i}": ("cpe", *self._concentrators()) for i in self._numbers()}
        return access | {"net0": ("server", *self._concentrators())}

    def _wires_through_hub(self):
        return [("cpe", "lan0", "host", "eth0")] + [
            ("hub", f"{network}-{node}", node, "eth0" if node == "server" else network)
            for network, nodes in self._hub_networks().items() for node in nodes]

    def _addresses(self):
        """ip commands per node: every interface up and addressed, every route."""
        def interface(name, *addresses):
            return [f"link set {name} up",
                    *(f"addr add {address} dev {name}"
                      + (" nodad" if ":" in address else "") for address in addresses)]

        def default(v4, v6, device):
            return [f"route add default via {v4} dev {device}",
                    f"route add ::/0 via {v6} dev {device}"]

        loopback = ["link set lo up"]
        cpe = loopback + interface("lan0", "192.168.1.1/24", "fd00:1::1/64")
        concentrators = {}
        for node, station in self._concentrators().items():
            concentrators[node] = loopback + interface(
                "net0", f"203.0.113.{station}/24", f"2001:db8:f::{station}/64")
            for i in self._numbers():
                concentrators[node] += interface(f"w{i}", f"10.{i}.0.{station}/24",
                                                 f"fd10:{i}::{station}/64")
            concentrators[node] += ["route add 192.168.1.0/24 via 10.1.0.2 dev w1",
                                    "route add fd00:1::/64 via fd10:1::2 dev w1"]
        for i in self._numbers():
            cpe += interface(f"w{i}", f"10.{i}.0.2/24", f"fd10:{i}::2/64")
        access = {node: [f"link set {port} up" for port in weather.IN_PORT.values()]
                  for node in self._nodes() if node.startswith("acc")}
        if self.has_conc2:
            access["hub"] = [line for network, nodes in self._hub_networks().items()
                             for line in [f"link add {network} type bridge",
                                          f"link set {network} up",
                                          *(f"link set {network}-{node} master {network} up"
                                            for node in nodes)]]
        return access | concentrators | {
            "host": loopback + interface("eth0", f"{self.HOST_V4}/24", f"{self.HOST_V6}/64")
                    + default("192.168.1.1", "fd00:1::1", "eth0"),
            "cpe": cpe + default("10.1.0.1", "fd10:1::1", "w1"),
            "server": loopback
                      + interface("eth0", f"{self.SERVER_V4}/24", f"{self.SERVER_V6}/64")
                      + default(self.CONC_NET_V4, self.CONC_NET_V6, "eth0"),
        }

    def _access_network(self, link):
        if not 1 <= link <= self.links:
            raise LabError(f"there is no link {link}: they are 1 to {self.links}")
        if not self.has_weather[link - 1]:
            raise LabError(f"link {link} came up without weather: give it a rate or a loss, even 0")
        return weather.AccessNetwork(self, link)

    def _make_weather(self, link):
        # One packet is one packet on the wire, with a checksum of its own.
        for node in ("cpe", "conc"):
            self.run(node, ["ethtool", "-K", f"w{link}", "tx", "off", "tso", "off", "gso", "off"])
        network = self._access_network(link)
        network.attach()
        for direction in weather.DIRECTIONS:
            network.change(direction, weather.CLEAR, self.weather_of(link, direction))

    def wait_up(self, node, interfaces=None):
        """Waits until interfaces, all if none are given, have a carrier and are active. The
        kernel activates one a little after it is set up, and drops what is sent before."""
        def waits(link):
            chosen = link["ifname"] in interfaces if interfaces else link["ifname"] != "lo"
            return chosen and link["operstate"] != "UP"

        deadline = time.monotonic() + READY_SECONDS
        while any(map(waits, json.loads(self.run(node, ["ip", "-j", "link"]).stdout))):
            if time.monotonic() > deadline:
                raise LabError(f"{node}: an interface does not come up")
            time.sleep(0.01)

    def _wait_ready(self, process, control, log):
        deadline = time.monotonic() + READY_SECONDS
        while not control.exists():
            ended = process.poll() is not None
            if ended or time.monotonic() > deadline:
                why = (f"ended with status {process.returncode}" if ended
                       else f"not ready after {READY_SECONDS} s")
                raise LabError(f"plaitd {why}; {log.name}:\n{log.read_text()}")
            time.sleep(0.02)

    # Taking down

    @staticmethod
    def _netns_exists(name):
        return pathlib.Path(f"/run/netns/{name}").exists()

    @staticmethod
    def _end_stragglers(netns_names):
        """Daemons that left their parent, and shells a person has open in the lab."""
        spared = own_ancestors()
        for name in netns_names:
            listed = subprocess.run(["ip", "netns", "pids", name], text=True, check=False,
                                    capture_output=True).stdout
            end_processes([pid for pid in map(int, listed.split()) if pid not in spared])

    @staticmethod
    def _former_file(netns_name):
        """Where the plaitd of a namespace note what they change there."""
        with inside_netns(netns_name), socket.socket() as any_socket:
            cookie = any_socket.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8)
        return CONTROL_DIR / f"netns-{int.from_bytes(cookie, sys.byteorder)}.former"

    def _forget_former_values(self, netns_name):
        """A killed agent left them, and nobody can put them back any more."""
        if any(CONTROL_DIR.glob("netns-*.former")):
            self._former_file(netns_name).unlink(missing_ok=True)

    def _remove_files(self):
        shutil.rmtree(weather.PINS / self.id, ignore_errors=True)
        for role in ROUTERS:
            # What a killed agent left behind: its namespace is gone, so nobody picks it up.
            shutil.rmtree(weather.BPFFS / "plait" / self.agent_name(role), ignore_errors=True)
            for left in CONTROL_DIR.glob(f"{self.agent_name(role)}.*"):
                left.unlink(missing_ok=True)
        for shared in (weather.PINS, weather.BPFFS / "plait"):
            with contextlib.suppress(OSError):
                shared.rmdir()
        if self.dir:
            shutil.rmtree(self.dir, ignore_errors=True)
