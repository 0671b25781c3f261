"""SwitchAgent: makes another agent current, from the next model call on."""

from __future__ import annotations

from services.application.idempotency import key_for
from services.application.ports import AgentCatalog, Principal, ReadModel, SessionStore, SessionView
from services.domain.agent_context import AgentSwitch, SwitchSource
from services.domain.session_change import SessionChange


class SwitchAgent:
    """Works while a turn is active; calls that are open keep the rights of the agent that made them."""

    def __init__(self, store: SessionStore, reads: ReadModel, agents: AgentCatalog) -> None:
        self._store = store
        self._reads = reads
        self._agents = agents

    async def execute(
        self,
        principal: Principal,
        *,
        session_id: str,
        agent: str,
        reason: str,
        request_id: str,
        correlation_id: str,
    ) -> tuple[SessionView, AgentSwitch]:
        """The session as it is now, and the entry the first such request added to its history.

        Raises SessionNotFoundError, SessionInactiveError, AgentNotFoundError, SameAgentError, SwitchLimitError,
        RequestIdReusedError.
        """
        self._agents.get(agent)

        def decide(change: SessionChange) -> None:
            change.session.check_active()
            switch = change.switch_agent(agent, reason=reason, source=SwitchSource.USER, requested_by=principal.name)
            change.outcome = str(switch.ordinal)

        key = key_for(principal, "SwitchAgent", request_id, session_id=session_id, agent=agent, reason=reason)
        committed = await self._store.change(
            principal.owner_id, session_id, decide, correlation_id=correlation_id, key=key
        )
        before = int(committed.outcome) - 1
        page = await self._reads.switches(principal.owner_id, session_id, newest_first=False, limit=1, after=(before,))
        return committed.view, page.items[0]
