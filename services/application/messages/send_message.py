"""SendMessage: accepts one input, durably and once, and shows what comes of it as a view of the session's log."""

from __future__ import annotations

from services.application.event_feed import EventFeed, KnownHead
from services.application.event_stream import EventStream, StreamSettings
from services.application.idempotency import fields_of, key_for
from services.application.messages.input_end import InputEnd
from services.application.ports import Clock, IdempotencyKey, Principal, ReadModel, SessionStore
from services.application.turns.input_acceptance import InputAcceptance, recalled
from services.application.turns.inputs.accepted_input import AcceptedInput
from services.domain.errors import InputNotFoundError, SequenceAheadError
from services.domain.input import Disposition, InputContent, InputState


class SendMessage:
    """The turn runs on its own; the stream only watches, so closing it stops nothing."""

    def __init__(
        self,
        acceptance: InputAcceptance,
        store: SessionStore,
        reads: ReadModel,
        feed: EventFeed,
        clock: Clock,
        settings: StreamSettings,
    ) -> None:
        self._acceptance = acceptance
        self._store = store
        self._reads = reads
        self._feed = feed
        self._clock = clock
        self._settings = settings

    async def execute(
        self,
        principal: Principal,
        *,
        session_id: str,
        request_id: str,
        content: InputContent,
        expected_turn_id: str,
        after_sequence: int | None,
        detach: bool,
        correlation_id: str,
        traceparent: str | None = None,
    ) -> EventStream:
        """Accepts the input, or finds it again, and returns its stream.

        The stream goes from InputAccepted (or after `after_sequence`) to the first event with which the input's turn
        pauses or ends; `detach` ends it after InputAccepted. `after_sequence` marks a re-attachment: nothing starts.

        Raises what `InputAcceptance.accept` raises; for a re-attachment SessionNotFoundError, InputNotFoundError,
        RequestIdReusedError and SequenceAheadError.
        """
        key = key_for(
            principal,
            "SendMessage",
            request_id,
            session_id=session_id,
            expected_turn_id=expected_turn_id,
            **fields_of(content),
        )
        if after_sequence is not None:
            return await self._reattach(principal, session_id, key, after_sequence, detach)
        session_key, accepted, repeated = await self._acceptance.accept(
            principal,
            session_id=session_id,
            content=content,
            expected_turn_id=expected_turn_id,
            request_id=request_id,
            key=key,
            correlation_id=correlation_id,
            traceparent=traceparent,
        )
        if repeated:
            return await self._stream_again(session_key, accepted, accepted.sequence - 1, detach)
        waits = accepted.disposition in (Disposition.QUEUED, Disposition.STEERED)
        end = InputEnd(accepted, turn_id=accepted.turn_id, taken=not waits, detach=detach)
        return self._stream(session_key, end, accepted.sequence - 1, through=None)

    async def _reattach(
        self, principal: Principal, session_id: str, key: IdempotencyKey | None, after: int, detach: bool
    ) -> EventStream:
        moment = self._feed.moment()
        location = await self._reads.locate(principal.owner_id, session_id)
        outcome = await self._store.recall(key) if key else None
        if outcome is None:
            raise InputNotFoundError("no input with this request_id was accepted; send it without after_sequence")
        if after > location.last_sequence:
            raise SequenceAheadError(
                "after_sequence is beyond the end of the log", metadata={"last_sequence": str(location.last_sequence)}
            )
        session_key, accepted = recalled(outcome)
        head = KnownHead(location.last_sequence, moment)
        return await self._stream_again(session_key, accepted, max(after, accepted.sequence - 1), detach, head)

    async def _stream_again(
        self, session_key: int, accepted: AcceptedInput, after: int, detach: bool, head: KnownHead | None = None
    ) -> EventStream:
        """The stream of an input accepted earlier: it may have ended meanwhile, even before `after`."""
        progress = await self._reads.input_progress(session_key, accepted.input_id)
        end = InputEnd(
            accepted,
            turn_id=progress.turn_id,
            taken=progress.state is not InputState.PENDING,
            detach=detach,
        )
        return self._stream(
            session_key, end, after, through=accepted.sequence if detach else progress.ends_at, head=head
        )

    def _stream(
        self, session_key: int, end: InputEnd, after: int, *, through: int | None, head: KnownHead | None = None
    ) -> EventStream:
        return EventStream(
            self._feed,
            session_key,
            after,
            clock=self._clock,
            settings=self._settings,
            ends_with=end,
            through=through,
            head=head,
        )
