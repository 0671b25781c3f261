"""GetAgent: one agent as its definition states it."""

from __future__ import annotations

from services.application.ports import AgentCatalog
from services.domain.agent import AgentDefinition


class GetAgent:
    """Reads one agent definition."""

    def __init__(self, agents: AgentCatalog) -> None:
        self._agents = agents

    async def execute(self, *, agent: str) -> AgentDefinition:
        """Raises AgentNotFoundError."""
        return self._agents.get(agent)
