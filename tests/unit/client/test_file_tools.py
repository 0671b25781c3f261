"""read_file, write_file, list_files and create_directory do what their results say."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from client.tools.arguments import Arguments
from client.tools.bounded_text import RESULT_BYTES, encoded_size
from client.tools.create_directory import create_directory
from client.tools.failure import ToolFailedError
from client.tools.list_files import MAX_ENTRIES, list_files
from client.tools.read_file import read_file
from client.tools.walking import matches
from client.tools.workspace import READ_LIMIT_BYTES, Workspace
from client.tools.write_file import WRITE_LIMIT_BYTES, write_file

Put = Callable[[str, str | bytes], Path]


def test_a_file_is_read_whole(workspace: Workspace, put: Put) -> None:
    put("a.txt", "one\ntwo\u2028still two\r\nthree")
    assert read_file(workspace, Arguments({"path": "a.txt"})) == {
        "path": "a.txt",
        "content": "one\ntwo\u2028still two\r\nthree",
        "start_line": 1,
        "end_line": 3,
        "total_lines": 3,
    }


@pytest.mark.parametrize(
    ("first", "last", "content"),
    [(2, 3, "2\n3\n"), (4, None, "4\n"), (None, 1, "1\n"), (3, 99, "3\n4\n"), (4.0, 4, "4\n")],
)
def test_a_range_of_lines_is_read(
    workspace: Workspace, put: Put, first: int | None, last: int | None, content: str
) -> None:
    put("a.txt", "1\n2\n3\n4\n")
    result = read_file(workspace, Arguments({"path": "a.txt", "start_line": first, "end_line": last}))
    assert result["content"] == content
    assert result["total_lines"] == 4


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"start_line": 3}, "has only 2 lines"),
        ({"start_line": 2, "end_line": 1}, "before start_line"),
        ({"start_line": 0}, "at least 1"),
        ({"start_line": True}, "whole number"),
        ({"start_line": "2"}, "whole number"),
        ({"encoding": "klingon"}, "unknown encoding"),
        ({"encoding": "base64"}, "unknown encoding"),
        ({"encoding": "ascii"}, "is not ascii text"),
        ({"path": "none.txt"}, "No such file"),
        ({"path": "."}, "is a directory"),
        ({"path": 7}, "path must be a text"),
        ({"path": "image.png"}, "binary file of 5 bytes"),
    ],
)
def test_what_cannot_be_read_says_why(workspace: Workspace, put: Put, values: dict[str, object], why: str) -> None:
    put("a.txt", "one\ntwö\n")
    put("image.png", b"\x89PNG\0")
    with pytest.raises((ToolFailedError, OSError), match=why):
        read_file(workspace, Arguments({"path": "a.txt"} | values))


def test_an_empty_file_has_no_lines(workspace: Workspace, put: Put) -> None:
    put("a.txt", "")
    assert read_file(workspace, Arguments({"path": "a.txt"}))["total_lines"] == 0


@pytest.mark.parametrize("line", ["x" * 99, "\x01" * 99, "я" * 99])
def test_what_does_not_fit_a_result_is_read_in_parts(workspace: Workspace, put: Put, line: str) -> None:
    text = f"{line}\n" * 30_000
    put("a.txt", text)
    start, parts = 1, []
    while True:
        result = read_file(workspace, Arguments({"path": "a.txt", "start_line": start}))
        assert encoded_size(result) <= RESULT_BYTES
        parts.append(str(result["content"]))
        start = int(str(result["end_line"])) + 1
        if "note" not in result:
            break
        assert f"go on with start_line={start}" in str(result["note"])
    assert "".join(parts) == text
    assert len(parts) > 1


def test_one_endless_line_is_cut(workspace: Workspace, put: Put) -> None:
    put("a.txt", "\x01" * 3_000_000)
    result = read_file(workspace, Arguments({"path": "a.txt"}))
    assert encoded_size(result) <= RESULT_BYTES
    assert result["note"] == "line 1 is cut: it has 3000000 characters"


def test_a_file_above_the_limit_is_not_read(workspace: Workspace, put: Put) -> None:
    put("fits.txt", b"x\n" * (READ_LIMIT_BYTES // 2))
    put("large.txt", b"x" * (READ_LIMIT_BYTES + 1))
    assert workspace.read("fits.txt")
    with pytest.raises(ToolFailedError, match="files above 10 MB are not read"):
        workspace.read("large.txt")


def test_a_file_is_written_and_written_over(workspace: Workspace) -> None:
    arguments = {"path": "src/deep/a.sh", "content": "ä\n"}
    assert write_file(workspace, Arguments(arguments)) == {"path": "src/deep/a.sh", "bytes": 3, "created": True}
    file = workspace.root / "src/deep/a.sh"
    file.chmod(0o755)
    again = write_file(workspace, Arguments(arguments | {"content": "x", "encoding": "utf-16"}))
    assert again == {"path": "src/deep/a.sh", "bytes": 4, "created": False}
    assert file.read_text("utf-16") == "x"
    assert stat.S_IMODE(file.stat().st_mode) == 0o755
    assert [path.name for path in file.parent.iterdir()] == ["a.sh"], "no draft is left"


def test_the_old_file_is_kept_if_wished(workspace: Workspace, put: Put) -> None:
    put("a.txt", "old")
    put("a.txt.bak", "older")
    result = write_file(workspace, Arguments({"path": "a.txt", "content": "new", "backup": True}))
    assert result["backup"] == "a.txt.bak"
    assert (workspace.root / "a.txt").read_text() == "new"
    assert (workspace.root / "a.txt.bak").read_text() == "old"


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"path": "none/a.txt", "create_dirs": False}, "No such file"),
        ({"path": "file/a.txt"}, "Not a directory"),
        ({"path": "directory"}, "not a regular file"),
        ({"path": "."}, "is a directory"),
        ({"content": "\u20ac", "encoding": "latin-1"}, "does not have"),
        ({"content": "x" * (WRITE_LIMIT_BYTES + 1)}, "files above 5 MB"),
        ({"content": None}, "content must be a text"),
        ({"backup": "yes"}, "backup must be true or false"),
    ],
)
def test_what_cannot_be_written_says_why_and_changes_nothing(
    workspace: Workspace, put: Put, values: dict[str, object], why: str
) -> None:
    put("file", "old")
    put("directory/x", "")
    with pytest.raises((ToolFailedError, OSError), match=why):
        write_file(workspace, Arguments({"path": "file", "content": "new"} | values))
    assert (workspace.root / "file").read_text() == "old"


def test_files_are_listed_in_order(workspace: Workspace, put: Put) -> None:
    for path in ("b.py", "a/z.py", "a/.hidden", "a/deep/y.txt", ".git/config", "node_modules/x.js"):
        put(path, "")

    def listed(**values: object) -> object:
        return list_files(workspace, Arguments(values))["entries"]

    assert listed() == ["a/", "b.py", "node_modules/"]
    assert listed(recursive=True) == ["a/", "b.py", "node_modules/", "a/deep/", "a/z.py", "a/deep/y.txt"]
    assert listed(path="a", include_hidden=True) == ["a/.hidden", "a/deep/", "a/z.py"]
    assert listed(pattern="**/*.py") == ["b.py", "a/z.py"]
    assert listed(pattern="a/**/*.txt") == ["a/deep/y.txt"]
    assert listed(path="node_modules") == ["node_modules/x.js"]
    assert list_files(workspace, Arguments({"recursive": True}))["note"] == "not looked into: node_modules"
    with pytest.raises(ToolFailedError, match=r"b\.py is not a directory"):
        listed(path="b.py")


@pytest.mark.parametrize(
    ("path", "pattern", "fits"),
    [
        ("a/b.py", "*.py", True),
        ("a/b.py", "a/*.py", True),
        ("a/c/b.py", "a/*.py", False),
        ("a/c/b.py", "a/**/*.py", True),
        ("a/b.py", "a/**/*.py", True),
        ("b.py", "**/*.py", True),
        ("a/b.py", "**/a", False),
        ("a/b/c", "a/**", True),
        ("a/b/c", "a/**/**/c", True),
        ("a/B.py", "a/b.py", False),
        ("a", "a/b", False),
    ],
)
def test_patterns_are_for_names_or_whole_paths(path: str, pattern: str, fits: bool) -> None:
    assert matches(path, pattern) == fits


def test_a_long_list_is_cut_with_a_note(workspace: Workspace) -> None:
    for number in range(MAX_ENTRIES + 1):
        (workspace.root / f"{number:05}").touch()
    result = list_files(workspace, Arguments({}))
    assert isinstance(entries := result["entries"], list)
    assert len(entries) == MAX_ENTRIES
    assert "name a smaller path or a pattern" in str(result["note"])


def test_a_name_that_is_no_text_can_be_shown(workspace: Workspace) -> None:
    (workspace.root / b"\xff.txt".decode("utf-8", "surrogateescape")).touch()
    assert list_files(workspace, Arguments({}))["entries"] == ["?.txt"]


def test_a_directory_is_made(workspace: Workspace, put: Put) -> None:
    assert create_directory(workspace, Arguments({"path": "a/b/c"})) == {"path": "a/b/c", "created": True}
    assert create_directory(workspace, Arguments({"path": "a/b/c"})) == {"path": "a/b/c", "created": False}
    with pytest.raises(ToolFailedError, match="recursive makes it too"):
        create_directory(workspace, Arguments({"path": "x/y", "recursive": False}))
    put("file", "")
    with pytest.raises(OSError, match="Not a directory"):
        create_directory(workspace, Arguments({"path": "file"}))
