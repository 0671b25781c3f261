"""ListApprovalRules: every explicit rule that the caller may see, wherever it comes from."""

from __future__ import annotations

from collections.abc import Sequence

from services.application.ports import Page, PageKey, Principal, ReadModel
from services.domain.policies.approval_rules import ApprovalRule, RuleScope


class ListApprovalRules:
    """Reads one page of rules: those of the configuration in their order, then the others."""

    def __init__(self, reads: ReadModel, configured: Sequence[ApprovalRule]) -> None:
        self._reads = reads
        self._configured = tuple(configured)

    async def execute(
        self,
        principal: Principal,
        *,
        session_id: str | None,
        scopes: Sequence[RuleScope],
        limit: int,
        after: PageKey | None,
    ) -> Page[ApprovalRule]:
        """Raises SessionNotFoundError."""
        # A page that ended among the configured rules goes on at a place, a later one behind a time and an id.
        place = after is None or len(after) == 1
        configured = [rule for rule in self._configured if not scopes or rule.scope in scopes] if place else []
        start = int(after[0]) if after is not None and place else 0
        taken = configured[start : start + limit]
        stored = await self._reads.approval_rules(
            principal.owner_id,
            session_id,
            scopes=scopes,
            limit=max(limit - len(taken), 1),
            after=None if place else after,
        )
        if len(taken) == limit:
            end = start + limit
            return Page(tuple(taken), (end,) if end < len(configured) or stored.items else None)
        return Page((*taken, *stored.items), stored.next_after)
