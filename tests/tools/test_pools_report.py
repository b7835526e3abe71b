# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Reports of long tables (agent/role/pools_report.c) under sanitizers: whole, and in nobody's way."""
import glob
import os
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FLAGS = ['-std=gnu11', '-g', '-O1', '-fsanitize=address,undefined', '-fno-sanitize-recover=undefined',
         '-D_GNU_SOURCE', '-Iinclude', '-Iagent', '-pthread']
PORTION, EACH = 1024, 1000


@pytest.fixture(scope='session')
def reporter(tmp_path_factory):
    output = str(tmp_path_factory.mktemp('bin') / 'pools_reporter')
    files = ['tests/tools/pools_reporter.c', 'agent/role/pools_report.c',
             *(path for room in ('base', 'codec', 'table')
               for path in glob.glob(f'{ROOT}/agent/{room}/*.c'))]
    subprocess.run(['gcc', *FLAGS, '-o', output, *files], cwd=ROOT, check=True)
    return output


def report(reporter, count):
    done = subprocess.run([reporter, str(count)], check=True, text=True, timeout=60,
                          stdout=subprocess.PIPE)
    return list(map(int, done.stdout.split()))


@pytest.mark.parametrize('count', [0, 1, PORTION - 1, PORTION, PORTION + 1, 3 * PORTION, 100000])
def test_each_binding_and_subscriber_is_reported_once(reporter, count):
    bindings, subscribers, repeated, *_ = report(reporter, count)
    assert (bindings, repeated) == (sum(i % 7 != 3 for i in range(count)), 0)
    assert subscribers == (count + EACH - 1) // EACH


def test_the_lock_is_had_by_others_between_portions(reporter):
    *_, took_ms, turns, longest_ms = report(reporter, 300000)
    assert turns > 300000 // PORTION // 4
    assert longest_ms < max(took_ms // 4, 10)
