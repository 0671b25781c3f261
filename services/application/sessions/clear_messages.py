"""ClearMessages: empties a session's history and its log, and says so in the log."""

from __future__ import annotations

from dataclasses import replace

from services.application.idempotency import key_for
from services.application.ports import Principal, SessionStore, SessionView
from services.domain.session_change import Lookup, Removal, SessionChange
from services.domain.session_events import MessagesCleared


class ClearMessages:
    """What is removed stays removed: readers of the log get a gap marked CLEARED."""

    def __init__(self, store: SessionStore) -> None:
        self._store = store

    async def execute(
        self, principal: Principal, *, session_id: str, request_id: str, correlation_id: str
    ) -> tuple[SessionView, int]:
        """The session, and how many messages the first such request removed.

        Raises SessionNotFoundError, TurnInProgressError, RequestIdReusedError.
        """

        def decide(change: SessionChange) -> None:
            change.check_idle()
            removed = change.session.message_count
            change.removal = Removal.MESSAGES
            change.session = replace(change.session, message_count=0, history_bytes=0)
            change.append(MessagesCleared(removed))
            change.outcome = str(removed)

        key = key_for(principal, "ClearMessages", request_id, session_id=session_id)
        committed = await self._store.change(
            principal.owner_id,
            session_id,
            decide,
            correlation_id=correlation_id,
            key=key,
            lookup=Lookup(client_tools=True),
        )
        return committed.view, int(committed.outcome)
