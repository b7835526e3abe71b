# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The control server (agent/view) and plaitctl, both under sanitizers, before made-up reports."""
import concurrent.futures
import glob
import json
import os
import re
import resource
import signal
import socket
import stat
import struct
import subprocess
import time

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FLAGS = ['-std=gnu11', '-g', '-O1', '-fsanitize=address,undefined', '-fno-sanitize-recover=undefined',
         '-D_GNU_SOURCE', '-DPLAIT_VERSION="9.8.7"', '-Iinclude', '-Iagent']
CLIENTS_MAX = 16


def sources(*rooms):
    return [path for room in rooms for path in sorted(glob.glob(f'{ROOT}/agent/{room}/*.c'))]


def compile_program(output, files):
    """One process a file, as many at a time as there are processors."""
    def compile_one(numbered):
        number, file = numbered
        made = f'{output}-{number}.o'
        subprocess.run(['gcc', *FLAGS, '-c', '-o', made, file], cwd=ROOT, check=True)
        return made

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as compilers:
        objects = list(compilers.map(compile_one, enumerate(files)))
    subprocess.run(['gcc', *FLAGS, '-o', str(output), *objects, '-ljansson', '-lyaml'], cwd=ROOT,
                   check=True)
    return str(output)


@pytest.fixture(scope='session')
def plaitctl_binary(tmp_path_factory):
    return compile_program(tmp_path_factory.mktemp('bin') / 'plaitctl',
                           sources('base', 'codec', 'table', 'config', 'control', 'cli'))


@pytest.fixture(scope='session')
def agent_binary(tmp_path_factory):
    return compile_program(tmp_path_factory.mktemp('bin') / 'fake_agent',
                           [f'{ROOT}/tests/tools/fake_agent.c', f'{ROOT}/agent/port/loop.c',
                            *sources('base', 'control', 'view')])


class Agent:
    def __init__(self, binary, path, sessions=2):
        self.path = str(path)
        self.process = subprocess.Popen([binary, self.path, str(sessions)], text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.first_line = self.process.stdout.readline()

    def stop(self):
        """Stop it; sanitizers make a leak a failure."""
        self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=10)
        assert (self.process.returncode, errors) == (0, '')

    def connect(self):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(5)
        client.connect(self.path)
        return client


@pytest.fixture
def agent(agent_binary, tmp_path):
    running = Agent(agent_binary, tmp_path / 'run' / 'fake.sock')
    assert running.first_line == 'ready\n'
    yield running
    if running.process.poll() is None:
        running.stop()


@pytest.fixture(scope='module')
def crowded(agent_binary, tmp_path_factory):
    """An agent that has all the clients it takes, silent from the module's first test on."""
    running = Agent(agent_binary, tmp_path_factory.mktemp('crowded') / 'fake.sock')
    idle = [running.connect() for _ in range(CLIENTS_MAX)]
    for client in idle:
        client.sendall(b'\0\0')
    time.sleep(0.1)
    yield running, idle, time.monotonic()
    running.stop()


@pytest.fixture(autouse=True)
def _crowded_meanwhile(crowded):
    return crowded


@pytest.fixture
def plaitctl(plaitctl_binary, tmp_path):
    """Run plaitctl with tmp_path/run as its /run/plait."""
    (tmp_path / 'run').mkdir(exist_ok=True)
    prelude = ('mount -t tmpfs none /run; mkdir /run/plait; mount --bind "$1" /run/plait; '
               'shift; exec "$@"')

    def run(*arguments, **options):
        return subprocess.run(['unshare', '--mount', 'sh', '-ec', prelude, 'sh',
                               str(tmp_path / 'run'), plaitctl_binary, *arguments],
                              **{'capture_output': True, 'text': True, 'timeout': 60, **options})
    return run


def frame(body):
    return struct.pack('>I', len(body)) + body


def receive(client):
    def exactly(count):
        got = b''
        while len(got) < count:
            piece = client.recv(count - len(got))
            if not piece:
                raise EOFError
            got += piece
        return got
    return json.loads(exactly(*struct.unpack('>I', exactly(4))))


def request(client, document):
    client.sendall(frame(json.dumps(document).encode()))
    return receive(client)


def ask(client, noun):
    return request(client, {'noun': noun})


