"""GetApproval: one approval as it is now."""

from __future__ import annotations

from services.application.ports import Principal, ReadModel
from services.domain.approval import Approval


class GetApproval:
    """Reads one approval, whatever its state."""

    def __init__(self, reads: ReadModel) -> None:
        self._reads = reads

    async def execute(self, principal: Principal, *, session_id: str, approval_id: str) -> Approval:
        """Raises SessionNotFoundError, ApprovalNotFoundError."""
        return await self._reads.approval(principal.owner_id, session_id, approval_id)
