"""ListMessages: the history of a session, page by page, in either direction."""

from __future__ import annotations

from collections.abc import Sequence

from services.application.ports import Page, PageKey, Principal, ReadModel
from services.domain.message import Message, Role


class ListMessages:
    """Reads one page of messages."""

    def __init__(self, reads: ReadModel) -> None:
        self._reads = reads

    async def execute(
        self,
        principal: Principal,
        *,
        session_id: str,
        roles: Sequence[Role],
        turn_id: str | None,
        newest_first: bool,
        limit: int,
        after: PageKey | None,
    ) -> Page[Message]:
        """Without roles and turn, all messages. Raises SessionNotFoundError."""
        return await self._reads.messages(
            principal.owner_id,
            session_id,
            roles=roles,
            turn_id=turn_id,
            newest_first=newest_first,
            limit=limit,
            after=after,
        )
