"""What the agents of a session are known to have done, from results of calls that succeeded: by what a tool reports,
never by words in its output.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from services.domain.agent_work import AgentWork, CodingWork, CompilationState, ExecutedCommand
from services.domain.input import ToolResult
from services.domain.policies.file_rules import normalised_path
from services.domain.tool_call import ToolCall

MAX_FACTS = 100
"""How many entries each list keeps, the newest."""

_MAX_COMMAND = 1_000
_MAX_EXIT_CODE = 2**31 - 1
_DOCUMENTS = (".md", ".rst", ".adoc", ".txt")
_BUILD = re.compile(
    r"\b(make|cmake|cargo build|go build|mvn|gradle|tsc|npm run build|javac|gcc|g\+\+|clang|dotnet build)\b"
)

T = TypeVar("T")


def work_after(work: AgentWork, call: ToolCall, result: ToolResult, time: datetime) -> AgentWork:
    """The facts once that call has succeeded, with what its result reports."""
    arguments, reported = _members(call.arguments_json), _members(result.content)
    match call.name:
        case "write_file":
            return _after_write(work, call.agent, _path(arguments), created=reported.get("created") is True)
        case "execute_command":
            return replace(work, coder=_after_command(work.coder, arguments, reported, time))
        case "read_file" if call.agent == "debug" and _path(arguments).endswith(".log"):
            return replace(
                work, debug=replace(work.debug, logs_analyzed=_with(work.debug.logs_analyzed, _path(arguments)))
            )
        case _:
            return work


def _after_write(work: AgentWork, agent: str, path: str, *, created: bool) -> AgentWork:
    if agent == "architect" and path.lower().endswith(_DOCUMENTS):
        documents = _with(work.architect.documents_created, path)
        return replace(work, architect=replace(work.architect, documents_created=documents))
    if created:
        return replace(work, coder=replace(work.coder, files_created=_with(work.coder.files_created, path)))
    if path in work.coder.files_created:
        return work
    return replace(work, coder=replace(work.coder, files_modified=_with(work.coder.files_modified, path)))


def _after_command(
    work: CodingWork, arguments: Mapping[str, object], reported: Mapping[str, object], time: datetime
) -> CodingWork:
    command = str(arguments.get("command", ""))[:_MAX_COMMAND]
    exit_code = _exit_code(reported.get("exit_code"))
    executed = (*work.commands_executed, ExecutedCommand(command, exit_code, time))[-MAX_FACTS:]
    work = replace(work, commands_executed=executed)
    if exit_code is None or not _BUILD.search(command):
        return work
    state = CompilationState.SUCCEEDED if exit_code == 0 else CompilationState.FAILED
    return replace(work, last_compilation_state=state)


def _exit_code(value: object) -> int | None:
    return value if type(value) is int and abs(value) <= _MAX_EXIT_CODE else None


def _path(arguments: Mapping[str, object]) -> str:
    return normalised_path(str(arguments.get("path", "")))


def _with(entries: tuple[T, ...], entry: T) -> tuple[T, ...]:
    """The list with the entry as its newest, each entry once."""
    return (*(known for known in entries if known != entry), entry)[-MAX_FACTS:]


def _members(text: str) -> Mapping[str, object]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