# The server ---------------------------------------------------------------------------------

def test_clients_are_bounded(crowded):
    agent, _, begun = crowded
    assert receive(agent.connect()) == {'error': 'too many clients'}
    assert time.monotonic() < begun + 10, 'too late to tell'


def test_status_document(agent):
    reply = ask(agent.connect(), 'status')
    assert reply == {'name': 'fake', 'role': 'cpe', 'mode': 'plain', 'handshake': 'faithful',
                     'draining': False, 'version': '9.8.7', 'pid': agent.process.pid, 'kernel': '6.12.1',
                     'uptime_s': 3725.5, 'workers': 4, 'sessions': 2, 'max_sessions': 65536,
                     'held_syns': 1, 'datagram_bindings': 12}


def test_sessions_document(agent):
    reply = ask(agent.connect(), 'sessions')
    first, second = reply['sessions']
    assert second['inside'] == '192.0.2.1:40001'
    assert first.pop('age_s') == pytest.approx(90, abs=5)
    assert first == {
        'protocol': 'tcp', 'inside': '192.0.2.1:40000', 'remote': '192.0.2.2:80',
        'state': 'established', 'idle_s': 0.0,
        'up': {'packets': 10, 'bytes': 1500}, 'down': {'packets': 20, 'bytes': 2000000},
        'concentrator': 'k1', 'mptcp': True, 'token': 0xfffffffe, 'worker': 0,
        'subflows': [
            {'link': 'd\x1b]0;x\a\x7fsl', 'local': '192.0.2.3:33000', 'remote': '192.0.2.4:6824',
             'rtt_us': 12345, 'sent_bytes': 999950, 'received_bytes': 0, 'retransmits': 0,
             'backup': False},
            {'link': 'lte?', 'local': '192.0.2.3:33001', 'remote': '192.0.2.4:6824',
             'rtt_us': 12345, 'sent_bytes': 999950, 'received_bytes': 0, 'retransmits': 0,
             'backup': True}]}


def test_links_document(agent):
    assert ask(agent.connect(), 'links') == {'links': [
        {'name': 'd\x1b]0;x\a\x7fsl', 'interface': 'w1', 'type': '', 'use': 'always', 'weight': 3,
         'state': 'down', 'condition': 'lossy', 'rtt_us': 12345, 'rtt_min_us': 1200,
         'loss_permille': 257, 'mtu': 1500, 'sessions': 7,
         'datagrams_sent': 4, 'datagrams_received': 3, 'datagrams_lost': 2, 'datagrams_late': 1,
         'addresses': ['192.0.2.3', '192.0.2.5'], 'sent_bytes_per_s': 1562500,
         'received_bytes_per_s': 0,
         'sent_bytes': 123456789, 'received_bytes': 0, 'sent_packets': 0, 'received_packets': 0}]}


def test_concentrators_document(agent):
    assert ask(agent.connect(), 'concentrators') == {'concentrators': [
        {'name': 'd\x1b]0;x\a\x7fsl', 'answers': True, 'port': 6824, 'weight': 2, 'sessions': 5,
         'addresses': ['192.0.2.6']},
        {'name': 'k2', 'answers': False, 'port': 0, 'weight': 1, 'sessions': 0, 'addresses': []}]}


def test_bindings_document(agent):
    first, second = ask(agent.connect(), 'bindings')['bindings']
    assert first.pop('age_s') == pytest.approx(90, abs=5)
    assert second.pop('age_s') == pytest.approx(90, abs=5)
    assert first == {'protocol': 'tcp', 'inside': '192.0.2.1:40000', 'external': '192.0.2.64:1024',
                     'subscriber': 'd\x1b]0;x\a\x7fsl', 'state': 'in use', 'sessions': 3}
    assert second == {'protocol': 'udp', 'inside': '192.0.2.1:40001', 'external': '192.0.2.64:1025',
                      'subscriber': '192.0.2.9', 'state': 'resting', 'sessions': 0}


