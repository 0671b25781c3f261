"""search_in_code: lines that match, in linear time whatever the pattern."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import re2

from client.tools.arguments import Arguments
from client.tools.bounded_text import RESULT_BYTES, JsonObject, decoded, encoded_size
from client.tools.failure import ToolFailedError
from client.tools.file_text import is_binary
from client.tools.walking import Walk, matches
from client.tools.workspace import Workspace, read_regular

DEFAULT_RESULTS, MAX_RESULTS = 100, 1000
_LINE_CHARACTERS = 400
_PATTERN_MEMORY = 8 << 20


def search_in_code(workspace: Workspace, arguments: Arguments) -> JsonObject:
    """Path, line number and text of every line that holds `query`, at most `max_results` (100, up to 1,000).

    Hidden files and directories, binary files and files above 10 MB are left out.
    """
    path = arguments.text("path", ".")
    pattern = arguments.text("file_pattern", "")
    limit = arguments.whole("max_results", DEFAULT_RESULTS, least=1, most=MAX_RESULTS) or DEFAULT_RESULTS
    expression = _expression(arguments)
    names = workspace.locate(path)
    walk = Walk(workspace, names)
    files = _files(walk, pattern) if workspace.is_directory(names) else iter([(path, workspace.read(path))])
    found: list[JsonObject] = []
    size, note = 0, ""
    for place, number, line in _matches(files, expression):
        match = {"path": place, "line": number, "text": decoded(line).strip()[:_LINE_CHARACTERS]}
        size += encoded_size(match) + 1
        if len(found) == limit or size > RESULT_BYTES - 1000:
            note = f"only the first {len(found)} matches; narrow query, path or file_pattern"
            break
        found.append(match)
    notes = "; ".join(part for part in (note, walk.note) if part)
    return {"matches": found} | ({"note": notes} if notes else {})


def _expression(arguments: Arguments) -> Any:
    query = arguments.text("query")
    if not query:
        raise ToolFailedError("query must not be empty")
    options = re2.Options()
    options.literal = not arguments.flag("regex", False)
    options.case_sensitive = arguments.flag("case_sensitive", False)
    options.max_mem = _PATTERN_MEMORY
    options.log_errors = False
    try:
        return re2.compile(query, options=options)
    except re2.error as error:
        raise ToolFailedError(
            f"query is no regular expression of RE2, which has no look-around and no back-references: {error}"
        ) from None


def _files(walk: Walk, pattern: str) -> Iterator[tuple[str, bytes]]:
    for path, name, handle, is_directory in walk:
        if is_directory or (pattern and not matches(path, pattern)):
            continue
        try:
            yield path, read_regular(name, handle, path)
        except (OSError, ToolFailedError):
            continue  # a link, a pipe, too large, gone meanwhile, not ours to read


def _matches(files: Iterator[tuple[str, bytes]], expression: Any) -> Iterator[tuple[str, int, bytes]]:
    for path, data in files:
        if is_binary(data):
            continue
        for number, line in enumerate(data.split(b"\n"), start=1):
            if expression.search(line):
                yield path, number, line
