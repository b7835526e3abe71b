# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The binding log (agent/role/binding_log.c) under sanitizers: what is queued, dropped, escaped."""
import contextlib
import fcntl
import os
import re
import socket
import struct
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FLAGS = ['-std=gnu11', '-g', '-O1', '-fsanitize=address,undefined', '-fno-sanitize-recover=undefined',
         '-D_GNU_SOURCE', '-Iinclude', '-Iagent', '-pthread']
FILES = ['tests/tools/binding_logger.c', 'agent/role/binding_log.c', 'agent/port/journal.c',
         'agent/codec/binding_record.c', 'agent/codec/iso_time.c', 'agent/base/log.c', 'agent/base/addr_text.c']
QUEUE_RECORDS = 1 << 15
EVIL = 'a\nPRIORITY=0\x1b[1m'


@pytest.fixture(scope='session')
def logger(tmp_path_factory):
    output = str(tmp_path_factory.mktemp('bin') / 'binding_logger')
    subprocess.run(['gcc', *FLAGS, '-o', output, *FILES, '-lsystemd'], cwd=ROOT, check=True)
    return output


def run(logger, file, count, name='home-1', prefix=(), **options):
    """Its standard error, and the milliseconds that putting and closing took."""
    environment = {**os.environ, **options.pop('env', {})}
    done = subprocess.run([*prefix, logger, str(file), str(count), name], check=True, timeout=30,
                          text=True, env=environment,
                          **{'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE, **options})
    return done.stderr, *map(int, done.stdout.split())


def test_every_record_is_written_in_order(logger, tmp_path):
    errors, _, _ = run(logger, tmp_path / 'log', 10000)
    lines = (tmp_path / 'log').read_text().splitlines()
    assert errors == ''
    assert [int(re.search(r'port_first=(\d+)', line)[1]) for line in lines] == list(range(10000))


def test_a_name_cannot_end_a_line(logger, tmp_path):
    run(logger, tmp_path / 'log', 1, EVIL)
    line, = (tmp_path / 'log').read_text().splitlines()
    assert ' subscriber=a\\x0aPRIORITY=0\\x1b[1m source=10.1.0.2 ' in line


def test_standard_error_without_a_file(logger):
    errors, _, _ = run(logger, '', 3)
    assert [line.split()[0] for line in errors.splitlines()] == 3 * ['<6>event=binding-ended']


def test_a_full_queue_drops_and_says_how_many(logger, tmp_path):
    os.mkfifo(tmp_path / 'fifo')
    reader = os.open(tmp_path / 'fifo', os.O_RDWR | os.O_NONBLOCK)
    room = fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
    errors, putting_ms, closing_ms = run(logger, tmp_path / 'fifo', 3 * QUEUE_RECORDS)
    written = len(os.read(reader, room).splitlines())
    os.close(reader)
    assert errors == f'<4>binding log: {3 * QUEUE_RECORDS - written} records dropped\n'
    assert putting_ms < 500 and 1900 < closing_ms < 2400


def test_a_full_disk_is_told_of_once(logger):
    errors, _, _ = run(logger, '/dev/full', 100)
    assert errors == ('<3>binding log: No space left on device; records are dropped\n'
                      '<4>binding log: 100 records dropped\n')


def test_a_file_that_cannot_be_opened(logger, tmp_path):
    with pytest.raises(subprocess.CalledProcessError) as failed:
        run(logger, tmp_path / 'nowhere' / 'log', 1)
    assert failed.value.stderr == 'ENOENT\n'


def test_a_fifo_that_nobody_reads_is_not_waited_for(logger, tmp_path):
    os.mkfifo(tmp_path / 'fifo')
    with pytest.raises(subprocess.CalledProcessError) as failed:
        run(logger, tmp_path / 'fifo', 1)
    assert failed.value.stderr == 'ENXIO\n'


def decode(datagram):
    """The journal's native protocol: NAME=value, or NAME, length and value."""
    fields = {}
    while datagram:
        line, datagram = datagram.split(b'\n', 1)
        if b'=' in line:
            name, value = line.split(b'=', 1)
        else:
            name, (length,) = line, struct.unpack('<Q', datagram[:8])
            value, datagram = datagram[8:8 + length], datagram[9 + length:]
        assert name not in fields
        fields[name.decode()] = value.decode()
    return fields


JOURNALD = ('mount -t tmpfs none /run; mkdir -p /run/systemd/journal; '
            'touch /run/systemd/journal/socket; mount --bind "$1" /run/systemd/journal/socket; '
            'shift; JOURNAL_STREAM=${STREAM:-$(stat -Lc %d:%i /proc/$$/fd/2)}; '
            'export JOURNAL_STREAM; exec "$@"')


@pytest.fixture
def journald(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / 'socket'))
        server.settimeout(5)
        yield server, ['unshare', '--mount', 'sh', '-ec', JOURNALD, 'sh', str(tmp_path / 'socket')]


def test_the_journal_gets_a_name_as_it_is(logger, journald):
    server, prefix = journald
    errors, _, _ = run(logger, '', 1, EVIL, prefix)
    fields = decode(server.recv(1 << 16))
    assert errors == ''
    assert fields['PLAIT_SUBSCRIBER'] == EVIL
    assert (fields['PRIORITY'], fields['PLAIT_EVENT']) == ('6', 'binding-ended')
    assert fields['MESSAGE'].startswith('event=binding-ended subscriber=a\\x0aPRIORITY=0\\x1b[1m ')
    assert 'CODE_FILE' not in fields


@pytest.mark.parametrize('stream', ['1:1', 'x', '0:0'])
def test_a_standard_error_that_is_not_the_journals(logger, journald, stream):
    _, prefix = journald
    errors, _, _ = run(logger, '', 1, prefix=prefix, env={'STREAM': stream})
    assert errors.startswith('<6>event=binding-ended ')


def test_a_journal_that_does_not_read_is_left_after_a_time(logger, journald):
    server, prefix = journald
    errors, putting_ms, closing_ms = run(logger, '', 5000, prefix=prefix)
    dropped = int(re.fullmatch(r'<4>binding log: (\d+) records dropped\n', errors)[1])
    server.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while server.recv(1 << 16):
            dropped += 1
    assert dropped == 5000
    assert putting_ms < 500 and 1900 < closing_ms < 3000
