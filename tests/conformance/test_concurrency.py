"""Whatever runs at once, in whatever order, with whatever replies lost: each session's log stays whole (G1, G2, G3)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import TypeVar

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.application.event_stream import EventStream, StreamSettings
from services.application.ports import FencedError, IdempotencyKey
from services.application.turns.outside_steps import cancel_turn
from services.domain.errors import DatabaseUnavailableError, TurnNotActiveError
from services.domain.message import MessageToolCall
from services.domain.session_change import SessionChange
from services.domain.session_events import SessionEvent
from services.domain.turn import CancelCause, TurnState
from tests.support.storage import CORRELATION, Running, Storage, kinds, note, sequences, text_of
from tests.support.unreliable_database import Loss, UnreliableDatabase

T = TypeVar("T")

owners = (f"owner-{n}" for n in count())


@dataclass(frozen=True)
class Plan:
    """How much happens in each session; `seed` decides in what order, and which replies are lost."""

    seed: int
    sessions: int
    cancelled: int  # so many of them are cancelled from outside, some time during their turn
    steps: int
    deltas: int
    commands: int
    loss_percent: int


plans = st.builds(
    Plan,
    seed=st.integers(0, 2**32),
    sessions=st.integers(1, 8),
    cancelled=st.integers(0, 3),
    steps=st.integers(1, 3),
    deltas=st.integers(0, 20),
    commands=st.integers(0, 6),
    loss_percent=st.sampled_from([0, 5, 25]),
)


@dataclass
class Conversation:
    """One session's turn: what was said in it, and what its readers have seen."""

    storage: Storage
    running: Running
    owner_id: str
    session_id: str
    dice: Random
    said: list[str] = field(default_factory=list)
    fenced: bool = False

    async def pause(self) -> None:
        if self.dice.random() < 0.3:
            await asyncio.sleep(self.dice.choice([0, 0, 0.001, 0.006]))

    async def talk(self, plan: Plan) -> None:
        """The owner: streams deltas, then commits a step, again and again, until the turn ends or is taken away."""
        try:
            for step in range(plan.steps):
                for n in range(plan.deltas):
                    word = f"{self.session_id}.{step}.{n};"
                    await self.storage.say(self.running, word)
                    self.said.append(word)
                    await self.pause()
                goes_on = step < plan.steps - 1
                calls = [MessageToolCall(f"call_{step}", "read_file", "{}")] if goes_on else []
                await persistently(lambda calls=calls: self.storage.answer(self.running, "answer", calls))  # type: ignore[misc]
        except FencedError:
            self.fenced = True

    async def command(self, plan: Plan) -> None:
        """Somebody else, perhaps on another replica: changes the session in between."""
        for n in range(plan.commands):
            await self.pause()
            await self.change(f"note-{n}", note)

    async def cancel(self, plan: Plan) -> None:
        for _ in range(self.dice.randrange(2 + plan.deltas)):
            await asyncio.sleep(self.dice.choice([0, 0.002]))

        def decide(change: SessionChange) -> None:
            if change.turn is None:
                raise TurnNotActiveError("it was faster")
            cancel_turn(change, cause=CancelCause.USER, cancelled_by=self.owner_id)

        try:
            await self.change("cancel", decide)
        except TurnNotActiveError:
            return

    async def change(self, request_id: str, decide: Callable[[SessionChange], None]) -> None:
        key = IdempotencyKey(self.owner_id, self.session_id, request_id, bytes(32))
        await persistently(
            lambda: self.storage.store.change(
                self.owner_id, self.session_id, decide, correlation_id=CORRELATION, key=key
            )
        )

    async def watched(self, through: int) -> list[object]:
        stream = EventStream(
            self.storage.feed,
            self.running.claim.session_key,
            0,
            clock=self.storage.clock,
            settings=StreamSettings(),
            ends_with=lambda item: isinstance(item, SessionEvent) and item.sequence == through,
        )
        return [item async for batch in stream.items() for item in batch]


