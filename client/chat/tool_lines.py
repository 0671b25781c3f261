"""Says a tool call and its result in one line each."""

from __future__ import annotations

import json
from collections.abc import Mapping

from agent_runtime.v1.message_pb2 import Message
from agent_runtime.v1.tool_pb2 import ToolCall
from client.chat.visible import one_line

_SHOWN_FIRST = ("command", "query", "path", "mode", "question", "source")
_LINE = 100


def call_line(call: ToolCall) -> str:
    """Such as `read_file src/main.py`."""
    arguments = json_object(call.arguments_json)
    name = next((name for name in _SHOWN_FIRST if isinstance(arguments.get(name), str)), None)
    shown = arguments[name] if name else call.arguments_json if arguments else ""
    extra = f" in {arguments['path']}" if name == "query" and isinstance(arguments.get("path"), str) else ""
    return one_line(f"{call.name} {shown}{extra}", _LINE)


def result_line(message: Message) -> str:
    """Such as `exit 1, 12 lines` for the tool message of a result."""
    result = _reported(message)
    if message.is_error:
        return one_line(str(result.get("error", message.content)), _LINE)
    match result:
        case {"exit_code": code, "stdout": str(stdout), "stderr": str(stderr)}:
            return f"exit {code}, {_counted(_lines(stdout) + _lines(stderr), 'line')} of output"
        case {"bytes": size, "created": created}:
            return f"{size} bytes, {'new file' if created else 'changed'}"
        case {"content": str(), "start_line": first, "end_line": last, "total_lines": total}:
            return f"lines {first} to {last} of {total}"
        case {"entries": list(entries)}:
            return _counted(len(entries), "entry", "entries")
        case {"matches": list(found)}:
            return _counted(len(found), "match", "matches")
        case {"created": bool(created)}:
            return "created" if created else "was there already"
    return one_line(message.content, _LINE)


def failed(message: Message) -> bool:
    """Whether the call failed, or was a command that did."""
    return message.is_error or _reported(message).get("exit_code", 0) != 0


def json_object(text: str) -> Mapping[str, object]:
    """The JSON object in the text; empty if there is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _reported(message: Message) -> Mapping[str, object]:
    """What the tool reported; the runtime may have put a note in brackets before it."""
    note, found, rest = message.content.partition("{")
    return json_object(found + rest) if not note or note.startswith("[") else {}


def _lines(text: str) -> int:
    return text.count("\n") + (not text.endswith("\n") and text != "")


def _counted(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"
