"""GetSession: one session as it is now."""

from __future__ import annotations

from services.application.ports import Principal, ReadModel, SessionView


class GetSession:
    """Reads one session of the caller."""

    def __init__(self, reads: ReadModel) -> None:
        self._reads = reads

    async def execute(self, principal: Principal, *, session_id: str) -> SessionView:
        """Raises SessionNotFoundError, also for someone else's."""
        return await self._reads.session(principal.owner_id, session_id)
