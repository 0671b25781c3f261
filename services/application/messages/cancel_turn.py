"""CancelTurn: ends the active turn, whoever runs it, and keeps what was already said."""

from __future__ import annotations

import json
from dataclasses import dataclass

from services.application.idempotency import key_for
from services.application.ports import Principal, ReadModel, SessionStore
from services.application.turns.inputs.accepted_input import withdraw_input
from services.application.turns.outside_steps import cancel_turn
from services.application.turns.running_turns import RunningTurns
from services.application.uninterrupted import uninterrupted
from services.domain.errors import TurnNotActiveError
from services.domain.session_change import Lookup, SessionChange
from services.domain.turn import CancelCause, Turn


@dataclass(frozen=True, slots=True)
class CancelledTurn:
    """The turn as it ended, and the inputs that the first such request took back."""

    turn: Turn
    withdrawn_input_ids: tuple[str, ...]


class CancelTurn:
    """The model's request is closed as soon as the cancel is durable; nothing it says later is written."""

    def __init__(self, store: SessionStore, reads: ReadModel, turns: RunningTurns) -> None:
        self._store = store
        self._reads = reads
        self._turns = turns

    async def execute(
        self,
        principal: Principal,
        *,
        session_id: str,
        turn_id: str,
        withdraw_pending: bool,
        request_id: str,
        correlation_id: str,
    ) -> CancelledTurn:
        """Cancels that turn, or without an id whichever is active. The next message that waits starts its turn at once
        unless all are withdrawn.

        Raises SessionNotFoundError, TurnNotFoundError, TurnNotActiveError, RequestIdReusedError.
        """
        if turn_id:
            await self._reads.turn(principal.owner_id, session_id, turn_id)
        key = key_for(
            principal,
            "CancelTurn",
            request_id,
            session_id=session_id,
            turn_id=turn_id,
            withdraw_pending=withdraw_pending,
        )

        def decide(change: SessionChange) -> None:
            turn = change.turn
            if turn is None:
                raise TurnNotActiveError("no turn is active")
            if turn_id not in ("", turn.id):
                raise TurnNotActiveError("another turn is active", metadata={"turn_id": turn.id})
            withdrawn = change.pending_inputs if withdraw_pending else []
            for pending in withdrawn:
                withdraw_input(change, pending)
            cancel_turn(change, cause=CancelCause.USER, cancelled_by=principal.name)
            change.outcome = json.dumps([turn.id, *(pending.id for pending in withdrawn)])

        async def cancel() -> str:
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
                self._turns.start_claimed(committed)
            return committed.outcome

        cancelled_id, *withdrawn_ids = json.loads(await uninterrupted(cancel()))
        turn = await self._reads.turn(principal.owner_id, session_id, cancelled_id)
        return CancelledTurn(turn, tuple(withdrawn_ids))
