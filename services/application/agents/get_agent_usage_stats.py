"""GetAgentUsageStats: what each agent did and cost, in one session or in all of the caller's."""

from __future__ import annotations

from datetime import datetime

from services.application.ports import AgentUsage, Principal, ReadModel


class GetAgentUsageStats:
    """Sums turns by agent."""

    def __init__(self, reads: ReadModel) -> None:
        self._reads = reads

    async def execute(
        self, principal: Principal, *, session_id: str | None, since: datetime | None, before: datetime | None
    ) -> list[AgentUsage]:
        """By agent name; turns that began in [since, before). Raises SessionNotFoundError."""
        return await self._reads.agent_usage(principal.owner_id, session_id, since=since, before=before)
