"""GetSessionUsage: what one session has cost."""

from __future__ import annotations

from services.application.ports import Principal, ReadModel
from services.domain.session_usage import SessionUsage


class GetSessionUsage:
    """Sums that are kept with what they count; clearing messages does not lower them."""

    def __init__(self, reads: ReadModel) -> None:
        self._reads = reads

    async def execute(self, principal: Principal, *, session_id: str) -> SessionUsage:
        """Raises SessionNotFoundError."""
        return await self._reads.session_usage(principal.owner_id, session_id)
