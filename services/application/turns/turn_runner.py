"""Carries out what the turn functions decide: asks the model, streams what it says, commits each step."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
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
from services.application.ports.store import NOTHING_MORE
from services.application.turns.answer_steps import call_id_prefix, take_answer, take_model_failure
from services.application.turns.call_policy import CallPolicy
from services.application.turns.routing_steps import choose_route, routing_request, take_route
from services.application.turns.turn_limits import TurnLimits
from services.application.turns.turn_state import attempt_of
from services.domain.agent import AgentDefinition, ClientToolAccess
from services.domain.errors import AgentNotFoundError, DatabaseUnavailableError, StorageFullError
from services.domain.message import Message, Role
from services.domain.model_exchange import (
    ModelAnswer,
    ModelError,
    ModelEvent,
    ModelRequest,
    ReasoningFragment,
    TextFragment,
    ToolSpec,
)
from services.domain.policies.classification import parse_classification
from services.domain.policies.history import valid_history
from services.domain.policies.pieces import pieces_of
from services.domain.session_change import Lookup, SessionChange
from services.domain.session_events import MAX_DELTA_BYTES, NewEvent, ReasoningDelta, TextDelta
from services.domain.tool import ClientTool, Tool
from services.domain.turn import Turn, TurnState

logger = logging.getLogger(__name__)

T = TypeVar("T")

_RETRY_DELAY = 0.5  # seconds, with as much again at random


class TurnFaultError(Exception):
    """Something of ours went wrong in this turn; the cause says what."""

    def __init__(self, turn: Turn) -> None:
        super().__init__(turn.id)
        self.turn = turn


class TurnRunner:
    """Runs turns; one call of `run` per claim, any number at once. Holds no connection while the model talks."""

    def __init__(
        self,
        store: SessionStore,
        writer: LogWriter,
        reads: ReadModel,
        model: ModelClient,
        agents: AgentCatalog,
        policy: CallPolicy,
        clock: Clock,
        limits: TurnLimits,
    ) -> None:
        self._store = store
        self._writer = writer
        self._reads = reads
        self._model = model
        self._agents = agents
        self._policy = policy
        self._clock = clock
        self._limits = limits

    async def run(self, claim: Claim, turn: Turn) -> None:
        """Drives the turn, and those that follow it at once, until it ends, waits, or is taken away; returns then.

        Cancelling stops it at once: the model's request is closed, what was not yet durable is dropped, nothing is
        written. While the database is away or full it waits and tries again: the lease decides how long, not this
        loop. Raises FencedError when the claim is void, TurnFaultError for a fault of ours.
        """
        self._writer.open(claim)
        current = turn
        try:
            following: Turn | None = turn
            while following is not None and following.state is TurnState.RUNNING:
                current = following
                following = await self._next_step(claim, current)
        except FencedError:
            raise
        except Exception as error:
            raise TurnFaultError(current) from error
        finally:
            self._writer.close(claim)

    async def _next_step(self, claim: Claim, turn: Turn) -> Turn | None:
        history = await _persistently(turn, lambda: self._reads.history(claim.session_key))
        try:
            agent = self._agents.get(turn.agent)
        except AgentNotFoundError as error:
            message = f"the agent {turn.agent!r} is no longer defined; switch the session to another"
            failure = ModelError(message, retryable=False, reason=error.reason)
            return await self._commit(claim, turn, lambda change: take_model_failure(change, failure, ""))
        if agent.routes:
            return await self._route(claim, turn, agent, history)
        return await self._answer(claim, turn, agent, history)

    async def _answer(self, claim: Claim, turn: Turn, agent: AgentDefinition, history: list[Message]) -> Turn | None:
        """One model call of an agent that works: its text is streamed, its calls judged, its answer committed."""
        client_tools: tuple[ClientTool, ...] = ()
        if agent.client_tools is not ClientToolAccess.NONE:
            client_tools = await _persistently(turn, lambda: self._reads.client_tools(claim.session_key))
        request = _request(turn, agent, valid_history(history), self._policy.offered(agent, client_tools))
        said: list[str] = []
        try:
            answer = await self._ask_model(claim, turn, request, said.append)
        except ModelError as error:
            failure, partial_text = error, "".join(said)
            return await self._commit(claim, turn, lambda change: take_model_failure(change, failure, partial_text))
        calls = answer.tool_calls
        checked = [self._policy.check(call, agent, client_tools) for call in calls]
        return await self._commit(
            claim,
            turn,
            lambda change: take_answer(
                change, answer, self._policy.rule(calls, checked, client_tools, change.loaded.rules), self._limits
            ),
            Lookup(call_ids=tuple(call.id for call in calls if call.id), rules=bool(calls)),
        )

    async def _route(self, claim: Claim, turn: Turn, router: AgentDefinition, history: list[Message]) -> Turn | None:
        """Asks the model whom the user's message is for; what it cannot say, the words of the message decide."""
        text = next((message.content for message in reversed(history) if message.role is Role.USER), "")
        agents = self._agents.routable()
        answer: ModelAnswer | None = None
        try:
            async with self._model.stream(routing_request(turn, router, agents, text)) as events:
                async for event in events:
                    answer = event if isinstance(event, ModelAnswer) else answer
        except ModelError as error:
            logger.warning("the router's model call failed: %s", error.reason, extra={"turn_id": turn.id})
        names = [agent.name for agent in agents]
        route = choose_route(text, parse_classification(answer.text, names) if answer is not None else None, names)
        return await self._commit(claim, turn, lambda change: take_route(change, route, answer, self._limits))

    async def _commit(
        self, claim: Claim, turn: Turn, decide: Callable[[SessionChange], None], lookup: Lookup = NOTHING_MORE
    ) -> Turn | None:
        def step() -> Awaitable[Committed]:
            return self._store.step(claim, decide, correlation_id=turn.correlation_id, lookup=lookup)

        return (await _persistently(turn, step)).present().turn

    async def _ask_model(
        self, claim: Claim, turn: Turn, request: ModelRequest, said: Callable[[str], None]
    ) -> ModelAnswer:
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
        message_id = attempt_of(turn).message_id
        if not isinstance(event, TextFragment | ReasoningFragment):
            return
        if isinstance(event, TextFragment):
            said(event.text)
        for piece in pieces_of(event.text, MAX_DELTA_BYTES):
            delta = (
                TextDelta(message_id, piece) if isinstance(event, TextFragment) else ReasoningDelta(message_id, piece)
            )
            await self._writer.write(claim, NewEvent(delta, self._clock.now(), turn.correlation_id, turn.id))


def _request(turn: Turn, agent: AgentDefinition, messages: tuple[Message, ...], tools: Sequence[Tool]) -> ModelRequest:
    return ModelRequest(
        messages=messages,
        system_prompt=agent.system_prompt,
        correlation_id=turn.correlation_id,
        call_id_prefix=call_id_prefix(turn),
        tools=tuple(ToolSpec(tool.name, tool.description, tool.parameters) for tool in tools),
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