def test_pools_document(agent):
    assert ask(agent.connect(), 'pools') == {'pools': [
        {'family': 'ipv4', 'translation': 'shared', 'prefixes': ['192.0.2.64/28', '192.0.2.96/30'],
         'addresses': 20, 'block_ports': 512, 'blocks': 2520, 'blocks_lent': 3, 'ports_lent': 70},
        {'family': 'ipv6', 'translation': 'shared', 'prefixes': ['2001:db8::/120'],
         'addresses': 0, 'block_ports': 0, 'blocks': 1, 'blocks_lent': 0, 'ports_lent': 0}]}


def test_subscribers_document(agent):
    assert ask(agent.connect(), 'subscribers') == {'subscribers': [
        {'name': 'd\x1b]0;x\a\x7fsl', 'source': '192.0.2.7', 'sessions': 9, 'ports': 8, 'blocks': 2,
         'external_ipv4': '192.0.2.64', 'external_ipv6': '', 'max_sessions': 10, 'max_ports': 0,
         'max_blocks': 4, 'max_new_sessions_per_s': 100, 'links': [
             {'address': '192.0.2.3', 'datagrams_sent': 5, 'datagrams_received': 4,
              'datagrams_lost': 3, 'datagrams_late': 2},
             {'address': '192.0.2.5', 'datagrams_sent': 0, 'datagrams_received': 0,
              'datagrams_lost': 0, 'datagrams_late': 0}]},
        {'name': '', 'source': '192.0.2.9', 'sessions': 0, 'ports': 0, 'blocks': 0,
         'external_ipv4': '', 'external_ipv6': '', 'max_sessions': 0, 'max_ports': 0,
         'max_blocks': 0, 'max_new_sessions_per_s': 0, 'links': []}]}


def test_an_answer_that_is_too_long_is_refused_and_the_client_kept(agent_binary, tmp_path):
    agent = Agent(agent_binary, tmp_path / 'fake.sock', sessions=600000)
    client = agent.connect()
    client.settimeout(60)
    assert ask(client, 'bindings') == {'error': 'the answer is too long'}
    assert ask(client, 'status')['sessions'] == 600000
    agent.stop()


def test_counters_document_names_every_reason(agent):
    reply = ask(agent.connect(), 'counters')['counters']
    with open(f'{ROOT}/include/plait_reasons.h', encoding='utf-8') as header:
        names = [line.split(',')[1].strip() for line in header if line.startswith('\tX(')]
    assert list(reply) == names
    assert {name: count for name, count in reply.items() if count} == {
        'syn_held': 12, 'pipes_exhausted': 1}


def test_a_verb_tells_what_it_has_done(agent):
    client = agent.connect()
    assert request(client, {'verb': 'drain'}) == {
        'done': 'no\x1b[1m more', 'draining': True, 'sessions': 2, 'of': ['one', 'two']}
    assert request(client, {'verb': 'greet', 'whom': 'you', 'how': True}) == {
        'done': 'hello', 'whom': 'you'}
    assert ask(client, 'status')['name'] == 'fake'


def test_a_client_may_ask_again_and_ahead(agent):
    client = agent.connect()
    assert ask(client, 'status')['name'] == 'fake'
    client.sendall(2 * frame(b'{"noun": "links"}'))
    assert [list(receive(client)), list(receive(client))] == [['links'], ['links']]


def test_a_request_in_single_octets(agent):
    client = agent.connect()
    for octet in frame(b'{"noun": "status"}'):
        client.sendall(bytes([octet]))
        time.sleep(0.002)
    assert receive(client)['name'] == 'fake'


@pytest.mark.parametrize('body, error', [
    (b'{"noun": "nothing"}', 'unknown noun: nothing'),
    (b'{"noun": 1}', 'not a request'),
    (b'{"noun": "' + 32 * b'x' + b'"}', 'not a request'),
    (b'{"noun": "status", "noun": "links"}', 'not a request'),
    (b'{"verb": "nothing"}', 'unknown verb: nothing'),
    (b'{"verb": "status"}', 'unknown verb: status'),
    (b'{"noun": "drain"}', 'unknown noun: drain'),
    (b'{"verb": "drain", "noun": "status"}', 'not a request'),
    (b'{"verb": "drain", "off": 1}', 'not a request'),
    (b'{"verb": "drain", "off": false}', 'not a request'),
    (b'{"verb": "drain", "off": ""}', 'not a request'),
    (b'{"verb": "drain", "off": "\\u001b"}', 'not a request'),
    (b'{"verb": "drain", "off": "' + 128 * b'x' + b'"}', 'not a request'),
    (b'{"verb": "drain", "' + 32 * b'x' + b'": true}', 'not a request'),
    (b'{"verb": "drain"' + b''.join(b', "a%d": true' % i for i in range(9)) + b'}', 'not a request'),
    (b'{"verb": "drain", "of": true}', 'drain: unknown argument: of'),
    (b'{"verb": "greet"}', 'greet: missing argument: whom'),
    (b'{"verb": "drain", "off": true}', 'never\x1b[1m'),
    (b'[]', 'not a request'),
    (4096 * b'[', 'not a request'),
    (b'\xff\x00', 'not a request'),
])
def test_what_is_no_request_is_refused_and_the_client_kept(agent, body, error):
    client = agent.connect()
    client.sendall(frame(body))
    assert receive(client) == {'error': error}
    assert ask(client, 'status')['name'] == 'fake'


