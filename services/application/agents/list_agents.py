"""ListAgents: the agents there are, by name."""

from __future__ import annotations

from services.application.ports import AgentCatalog, Page, PageKey
from services.domain.agent import AgentDefinition


class ListAgents:
    """Reads one page of agent definitions."""

    def __init__(self, agents: AgentCatalog) -> None:
        self._agents = agents

    async def execute(self, *, limit: int, after: PageKey | None) -> Page[AgentDefinition]:
        """`limit` agents at most, those whose names come after `after`."""
        behind = [agent for agent in self._agents.all() if after is None or agent.name > str(after[0])]
        items = tuple(behind[:limit])
        return Page(items, (items[-1].name,) if len(behind) > limit else None)
