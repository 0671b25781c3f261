"""Paths are judged by what they mean: an agent that may write Markdown cannot write anything else by any spelling."""

from __future__ import annotations

import posixpath
import time
import unicodedata
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.domain.policies.file_rules import (
    FileRules,
    WriteAccess,
    can_be_in_path,
    normalised_path,
    path_arguments,
    refusal_of_path,
    refusal_of_write,
)
from tests.support.hostile_paths import MARKDOWN, NOT_MARKDOWN, UNACCEPTABLE

ARCHITECT = FileRules(WriteAccess.MATCHING, ("*.md",))
CODER = FileRules(WriteAccess.ALL)
NOBODY = FileRules(WriteAccess.NONE)


@pytest.mark.parametrize("path", MARKDOWN)
def test_the_architect_writes_markdown(path: str) -> None:
    assert refusal_of_write(path, ARCHITECT) is None


@pytest.mark.parametrize("path", NOT_MARKDOWN)
def test_the_architect_writes_nothing_else(path: str) -> None:
    assert refusal_of_path(path) is None
    assert refusal_of_write(path, ARCHITECT) is not None


@pytest.mark.parametrize("path", UNACCEPTABLE)
def test_no_tool_is_given_such_a_path(path: str) -> None:
    refusal = refusal_of_path(path)
    assert refusal is not None
    assert refusal.isprintable()
    for rules in (ARCHITECT, CODER, NOBODY):
        assert refusal_of_write(path, rules) is not None


def test_the_longest_path_is_4096_bytes() -> None:
    assert refusal_of_path("a" * 4093 + ".md") is None
    assert refusal_of_path("a" * 4094 + ".md") == "the path is longer than 4096 bytes"


@pytest.mark.parametrize("path", ["x.py", ".gitignore", "a.md/../b.py", "src/Ünicode/файл.rs"])
def test_one_who_may_write_everything_may_write(path: str) -> None:
    assert refusal_of_write(path, CODER) is None


@pytest.mark.parametrize("path", [".", "./", "a/.."])
def test_nobody_writes_the_workspace_itself_but_all_may_list_it(path: str) -> None:
    assert refusal_of_path(path) is None
    assert refusal_of_write(path, CODER) is not None


@pytest.mark.parametrize("path", ["x.md", "x.py", "docs/x.md"])
def test_one_who_may_write_nothing_writes_nothing(path: str) -> None:
    assert refusal_of_write(path, NOBODY) == "this agent may not write files"


def test_a_refusal_names_the_patterns_so_that_the_model_can_do_better() -> None:
    rules = FileRules(WriteAccess.MATCHING, ("*.md", "docs/**"))
    assert refusal_of_write("x.py", rules) == "this agent may only write files that match *.md or docs/**"


@pytest.mark.parametrize(
    ("access", "patterns"),
    [
        (WriteAccess.MATCHING, ()),
        (WriteAccess.ALL, ("*.md",)),
        (WriteAccess.NONE, ("*.md",)),
        (WriteAccess.MATCHING, ("",)),
        (WriteAccess.MATCHING, ("/etc/*",)),
        (WriteAccess.MATCHING, ("../*.md",)),
        (WriteAccess.MATCHING, ("docs/../*.md",)),
        (WriteAccess.MATCHING, ("./*.md",)),
        (WriteAccess.MATCHING, ("docs/",)),
        (WriteAccess.MATCHING, ("docs\\*.md",)),
        (WriteAccess.MATCHING, ("*.md\n",)),
    ],
)
def test_rules_that_contradict_themselves_or_match_nothing_are_refused(
    access: WriteAccess, patterns: tuple[str, ...]
) -> None:
    with pytest.raises(ValueError, match="pattern"):
        FileRules(access, patterns)


_PIECES = st.sampled_from(
    ["..", ".", "/", "//", "\\", "a", "b.py", "x.md", ".md", " ", ".", "\0", "\n", ":", "~", "%2e", "\u202e", "md", "C"]
)
_PATHS = st.lists(_PIECES, max_size=12).map("".join) | st.text(max_size=30).map(lambda text: text + ".md") | st.text()


