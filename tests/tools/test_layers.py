# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""tools/layers.py: a tree that follows every rule, and for each rule one that breaks it."""
import pathlib
import subprocess
import sys

import pytest

LAYERS = pathlib.Path(__file__).resolve().parents[2] / 'tools' / 'layers.py'

GOOD = {
    'include/plait_addr.h': '#include <linux/types.h>\n',
    'include/plait_maps.h': '#include <linux/types.h>\n#include "plait_addr.h"\n',
    'bpf/lib/parse.h': '#include <linux/bpf.h>\n#include "plait_addr.h"\n',
    'bpf/lib/steer.h': '#include "parse.h"\n#include <bpf/bpf_helpers.h>\n',
    'bpf/cpe.bpf.c': '#include "lib/steer.h"\n#include "plait_maps.h"\n',
    'agent/base/log.h': '#include <stdio.h>\n',
    'agent/base/log.c': '#include "log.h"\n#include "plait_addr.h"\n',
    'agent/codec/pm.c': '#include "base/log.h"\n',
    'agent/codec/pm.h': '',
    'agent/table/pool.h': '#include "codec/pm.h"\n',
    'agent/config/config.h': '#include "base/log.h"\n',
    'agent/control/frame.h': '#include "base/log.h"\n',
    'agent/port/loop.h': '#include "codec/pm.h"\n',
    'agent/port/dataplane.c': '#include "cpe.skel.h"\n',
    'agent/engine/session.h': '#include "port/loop.h"\n#include "table/pool.h"\n',
    'agent/engine/relay.h': '#include "session.h"\n#include "config/config.h"\n',
    'agent/view/server.c': '#include "control/frame.h"\n#include "engine/session.h"\n',
    'agent/view/server.h': '',
    'agent/role/cpe.c': '#include "cpe.skel.h"\n',
    'agent/role/cpe.h': '#include "view/server.h"\n#include "table/pool.h"\n',
    'agent/main.c': '#include "role/cpe.h"\n#include "config/config.h"\n',
    'agent/cli/ask.c': '#include "control/frame.h"\n#include "base/log.h"\n',
    'agent/cli/ask.h': '',
}


def run(root, files, *options):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    result = subprocess.run([sys.executable, LAYERS, '--root', root, *options], check=False,
                            capture_output=True, text=True)
    return result.returncode, result.stdout, result.stderr.splitlines()


def test_a_tree_that_follows_the_rules(tmp_path):
    assert run(tmp_path, GOOD) == (0, '', [])


@pytest.mark.parametrize('file, text, wrong', [
    ('agent/base/x.c', '#include "codec/pm.h"',
     'base may not include codec (codec/pm.h); it may: include/ only'),
    ('agent/codec/x.c', '#include "table/pool.h"',
     'codec may not include table (table/pool.h); it may: base'),
    ('agent/table/x.c', '#include "port/loop.h"',
     'table may not include port (port/loop.h); it may: base, codec'),
    ('agent/config/x.c', '#include "codec/pm.h"',
     'config may not include codec (codec/pm.h); it may: base, table'),
    ('agent/control/x.c', '#include "config/config.h"',
     'control may not include config (config/config.h); it may: base'),
    ('agent/port/x.c', '#include "config/config.h"',
     'port may not include config (config/config.h); it may: base, codec'),
    ('agent/engine/x.c', '#include "control/frame.h"',
     'engine may not include control (control/frame.h); '
     'it may: base, codec, table, config, port'),
    ('agent/engine/x.c', '#include "view/server.h"',
     'engine may not include view (view/server.h); it may: base, codec, table, config, port'),
    ('agent/view/x.c', '#include "table/pool.h"',
     'view may not include table (table/pool.h); it may: base, control, config, engine, port'),
    ('agent/view/x.c', '#include "role/cpe.h"',
     'view may not include role (role/cpe.h); it may: base, control, config, engine, port'),
    ('agent/role/x.c', '#include "cli/ask.h"',
     'role may not include cli (cli/ask.h); '
     'it may: base, codec, table, config, control, port, engine, view'),
    ('agent/main.c', '#include "cli/ask.h"',
     'main may not include cli (cli/ask.h); '
     'it may: base, codec, table, config, control, port, engine, view, role'),
    ('agent/cli/x.c', '#include "engine/session.h"',
     'cli may not include engine (engine/session.h); it may: base, codec, table, config, control'),
    ('agent/cli/x.c', '#include <engine/session.h>',
     'cli may not include engine (engine/session.h); it may: base, codec, table, config, control'),
    ('agent/engine/x.c', '#include "cpe.skel.h"',
     'engine may not include cpe.skel.h; only port and role may'),
    ('agent/util/x.c', '#include "base/log.h"',
     'agent/util/ is no room that tools/layers.py knows'),
    ('agent/codec/x.c', '#include "pm.c"', 'includes a .c file, pm.c'),
    ('agent/codec/x.c', '#include "../base/log.h"',
     '../base/log.h leads out of its place; name it from agent/, bpf/ or include/'),
    ('agent/codec/x.c', '#include "base/../engine/session.h"',
     'base/../engine/session.h leads out of its place; name it from agent/, bpf/ or include/'),
    ('agent/codec/x.c', '#include "./pm.h"',
     './pm.h leads out of its place; name it from agent/, bpf/ or include/'),
    ('agent/codec/x.c', '#include "/usr/include/stdio.h"',
     '/usr/include/stdio.h leads out of its place; name it from agent/, bpf/ or include/'),
    ('agent/codec/x.c', '#include PM_HEADER', 'includes by a macro, which nobody can follow'),
    ('agent/codec/x.c', '#include "pn.h"', 'there is no pn.h'),
    ('include/x.h', '#include <stdint.h>',
     'include/ may not include stdint.h; it may: include/, <linux/...>'),
    ('include/x.h', '#include <base/log.h>',
     'include/ may not include base/log.h; it may: include/, <linux/...>'),
    ('bpf/x.bpf.c', '#include "lib/x.h"', 'there is no lib/x.h'),
    ('bpf/x.bpf.c', '#include "../agent/base/log.h"',
     '../agent/base/log.h leads out of its place; name it from agent/, bpf/ or include/'),
    ('bpf/x.bpf.c', '#include "private.h"',
     'bpf may not include bpf/private.h; it may: include/, bpf/lib/, system headers'),
    ('bpf/lib/x.h', '#include "cpe.skel.h"', 'bpf may not include cpe.skel.h'),
])
def test_a_broken_rule(tmp_path, file, text, wrong):
    tree = {**GOOD, 'bpf/private.h': '', file: f'/* a line */\n\n{text}\n'}
    assert run(tmp_path, tree) == (1, '', [f'{file}:3: {wrong}'])


