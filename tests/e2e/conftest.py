# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Labs with plait running, and what tests ask it."""

import contextlib
import json
import os
import pathlib
import sys
import threading
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lab"))

# pylint: disable=wrong-import-position
import weather  # noqa: E402
from lab import Lab  # noqa: E402
from netns import eventually  # noqa: E402


class PlaitLab(Lab):
    """A lab and the questions tests ask of the plaitd in it."""

    def counters(self, role):
        return json.loads(self.plaitctl(role, "counters", "--json").stdout)["counters"]

    def since(self, role, before):
        """The counters that grew, and by how much."""
        return {name: value - before[name] for name, value in self.counters(role).items()
                if value != before[name]}

    def wait_answered(self, count=1):
        """Until so many concentrators answer the CPE: before that, connections go direct."""
        def answering():
            listed = json.loads(self.plaitctl("cpe", "concentrators", "--json").stdout)
            return sum(one["answers"] for one in listed["concentrators"]) == count
        eventually(answering, 10, "answers to health checks")

    def kill_and_restart(self, role, config):
        """As after a crash; new connections are bonded again."""
        agent = self.agents.pop(role)
        agent.process.kill()
        agent.process.wait()
        self.plaitd(role, config)
        if "cpe" in self.agents:
            self.wait_answered()

    def sessions(self, role, port=None):
        """Sessions, those to one remote port if given."""
        listed = json.loads(self.plaitctl(role, "sessions", "--json").stdout)["sessions"]
        return [session for session in listed
                if port is None or session["remote"].endswith(f":{port}")]

    def wait_ended(self, port, seconds=5):
        """Waits until no session to the remote port is left at either end."""
        def left():
            return {role: found for role in ("cpe", "conc")
                    if (found := self.sessions(role, port))}

        deadline = time.monotonic() + seconds
        while found := left():
            assert time.monotonic() < deadline, f"sessions left after {seconds} s: {found}"
            time.sleep(0.02)

    def status(self, role):
        return json.loads(self.plaitctl(role, "status", "--json").stdout)

    def log(self, role):
        return self.agents[role].log.read_text()


@contextlib.contextmanager
def running(cpe=None, conc=None, **kwargs):
    """A lab with plait running at both ends; cpe, conc: what their configuration has more."""
    with PlaitLab(**kwargs) as lab:
        lab.plaitd("conc", conc)
        lab.plaitd("cpe", cpe)
        yield lab
        for role in ("cpe", "conc"):
            agent = lab.agents.get(role)
            assert not agent or agent.process.poll() is None, f"{role} died:\n{lab.log(role)}"


NGINX = """
daemon off; master_process off; user root; worker_processes 1; pid {dir}/nginx.pid;
error_log {dir}/nginx.log;
events {{ worker_connections 4096; }}
http {{
    access_log off; client_body_temp_path {dir}/nginx-body; client_max_body_size 0;
    proxy_temp_path {dir}/nginx-p; fastcgi_temp_path {dir}/nginx-f;
    uwsgi_temp_path {dir}/nginx-u; scgi_temp_path {dir}/nginx-s;
    server {{
        listen {v4}:80; listen [{v6}]:80;
        root {dir}/www;
        location /up/ {{ dav_methods PUT; }}
    }}
}}
"""


def start_nginx(lab):
    """nginx on the server, port 80, serving lab.dir/www and taking PUT below /up/."""
    (lab.dir / "www/up").mkdir(parents=True)
    config = lab.dir / "nginx.conf"
    config.write_text(NGINX.format(dir=lab.dir, v4=lab.SERVER_V4, v6=lab.SERVER_V6))
    lab.popen("server", ["nginx", "-c", config, "-e", lab.dir / "nginx.log"], log="nginx.out")
    lab.wait_listening("server", 80)


class Later(threading.Thread):
    """Calls `look` in so many seconds, beside the other tests: what takes minutes by itself need
    not take them from all. A session fixture begins it, and a test marked `late` ends it."""

    def __init__(self, seconds, look):
        super().__init__(daemon=True)
        self.seconds, self.look = seconds, look
        self.given_up, self.error = threading.Event(), None

    def run(self):
        if self.given_up.wait(self.seconds):
            return
        try:
            self.look()
        except BaseException as error:  # pylint: disable=broad-except
            self.error = error

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.given_up.set()
        self.join()

    def result(self):
        """Waits for what there was to see; raises what `look` has raised."""
        self.join()
        if self.error:
            raise self.error


def pytest_configure(config):
    config.addinivalue_line("markers", "late: ends what a fixture has begun; runs last of all")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.get_closest_marker("late") is not None)


@pytest.fixture(scope="session", autouse=True)
def _built():
    assert os.geteuid() == 0, "network namespaces need root"
    weather.build_object()


@pytest.fixture(scope="session")
def bonded():
    """The plain lab: two unshaped links, plait at both ends with its defaults, nginx."""
    with running() as lab:
        start_nginx(lab)
        yield lab


@pytest.fixture(scope="module")
def eager_cpe():
    """A CPE that answers hosts at once."""
    with running(cpe={"handshake": "eager"}) as lab:
        yield lab


def server_address(lab, family):
    return {"v4": lab.SERVER_V4, "v6": lab.SERVER_V6}[family]


both_families = pytest.mark.parametrize("family", ["v4", "v6"])