@pytest.mark.parametrize('octets', [b'GET / HTTP/1.1\r\n\r\n', b'\xff\xff\xff\xff', b'\0\0\0\0',
                                    struct.pack('>I', 4097)])
def test_what_is_no_frame_is_refused_and_the_client_dropped(agent, octets):
    client = agent.connect()
    client.sendall(octets)
    assert receive(client) == {'error': 'not a frame of the control protocol'}
    with pytest.raises((EOFError, ConnectionResetError)):
        receive(client)


def test_half_a_frame_holds_up_nobody(agent):
    half = agent.connect()
    half.sendall(frame(b'{"noun": "status"}')[:9])
    assert ask(agent.connect(), 'status')['name'] == 'fake'
    half.close()
    assert ask(agent.connect(), 'status')['name'] == 'fake'


def test_a_client_that_does_not_read_holds_up_nobody(agent_binary, tmp_path):
    agent = Agent(agent_binary, tmp_path / 'fake.sock', sessions=20000)
    deaf = agent.connect()
    deaf.sendall(frame(b'{"noun": "sessions"}'))
    assert ask(agent.connect(), 'status')['sessions'] == 20000
    assert len(receive(deaf)['sessions']) == 20000
    gone = agent.connect()
    gone.sendall(frame(b'{"noun": "sessions"}'))
    assert ask(agent.connect(), 'status')['sessions'] == 20000
    gone.close()
    assert ask(agent.connect(), 'status')['sessions'] == 20000
    agent.stop()


def test_an_error_of_the_source_is_passed_on(agent_binary, tmp_path):
    agent = Agent(agent_binary, tmp_path / 'fake.sock', sessions=-12)
    for noun in ('sessions', 'bindings'):
        assert ask(agent.connect(), noun) == {'error': 'Cannot allocate memory'}
    agent.stop()


def test_without_file_descriptors_a_client_is_told(agent):
    used = len(os.listdir(f'/proc/{agent.process.pid}/fd'))
    resource.prlimit(agent.process.pid, resource.RLIMIT_NOFILE, (used, used))
    assert receive(agent.connect()) == {'error': 'plaitd has no file descriptor left'}
    before = cpu_ticks(agent.process.pid)
    time.sleep(0.3)
    assert cpu_ticks(agent.process.pid) - before <= 2


def cpu_ticks(pid):
    with open(f'/proc/{pid}/stat', encoding='ascii') as file:
        fields = file.read().rsplit(')', 1)[1].split()
    return int(fields[11]) + int(fields[12])


def test_the_socket_is_private_and_goes_with_the_server(agent):
    assert stat.S_IMODE(os.stat(agent.path).st_mode) == 0o600
    agent.stop()
    assert not os.path.exists(agent.path)


def test_a_live_socket_is_left_alone(agent, agent_binary):
    second = Agent(agent_binary, agent.path)
    assert second.process.communicate(timeout=10)[1] == 'EADDRINUSE\n'
    assert ask(agent.connect(), 'status')['name'] == 'fake'


def test_a_stale_socket_is_replaced(agent_binary, tmp_path):
    path = tmp_path / 'fake.sock'
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    agent = Agent(agent_binary, path)
    assert ask(agent.connect(), 'status')['name'] == 'fake'
    agent.stop()