def test_two_headers_in_a_circle(tmp_path):
    tree = {**GOOD, 'agent/engine/session.h': '\n#include "relay.h"\n'}
    assert run(tmp_path, tree) == (1, '', [
        'agent/engine/relay.h:1: a circle: includes session.h, '
        'then agent/engine/session.h:2 includes relay.h'])


def test_three_headers_in_a_circle(tmp_path):
    tree = {'agent/base/a.h': '#include "b.h"\n', 'agent/base/b.h': '#include "base/c.h"\n',
            'agent/base/c.h': '#include "a.h"\n'}
    assert run(tmp_path, tree) == (1, '', [
        'agent/base/a.h:1: a circle: includes b.h, then agent/base/b.h:1 includes base/c.h, '
        'then agent/base/c.h:1 includes a.h'])


def test_a_header_that_includes_itself(tmp_path):
    assert run(tmp_path, {'include/a.h': '#include "a.h"\n'}) == (1, '', [
        'include/a.h:1: a circle: includes a.h'])


def test_circles_of_modules_only_if_asked_for(tmp_path):
    tree = {'agent/base/a.h': '', 'agent/base/b.h': '',
            'agent/base/a.c': '#include "a.h"\n#include "b.h"\n',
            'agent/base/b.c': '#include "b.h"\n#include "a.h"\n'}
    assert run(tmp_path, tree) == (0, '', [])
    assert run(tmp_path, {}, '--modules') == (1, '', [
        'agent/base/a.c:2: a circle: includes b.h, then agent/base/b.c:2 includes a.h'])


def test_comments_are_not_read(tmp_path):
    tree = {**GOOD, 'agent/base/x.c': '/*\n#include "engine/session.h"\n*/\n'
                                      '// #include "engine/session.h"\n'
                                      '#  include "log.h" /* "engine/session.h" */\n'
                                      'char url[] = "/*";\n#include <stdio.h>\n'}
    assert run(tmp_path, tree) == (0, '', [])


def test_an_include_after_a_string_that_looks_like_a_comment(tmp_path):
    tree = {**GOOD, 'agent/base/x.c': 'char a[] = "/*";\n#include "codec/pm.h"\nchar b[] = "*/";\n'}
    assert run(tmp_path, tree)[2] == [
        'agent/base/x.c:2: base may not include codec (codec/pm.h); it may: include/ only']


def test_the_picture_shows_floors_and_arrows(tmp_path):
    code, picture, errors = run(tmp_path, GOOD, '--picture')
    lines = [line.split() for line in picture.splitlines()]
    rooms = [line[0] for line in lines if 'modules' in line]
    assert (code, errors) == (0, [])
    assert rooms == ['main', 'role', 'view', 'engine', 'cli', 'config', 'table', 'port', 'codec',
                     'control', 'base']
    assert ['view', '1', 'modules', '->', 'control', '1,', 'engine', '1'] in lines
    assert ['bpf', '->', 'include', '2'] in lines
