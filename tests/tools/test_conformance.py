# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""docs/conformance.md names no test that is not there."""

import fnmatch
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/conformance.md").read_text()
PYTHON = re.compile(r"^def (test_\w+)\(", re.MULTILINE)
CRITERION = re.compile(r"^Test\((\w+), (\w+)", re.MULTILINE)


def sources(ending):
    return [path.read_text() for path in (ROOT / "tests").rglob(f"*{ending}")]


FILES = {path.name for path in (ROOT / "tests").rglob("test_*")}
FUNCTIONS = {name for text in sources(".py") for name in PYTHON.findall(text)}
UNITS = {"::".join(name) for text in sources(".c") for name in CRITERION.findall(text)}


@pytest.mark.parametrize("name", sorted(set(re.findall(r"\btest_\w+(?:\.c|\.py|\*)?", PAGE))))
def test_named_test_is_there(name):
    if name.endswith("_*") or name.endswith("*"):
        assert fnmatch.filter(FUNCTIONS, name)
    else:
        assert name in (FILES if "." in name else FUNCTIONS)


@pytest.mark.parametrize("name", sorted(set(re.findall(r"\b\w+::\w+", PAGE)) - {"suite::name"}))
def test_named_unit_test_is_there(name):
    assert name in UNITS