def test_a_file_in_the_way_is_left_alone(agent_binary, tmp_path):
    path = tmp_path / 'fake.sock'
    path.write_text('mine')
    agent = Agent(agent_binary, path)
    assert agent.process.communicate(timeout=10)[1] == 'EEXIST\n'
    assert path.read_text() == 'mine'


# plaitctl -----------------------------------------------------------------------------------

def outcome(result):
    return result.returncode, result.stdout, result.stderr


def test_status_text(agent, plaitctl):
    assert outcome(plaitctl('status')) == (0, f'''\
name               fake
role               cpe
mode               plain
handshake          faithful
draining           no
version            9.8.7
kernel             6.12.1
up for             1 h 02 min
process            {agent.process.pid}, 4 workers
sessions           2 of at most 65536
held SYNs          1
datagram bindings  12
''', '')


def test_sessions_text(agent, plaitctl):
    result = plaitctl('sessions')
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0] == ['PROTO', 'INSIDE', 'REMOTE', 'STATE', 'AGE', 'IDLE', 'UP', 'DOWN', 'LEG',
                        'CONCENTRATOR']
    assert lines[1][:4] == ['tcp', '192.0.2.1:40000', '192.0.2.2:80', 'established']
    assert lines[1][4:6] == ['1', 'min']
    assert lines[1][8:] == ['0.0', 's', '1.5', 'kB', '2.0', 'MB', 'mptcp', 'k1']
    assert lines[2] == ['d\\x1b]0;x\\x07\\x7fsl', '192.0.2.3:33000', '192.0.2.4:6824', 'rtt',
                        '12.3', 'ms', 'sent', '1.0', 'MB', 'received', '0', 'B', 'retransmits', '0',
                        'regular']
    assert lines[3][0] == 'lte?' and lines[3][-1] == 'backup'
    assert len(lines) == 1 + 2 * 3
    assert len({line.find('established') for line in result.stdout.splitlines()}) == 2


def test_links_text(agent, plaitctl):
    assert outcome(plaitctl('links')) == (0, '''\
NAME                 INTERFACE  TYPE  USE     WEIGHT  STATE  CONDITION  RTT ms  LOSS %  SESSIONS           UP     DOWN   MTU      SENT  RECEIVED  UDP LOST  UDP LATE  ADDRESSES
d\\x1b]0;x\\x07\\x7fsl  w1         -     always       3  down   lossy        12.3    25.7         7  12.5 Mbit/s  0 bit/s  1500  123.5 MB       0 B         2         1  192.0.2.3 192.0.2.5
''', '')


def test_concentrators_text(agent, plaitctl):
    assert outcome(plaitctl('concentrators')) == (0, '''\
NAME                 STATE        PORT  WEIGHT  SESSIONS  ADDRESSES
d\\x1b]0;x\\x07\\x7fsl  answers      6824       2         5  192.0.2.6
k2                   silent   preserve       1         0  -
''', '')


def test_bindings_text(agent, plaitctl):
    result = plaitctl('bindings')
    assert (result.returncode, result.stderr) == (0, '')
    assert re.sub(r'1 min 3\d s', '1 min 3x s', result.stdout) == '''\
PROTO  INSIDE           EXTERNAL         SUBSCRIBER           STATE    SESSIONS         AGE
tcp    192.0.2.1:40000  192.0.2.64:1024  d\\x1b]0;x\\x07\\x7fsl  in use          3  1 min 3x s
udp    192.0.2.1:40001  192.0.2.64:1025  192.0.2.9            resting         0  1 min 3x s
'''


def test_pools_text(agent, plaitctl):
    assert outcome(plaitctl('pools')) == (0, '''\
FAMILY  TRANSLATION  ADDRESSES  BLOCKS  LENT  PORTS A BLOCK  LENT  PREFIXES
ipv4    shared              20    2520     3            512    70  192.0.2.64/28 192.0.2.96/30
ipv6    shared               0       1     0              0     0  2001:db8::/120
''', '')


