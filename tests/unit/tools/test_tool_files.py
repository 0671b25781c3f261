"""The tools that ship take what they say they take, and a broken file says what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from services.domain.policies.file_rules import path_arguments
from services.domain.tool import ASK_FOLLOWUP_QUESTION, ATTEMPT_COMPLETION, SWITCH_MODE, ToolExecutor
from services.infrastructure.tools import BrokenToolError, FileToolCatalog, JsonSchemaValidator

_CATALOG = FileToolCatalog()
_SCHEMAS = JsonSchemaValidator()
_SIGNATURES = {
    "read_file": ["path", "encoding", "start_line", "end_line"],
    "write_file": ["path", "content", "encoding", "create_dirs", "backup"],
    "list_files": ["path", "recursive", "include_hidden", "pattern"],
    "create_directory": ["path", "recursive"],
    "execute_command": ["command", "cwd", "timeout", "shell"],
    "search_in_code": ["query", "path", "file_pattern", "case_sensitive", "regex", "max_results"],
    "switch_mode": ["mode", "reason"],
    "attempt_completion": ["result"],
    "ask_followup_question": ["question", "suggestions"],
}
_QUESTION = {"question": "Which?", "suggestions": ["This", "That"]}


def _violation(tool: str, arguments: dict[str, Any]) -> str | None:
    found = _CATALOG.get(tool)
    assert found is not None
    return _SCHEMAS.violation(found.parameters, arguments)


def test_there_are_nine_with_the_arguments_they_are_known_by() -> None:
    assert [tool.name for tool in _CATALOG.all()] == sorted(_SIGNATURES)
    for name, arguments in _SIGNATURES.items():
        found = _CATALOG.get(name)
        assert found is not None
        properties = found.parameters["properties"]
        assert isinstance(properties, dict)
        assert list(properties) == arguments
        assert found.parameters["type"] == "object"
        assert found.parameters["additionalProperties"] is False
        assert all(described["description"] for described in properties.values())
        assert _SCHEMAS.flaw_of(found.parameters) is None


def test_the_runtime_runs_three_and_three_of_the_others_only_read() -> None:
    runtime = {tool.name for tool in _CATALOG.all() if tool.executor is ToolExecutor.RUNTIME}
    assert runtime == {SWITCH_MODE, ATTEMPT_COMPLETION, ASK_FOLLOWUP_QUESTION}
    assert {tool.name for tool in _CATALOG.all() if tool.read_only} == {"read_file", "list_files", "search_in_code"}


def test_the_file_rules_know_every_path_argument() -> None:
    for tool in _CATALOG.all():
        properties = tool.parameters["properties"]
        assert isinstance(properties, dict)
        path_like = {name for name in properties if name in ("path", "cwd", "pattern", "file_pattern")}
        assert {name for name, _, _ in path_arguments(tool.name, dict.fromkeys(path_like, "a"))} == path_like


def test_there_is_no_tool_of_another_name() -> None:
    assert _CATALOG.get("delete_file") is None
    assert _CATALOG.get("Read_File") is None


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("read_file", {"path": "a.py"}),
        ("read_file", {"path": "a.py", "encoding": "utf-8", "start_line": 1, "end_line": 10}),
        ("write_file", {"path": "a.py", "content": ""}),
        ("write_file", {"path": "a.py", "content": "é" * 400_000, "create_dirs": False, "backup": True}),
        ("list_files", {}),
        ("list_files", {"path": ".", "recursive": True, "include_hidden": True, "pattern": "*.py"}),
        ("create_directory", {"path": "a/b", "recursive": True}),
        ("execute_command", {"command": "npm test", "cwd": "web", "timeout": 300, "shell": False}),
        ("search_in_code", {"query": "TODO", "max_results": 1000, "regex": True, "case_sensitive": True}),
        ("switch_mode", {"mode": "coder", "reason": "build it"}),
        ("attempt_completion", {"result": "Done."}),
        ("ask_followup_question", _QUESTION),
        ("ask_followup_question", {"question": "?" * 4000, "suggestions": ["a", "b", "c", "d" * 200]}),
    ],
)
def test_good_calls_pass(tool: str, arguments: dict[str, Any]) -> None:
    assert _violation(tool, arguments) is None


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("read_file", {}, "path is missing"),
        ("read_file", {"path": ""}, "path must not be empty"),
        ("read_file", {"path": 7}, "path must be of type string, not number"),
        (
            "read_file",
            {"path": "a", "file": "a"},
            "file is unknown; known are: encoding, end_line, path (required), start_line",
        ),
        ("read_file", {"path": "a", "start_line": 0}, "start_line must be at least 1"),
        (
            "read_file",
            {"path": "a", "end_line": None},
            "end_line must be of type integer, not null; leave an optional argument out instead",
        ),
        ("write_file", {"path": "a"}, "content is missing"),
        ("write_file", {"path": "a", "content": ["x"]}, "content must be of type string, not array"),
        ("execute_command", {"command": "ls", "timeout": 301}, "timeout must be at most 300"),
        ("execute_command", {"command": "ls", "timeout": 0}, "timeout must be at least 1"),
        ("execute_command", {"command": "ls", "shell": "yes"}, "shell must be of type boolean, not string"),
        ("execute_command", {"command": " \n"}, r"command must match the pattern \S"),
        ("search_in_code", {"query": "x", "max_results": 1001}, "max_results must be at most 1000"),
        ("search_in_code", {"pattern": "x"}, "pattern is unknown; known are: case_sensitive, file_pattern,"),
        ("switch_mode", {"mode": "coder"}, "reason is missing"),
        ("attempt_completion", {"result": " "}, r"result must match the pattern \S"),
        (
            "ask_followup_question",
            _QUESTION | {"suggestions": ["a"]},
            "suggestions has 1 items; at least 2 are needed",
        ),
        (
            "ask_followup_question",
            _QUESTION | {"suggestions": list("abcde")},
            "suggestions has 5 items; at most 4 are allowed",
        ),
        (
            "ask_followup_question",
            _QUESTION | {"suggestions": ["a", "b" * 201]},
            "suggestions[1] has 201 characters; at most 200 are allowed",
        ),
        ("ask_followup_question", _QUESTION | {"suggestions": ["a", "a"]}, "suggestions must not hold the same item"),
        (
            "ask_followup_question",
            _QUESTION | {"question": "?" * 4001},
            "question has 4001 characters; at most 4000 are allowed",
        ),
    ],
)
def test_bad_calls_are_told_the_argument_and_what_would_be_right(
    tool: str, arguments: dict[str, Any], words: str
) -> None:
    violation = _violation(tool, arguments)
    assert violation is not None
    assert violation.startswith(words)


_GOOD: dict[str, Any] = {
    "name": "fly",
    "description": "Flies.",
    "executor": "CLIENT",
    "read_only": False,
    "parameters": {"type": "object"},
}


@pytest.mark.parametrize(
    ("written", "what"),
    [
        ("{", "fly.json"),
        ({**_GOOD, "name": "walk"}, "called 'walk'"),
        ({**_GOOD, "description": " "}, "description is blank"),
        ({**_GOOD, "executor": "SERVER"}, "executor"),
        ({**_GOOD, "readonly": True}, "readonly"),
        ({name: value for name, value in _GOOD.items() if name != "parameters"}, "parameters"),
        ({**_GOOD, "parameters": {"type": "string"}}, "must describe an object"),
        ({**_GOOD, "parameters": {"properties": {"to": {"pattern": "(?=x)"}}}}, "no pattern for linear-time"),
    ],
)
def test_a_broken_file_is_named_with_what_is_wrong(tmp_path: Path, written: object, what: str) -> None:
    (tmp_path / "fly.json").write_text(written if isinstance(written, str) else json.dumps(written))
    with pytest.raises(BrokenToolError) as caught:
        FileToolCatalog(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'fly.json'}: ")
    assert what in str(caught.value)


def test_a_directory_without_tools_is_said(tmp_path: Path) -> None:
    with pytest.raises(BrokenToolError, match="defines no tools"):
        FileToolCatalog(tmp_path)
