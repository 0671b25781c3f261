"""search_in_code finds lines, and no pattern makes it hang."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from client.tools.arguments import Arguments
from client.tools.bounded_text import RESULT_BYTES, encoded_size
from client.tools.failure import ToolFailedError
from client.tools.search_in_code import search_in_code
from client.tools.workspace import Workspace

Put = Callable[[str, str | bytes], Path]


@pytest.fixture
def search(workspace: Workspace, put: Put) -> Callable[..., list[tuple[str, int, str]]]:
    put("src/a.py", "def Main():\n    return f(x)\n")
    put("src/b.ts", "main()\n")
    put("README.md", "main.main\n")
    put(".git/x", "main")
    put("data.bin", b"main\0")

    def found(**values: object) -> list[tuple[str, int, str]]:
        matches = search_in_code(workspace, Arguments(values))["matches"]
        assert isinstance(matches, list)
        return [(match["path"], match["line"], match["text"]) for match in matches]

    return found


Search = Callable[..., list[tuple[str, int, str]]]


def test_it_finds_words_in_any_case(search: Search) -> None:
    assert search(query="main") == [
        ("README.md", 1, "main.main"),
        ("src/a.py", 1, "def Main():"),
        ("src/b.ts", 1, "main()"),
    ]


def test_it_narrows(search: Search) -> None:
    assert search(query="main", case_sensitive=True, path="src") == [("src/b.ts", 1, "main()")]
    assert search(query="main", file_pattern="*.py") == [("src/a.py", 1, "def Main():")]
    assert search(query="main", path="README.md") == [("README.md", 1, "main.main")]
    assert search(query="main", max_results=1) == [("README.md", 1, "main.main")]


def test_a_query_is_literal_unless_said_otherwise(search: Search) -> None:
    assert search(query="f(x)") == [("src/a.py", 2, "return f(x)")]
    assert search(query=r"^\s+return\b", regex=True) == [("src/a.py", 2, "return f(x)")]


@pytest.mark.parametrize(
    ("query", "why"), [("(", "no regular expression"), (r"(?=x)", "no look-around"), ("", "empty")]
)
def test_a_query_that_cannot_be_looked_for_says_why(search: Search, query: str, why: str) -> None:
    with pytest.raises(ToolFailedError, match=why):
        search(query=query, regex=True)


def test_no_pattern_takes_exponential_time(workspace: Workspace, put: Put) -> None:
    put("a.txt", "a" * 100_000)
    began = time.monotonic()
    search_in_code(workspace, Arguments({"query": "(a*)*b|(a|aa)+$x", "regex": True}))
    assert time.monotonic() - began < 5


def test_what_it_finds_fits_a_result(workspace: Workspace, put: Put) -> None:
    put("a.txt", ("\x01" * 390 + "x\n") * 1500)
    result = search_in_code(workspace, Arguments({"query": "x", "max_results": 5000}))
    assert encoded_size(result) <= RESULT_BYTES
    assert "narrow query" in str(result["note"])