def test_subscribers_text(agent, plaitctl):
    assert outcome(plaitctl('subscribers')) == (0, '''\
NAME                 SOURCE     SESSIONS  PORTS  BLOCKS  EXTERNAL IPv4  EXTERNAL IPv6  UDP RECEIVED  UDP LOST  UDP LATE
d\\x1b]0;x\\x07\\x7fsl  192.0.2.7   9 of 10      8       2  192.0.2.64     -                         -         -         -
                     192.0.2.3                                                                    4         3         2
                     192.0.2.5                                                                    0         0         0
-                    192.0.2.9         0      0       0  -              -                         -         -         -
''', '')


def test_counters_text(agent, plaitctl):
    assert outcome(plaitctl('counters')) == (0, '''\
COUNTER          COUNT  WHAT
syn_held            12  SYNs held and handed to the agent
pipes_exhausted      1  times a relay had to wait for a pipe
''', '')
    everything = plaitctl('counters', '--all').stdout.splitlines()
    assert not [line for line in everything if '\\x' in line]
    assert len(everything) == 1 + len(ask(agent.connect(), 'counters')['counters'])


@pytest.mark.parametrize('arguments', [('--json', 'links'), ('links', '--json'),
                                       ('-n', 'fake', 'links', '--json')])
def test_json_is_the_document(agent, plaitctl, arguments):
    result = plaitctl(*arguments)
    assert json.loads(result.stdout) == ask(agent.connect(), 'links')
    assert not [c for c in result.stdout if c != '\n' and not ' ' <= c <= '~']


COMMANDS = ('status sessions links concentrators bindings pools subscribers counters reload drain '
            'bind unbind close')


@pytest.mark.parametrize('arguments, error', [
    ((), f'say what to show or to do, one of: {COMMANDS}'),
    (('x\x1b[1m',), f'unknown noun or verb "x\\x1b[1m"; there are: {COMMANDS}'),
    (('status', 'links'), 'status: "links" is one too many'),
    (('status', '--all'), '--all is not for status'),
    (('drain', '--all'), '--all is not for drain'),
    (('close',), 'close: say which; see plaitctl --help'),
    (('close', '192.0.2.1', '192.0.2.2'), 'close: "192.0.2.2" is one too many'),
    (('close', '192.0.2.1\x1b'), 'close: "192.0.2.1\\x1b" cannot be right'),
    (('close', '--remote'), '--remote: a value is missing; see plaitctl --help'),
    (('drain', 'now'), 'drain: "now" is one too many'),
    (('counters', '--all', '--all'), '--all: once, and with a value that can be right'),
    (('--wrong',), '--wrong: unknown option; see plaitctl --help'),
    (('status', '-n'), '-n: a value is missing; see plaitctl --help'),
    (('-n', '../fake', 'status'), '"../fake" cannot be the name of an instance'),
])
def test_usage_errors(plaitctl, arguments, error):
    assert outcome(plaitctl(*arguments)) == (2, '', f'plaitctl: {error}\n')


def test_verb_prints_its_line_or_what_it_has_done(agent, plaitctl):
    assert outcome(plaitctl('drain')) == (0, 'no\\x1b[1m more\n', '')
    result = plaitctl('drain', '--json')
    assert json.loads(result.stdout) == request(agent.connect(), {'verb': 'drain'})


def test_verb_that_is_refused_says_why(agent, plaitctl):
    for json_too in ((), ('--json',)):
        assert outcome(plaitctl('drain', '--off', *json_too)) == (
            1, '', 'plaitctl: plaitd says: never\\x1b[1m\n')


def test_help_and_version(plaitctl):
    result = plaitctl('--help')
    assert result.returncode == 0
    assert result.stdout.startswith('usage: plaitctl [-n NAME] [--json] NOUN | VERB [ARGUMENT...]\n')
    assert outcome(plaitctl('--version')) == (0, 'plaitctl 9.8.7\n', '')


def test_nobody_runs(plaitctl, tmp_path):
    (tmp_path / 'run' / 'plain.sock').write_text('not a socket')
    (tmp_path / 'run' / 'other').write_text('')
    assert outcome(plaitctl('status')) == (
        1, '', 'plaitctl: plaitd is not running: no socket in /run/plait\n')


def test_nobody_of_that_name_runs(agent, plaitctl):
    assert outcome(plaitctl('-n', 'hag', 'status')) == (
        1, '', 'plaitctl: /run/plait/hag.sock: plaitd is not running under this name\n')


