"""ListTurns: the turns of a session, newest first."""

from __future__ import annotations

from collections.abc import Sequence

from services.application.ports import Page, PageKey, Principal, ReadModel
from services.domain.turn import Turn, TurnState


class ListTurns:
    """Reads one page of turns."""

    def __init__(self, reads: ReadModel) -> None:
        self._reads = reads

    async def execute(
        self, principal: Principal, *, session_id: str, states: Sequence[TurnState], limit: int, after: PageKey | None
    ) -> Page[Turn]:
        """Without states, all turns. Raises SessionNotFoundError."""
        return await self._reads.turns(principal.owner_id, session_id, states=states, limit=limit, after=after)
