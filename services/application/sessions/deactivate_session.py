"""DeactivateSession: no message enters the session until it is activated."""

from __future__ import annotations

from dataclasses import replace

from services.application.idempotency import key_for
from services.application.ports import Principal, SessionStore, SessionView
from services.domain.session import SessionState
from services.domain.session_change import Lookup, SessionChange
from services.domain.session_events import SessionStateChanged


class DeactivateSession:
    """Deactivating an inactive session changes nothing."""

    def __init__(self, store: SessionStore) -> None:
        self._store = store

    async def execute(
        self, principal: Principal, *, session_id: str, reason: str, request_id: str, correlation_id: str
    ) -> SessionView:
        """The session after the change. Raises SessionNotFoundError, TurnInProgressError, RequestIdReusedError."""

        def decide(change: SessionChange) -> None:
            if change.session.state is SessionState.INACTIVE:
                return
            change.check_idle()
            change.session = replace(
                change.session,
                state=SessionState.INACTIVE,
                deactivation_reason=reason,
                version=change.session.version + 1,
                update_time=change.now,
            )
            change.append(SessionStateChanged(SessionState.INACTIVE, reason))

        key = key_for(principal, "DeactivateSession", request_id, session_id=session_id, reason=reason)
        committed = await self._store.change(
            principal.owner_id,
            session_id,
            decide,
            correlation_id=correlation_id,
            key=key,
            lookup=Lookup(client_tools=True),
        )
        return committed.view