def test_one_that_was_killed(agent, plaitctl):
    agent.process.kill()
    agent.process.communicate()
    assert outcome(plaitctl('status')) == (
        1, '', 'plaitctl: /run/plait/fake.sock: plaitd is not running under this name\n')


def test_several_run(agent, plaitctl, agent_binary, tmp_path):
    other = Agent(agent_binary, tmp_path / 'run' / 'another.sock')
    assert outcome(plaitctl('status')) == (
        2, '', 'plaitctl: several plaitd run here, choose one with -n: another, fake\n')
    assert plaitctl('-n', 'another', 'status').returncode == 0
    other.stop()


def test_an_error_of_plaitd(agent_binary, plaitctl, tmp_path):
    agent = Agent(agent_binary, tmp_path / 'run' / 'fake.sock', sessions=-12)
    assert outcome(plaitctl('sessions')) == (
        1, '', 'plaitctl: plaitd says: Cannot allocate memory\n')
    agent.stop()


def test_a_closed_pipe_is_no_error(agent_binary, plaitctl, tmp_path):
    agent = Agent(agent_binary, tmp_path / 'run' / 'fake.sock', sessions=20000)
    reader, writer = os.pipe()
    os.close(reader)
    result = plaitctl('sessions', capture_output=False, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (result.returncode, result.stderr) == (0, '')
    agent.stop()


def test_a_closed_or_full_standard_output_is_an_error(agent, plaitctl, plaitctl_binary):
    with open('/dev/full', 'wb') as full:
        result = plaitctl('links', capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert (result.returncode, result.stderr) == (
        1, 'plaitctl: standard output: No space left on device\n')
    result = subprocess.run(['sh', '-c', 'exec "$0" --version >&-', plaitctl_binary],
                            capture_output=True, text=True, check=False)
    assert outcome(result) == (1, '', 'plaitctl: standard output: Bad file descriptor\n')


def serve_once(path, octets):
    """A server of one client that answers with octets and hangs up."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    pid = os.fork()
    if not pid:
        client, _ = listener.accept()
        client.recv(4096)
        client.sendall(octets)
        os._exit(0)
    listener.close()
    return pid


@pytest.mark.parametrize('octets, error', [
    (b'', '/run/plait/odd.sock: plaitd hung up before its answer was complete'),
    (frame(b'{"links": []}')[:-1], '/run/plait/odd.sock: plaitd hung up before its answer was complete'),
    (frame(b'not JSON'), '/run/plait/odd.sock: what answers there is not plaitd'),
    (b'SSH-2.0', '/run/plait/odd.sock: what answers there is not plaitd'),
    (frame(b'{"sessions": []}'), "plaitd's answer is of another kind; is it another version?"),
    (frame(b'{"error": "\\u001b[1m"}'), 'plaitd says: \\x1b[1m'),
])
def test_odd_answers(plaitctl, tmp_path, octets, error):
    pid = serve_once(tmp_path / 'run' / 'odd.sock', octets)
    assert outcome(plaitctl('links')) == (1, '', f'plaitctl: {error}\n')
    os.waitpid(pid, 0)


def test_json_is_ascii_whatever_is_in_it(plaitctl, tmp_path):
    reply = '{"links": [{"name": "faser-\u00df\u009b\u202e"}]}'
    pid = serve_once(tmp_path / 'run' / 'odd.sock', frame(reply.encode()))
    result = plaitctl('links', '--json')
    os.waitpid(pid, 0)
    assert (result.stdout.isascii(), json.loads(result.stdout)) == (True, json.loads(reply))


def test_fields_of_another_type_do_no_harm(plaitctl, tmp_path):
    reply = b'{"sessions": [7, {"subflows": 1, "up": [], "inside": 3, "age_s": "x"}]}'
    pid = serve_once(tmp_path / 'run' / 'odd.sock', frame(reply))
    result = plaitctl('sessions')
    os.waitpid(pid, 0)
    assert (result.returncode, len(result.stdout.splitlines())) == (0, 3)


# The last one, for it waits -----------------------------------------------------------------

def test_idle_clients_give_way(crowded):
    agent, idle, begun = crowded
    time.sleep(max(0, begun + 10.2 - time.monotonic()))
    assert ask(agent.connect(), 'status')['name'] == 'fake'
    assert idle[0].recv(1) == b''
