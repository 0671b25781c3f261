"""The agents there are, wherever they are defined."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from services.domain.agent import AgentDefinition


class AgentCatalog(Protocol):
    """The agents there are."""

    @property
    def initial_agent(self) -> str:
        """The agent a new session starts at."""

    def get(self, name: str) -> AgentDefinition:
        """The agent of that name. Raises AgentNotFoundError."""

    def all(self) -> Sequence[AgentDefinition]:
        """All agents, by name."""

    def routable(self) -> Sequence[AgentDefinition]:
        """The agents a user's message may be routed to, by name."""
