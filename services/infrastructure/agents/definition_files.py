"""Reads agents from definition files: one TOML file per agent, named after it."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from services.domain.agent import AgentDefinition
from services.domain.errors import AgentNotFoundError

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
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
        return msgspec.convert({"name": path.stem} | fields, AgentDefinition, strict=True)
    except (OSError, ValueError) as error:
        raise BrokenDefinitionError(f"{path}: {error}") from error
