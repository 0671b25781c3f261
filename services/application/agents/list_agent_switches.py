"""ListAgentSwitches: how a session came to its agent."""

from __future__ import annotations

from services.application.ports import Page, PageKey, Principal, ReadModel
from services.domain.agent_context import AgentSwitch


class ListAgentSwitches:
    """Reads one page of the switch history."""

    def __init__(self, reads: ReadModel) -> None:
        self._reads = reads

    async def execute(
        self, principal: Principal, *, session_id: str, newest_first: bool, limit: int, after: PageKey | None
    ) -> Page[AgentSwitch]:
        """Raises SessionNotFoundError."""
        return await self._reads.switches(
            principal.owner_id, session_id, newest_first=newest_first, limit=limit, after=after
        )
