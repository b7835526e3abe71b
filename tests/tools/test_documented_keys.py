# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Every configuration key is in the samples and in the man page."""
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
# a row of a mapping's keys in config.c: {"name", reader, ...
KEYS = sorted(set(re.findall(r'^\t\{"(\w+)", (?:walk|config|read)_\w+,',
                             (ROOT / "agent/config/config.c").read_text(), re.MULTILINE)))
SAMPLES = "\n".join(path.read_text() for path in (ROOT / "configs").glob("*.yaml"))
MAN_PAGE = (ROOT / "man/plait.yaml.5.scd").read_text()


def test_keys_are_found():
    assert {"role", "links", "max_rtt", "inside", "new_per_second", "dscp"} <= set(KEYS)
    assert len(KEYS) > 60


@pytest.mark.parametrize("key", KEYS)
def test_key_is_documented(key):
    assert re.search(rf"(^|[ {{-]){key}:", SAMPLES, re.MULTILINE), "in no sample"
    assert re.search(rf"\*{key}:\*", MAN_PAGE), "not in plait.yaml(5)"
