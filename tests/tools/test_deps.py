# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""tools/deps.sh before made-up dpkg-query, apt-get, id and systemctl."""
import os
import pathlib
import subprocess

import pytest

DEPS = pathlib.Path(__file__).resolve().parents[2] / 'tools' / 'deps.sh'
REDSOCKS_IS_HERE = os.path.exists('/etc/init.d/redsocks')


class Machine:
    """What deps.sh sees; every call of apt-get and systemctl is a line in calls."""

    def __init__(self, root):
        self.root = root
        (root / 'bin').mkdir()
        self.write('os-release', 'ID=debian\nVERSION_CODENAME=bookworm\n')
        self.program('dpkg-query', 'for p; do :; done\n'
                     f'grep -qx "$p" {root}/missing && exit 1\nprintf installed')
        self.program('apt-get', f'echo "apt-get $*" >>{root}/calls\n'
                     f'[ ! -e {root}/policy ] || cp {root}/policy {root}/policy-during\n'
                     f'[ "$1" = update ] && exec rm -f {root}/stale\n[ ! -e {root}/stale ]')
        self.program('systemctl', f'echo "systemctl $*" >>{root}/calls')
        self.be_root(True)
        self.miss()

    def write(self, name, text):
        (self.root / name).write_text(text)

    def program(self, name, body):
        path = self.root / 'bin' / name
        path.write_text(f'#!/bin/sh\n{body}\n')
        path.chmod(0o755)

    def be_root(self, root):
        self.program('id', f'echo {0 if root else 1000}')

    def miss(self, *packages):
        self.write('missing', ''.join(f'{package}\n' for package in packages))

    def run(self):
        environment = {**os.environ, 'PATH': f'{self.root}/bin:/usr/bin:/bin',
                       'PLAIT_OS_RELEASE': str(self.root / 'os-release'),
                       'PLAIT_POLICY_RC_D': str(self.root / 'policy')}
        result = subprocess.run([DEPS], env=environment, check=False, capture_output=True,
                                text=True, timeout=30)
        return result.returncode, result.stdout, result.stderr

    def calls(self):
        """The verbs of apt-get, and all of systemctl."""
        path = self.root / 'calls'
        lines = path.read_text().splitlines() if path.exists() else []
        return [line if line.startswith('systemctl') else
                'simulate' if '--simulate' in line else line.split()[1] for line in lines]


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_it_is_silent_if_all_is_there(machine):
    machine.be_root(False)
    machine.write('os-release', 'ID=fedora\n')
    assert machine.run() == (0, '', '')
    assert machine.calls() == []


def test_it_says_what_it_installs(machine):
    machine.miss('scdoc', 'ethtool')
    assert machine.run() == (0, 'deps.sh: installing scdoc ethtool \n', '')
    assert machine.calls() == ['simulate', 'install']
    assert (machine.root / 'calls').read_text().splitlines()[-1].endswith(' scdoc ethtool')


def test_it_updates_lists_that_do_not_do(machine):
    machine.miss('scdoc')
    machine.write('stale', '')
    assert machine.run()[0] == 0
    assert machine.calls() == ['simulate', 'update', 'install']


def test_it_needs_root(machine):
    machine.be_root(False)
    machine.miss('scdoc')
    assert machine.run() == (
        1, '', 'deps.sh: not root, so install as root: apt-get install scdoc \n')
    assert machine.calls() == []


def test_it_needs_bookworm(machine):
    machine.write('os-release', 'ID=debian\nVERSION_CODENAME=trixie\n')
    machine.miss('scdoc')
    assert machine.run() == (
        1, '', 'deps.sh: only Debian 12 (bookworm) is supported; missing here: scdoc \n')
    assert machine.calls() == []


def test_what_apt_cannot_install_is_an_error(machine):
    machine.miss('scdoc')
    machine.program('apt-get', 'exit 100')
    assert machine.run() == (1, 'deps.sh: installing scdoc \n',
                             'deps.sh: apt-get could not install: scdoc \n')
    assert not (machine.root / 'policy').exists()


@pytest.mark.parametrize('before', [None, '#!/bin/sh\nexit 0\n'])
def test_services_are_forbidden_while_it_installs(machine, before):
    machine.miss('redsocks')
    if before:
        machine.write('policy', before)
    assert machine.run()[0] == 0
    assert (machine.root / 'policy-during').read_text() == '#!/bin/sh\nexit 101\n'
    after = machine.root / 'policy'
    assert (after.read_text() if after.exists() else None) == before
    assert not (machine.root / 'policy.plait-saved').exists()


def test_a_policy_that_a_killed_run_left_is_put_back(machine):
    machine.miss('scdoc')
    machine.write('policy', '#!/bin/sh\nexit 101\n')
    machine.write('policy.plait-saved', 'mine')
    assert machine.run()[0] == 0
    assert (machine.root / 'policy').read_text() == 'mine'


@pytest.mark.skipif(not REDSOCKS_IS_HERE, reason='needs a service that was there before')
def test_a_service_that_was_there_before_is_not_disabled(machine):
    machine.miss('redsocks')
    assert machine.run()[0] == 0
    assert not [call for call in machine.calls() if call.endswith('redsocks')]
