"""read_file: the text of a file, or of some of its lines."""

from __future__ import annotations

from client.tools.arguments import Arguments
from client.tools.bounded_text import RESULT_BYTES, JsonObject, as_json, carried
from client.tools.failure import ToolFailedError
from client.tools.file_text import text_of
from client.tools.workspace import Workspace

_CONTENT_BYTES = RESULT_BYTES - 10_000


def read_file(workspace: Workspace, arguments: Arguments) -> JsonObject:
    """Lines `start_line` to `end_line` (from 1, both included; default all), and how many there are.

    What does not fit a result is cut at the end of a line, with a note that says where to go on.
    """
    path = arguments.text("path")
    first = arguments.whole("start_line", 1, least=1) or 1
    last = arguments.whole("end_line", None, least=1)
    encoding = arguments.encoding()
    lines = _lines(text_of(workspace.read(path), encoding, path))
    if first > max(len(lines), 1):
        raise ToolFailedError(f"{path} has only {len(lines)} lines")
    if last is not None and last < first:
        raise ToolFailedError(f"end_line {last} is before start_line {first}")
    wanted = lines[first - 1 : last]
    shown, note = _fitting(wanted, first)
    result = {
        "path": path,
        "content": carried("".join(shown)),
        "start_line": first,
        "end_line": first + len(shown) - 1,
        "total_lines": len(lines),
    }
    return result | ({"note": note} if note else {})


def _lines(text: str) -> list[str]:
    """Split at line feeds alone: other breaks are part of a line, as editors count."""
    lines = [f"{line}\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def _fitting(lines: list[str], first: int) -> tuple[list[str], str]:
    size = 0
    for index, line in enumerate(lines):
        size += len(as_json(line).encode())
        if size > _CONTENT_BYTES:
            if index == 0:
                # At most 6 bytes of JSON for a character.
                return [line[: _CONTENT_BYTES // 6]], f"line {first} is cut: it has {len(line)} characters"
            return lines[:index], f"cut after line {first + index - 1}; go on with start_line={first + index}"
    return lines, ""
