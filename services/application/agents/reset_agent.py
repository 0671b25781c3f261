"""ResetAgent: back to the agent sessions begin with, and the count of switches to 0."""

from __future__ import annotations

from services.application.idempotency import key_for
from services.application.ports import AgentCatalog, Principal, SessionStore, SessionView
from services.domain.session_change import SessionChange


class ResetAgent:
    """The way out of the limit on switches."""

    def __init__(self, store: SessionStore, agents: AgentCatalog) -> None:
        self._store = store
        self._agents = agents

    async def execute(
        self, principal: Principal, *, session_id: str, request_id: str, correlation_id: str
    ) -> SessionView:
        """The session as it is now. Raises SessionNotFoundError, SessionInactiveError, RequestIdReusedError."""

        def decide(change: SessionChange) -> None:
            change.session.check_active()
            change.reset_agent(self._agents.initial_agent, requested_by=principal.name)

        key = key_for(principal, "ResetAgent", request_id, session_id=session_id)
        committed = await self._store.change(
            principal.owner_id, session_id, decide, correlation_id=correlation_id, key=key
        )
        return committed.view
