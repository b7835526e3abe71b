#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Check what includes what: arrows between rooms point down, and files form no circles.

With --modules, a .c file and the .h file of its name count as one in looking for circles,
which is stricter. Prints one line a violation, file:line: what is wrong, and exits 1 if
there is any.
"""
import argparse
import pathlib
import re
import sys
from collections import Counter
from dataclasses import dataclass

# room -> rooms it may include from; itself and include/ go without saying
ROOMS = {
    'base': (),
    'codec': ('base',),
    'table': ('base', 'codec'),
    'config': ('base', 'table'),  # to know whether deterministic pools have enough blocks
    'control': ('base',),
    'port': ('base', 'codec'),
    'engine': ('base', 'codec', 'table', 'config', 'port'),
    'view': ('base', 'control', 'config', 'engine', 'port'),
    'role': ('base', 'codec', 'table', 'config', 'control', 'port', 'engine', 'view'),
    'main': ('base', 'codec', 'table', 'config', 'control', 'port', 'engine', 'view', 'role'),
    # whois computes and reads records by plaitd's own code
    'cli': ('base', 'codec', 'table', 'config', 'control'),
}
SKELETON = '.skel.h'  # generated from bpf/
SKELETON_ROOMS = ('port', 'role')  # the dataplane's; and each role brings its own programs

TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.DOTALL)
DIRECTIVE = re.compile(r'^[ \t]*#[ \t]*include\b[ \t]*(.*?)[ \t]*$', re.MULTILINE)
OPERAND = re.compile(r'"([^"]+)"|<([^>]+)>')


@dataclass(frozen=True)
class Include:
    file: pathlib.Path  # relative to the root, like target
    line: int
    text: str  # as it stands between quotes or angle brackets; '' if it is a macro
    target: pathlib.Path | None  # None: not a file of this repository
    system: bool  # in angle brackets


def without_comments(source):
    """source with comments blanked, its lines where they were."""
    def blank(match):
        token = match.group()
        return token if token.startswith('"') else re.sub(r'[^\n]', ' ', token)
    return TOKEN.sub(blank, source)


class Tree:
    """The C files of a repository and their includes."""

    def __init__(self, root):
        self.root = root
        self.files = sorted(path.relative_to(root) for folder in ('agent', 'bpf', 'include')
                            for path in (root / folder).rglob('*.[ch]'))
        self.includes = [include for file in self.files for include in self.read(file)]

    def read(self, file):
        source = without_comments((self.root / file).read_text(encoding='utf-8'))
        for match in DIRECTIVE.finditer(source):
            line = source.count('\n', 0, match.start(1)) + 1
            operand = OPERAND.match(match.group(1))
            if not operand:
                yield Include(file, line, '', None, False)
                continue
            text, system = operand[1] or operand[2], operand[2] is not None
            yield Include(file, line, text, self.resolve(file, text, system), system)

    def resolve(self, file, text, system):
        """The file meant, as the compiler finds it with the Makefile's -I."""
        own = () if system else (file.parent,)
        top = pathlib.Path('bpf' if file.parts[0] == 'bpf' else 'agent')
        for folder in (*own, pathlib.Path('include'), top):
            path = pathlib.Path(folder, text)
            if (self.root / path).is_file():
                return path
        return None


def room_of(file):
    """base for agent/base/log.c, main for agent/main.c, bpf, include."""
    if file.parts[0] != 'agent':
        return file.parts[0]
    return file.parts[1] if len(file.parts) > 2 else 'main'


def spelling(include):
    """What is wrong with the directive itself, or None."""
    if not include.text:
        return 'includes by a macro, which nobody can follow'
    path = pathlib.PurePosixPath(include.text)
    if '..' in path.parts or '.' in include.text.split('/') or path.is_absolute():
        return f'{include.text} leads out of its place; name it from agent/, bpf/ or include/'
    if path.suffix == '.c':
        return f'includes a .c file, {include.text}'
    if not include.system and not include.target and not include.text.endswith(SKELETON):
        return f'there is no {include.text}'
    return None


