"""Carries out what the turn functions decide: asks the model, streams what it says, commits each step."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from services.application.correlation import bind_correlation
from services.application.ports import (
    AgentCatalog,
    Claim,
    Clock,
    Committed,
    FencedError,
    LogWriter,
    ModelClient,
    ModelView,
    ReadModel,
    SessionStore,
)
from services.application.ports.store import NOTHING_MORE
from services.application.turns.answer_steps import call_id_prefix, take_answer, take_model_failure
from services.application.turns.call_policy import CallPolicy
from services.application.turns.compaction_steps import (
    CONTEXT_FULL,
    ask_shorter,
    begin_summary,
    fail_before_call,
    take_summary,
)
from services.application.turns.context_planner import ContextPlanner, Overfull
from services.application.turns.routing_steps import choose_route, routing_request, take_route
from services.application.turns.session_limits import exceeded_session_limit
from services.application.turns.turn_limits import TurnLimits
from services.application.turns.turn_state import attempt_of
from services.domain.agent import AgentDefinition, ClientToolAccess
from services.domain.errors import AgentNotFoundError, DatabaseUnavailableError, ErrorReason, StorageFullError
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
from services.domain.policies.pieces import pieces_of
from services.domain.session_change import Lookup, SessionChange
from services.domain.session_events import MAX_DELTA_BYTES, NewEvent, ReasoningDelta, TextDelta
from services.domain.tool import ClientTool
from services.domain.turn import Turn, TurnFailure, TurnState

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
        context: ContextPlanner,
        clock: Clock,
        limits: TurnLimits,
    ) -> None:
        self._store = store
        self._writer = writer
        self._reads = reads
        self._model = model
        self._agents = agents
        self._policy = policy
        self._context = context
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
                bind_correlation(current.correlation_id, current.traceparent)
                following = await self._next_step(claim, current)
        except FencedError:
            raise
        except Exception as error:
            raise TurnFaultError(current) from error
        finally:
            self._writer.close(claim)

    async def _next_step(self, claim: Claim, turn: Turn) -> Turn | None:
        view = await _persistently(turn, lambda: self._reads.model_view(claim.session_key))
        exceeded = exceeded_session_limit(view.usage, turn, self._limits)
        if exceeded is not None:
            spent = TurnFailure(ErrorReason.BUDGET_EXHAUSTED, exceeded)
            return await self._commit(claim, turn, lambda change: fail_before_call(change, spent))
        try:
            agent = self._agents.get(turn.agent)
        except AgentNotFoundError as error:
            message = f"the agent {turn.agent!r} is no longer defined; switch the session to another"
            failure = ModelError(message, retryable=False, reason=error.reason)
            return await self._commit(claim, turn, lambda change: take_model_failure(change, failure, ""))
        if agent.routes:
            return await self._route(claim, turn, agent, view)
        return await self._answer(claim, turn, agent, view)

    async def _answer(self, claim: Claim, turn: Turn, agent: AgentDefinition, view: ModelView) -> Turn | None:
        """One model call of an agent that works: its text is streamed, its calls judged, its answer committed.

        A history that the model cannot read is made shorter before, or once more when the model says so.
        """
        client_tools: tuple[ClientTool, ...] = ()
        if agent.client_tools is not ClientToolAccess.NONE:
            client_tools = await _persistently(turn, lambda: self._reads.client_tools(claim.session_key))
        offered = self._policy.offered(agent, client_tools)
        tools = tuple(ToolSpec(tool.name, tool.description, tool.parameters) for tool in offered)
        plan = self._context.plan(view, agent, tools, attempt_of(turn))
        if plan is None:
            return await self._commit(claim, turn, lambda change: fail_before_call(change, CONTEXT_FULL))
        if isinstance(plan, Overfull):
            return await self._summarise(claim, turn, agent, tools, view, plan)
        request = _request(turn, agent, plan.messages, tools)
        said: list[str] = []
        try:
            answer = await self._ask_model(claim, turn, request, said.append)
        except ModelError as error:
            failure, partial_text = error, "".join(said)
            if error.reason is ErrorReason.CONTEXT_FULL and not said:
                room = plan.shorter
                if attempt_of(turn).room is None:
                    return await self._commit(claim, turn, lambda change: ask_shorter(change, room, self._limits))
                failure = ModelError(CONTEXT_FULL.message, retryable=False, reason=CONTEXT_FULL.reason)
            return await self._commit(claim, turn, lambda change: take_model_failure(change, failure, partial_text))
        self._context.answered(agent, plan, answer)
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

    async def _summarise(
        self,
        claim: Claim,
        turn: Turn,
        agent: AgentDefinition,
        tools: Sequence[ToolSpec],
        view: ModelView,
        overfull: Overfull,
    ) -> Turn | None:
        """Asks the model for a summary and commits it; what the model is then sent is planned anew."""
        begun = await self._commit(claim, turn, lambda change: begin_summary(change, self._limits))
        if begun is None or begun.id != turn.id or begun.state is not TurnState.RUNNING:
            return begun
        request = self._context.summary_request(
            view,
            overfull,
            agent,
            attempt_of(begun),
            correlation_id=begun.correlation_id,
            traceparent=begun.traceparent,
            call_id_prefix=call_id_prefix(begun),
            now=self._clock.now(),
        )
        try:
            answer = await self._hear(request)
        except ModelError as error:
            if error.reason is not ErrorReason.LLM_UNAVAILABLE:
                return begun  # this question had no use; the next, if there may be one, gives less to read
            failure = error
            return await self._commit(claim, begun, lambda change: take_model_failure(change, failure, ""))
        compacted = self._context.compacted(view, overfull, agent, tools, answer, now=self._clock.now())
        return await self._commit(claim, begun, lambda change: take_summary(change, answer, compacted))

    async def _route(self, claim: Claim, turn: Turn, router: AgentDefinition, view: ModelView) -> Turn | None:
        """Asks the model whom the user's message is for; what it cannot say, the words of the message decide."""
        text = next((message.content for message in reversed(view.messages) if message.role is Role.USER), "")
        agents = self._agents.routable()
        answer: ModelAnswer | None = None
        try:
            answer = await self._hear(routing_request(turn, router, agents, text))
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

    async def _hear(self, request: ModelRequest) -> ModelAnswer:
        """The answer to a question of the runtime's own, which nobody watches being written. Raises ModelError."""

        async def ignore(_: ModelEvent) -> None:
            pass

        return await self._stream(request, ignore)

    async def _ask_model(
        self, claim: Claim, turn: Turn, request: ModelRequest, said: Callable[[str], None]
    ) -> ModelAnswer:
        return await self._stream(request, lambda event: self._deliver(claim, turn, event, said))

    async def _stream(self, request: ModelRequest, deliver: Callable[[ModelEvent], Awaitable[None]]) -> ModelAnswer:
        began = self._clock.monotonic()
        answer: ModelAnswer | None = None
        async with self._model.stream(request) as events:
            async for event in events:
                if isinstance(event, ModelAnswer):
                    # The last item; reading on to the end lets the connection be used again.
                    answer = replace(event, model_time=self._clock.monotonic() - began)
                else:
                    await deliver(event)
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


def _request(
    turn: Turn, agent: AgentDefinition, messages: tuple[Message, ...], tools: tuple[ToolSpec, ...]
) -> ModelRequest:
    return ModelRequest(
        messages=messages,
        system_prompt=agent.system_prompt,
        correlation_id=turn.correlation_id,
        call_id_prefix=call_id_prefix(turn),
        tools=tools,
        model=agent.model,
        temperature=agent.temperature,
        max_tokens=agent.max_tokens,
        traceparent=turn.traceparent,
    )


async def _persistently(turn: Turn, work: Callable[[], Awaitable[T]]) -> T:
    """Does the same work again until the database takes it; what was computed for it is not lost."""
    while True:
        try:
            return await work()
        except (DatabaseUnavailableError, StorageFullError) as error:
            logger.warning("a turn waits for the database: %s", error.reason, extra={"turn_id": turn.id})
        await asyncio.sleep(_RETRY_DELAY * (1 + random.random()))
