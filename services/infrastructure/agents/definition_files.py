"""Reads agents from definition files: one TOML file per agent, named after it."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import msgspec

from services.domain.agent import AgentDefinition
from services.domain.errors import AgentNotFoundError

_FIELDS = {field.name for field in fields(AgentDefinition)} - {"name"}

BUILT_IN = Path(__file__).parent / "definitions"


class BrokenDefinitionError(Exception):
    """A definition file that is no agent; the message names the file and what is wrong."""


class FileAgentCatalog:
    """The `AgentCatalog` of a directory, read once."""

    def __init__(self, directory: Path = BUILT_IN, *, initial_agent: str = "universal") -> None:
        """Raises BrokenDefinitionError for a file that does not define an agent, or when the initial agent is
        missing.
        """
        definitions = [_read(path) for path in sorted(directory.glob("*.toml"))]
        self._agents = {definition.name: definition for definition in definitions}
        self.initial_agent = initial_agent
        if initial_agent not in self._agents:
            raise BrokenDefinitionError(f"{directory} defines no agent {initial_agent!r}")

    def get(self, name: str) -> AgentDefinition:
        try:
            return self._agents[name]
        except KeyError:
            raise AgentNotFoundError("no such agent") from None

    def all(self) -> Sequence[AgentDefinition]:
        return tuple(self._agents[name] for name in sorted(self._agents))


def _read(path: Path) -> AgentDefinition:
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8"))
        if unknown := set(written) - _FIELDS:
            raise BrokenDefinitionError(f"{path}: unknown field {sorted(unknown)[0]!r}")
        return msgspec.convert({"name": path.stem} | written, AgentDefinition, strict=True)
    except (OSError, ValueError) as error:
        raise BrokenDefinitionError(f"{path}: {error}") from error
