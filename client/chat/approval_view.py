"""Shows a call that waits for a decision as what it would do: a diff for a file, the command line for a command."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from rich.text import Text

from agent_runtime.v1.approval_pb2 import Approval
from client.chat.tool_lines import json_object
from client.chat.visible import exact, has_hidden, visible
from client.tools.failure import ToolFailedError
from client.tools.file_text import text_of
from client.tools.workspace import Workspace

_STYLES = {"+": "green", "-": "red", "@": "cyan"}


@dataclass(frozen=True, slots=True)
class ApprovalView:
    """What to show: one line that says what it is, and the lines of the whole."""

    title: Text
    lines: tuple[Text, ...]
    hides_something: bool


def approval_view(approval: Approval, arguments_json: str, workspace: Workspace) -> ApprovalView:
    """The view of a call with these arguments, which a person may have edited. Reads the workspace, changes nothing."""
    arguments = json_object(arguments_json)
    title = Text.assemble((approval.agent or "the agent", "bold"), " wants to ")
    match approval.tool_name, arguments:
        case "write_file", {"path": str(path), "content": str(content)}:
            lines, verb = _file_change(path, content, str(arguments.get("encoding") or "utf-8"), workspace)
            title.append_text(Text.assemble(f"{verb} ", exact(path, "bold")))
        case "execute_command", {"command": str(command)}:
            title.append("run a command" + _where_and_how_long(arguments))
            lines = [
                Text.assemble("  " if number else "$ ", exact(line, "bold"))
                for number, line in enumerate(_split(command))
            ]
        case "create_directory", {"path": str(path)}:
            title.append_text(Text.assemble("make the directory ", exact(path, "bold")))
            lines = []
        case _:
            title.append_text(Text.assemble("call ", (visible(approval.tool_name), "bold")))
            shown = approval.display if arguments_json == approval.arguments_json else arguments_json
            lines = [exact(line) for line in _split(shown)]
    hides = approval.has_hidden_characters or any(has_hidden(text) for text in _texts(arguments))
    return ApprovalView(title, tuple(lines), hides)


def _file_change(path: str, content: str, encoding: str, workspace: Workspace) -> tuple[list[Text], str]:
    try:
        data = workspace.read(path)
    except FileNotFoundError:
        return _added(content), "create"
    except (OSError, ToolFailedError) as error:
        note = Text(f"(the file cannot be shown: {visible(str(error))})", style="yellow")
        return [note, *_added(content)], "write"
    try:
        old = text_of(data, encoding, path)
    except (LookupError, ToolFailedError) as error:
        note = Text(f"({visible(str(error))}; it is replaced)", style="yellow")
        return [note, *_added(content)], "overwrite"
    return _diff(old, content), "change"


def _diff(old: str, new: str) -> list[Text]:
    if old == new:
        return [Text("(no change)", style="dim")]
    lines = difflib.unified_diff(_split(old), _split(new), lineterm="", n=3)
    # The first two lines would name the files, which the title has done.
    shown = [exact(line, _STYLES.get(line[0], "dim")) for line in list(lines)[2:]]
    if old.endswith("\n") and not new.endswith("\n"):
        shown.append(Text("(no line feed at the end of the file any more)", style="yellow"))
    return shown or [Text("(only the end of the file or invisible spacing changes)", style="dim")]


def _added(content: str) -> list[Text]:
    return [exact(f"+{line}", "green") for line in _split(content)]


def _split(text: str) -> list[str]:
    """The lines, split at line feeds alone, as they count for the file."""
    return text.removesuffix("\n").split("\n")


def _where_and_how_long(arguments: Mapping[str, object]) -> str:
    cwd = f" in {visible(str(arguments['cwd']))}" if arguments.get("cwd") not in (None, "", ".") else ""
    seconds = f" (at most {arguments['timeout']} s)" if arguments.get("timeout") is not None else ""
    return f"{cwd}{seconds}"


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for item in value.items() for part in item for text in _texts(part)]
    return [text for part in value for text in _texts(part)] if isinstance(value, list) else []
