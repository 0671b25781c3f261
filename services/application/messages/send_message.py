"""SendMessage: accepts one input, durably and once, and shows what comes of it as a view of the session's log."""

from __future__ import annotations

import json
from dataclasses import dataclass

from services.application.event_feed import EventFeed
from services.application.event_stream import EventStream, Gap, GapReason, StreamSettings
from services.application.idempotency import key_for
from services.application.ports import Clock, Committed, IdempotencyKey, Principal, ReadModel, SessionStore
from services.application.turns.running_turns import RunningTurns
from services.application.turns.turn_steps import start_turn
from services.application.uninterrupted import uninterrupted
from services.domain.errors import InputNotFoundError, SequenceAheadError
from services.domain.session_change import SessionChange
from services.domain.session_events import TERMINAL, InputAccepted, SessionEvent, TurnPaused


@dataclass(frozen=True, slots=True)
class _Accepted:
    """What is remembered of an accepted input: enough to find its stream again."""

    session_key: int
    input_id: str
    turn_id: str
    sequence: int


class SendMessage:
    """The turn runs on its own; the stream only watches, so closing it stops nothing."""

    def __init__(
        self,
        store: SessionStore,
        reads: ReadModel,
        feed: EventFeed,
        turns: RunningTurns,
        clock: Clock,
        settings: StreamSettings,
    ) -> None:
        self._store = store
        self._reads = reads
        self._feed = feed
        self._turns = turns
        self._clock = clock
        self._settings = settings

    async def execute(
        self,
        principal: Principal,
        *,
        session_id: str,
        request_id: str,
        text: str,
        after_sequence: int | None,
        detach: bool,
        correlation_id: str,
    ) -> EventStream:
        """Accepts the message, or finds the input again, and returns its stream.

        The stream goes from InputAccepted (or after `after_sequence`) to the first event with which the turn pauses
        or ends; `detach` ends it after InputAccepted. `after_sequence` marks a re-attachment, which starts nothing.

        Raises SessionNotFoundError, SessionInactiveError, SessionMessageLimitError, TurnInProgressError,
        RequestIdReusedError; for a re-attachment also InputNotFoundError and SequenceAheadError.
        """
        key = key_for(principal, "SendMessage", request_id, session_id=session_id, user_message={"text": text})
        if after_sequence is not None:
            return await self._reattach(principal, session_id, key, after_sequence, detach)
        accepted, repeated = await uninterrupted(
            self._accept(principal, session_id, request_id, text, key, correlation_id)
        )
        if repeated:
            return await self._stream_again(accepted, accepted.sequence - 1, detach)
        return self._stream(accepted, accepted.sequence - 1, detach, through=None)

    async def _accept(
        self,
        principal: Principal,
        session_id: str,
        request_id: str,
        text: str,
        key: IdempotencyKey | None,
        correlation_id: str,
    ) -> tuple[_Accepted, bool]:
        def decide(change: SessionChange) -> None:
            accepted = start_turn(change, text=text, request_id=request_id, principal=principal.name)
            change.outcome = _remembered(change.session.key, accepted.id, accepted.turn_id, accepted.accepted_sequence)

        committed = await self._store.change(
            principal.owner_id, session_id, decide, correlation_id=correlation_id, key=key
        )
        self._start(committed)
        return _recalled(committed.outcome), committed.repeated

    def _start(self, committed: Committed) -> None:
        if committed.claim is not None and committed.session is not None and committed.session.turn is not None:
            self._turns.start(committed.claim, committed.session.turn)

    async def _reattach(
        self, principal: Principal, session_id: str, key: IdempotencyKey | None, after: int, detach: bool
    ) -> EventStream:
        location = await self._reads.locate(principal.owner_id, session_id)
        outcome = await self._store.recall(key) if key else None
        if outcome is None:
            raise InputNotFoundError("no input with this request_id was accepted; send it without after_sequence")
        if after > location.last_sequence:
            raise SequenceAheadError(
                "after_sequence is beyond the end of the log", metadata={"last_sequence": str(location.last_sequence)}
            )
        accepted = _recalled(outcome)
        return await self._stream_again(accepted, max(after, accepted.sequence - 1), detach)

    async def _stream_again(self, accepted: _Accepted, after: int, detach: bool) -> EventStream:
        """The stream of an input accepted earlier: it may have ended meanwhile, even before `after`."""
        through = await self._reads.turn_end(accepted.session_key, accepted.turn_id, accepted.sequence)
        return self._stream(accepted, after, detach, through=accepted.sequence if detach else through)

    def _stream(self, accepted: _Accepted, after: int, detach: bool, *, through: int | None) -> EventStream:
        def ends(item: SessionEvent | Gap) -> bool:
            if isinstance(item, Gap):
                return item.reason is GapReason.CLEARED  # only ended turns are cleared
            if detach:
                return isinstance(item.payload, InputAccepted) and item.payload.input_id == accepted.input_id
            return item.turn_id == accepted.turn_id and isinstance(item.payload, (*TERMINAL, TurnPaused))

        return EventStream(
            self._feed,
            accepted.session_key,
            after,
            clock=self._clock,
            settings=self._settings,
            ends_with=ends,
            through=through,
        )


def _remembered(session_key: int, input_id: str, turn_id: str, sequence: int) -> str:
    return json.dumps([session_key, input_id, turn_id, sequence])


def _recalled(outcome: str) -> _Accepted:
    session_key, input_id, turn_id, sequence = json.loads(outcome)
    return _Accepted(session_key, input_id, turn_id, sequence)
