"""GetAgentContext: which agent a session talks to."""

from __future__ import annotations

from services.application.ports import Principal, ReadModel, SessionView


class GetAgentContext:
    """Reads the agent side of a session."""

    def __init__(self, reads: ReadModel) -> None:
        self._reads = reads

    async def execute(self, principal: Principal, *, session_id: str) -> SessionView:
        """Raises SessionNotFoundError."""
        return await self._reads.session(principal.owner_id, session_id)
