"""Storage as the composition root wires it, with the few words that storage tests say all the time."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from services.application.event_feed import EventFeed
from services.application.ports import Claim, Committed, IdempotencyKey, Incarnation, SessionView
from services.application.ports.store import NOTHING_MORE
from services.application.turns.answer_steps import take_answer
from services.application.turns.call_policy import Judgement
from services.application.turns.inputs.accept import accept, lookup_for
from services.application.turns.inputs.accepted_input import Sender
from services.application.turns.turn_limits import TurnLimits
from services.domain.agent_context import AgentContext
from services.domain.input import InputContent, UserMessage
from services.domain.message import Message, MessageToolCall
from services.domain.model_exchange import FinishReason, ModelAnswer, Usage
from services.domain.session import Session, SessionState
from services.domain.session_change import Lookup, SessionChange
from services.domain.session_events import NewEvent, Payload, SessionEvent, SessionUpdated, TextDelta
from services.domain.turn import Turn
from services.infrastructure.persistence.database import Database
from services.infrastructure.persistence.event_log import SqlEventLog
from services.infrastructure.persistence.housekeeping import SqlHousekeeping
from services.infrastructure.persistence.leases import SqlLeases
from services.infrastructure.persistence.log_writer import GroupLogWriter
from services.infrastructure.persistence.outbox_store import SqlOutbox
from services.infrastructure.persistence.read_model import SqlReadModel
from services.infrastructure.persistence.session_store import SqlSessionStore
from services.infrastructure.persistence.waits import SqlWaits
from tests.support.catalogs import a_policy
from tests.support.clock import ManualClock

OWNER = "ann"
CORRELATION = "corr-1"
LIMITS = TurnLimits()
POLICY = a_policy()
REFUSED = Judgement("you have no such tool")


class Published:
    """What was published, by session, in the order it came; and a way to wait for it."""

    def __init__(self) -> None:
        self.by_session: defaultdict[int, list[SessionEvent]] = defaultdict(list)
        self._news = asyncio.Event()

    def add(self, session_key: int, events: Sequence[SessionEvent]) -> None:
        self.by_session[session_key].extend(events)
        self._news.set()

    def of(self, claim: Claim) -> list[SessionEvent]:
        return self.by_session[claim.session_key]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Returns once the condition holds; it is looked at whenever something is published."""
        async with asyncio.timeout(10):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def until_said(self, claim: Claim, text: str) -> None:
        """Returns once the published deltas of a session end in that text."""
        await self.until(lambda: text_of(self.of(claim)).endswith(text))


class Flushing:
    """The log writer's loop, which a test may stop for a while to have deltas wait."""

    def __init__(self, writer: GroupLogWriter) -> None:
        self._writer = writer
        self.start()

    def start(self) -> None:
        self._task = asyncio.create_task(self._writer.run())

    async def stop(self) -> None:
        assert not self._task.done(), "the log writer ended by itself"
        self._task.cancel()
        await asyncio.wait({self._task})


@dataclass(slots=True)
class Running:
    """A turn that a test runs by hand."""

    claim: Claim
    turn: Turn

    @property
    def message_id(self) -> str:
        assert self.turn.attempt is not None
        return self.turn.attempt.message_id


