"""ListSessions: the caller's sessions, most recently active first."""

from __future__ import annotations

from services.application.ports import Page, PageKey, Principal, ReadModel, SessionFilter, SessionView


class ListSessions:
    """Reads one page of sessions with their current agents, in a constant number of statements."""

    def __init__(self, reads: ReadModel) -> None:
        self._reads = reads

    async def execute(
        self, principal: Principal, *, where: SessionFilter, limit: int, after: PageKey | None
    ) -> Page[SessionView]:
        """`limit` sessions at most, those behind `after`, the `next_after` of the page before."""
        return await self._reads.sessions(principal.owner_id, where=where, limit=limit, after=after)
