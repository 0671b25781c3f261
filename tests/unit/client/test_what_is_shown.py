"""What a person is shown is what a call would do, and nothing in it can hide or steer the terminal."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent_runtime.v1.approval_pb2 import Approval
from agent_runtime.v1.message_pb2 import Message
from agent_runtime.v1.tool_pb2 import ToolCall
from client.chat.approval_view import ApprovalView, approval_view
from client.chat.tool_lines import call_line, failed, result_line
from client.chat.visible import exact, has_hidden, one_line, visible
from client.tools.workspace import Workspace

Put = Callable[[str, str | bytes], Path]


def viewed(workspace: Workspace, tool: str, /, *, display: str = "", **arguments: Any) -> ApprovalView:
    text = json.dumps(arguments)
    return approval_view(Approval(agent="coder", tool_name=tool, arguments_json=text, display=display), text, workspace)


def plain(view: ApprovalView) -> list[str]:
    return [line.plain for line in view.lines]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\n\ttext", "plain\n\ttext"),
        ("Привет, 世界 👩‍💻 é", "Привет, 世界 👩‍💻 é"),
        ("\x1b[2J\x07\r", "\\x1b[2J\\x07\\x0d"),
        ("a\u202eb\u200bc\u2028d\x9b", "a\\u202eb\\u200bc\\u2028d\\x9b"),
        ("\U000e0041\ud800\u3164", "\\U000e0041\\ud800\\u3164"),
    ],
)
def test_hidden_characters_are_made_visible(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert exact(text).plain.replace("\\u200d", "\u200d") == shown
    assert has_hidden(text) == (text != shown or "\u200d" in text)


def test_a_marked_escape_differs_from_text_that_looks_like_one() -> None:
    text = exact("\u202e \\u202e", "green")
    assert text.plain == "\\u202e \\u202e"
    assert [(span.start, span.end) for span in text.spans if "reverse" in str(span.style)] == [(0, 6)]


def test_windows_line_ends_are_no_reason_to_worry() -> None:
    assert not has_hidden("a\r\nb\r\n")


def test_one_line_is_one_line() -> None:
    assert one_line("a\n b\t\x1bc" + "d" * 20, 10) == "a b \\x1bc…"


def test_a_change_is_shown_as_a_diff_against_the_real_file(workspace: Workspace, put: Put) -> None:
    put("a.py", "one\ntwo\nthree\n")
    view = viewed(workspace, "write_file", path="a.py", content="one\n2\nthree\n")
    assert view.title.plain == "coder wants to change a.py"
    assert plain(view) == ["@@ -1,3 +1,3 @@", " one", "-two", "+2", " three"]
    assert [str(line.style) for line in view.lines] == ["cyan", "dim", "red", "green", "dim"]
    assert not view.hides_something


def test_a_new_file_is_shown_whole(workspace: Workspace) -> None:
    view = viewed(workspace, "write_file", path="new/a.py", content="one\ntwo\n")
    assert view.title.plain == "coder wants to create new/a.py"
    assert plain(view) == ["+one", "+two"]


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        ("one\n", ["(no change)"]),
        ("one", ["(no line feed at the end of the file any more)"]),
        ("one\r\n", ["@@ -1 +1 @@", "-one", "+one\\x0d"]),
    ],
)
def test_small_changes_are_seen_too(workspace: Workspace, put: Put, content: str, lines: list[str]) -> None:
    put("a.txt", "one\n")
    assert plain(viewed(workspace, "write_file", path="a.txt", content=content)) == lines


def test_a_file_that_is_no_text_is_said_to_be_replaced(workspace: Workspace, put: Put) -> None:
    put("a.bin", b"\0\1")
    view = viewed(workspace, "write_file", path="a.bin", content="x")
    assert view.title.plain == "coder wants to overwrite a.bin"
    assert plain(view) == ["(a.bin is a binary file of 2 bytes; it is replaced)", "+x"]


def test_a_path_that_leads_out_is_not_read(workspace: Workspace) -> None:
    view = viewed(workspace, "write_file", path="../beside/secret.txt", content="x")
    assert "secret" not in "".join(plain(view)).replace("../beside/secret.txt", "")


def test_a_command_is_shown_with_its_place_and_time(workspace: Workspace) -> None:
    view = viewed(workspace, "execute_command", command="make &&\n rm -rf x", cwd="sub", timeout=9)
    assert view.title.plain == "coder wants to run a command in sub (at most 9 s)"
    assert plain(view) == ["$ make &&", "   rm -rf x"]


def test_other_calls_are_shown_as_the_runtime_displays_them(workspace: Workspace) -> None:
    view = viewed(workspace, "deploy", display="deploy\n  target: production", target="production")
    assert view.title.plain == "coder wants to call deploy"
    assert plain(view) == ["deploy", "  target: production"]


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("execute_command", {"command": "echo \u202eharmless"}),
        ("write_file", {"path": "a.py", "content": "x = 1 \u2066"}),
        ("write_file", {"path": "a\u200b.py", "content": ""}),
        ("deploy", {"nested": [{"deep": "\x1b[8m"}]}),
    ],
)
def test_hidden_characters_are_warned_of(workspace: Workspace, tool: str, arguments: dict[str, Any]) -> None:
    view = viewed(workspace, tool, **arguments)
    assert view.hides_something
    assert not has_hidden("\n".join([view.title.plain, *plain(view)]))


@pytest.mark.parametrize(
    ("name", "arguments", "line"),
    [
        ("read_file", {"path": "a.py", "start_line": 3}, "read_file a.py"),
        ("search_in_code", {"query": "x\ny", "path": "src"}, "search_in_code x y in src"),
        ("list_files", {}, "list_files"),
        ("deploy", {"to": 1}, 'deploy {"to": 1}'),
    ],
)
def test_a_call_is_one_line(name: str, arguments: dict[str, object], line: str) -> None:
    assert call_line(ToolCall(name=name, arguments_json=json.dumps(arguments))) == line


@pytest.mark.parametrize(
    ("result", "line", "fails"),
    [
        ({"exit_code": 1, "stdout": "a\nb", "stderr": ""}, "exit 1, 2 lines of output", True),
        ({"exit_code": 0, "stdout": "", "stderr": ""}, "exit 0, 0 lines of output", False),
        ({"path": "a", "bytes": 3, "created": True}, "3 bytes, new file", False),
        ({"path": "a", "created": False}, "was there already", False),
        ({"content": "x", "start_line": 1, "end_line": 2, "total_lines": 9}, "lines 1 to 2 of 9", False),
        ({"entries": ["a"]}, "1 entry", False),
        ({"matches": []}, "0 matches", False),
        ([1], "[1]", False),
    ],
)
def test_a_result_is_one_line(result: object, line: str, fails: bool) -> None:
    message = Message(content=json.dumps(result))
    assert (result_line(message), failed(message)) == (line, fails)


def test_a_note_of_the_runtime_before_a_result_is_passed_over() -> None:
    message = Message(content='[A person edited this call.]\n{"exit_code": 2, "stdout": "", "stderr": ""}')
    assert (result_line(message), failed(message)) == ("exit 2, 0 lines of output", True)


def test_an_error_is_its_text() -> None:
    message = Message(content=json.dumps({"error": "no such file"}), is_error=True)
    assert (result_line(message), failed(message)) == ("no such file", True)