def arrow_from_agent(include):
    room = room_of(include.file)
    if room not in ROOMS:
        return f'agent/{room}/ is no room that tools/layers.py knows'
    if include.text.endswith(SKELETON) and not include.target:
        return None if room in SKELETON_ROOMS else \
            f'{room} may not include {include.text}; only {" and ".join(SKELETON_ROOMS)} may'
    target = room_of(include.target) if include.target else 'include'
    if target in (room, 'include', *ROOMS[room]):
        return None
    allowed = ', '.join(ROOMS[room]) or 'include/ only'
    return f'{room} may not include {target} ({include.text}); it may: {allowed}'


def arrow_from_bpf(include):
    if include.target is None:
        return None if include.system else f'bpf may not include {include.text}'
    if include.target.parts[0] == 'include' or include.target.parts[:2] == ('bpf', 'lib'):
        return None
    return f'bpf may not include {include.target}; it may: include/, bpf/lib/, system headers'


def arrow_from_include(include):
    if include.target and include.target.parts[0] == 'include':
        return None
    if include.target is None and include.text.startswith('linux/'):
        return None
    return f'include/ may not include {include.text}; it may: include/, <linux/...>'


def arrow(include):
    check = {'agent': arrow_from_agent, 'bpf': arrow_from_bpf, 'include': arrow_from_include}
    return check[include.file.parts[0]](include)


def graph_of(includes, by_module):
    """node -> node it includes -> the first include that does."""
    graph = {}
    for include in includes:
        ends = (include.file, include.target) if include.target else ()
        if by_module:
            ends = [end.with_suffix('') for end in ends]
        if ends and (ends[0] != ends[1] or not by_module):
            graph.setdefault(ends[0], {}).setdefault(ends[1], include)
    return graph


def circles(graph):
    """Circles, one for each include that closes one, as the list of their includes."""
    done, found = set(), []

    def visit(node, path):
        if node in path:
            ring = path[path.index(node):] + [node]
            found.append([graph[a][b] for a, b in zip(ring, ring[1:])])
            return
        if node in done:
            return
        for target in sorted(graph.get(node, ())):
            visit(target, path + [node])
        done.add(node)

    for node in sorted(graph):
        visit(node, [])
    return found


def circle_text(ring):
    first, *others = ring
    steps = ''.join(f', then {step.file}:{step.line} includes {step.text}' for step in others)
    return f'{first.file}:{first.line}: a circle: includes {first.text}{steps}'


def violations(tree, by_module):
    lines = []
    for include in tree.includes:
        wrong = spelling(include) or arrow(include)
        if wrong:
            lines.append(f'{include.file}:{include.line}: {wrong}')
    return lines + [circle_text(ring) for ring in circles(graph_of(tree.includes, by_module))]


def floors():
    """Rooms from the top floor down; a room stands above all it may include."""
    def height(room):
        return 1 + max((height(below) for below in ROOMS[room]), default=-1)
    by_height = {}
    for room in ROOMS:
        by_height.setdefault(height(room), []).append(room)
    return [by_height[h] for h in sorted(by_height, reverse=True)]


def picture(tree):
    """Rooms by floor, and the arrows there really are, with their number of includes."""
    arrows = Counter((room_of(i.file), room_of(i.target)) for i in tree.includes if i.target)
    lines = []
    for floor in floors():
        for room in floor:
            down = [f'{target} {arrows[room, target]}' for target in ('include', *ROOMS)
                    if target != room and arrows[room, target]]
            modules = len({file.with_suffix('') for file in tree.files
                           if file.parts[0] == 'agent' and room_of(file) == room})
            lines.append(f'  {room:<8} {modules:>3} modules  -> {", ".join(down) or "-"}')
        lines.append('  ' + 60 * '-')
    down = ', '.join(f'{target} {n}' for (room, target), n in sorted(arrows.items())
                     if room == 'bpf' and target != 'bpf')
    return '\n'.join([*lines, f'  bpf                   -> {down or "-"}'])


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--root', type=pathlib.Path, help='repository to look at; default: this one',
                        default=pathlib.Path(__file__).resolve().parent.parent)
    parser.add_argument('--picture', action='store_true', help='print the rooms and their arrows')
    parser.add_argument('--modules', action='store_true', help='look for circles of modules')
    arguments = parser.parse_args()
    tree = Tree(arguments.root)
    if arguments.picture:
        print(picture(tree))
    wrong = violations(tree, arguments.modules)
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
