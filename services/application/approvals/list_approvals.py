"""ListApprovals: what waits for a person, and what was decided."""

from __future__ import annotations

from collections.abc import Sequence

from services.application.ports import ApprovalView, Page, PageKey, Principal, ReadModel
from services.domain.approval import ApprovalState


class ListApprovals:
    """Reads one page of approvals."""

    def __init__(self, reads: ReadModel) -> None:
        self._reads = reads

    async def execute(
        self,
        principal: Principal,
        *,
        session_id: str | None,
        states: Sequence[ApprovalState],
        limit: int,
        after: PageKey | None,
    ) -> Page[ApprovalView]:
        """Oldest first; without states those that are pending. Raises SessionNotFoundError."""
        return await self._reads.approvals(
            principal.owner_id, session_id, states=states or (ApprovalState.PENDING,), limit=limit, after=after
        )
