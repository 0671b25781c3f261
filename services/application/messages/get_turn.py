"""GetTurn: one turn as it is now."""

from __future__ import annotations

from services.application.ports import Principal, ReadModel
from services.domain.turn import Turn


class GetTurn:
    """Reads one turn and the calls it waits for."""

    def __init__(self, reads: ReadModel) -> None:
        self._reads = reads

    async def execute(self, principal: Principal, *, session_id: str, turn_id: str) -> Turn:
        """Raises SessionNotFoundError, TurnNotFoundError."""
        return await self._reads.turn(principal.owner_id, session_id, turn_id)
