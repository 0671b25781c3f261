"""Patterns mean what their page says, and cannot be made slow."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.domain.policies.path_patterns import path_matches


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("*.md", "x.md", True),
        ("*.md", "a/b/x.md", True),
        ("*.md", ".md", False),
        ("*", "a/b", True),
        ("**", "a", True),
        ("**", "a/b/c", True),
        ("README", "docs/readme", True),
        ("docs/*.md", "docs/x.md", True),
        ("docs/*.md", "docs/a/x.md", False),
        ("docs/*.md", "a/docs/x.md", False),
        ("docs/**", "docs/a/b", True),
        ("docs/**", "docs", False),
        ("docs/**/*.md", "docs/x.md", True),
        ("docs/**/*.md", "docs/a/b/x.md", True),
        ("docs/**/*.md", "docs/a/b/x.py", False),
        ("**/docs/**/adr/*.md", "a/docs/b/c/adr/x.md", True),
        ("**/docs/**/adr/*.md", "docs/adr/x.md", True),
        ("**/docs/**/adr/*.md", "adr/docs/x.md", False),
        ("**/a/**/a/**", "a/a/b", True),
        ("**/a/**/a/**", "a/a", False),
        ("a/**/a", "a", False),
        ("a/**/a", "a/a", True),
        ("*/x", "a/x", True),
        ("*/x", "x", False),
        ("*/x", "a/b/x", False),
        ("test_*.py", "test_.py", True),
        ("test_*.py", "src/test_a_b.py", True),
        ("*a*b*", "xaxbx", True),
        ("*a*b*", "xbxax", False),
        ("ab*ba", "aba", False),
        ("[a].md", "a.md", False),
        ("a.md", "axmd", False),
        ("Caf\u00e9.md", "cafe\u0301.md", True),
    ],
)
def test_pattern(pattern: str, path: str, matches: bool) -> None:
    assert path_matches(pattern, path) is matches


_NAMES = st.text("ab", min_size=1, max_size=4)


@given(st.lists(_NAMES, min_size=1, max_size=6), st.data())
def test_a_pattern_made_from_a_path_matches_it(names: list[str], data: st.DataObject) -> None:
    path = "/".join(names)
    expected = list(names)
    start = data.draw(st.integers(0, len(names) - 1))
    end = data.draw(st.integers(start, len(names) - 1))
    expected[start:end] = ["**"]
    last = expected[-1]
    cut = data.draw(st.integers(1, len(last)))
    expected[-1] = data.draw(st.sampled_from([last, "*", last[:cut] + "*"]))
    assert path_matches("/".join(expected), path)


@given(st.lists(_NAMES, min_size=1, max_size=6))
def test_folders_are_not_crossed_by_one_star(names: list[str]) -> None:
    assert path_matches("top/*", "top/" + "/".join(names)) is (len(names) == 1)


def test_no_pattern_is_slow() -> None:
    started = time.perf_counter()
    path_matches("*a" * 200 + "*b", "a" * 4000)
    path_matches("**/a/" * 200 + "b", "a/" * 2000 + "a")
    path_matches("**/" + "a/" * 50 + "**/b", "a/" * 2000 + "a")
    assert time.perf_counter() - started < 0.5
