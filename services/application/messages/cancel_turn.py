"""CancelTurn: ends the active turn, whoever runs it, and keeps what was already said."""

from __future__ import annotations

from services.application.idempotency import key_for
from services.application.ports import Principal, ReadModel, SessionStore
from services.application.turns.outside_steps import cancel_turn
from services.application.turns.running_turns import RunningTurns
from services.application.uninterrupted import uninterrupted
from services.domain.errors import TurnNotActiveError
from services.domain.session_change import Lookup, SessionChange
from services.domain.turn import CancelCause, Turn


class CancelTurn:
    """The model's request is closed as soon as the cancel is durable; nothing it says later is written."""

    def __init__(self, store: SessionStore, reads: ReadModel, turns: RunningTurns) -> None:
        self._store = store
        self._reads = reads
        self._turns = turns

    async def execute(
        self, principal: Principal, *, session_id: str, turn_id: str, request_id: str, correlation_id: str
    ) -> Turn:
        """The cancelled turn; without a turn id, whichever is active.

        Raises SessionNotFoundError, TurnNotFoundError, TurnNotActiveError, RequestIdReusedError.
        """
        if turn_id:
            await self._reads.turn(principal.owner_id, session_id, turn_id)
        cancelled_id = await uninterrupted(self._cancel(principal, session_id, turn_id, request_id, correlation_id))
        return await self._reads.turn(principal.owner_id, session_id, cancelled_id)

    async def _cancel(
        self, principal: Principal, session_id: str, turn_id: str, request_id: str, correlation_id: str
    ) -> str:
        def decide(change: SessionChange) -> None:
            if change.turn is None:
                raise TurnNotActiveError("no turn is active")
            if turn_id not in ("", change.turn.id):
                raise TurnNotActiveError("another turn is active", metadata={"turn_id": change.turn.id})
            change.outcome = change.turn.id
            cancel_turn(change, cause=CancelCause.USER, cancelled_by=principal.name)

        key = key_for(principal, "CancelTurn", request_id, session_id=session_id, turn_id=turn_id)
        committed = await self._store.change(
            principal.owner_id,
            session_id,
            decide,
            correlation_id=correlation_id,
            key=key,
            lookup=Lookup(draft_text=True),
        )
        if committed.session is not None and not committed.repeated:
            self._turns.stop_session(committed.session.session.key)
        return committed.outcome
