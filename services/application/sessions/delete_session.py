"""DeleteSession: ends the active turn, removes all content, and leaves a tombstone so that the id stays taken."""

from __future__ import annotations

from services.application.idempotency import key_for
from services.application.ports import Principal, SessionStore
from services.application.turns.running_turns import RunningTurns
from services.application.turns.settling import resolve
from services.domain.approval import ApprovalState
from services.domain.session_change import Removal, SessionChange
from services.domain.session_events import SessionDeleted, TurnCancelled
from services.domain.turn import CancelCause


class DeleteSession:
    """The last event of the log is SessionDeleted; every stream of the session ends with it."""

    def __init__(self, store: SessionStore, turns: RunningTurns) -> None:
        self._store = store
        self._turns = turns

    async def execute(self, principal: Principal, *, session_id: str, request_id: str, correlation_id: str) -> None:
        """Raises SessionNotFoundError, RequestIdReusedError."""
        session_keys: list[int] = []

        def decide(change: SessionChange) -> None:
            if change.turn is not None:
                # Nothing is settled or kept: all of it is removed in the same transaction. Watchers learn what is over.
                for approval in change.pending_approvals:
                    resolve(change, approval, ApprovalState.CANCELLED)
                ended = TurnCancelled(CancelCause.SESSION_DELETED, principal.name)
                change.append(ended, turn_id=change.turn.id)
            change.append(SessionDeleted())
            change.removal = Removal.SESSION
            session_keys.append(change.session.key)

        key = key_for(principal, "DeleteSession", request_id, session_id=session_id)
        await self._store.change(principal.owner_id, session_id, decide, correlation_id=correlation_id, key=key)
        for session_key in session_keys:
            self._turns.stop_session(session_key)
