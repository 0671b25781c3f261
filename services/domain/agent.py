"""An agent: who it is, what it is told and what it may use. Agents are data; see docs/agents.md."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from services.domain.policies.file_rules import FileRules, WriteAccess

AGENTS_PLACEHOLDER = "{agents}"
"""Where the prompt of an agent that routes lists those it may choose."""

NO_WRITES = FileRules(WriteAccess.NONE)


class ClientToolAccess(StrEnum):
    """Which of the tools a session's client declares an agent is offered."""

    ALL = "all"
    READ_ONLY = "read_only"
    NONE = "none"


class AgentOrigin(StrEnum):
    """Where a definition comes from."""

    BUILT_IN = "BUILT_IN"
    DEFINITION_FILE = "DEFINITION_FILE"
    PLUGIN = "PLUGIN"


@dataclass(frozen=True, slots=True)
class AgentDefinition:
    """One agent as its definition file states it.

    `tools` are the names of the built-in tools it may call, in the order the model sees them. `routable` agents may be
    chosen for a user's message; an agent that `routes` never answers itself but chooses one of those. `model` overrides
    the configured model, `temperature` and `max_tokens` go to the model as they are.
    """

    name: str
    description: str
    version: str
    system_prompt: str
    tools: tuple[str, ...] = ()
    client_tools: ClientToolAccess = ClientToolAccess.NONE
    file_rules: FileRules = NO_WRITES
    routable: bool = False
    routes: bool = False
    model: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    origin: AgentOrigin = AgentOrigin.BUILT_IN
