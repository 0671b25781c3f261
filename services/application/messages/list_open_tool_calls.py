"""ListOpenToolCalls: the calls a session waits for, in the order the model made them."""

from __future__ import annotations

from services.application.ports import Page, PageKey, Principal, ReadModel
from services.domain.tool_call import ToolCall


class ListOpenToolCalls:
    """Reads one page of calls without a result."""

    def __init__(self, reads: ReadModel) -> None:
        self._reads = reads

    async def execute(
        self, principal: Principal, *, session_id: str, limit: int, after: PageKey | None
    ) -> Page[ToolCall]:
        """Raises SessionNotFoundError."""
        return await self._reads.open_tool_calls(principal.owner_id, session_id, limit=limit, after=after)