async def persistently(work: Callable[[], Awaitable[T]]) -> T:
    """Does the same again until the database says how it went, as the engine and careful clients do."""
    while True:
        try:
            return await work()
        except DatabaseUnavailableError:
            await asyncio.sleep(0)


def losses(plan: Plan) -> Iterator[Loss]:
    dice = Random(plan.seed)
    while True:
        lost = dice.random() * 100 < plan.loss_percent
        yield dice.choice([Loss.REPLY, Loss.REPLY, Loss.CONNECTION, Loss.REQUEST]) if lost else Loss.NOTHING


async def check(conversation: Conversation, plan: Plan, *, cancelled: bool) -> None:
    storage, key = conversation.storage, conversation.running.claim.session_key
    events = await storage.events(key)
    assert sequences(events) == list(range(1, len(events) + 1)), "a double or a hole"
    assert kinds(events).count("SessionUpdated") == plan.commands, "a command was lost or had its effect twice"
    assert {event.session_id for event in events} == {conversation.session_id}

    ends = [kind for kind in kinds(events) if kind in ("TurnCompleted", "TurnCancelled")]
    if cancelled and "TurnCancelled" in ends:
        assert ends == ["TurnCancelled"]
        assert "".join(conversation.said).startswith(text_of(events)), "not what was said, from its beginning on"
        end = kinds(events).index("TurnCancelled")
        assert set(kinds(events)[end + 1 :]) <= {"SessionUpdated"}, "a fenced owner has written"
    else:
        assert not conversation.fenced, "another session's trouble"
        assert ends == ["TurnCompleted"]
        assert text_of(events) == "".join(conversation.said), "a delta was lost, doubled or moved"
    turn = await storage.reads.turn(conversation.owner_id, conversation.session_id, conversation.running.turn.id)
    assert turn.state is (TurnState.COMPLETED if ends == ["TurnCompleted"] else TurnState.CANCELLED)

    for published in storage.published.by_session[key]:
        assert published == events[published.sequence - 1], "published otherwise than stored"
    assert await conversation.watched(len(events)) == events


@given(plan=plans)
@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_no_double_no_hole_and_no_sessions_trouble_reaches_another(
    shaky: Storage, unreliable: UnreliableDatabase, plan: Plan
) -> None:
    unreliable.lose()
    owner_id = next(owners)
    conversations = []
    for n in range(plan.sessions):
        running = await shaky.start_in_new_session(f"s{n}", owner_id)
        dice = Random(plan.seed * 100 + n)
        conversations.append(Conversation(shaky, running, owner_id, f"s{n}", dice))
    reading = [asyncio.create_task(read_to_the_end(conversation)) for conversation in conversations]

    unreliable.losses = losses(plan)
    async with asyncio.timeout(60):
        await asyncio.gather(
            *(conversation.talk(plan) for conversation in conversations),
            *(conversation.command(plan) for conversation in conversations),
            *(conversation.cancel(plan) for conversation in conversations[: plan.cancelled]),
        )
        unreliable.lose()
        for n, conversation in enumerate(conversations):
            await check(conversation, plan, cancelled=n < plan.cancelled)
            shaky.writer.close(conversation.running.claim)
            await shaky.change(lambda change: note(change, "the end"), conversation.session_id, owner_id)
        for conversation, seen in zip(conversations, await asyncio.gather(*reading), strict=True):
            assert seen == await shaky.events(conversation.running.claim.session_key), "a live reader saw otherwise"

    for n in range(plan.sessions):  # whatever happened, each session takes the next message
        again = await shaky.start(f"s{n}", owner_id)
        await shaky.say(again, "still alive")
        await shaky.answer(again, "still alive")


async def read_to_the_end(conversation: Conversation) -> list[object]:
    """A client that watches all the time, up to the note that ends the example."""
    stream = EventStream(
        conversation.storage.feed,
        conversation.running.claim.session_key,
        0,
        clock=conversation.storage.clock,
        settings=StreamSettings(),
        ends_with=lambda item: isinstance(item, SessionEvent) and "'the end'" in repr(item.payload),
    )
    return [item async for batch in stream.items() for item in batch]
