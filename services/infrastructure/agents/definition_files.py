"""Reads agents from definition files: one TOML file per agent, named after it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import msgspec

from services.domain.agent import AGENTS_PLACEHOLDER, AgentDefinition, AgentOrigin, ClientToolAccess
from services.domain.errors import AgentNotFoundError
from services.domain.policies.file_rules import FileRules, WriteAccess

BUILT_IN = Path(__file__).parent / "definitions"

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_WRITING_TOOLS = frozenset({"write_file", "create_directory", "delete_file", "move_file"})
_MAX_DESCRIPTION = 500


class BrokenDefinitionError(Exception):
    """A definition file that is no agent, or agents that do not go together; says which file and what is wrong."""


class FileAgentCatalog:
    """The `AgentCatalog` of the built-in directory and one of the operator's, read once. Immutable."""

    def __init__(
        self,
        *,
        known_tools: Collection[str],
        extra: Path | None = None,
        initial_agent: str = "orchestrator",
        built_in: Path = BUILT_IN,
    ) -> None:
        """A definition in `extra` replaces a built-in one of its name. Raises BrokenDefinitionError."""
        self._agents = {agent.name: agent for agent in _agents_in(built_in, AgentOrigin.BUILT_IN, known_tools)}
        if extra is not None:
            self._agents |= {agent.name: agent for agent in _agents_in(extra, AgentOrigin.DEFINITION_FILE, known_tools)}
        self.initial_agent = initial_agent
        if initial_agent not in self._agents:
            raise BrokenDefinitionError(f"{extra or built_in} defines no agent {initial_agent!r} to begin with")
        routers = [agent.name for agent in self.all() if agent.routes]
        if len(routers) > 1:
            raise BrokenDefinitionError(f"only one agent can route, and these do: {', '.join(routers)}")
        if routers and not self.routable():
            raise BrokenDefinitionError(f"{routers[0]!r} has no agent to route to: none is routable")

    def get(self, name: str) -> AgentDefinition:
        try:
            return self._agents[name]
        except KeyError:
            raise AgentNotFoundError("no such agent") from None

    def all(self) -> Sequence[AgentDefinition]:
        return tuple(self._agents[name] for name in sorted(self._agents))

    def routable(self) -> Sequence[AgentDefinition]:
        return tuple(agent for agent in self.all() if agent.routable)


class _FileRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table `[file_rules]` of a file."""

    write_access: WriteAccess
    write_patterns: tuple[str, ...] = ()


class _Written(msgspec.Struct, forbid_unknown_fields=True):
    """What may stand in a file, with what it means to leave it out."""

    description: str
    version: str
    system_prompt: str
    tools: tuple[str, ...] = ()
    client_tools: ClientToolAccess = ClientToolAccess.NONE
    file_rules: _FileRules = _FileRules(WriteAccess.NONE)
    routable: bool = False
    routes: bool = False
    model: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    max_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None


def _agents_in(directory: Path, origin: AgentOrigin, tools: Collection[str]) -> Iterator[AgentDefinition]:
    if not directory.is_dir():
        raise BrokenDefinitionError(f"{directory} is not a directory")
    for path in sorted(directory.glob("*.toml")):
        try:
            written = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _Written)
            rules = FileRules(written.file_rules.write_access, written.file_rules.write_patterns)
        except (OSError, ValueError) as error:
            raise BrokenDefinitionError(f"{path}: {error}") from error
        problem = next(_problems_of(path.stem, written, tools), None)
        if problem is not None:
            raise BrokenDefinitionError(f"{path}: {problem}")
        yield AgentDefinition(
            name=path.stem,
            description=written.description.strip(),
            version=written.version,
            system_prompt=written.system_prompt,
            tools=written.tools,
            client_tools=written.client_tools,
            file_rules=rules,
            routable=written.routable,
            routes=written.routes,
            model=written.model,
            temperature=written.temperature,
            max_tokens=written.max_tokens,
            origin=origin,
        )


def _problems_of(name: str, written: _Written, tools: Collection[str]) -> Iterator[str]:
    """What the types do not see."""
    if not _NAME.fullmatch(name):
        yield f"an agent cannot be called {name!r}; the name must match ^{_NAME.pattern}$"
    if len(written.description.strip().splitlines()) != 1 or len(written.description) > _MAX_DESCRIPTION:
        yield f"description must be one line of at most {_MAX_DESCRIPTION} characters"
    for field in ("version", "system_prompt"):
        if not getattr(written, field).strip():
            yield f"{field} is blank"
    for tool in written.tools:
        if tool not in tools:
            yield f"tools: there is no tool {tool!r}"
    if len(set(written.tools)) < len(written.tools):
        yield "tools: a name is given twice"
    if written.routes:
        if written.routable:
            yield "an agent that routes cannot be routable"
        if written.tools or written.client_tools is not ClientToolAccess.NONE:
            yield "an agent that routes does no work: it can have neither tools nor client_tools"
        if AGENTS_PLACEHOLDER not in written.system_prompt:
            yield f"system_prompt of an agent that routes must say {AGENTS_PLACEHOLDER} where the agents are listed"
    writing = sorted(_WRITING_TOOLS.intersection(written.tools))
    if writing and written.file_rules.write_access is WriteAccess.NONE:
        yield f"{' and '.join(writing)} can never succeed: [file_rules] allows no writes"
