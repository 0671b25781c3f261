"""ActivateSession: an inactive session takes messages again."""

from __future__ import annotations

from dataclasses import replace

from services.application.idempotency import key_for
from services.application.ports import Principal, SessionStore, SessionView
from services.domain.session import SessionState
from services.domain.session_change import Lookup, SessionChange
from services.domain.session_events import SessionStateChanged


class ActivateSession:
    """Activating an active session changes nothing."""

    def __init__(self, store: SessionStore) -> None:
        self._store = store

    async def execute(
        self, principal: Principal, *, session_id: str, request_id: str, correlation_id: str
    ) -> SessionView:
        """The session after the change. Raises SessionNotFoundError, RequestIdReusedError."""

        def decide(change: SessionChange) -> None:
            if change.session.state is SessionState.ACTIVE:
                return
            change.session = replace(
                change.session,
                state=SessionState.ACTIVE,
                deactivation_reason="",
                version=change.session.version + 1,
                update_time=change.now,
            )
            change.append(SessionStateChanged(SessionState.ACTIVE, ""))

        key = key_for(principal, "ActivateSession", request_id, session_id=session_id)
        committed = await self._store.change(
            principal.owner_id,
            session_id,
            decide,
            correlation_id=correlation_id,
            key=key,
            lookup=Lookup(client_tools=True),
        )
        return committed.view
