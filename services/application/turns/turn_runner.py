"""Carries out what the turn functions decide: asks the model, streams what it says, commits each step."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from services.application.ports import (
    AgentCatalog,
    Claim,
    Clock,
    Committed,
    FencedError,
    LogWriter,
    ModelClient,
    ReadModel,
    SessionStore,
)
from services.application.turns.turn_steps import (
    TurnCaps,
    take_answer,
    take_model_failure,
)
from services.domain.errors import AgentNotFoundError, DatabaseUnavailableError, StorageFullError
from services.domain.model_exchange import (
    ModelAnswer,
    ModelError,
    ModelEvent,
    ModelRequest,
    ReasoningFragment,
    TextFragment,
)
from services.domain.policies.history import valid_history
from services.domain.policies.pieces import pieces_of
from services.domain.session_change import SessionChange
from services.domain.session_events import MAX_DELTA_BYTES, NewEvent, ReasoningDelta, TextDelta
from services.domain.turn import Turn, TurnState

logger = logging.getLogger(__name__)

T = TypeVar("T")

_RETRY_DELAY = 0.5  # seconds, with as much again at random


class TurnRunner:
    """Runs turns; one call of `run` per claim, any number at once. Holds no connection while the model talks."""

    def __init__(
        self,
        store: SessionStore,
        writer: LogWriter,
        reads: ReadModel,
        model: ModelClient,
        agents: AgentCatalog,
        clock: Clock,
        *,
        caps: TurnCaps,
    ) -> None:
        self._store = store
        self._writer = writer
        self._reads = reads
        self._model = model
        self._agents = agents
        self._clock = clock
        self._caps = caps

    async def run(self, claim: Claim, turn: Turn) -> None:
        """Drives the turn until it ends, waits, or is taken away; returns then.

        Cancelling stops it at once: the model's request is closed, what was not yet durable is dropped, nothing is
        written. While the database is away or full it waits and tries again: the lease decides how long, not this
        loop.
        """
        self._writer.open(claim)
        try:
            current: Turn | None = turn
            while current is not None and current.state is TurnState.RUNNING:
                current = await self._next_step(claim, current)
        except FencedError:
            logger.info("the turn was taken over or ended from outside", extra={"turn_id": turn.id})
        finally:
            self._writer.close(claim)

    async def _next_step(self, claim: Claim, turn: Turn) -> Turn | None:
        said: list[str] = []
        try:
            answer = await self._ask_model(claim, turn, said.append)
        except ModelError as error:
            failure, partial_text = error, "".join(said)
            return await self._commit(claim, turn, lambda change: take_model_failure(change, failure, partial_text))
        call_ids = [call.id for call in answer.tool_calls if call.id]
        return await self._commit(claim, turn, lambda change: take_answer(change, answer, self._caps), call_ids)

    async def _commit(
        self, claim: Claim, turn: Turn, decide: Callable[[SessionChange], None], call_ids: list[str] | None = None
    ) -> Turn | None:
        def step() -> Awaitable[Committed]:
            return self._store.step(claim, decide, correlation_id=turn.correlation_id, call_ids=call_ids or [])

        committed = await _persistently(turn, step)
        return committed.session.turn if committed.session else None

    async def _ask_model(self, claim: Claim, turn: Turn, said: Callable[[str], None]) -> ModelAnswer:
        request = await self._request(claim, turn)
        async with self._model.stream(request) as events:
            answer: ModelAnswer | None = None
            async for event in events:
                if isinstance(event, ModelAnswer):
                    answer = event  # the last item; reading on to the end lets the connection be used again
                else:
                    await self._deliver(claim, turn, event, said)
        if answer is None:
            raise ModelError("the model's stream ended without an answer", retryable=True)
        return answer

    async def _deliver(self, claim: Claim, turn: Turn, event: ModelEvent, said: Callable[[str], None]) -> None:
        if turn.attempt is None:
            raise AssertionError("a running turn always has an attempt")
        message_id = turn.attempt.message_id
        if not isinstance(event, TextFragment | ReasoningFragment):
            return
        if isinstance(event, TextFragment):
            said(event.text)
        for piece in pieces_of(event.text, MAX_DELTA_BYTES):
            delta = (
                TextDelta(message_id, piece) if isinstance(event, TextFragment) else ReasoningDelta(message_id, piece)
            )
            await self._writer.write(claim, NewEvent(delta, self._clock.now(), turn.correlation_id, turn.id))

    async def _request(self, claim: Claim, turn: Turn) -> ModelRequest:
        try:
            agent = self._agents.get(turn.agent)
        except AgentNotFoundError as error:
            message = f"the agent {turn.agent!r} is no longer defined; switch the session to another"
            raise ModelError(message, retryable=False, reason=error.reason) from error
        history = await _persistently(turn, lambda: self._reads.history(claim.session_key))
        return ModelRequest(
            messages=valid_history(history),
            system_prompt=agent.system_prompt,
            correlation_id=turn.correlation_id,
            call_id_prefix=f"call_{turn.id}_{turn.attempt.number if turn.attempt else 0}",
            model=agent.model,
            temperature=agent.temperature,
            max_tokens=agent.max_tokens,
        )


async def _persistently(turn: Turn, work: Callable[[], Awaitable[T]]) -> T:
    """Does the same work again until the database takes it; what was computed for it is not lost."""
    while True:
        try:
            return await work()
        except (DatabaseUnavailableError, StorageFullError) as error:
            logger.warning("a turn waits for the database: %s", error.reason, extra={"turn_id": turn.id})
        await asyncio.sleep(_RETRY_DELAY * (1 + random.random()))
