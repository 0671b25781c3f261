"""An agent: who it is, what it is told and what it may use. Agents are data; see docs/agents.md."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AgentDefinition:
    """One agent as its definition file states it.

    `tools` are the names of the tools it may call; `model` overrides the configured model, `temperature` and
    `max_tokens` go to the model as they are.
    """

    name: str
    description: str
    version: str
    system_prompt: str
    tools: tuple[str, ...] = ()
    model: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
