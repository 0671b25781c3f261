"""Reads the built-in tools from their files: one JSON file per tool, named after it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from services.domain.tool import Tool, ToolExecutor
from services.infrastructure.tools.schema_flaws import checked_schema, schema_text

BUILT_IN = Path(__file__).parent / "definitions"


class BrokenToolError(Exception):
    """A file that is no tool; the message names the file and what is wrong."""


class FileToolCatalog:
    """The `ToolCatalog` of a directory, read once. Immutable, so callable from any thread."""

    def __init__(self, directory: Path = BUILT_IN) -> None:
        """Raises BrokenToolError for a file that does not define a tool, and for a directory without any."""
        self._tools = {path.stem: _read(path) for path in sorted(directory.glob("*.json"))}
        if not self._tools:
            raise BrokenToolError(f"{directory} defines no tools")

    def get(self, name: str) -> Tool | None:
        return self._tools.get(name)

    def all(self) -> Sequence[Tool]:
        return tuple(self._tools.values())


class _Written(msgspec.Struct, forbid_unknown_fields=True):
    """What stands in a file; the tool's name is there too, so that the file can be read on its own."""

    name: str
    description: str
    executor: ToolExecutor
    read_only: bool
    parameters: dict[str, object]


def _read(path: Path) -> Tool:
    try:
        written = msgspec.json.decode(path.read_bytes(), type=_Written)
        checked_schema(schema_text(written.parameters))
    except (OSError, ValueError) as error:
        raise BrokenToolError(f"{path}: {error}") from error
    if written.name != path.stem:
        raise BrokenToolError(f"{path}: the tool is called {written.name!r}, not as its file")
    if not written.description.strip():
        raise BrokenToolError(f"{path}: the description is blank")
    return Tool(written.name, written.description, written.parameters, written.executor, written.read_only)
