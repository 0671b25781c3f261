"""ListPendingInputs: the messages that were accepted and wait, in the order they will be taken."""

from __future__ import annotations

from services.application.ports import Page, PageKey, Principal, ReadModel
from services.domain.input import Input


class ListPendingInputs:
    """Reads a part of them; there are few at most."""

    def __init__(self, reads: ReadModel) -> None:
        self._reads = reads

    async def execute(
        self, principal: Principal, *, session_id: str, limit: int, after: PageKey | None
    ) -> Page[tuple[int, Input]]:
        """Each with its place in the queue, from 1. Raises SessionNotFoundError."""
        pending = list(enumerate(await self._reads.pending_inputs(principal.owner_id, session_id), 1))
        start = int(after[0]) if after is not None else 0
        end = start + limit
        return Page(tuple(pending[start:end]), (end,) if end < len(pending) else None)
