"""The table of threats in docs/security.md is whole, and what it calls tests are tests."""

from __future__ import annotations

import re

from tests.architecture.source_tree import ROOT
from tests.faults.scoreboard import ROWS

_PAGE = (ROOT / "docs/security.md").read_text()
_THREATS = {
    int(number): (does, tests)
    for number, does, tests in re.findall(r"^\| (\d+) \| [^|]+ \| ([^|]+) \| ([^|]+) \|$", _PAGE, re.MULTILINE)
}
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
_ROW = re.compile(r"\brow (\d+)")


def test_every_threat_is_there_and_says_what_shows_it() -> None:
    assert sorted(_THREATS) == list(range(1, 36))
    bare = [number for number, (_, tests) in _THREATS.items() if not _TEST.search(tests) and not _ROW.search(tests)]
    assert bare == []


def test_the_tests_and_rows_it_names_exist() -> None:
    for path, name in _TEST.findall(_PAGE):
        assert re.search(rf"^ *(?:async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE), f"{path}::{name}"
    assert {int(row) for row in _ROW.findall(_PAGE)} <= set(ROWS)


def test_nothing_else_stands_where_tests_are_named() -> None:
    for number, (_, tests) in _THREATS.items():
        assert not _ROW.sub("", _TEST.sub("", tests)).strip(" ;,"), number