@dataclass(frozen=True, slots=True)
class Storage:
    """One process's storage, as if others might share the database.

    The incarnation is not registered as living; tests of leases do that.
    """

    database: Database
    clock: ManualClock
    log: SqlEventLog
    feed: EventFeed
    writer: GroupLogWriter
    store: SqlSessionStore
    reads: SqlReadModel
    leases: SqlLeases
    waits: SqlWaits
    outbox: SqlOutbox
    housekeeping: SqlHousekeeping
    incarnation: Incarnation
    published: Published
    flushing: Flushing

    async def history(self, session_key: int) -> list[Message]:
        """The messages of a session that no summary replaces, as a model call starts from them."""
        return list((await self.reads.model_view(session_key)).messages)

    async def new_session(self, session_id: str = "s1", owner_id: str = OWNER, **fields: object) -> SessionView:
        session = a_session(session_id, owner_id, self.clock, **fields)
        return (await self.store.create(session, AgentContext("universal"), allow_existing=False, key=None))[0]

    async def start(self, session_id: str = "s1", owner_id: str = OWNER, text: str = "hello") -> Running:
        """Accepts a user message and opens the writer for its turn."""

        return self.run(await self.send(UserMessage(text), session_id, owner_id))

    def run(self, committed: Committed) -> Running:
        """Opens the writer for the turn that a change has started."""
        turn = committed.present().turn
        assert committed.claim is not None
        assert turn is not None
        self.writer.open(committed.claim)
        return Running(committed.claim, turn)

    async def send(
        self,
        content: InputContent,
        session_id: str = "s1",
        owner_id: str = OWNER,
        *,
        limits: TurnLimits = LIMITS,
        key: IdempotencyKey | None = None,
    ) -> Committed:
        """Accepts an input of any kind; the outcome is the id it was accepted under."""

        def decide(change: SessionChange) -> None:
            change.outcome = accept(change, content, Sender("", owner_id), POLICY, limits).input_id

        return await self.store.change(
            owner_id, session_id, decide, correlation_id=CORRELATION, key=key, lookup=lookup_for(content)
        )

    async def start_in_new_session(self, session_id: str = "s1", owner_id: str = OWNER) -> Running:
        await self.new_session(session_id, owner_id)
        return await self.start(session_id, owner_id)

    async def change(
        self,
        decide: Callable[[SessionChange], None],
        session_id: str = "s1",
        owner_id: str = OWNER,
        lookup: Lookup = NOTHING_MORE,
    ) -> Committed:
        return await self.store.change(owner_id, session_id, decide, correlation_id=CORRELATION, lookup=lookup)

    async def say(self, running: Running, text: str) -> None:
        """Queues a delta of the running answer."""
        await self.writer.write(running.claim, self.delta(running, TextDelta(running.message_id, text)))

    def delta(self, running: Running, payload: Payload, correlation_id: str = CORRELATION) -> NewEvent:
        return NewEvent(payload, self.clock.now(), correlation_id, running.turn.id)

    async def answer(
        self,
        running: Running,
        text: str,
        calls: Sequence[MessageToolCall] = (),
        judgements: Sequence[Judgement] | None = None,
        limits: TurnLimits = LIMITS,
    ) -> Committed:
        """The step with which the model's answer ends; unless `judgements` say otherwise all calls are refused."""
        answer = an_answer(text, calls)
        judged = [REFUSED] * len(calls) if judgements is None else judgements
        committed = await self.store.step(
            running.claim,
            lambda change: take_answer(change, answer, judged, limits),
            correlation_id=CORRELATION,
            lookup=Lookup(call_ids=tuple(call.id for call in calls)),
        )
        turn = committed.present().turn
        if turn is not None and turn.attempt is not None:
            running.turn = turn
        return committed

    async def events(self, session_key: int, after: int = 0) -> list[SessionEvent]:
        """The session's log behind a number, read page by page."""
        events: list[SessionEvent] = []
        while (page := await self.log.read(session_key, after)).through > after:
            events.extend(page.events)
            after = page.through
        return events


@asynccontextmanager
async def running_storage(database: Database, clock: ManualClock) -> AsyncIterator[Storage]:
    """Storage over a migrated database, its log writer running."""
    log, incarnation, published = SqlEventLog(database), Incarnation(), Published()
    feed = EventFeed(log)

    def publish(session_key: int, events: Sequence[SessionEvent]) -> None:
        feed.publish(session_key, events)
        published.add(session_key, events)

    writer = GroupLogWriter(database, publish, clock)
    storage = Storage(
        database=database,
        clock=clock,
        log=log,
        feed=feed,
        writer=writer,
        store=SqlSessionStore(database, writer, publish, clock, incarnation=lambda: incarnation.name),
        reads=SqlReadModel(database),
        leases=SqlLeases(database, sole=False),
        waits=SqlWaits(database),
        outbox=SqlOutbox(database),
        housekeeping=SqlHousekeeping(database),
        incarnation=incarnation,
        published=published,
        flushing=Flushing(writer),
    )
    try:
        yield storage
    finally:
        await storage.flushing.stop()


def a_session(session_id: str, owner_id: str, clock: ManualClock, **fields: object) -> Session:
    """A new session as CreateSession makes it, with whatever fields the test names."""
    given: dict[str, object] = {
        "key": 0,
        "id": session_id,
        "owner_id": owner_id,
        "title": "",
        "description": "",
        "state": SessionState.ACTIVE,
        "create_time": clock.now(),
        "update_time": clock.now(),
        "last_activity_time": clock.now(),
    }
    return Session(**(given | fields))  # type: ignore[arg-type]


def an_answer(
    text: str, calls: Sequence[MessageToolCall] = (), finish_reason: FinishReason | None = None
) -> ModelAnswer:
    """What a model says, at the price of one token each way."""
    reason = finish_reason or (FinishReason.TOOL_CALLS if calls else FinishReason.STOP)
    return ModelAnswer(text, "", tuple(calls), reason, Usage(prompt_tokens=1, completion_tokens=1), "scripted")


def note(change: SessionChange, title: str = "noted") -> None:
    """A small command: renames the session and says so in its log."""
    session = change.session
    change.append(SessionUpdated(title, session.description, session.labels, session.message_limit, session.version))


def sequences(events: Sequence[SessionEvent]) -> list[int]:
    return [event.sequence for event in events]


def kinds(events: Sequence[SessionEvent]) -> list[str]:
    return [type(event.payload).__name__ for event in events]


def text_of(events: Sequence[SessionEvent]) -> str:
    """The text that the events' deltas stream."""
    return "".join(event.payload.text for event in events if isinstance(event.payload, TextDelta))