@given(_PATHS)
def test_what_the_architect_may_write_is_inside_the_workspace_and_markdown(path: str) -> None:
    if refusal_of_write(path, ARCHITECT) is None:
        end = posixpath.normpath(posixpath.join("/workspace", path))
        assert end.startswith("/workspace/")
        assert PurePosixPath(end).suffix.lower() == ".md"
        assert {"Cc", "Cf", "Cs"}.isdisjoint(map(unicodedata.category, path))


@given(_PATHS)
def test_no_acceptable_path_leaves_the_workspace(path: str) -> None:
    if refusal_of_path(path) is None:
        assert (posixpath.normpath(posixpath.join("/w/x", path)) + "/").startswith("/w/x/")
        assert normalised_path(normalised_path(path)) == normalised_path(path)
        assert refusal_of_path(normalised_path(path)) is None


@given(_PATHS)
def test_whatever_the_architect_may_write_the_coder_may(path: str) -> None:
    if refusal_of_write(path, ARCHITECT) is None:
        assert refusal_of_write(path, CODER) is None


def test_a_hostile_path_is_refused_at_once() -> None:
    started = time.perf_counter()
    for path in ("../" * 1_000_000, "a" * 5_000_000, "a/" * 2047 + "x", "\u0344" * 2048):
        refusal_of_write(path, ARCHITECT)
    assert time.perf_counter() - started < 0.5


@pytest.mark.parametrize(
    ("tool", "arguments", "expected"),
    [
        ("read_file", {"path": "a"}, [("path", "a", False)]),
        ("write_file", {"path": "a", "content": "../x"}, [("path", "a", True)]),
        ("create_directory", {"path": "a"}, [("path", "a", True)]),
        ("delete_file", {"path": "a"}, [("path", "a", True)]),
        ("move_file", {"source": "a", "destination": "b"}, [("source", "a", True), ("destination", "b", True)]),
        ("list_files", {}, [("path", ".", False)]),
        ("list_files", {"path": "a", "pattern": "../*"}, [("path", "a", False), ("pattern", "../*", False)]),
        ("search_in_code", {"query": "/etc"}, [("path", ".", False)]),
        ("search_in_code", {"file_pattern": "*.py"}, [("path", ".", False), ("file_pattern", "*.py", False)]),
        ("execute_command", {"command": "cat /etc/passwd"}, [("cwd", ".", False)]),
        ("execute_command", {"command": "ls", "cwd": "/"}, [("cwd", "/", False)]),
        ("switch_mode", {"mode": "coder", "path": "a"}, []),
        ("a_tool_of_the_client", {"path": "/etc"}, []),
    ],
)
def test_the_paths_of_a_call(tool: str, arguments: dict[str, object], expected: list[tuple[str, str, bool]]) -> None:
    assert path_arguments(tool, arguments) == expected


@pytest.mark.parametrize("value", [None, 1, ["x.md"], {"path": "x.md"}, True])
def test_a_path_that_is_missing_or_no_text_is_refused_like_an_empty_one(value: object) -> None:
    [(_, path, _)] = path_arguments("write_file", {"path": value})
    assert refusal_of_write(path, CODER) == "the path is empty"


_NAMES = st.lists(st.sampled_from([*"ab~% .é", "\u0301", "2e", ".."]), min_size=1, max_size=6).map("".join)


@given(
    path=st.lists(_NAMES, min_size=1, max_size=5).map("/".join), cut=st.tuples(st.integers(0, 30), st.integers(1, 30))
)
def test_whatever_is_in_some_path_is_said_to_be(path: str, cut: tuple[int, int]) -> None:
    if refusal_of_path(path) is None:
        part = normalised_path(path)[cut[0] :][: cut[1]]
        assert can_be_in_path(part)


@pytest.mark.parametrize("part", ["//", "/./", "./a", "a/../b", "../", "\\", ":", "%2e", "\n", "\u200b", "a /b"])
def test_what_is_in_no_path_is_known(part: str) -> None:
    assert not can_be_in_path(part)
