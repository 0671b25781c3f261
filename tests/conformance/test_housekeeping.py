"""What storage forgets: deltas of ended turns, request ids and the ids of deleted sessions; nothing else, ever."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, select, update

from services.application.background.housekeeper import Housekeeper, Retention
from services.application.event_stream import EventStream, Gap, GapReason, StreamSettings
from services.application.ports import IdempotencyKey
from services.application.turns.outside_steps import cancel_turn
from services.domain.errors import SessionAlreadyExistsError
from services.domain.input import BusyPolicy, UserMessage
from services.domain.message import Role
from services.domain.session_events import ReasoningDelta, SessionEvent
from services.domain.turn import CancelCause
from services.infrastructure.persistence.tables import idempotency, sessions, turns
from tests.conformance.test_removal import everything_watched, rows_of
from tests.support.anybody import clear
from tests.support.conversation import read
from tests.support.storage import CORRELATION, OWNER, Running, Storage, kinds, note, text_of
from tests.support.stored_turns import RUNS, delete, results

NOW = 0.0
AT_ONCE = 100


@pytest.fixture
async def storage(storage: Storage) -> Storage:
    """Storage whose process has the database's time: ages are measured by the one and told by the other."""
    storage.clock.set_wall(datetime(2020, 1, 1, tzinfo=UTC))
    return storage


async def speaks(storage: Storage, running: Running, *pieces: str) -> None:
    """The running answer is streamed piece by piece, each one durable by itself."""
    for piece in pieces:
        await storage.say(running, piece)
        await storage.published.until_said(running.claim, piece)


async def a_turn(storage: Storage, *pieces: str, session_id: str = "s1") -> Running:
    running = await storage.start(session_id)
    message_id = running.message_id
    await speaks(storage, running, *pieces)
    await storage.answer(running, "".join(pieces))
    running.turn = await storage.reads.turn(OWNER, session_id, running.turn.id)
    assert running.turn.final_message_id == message_id
    return running


async def compact(storage: Storage, *, older_than: float = NOW, limit: int = AT_ONCE) -> int:
    return await storage.housekeeping.compact(older_than=older_than, limit=limit)


def gaps(items: list[object]) -> list[Gap]:
    return [item for item in items if isinstance(item, Gap)]


class TestCompaction:
    async def test_removes_the_deltas_of_ended_turns_alone(self, storage: Storage) -> None:
        await storage.new_session()
        first = await a_turn(storage, "On", "ce.")
        running = await storage.start()
        await speaks(storage, running, "Still ", "talking")
        key = first.claim.session_key
        before = await storage.events(key)
        assert await compact(storage) == 1
        after = await storage.events(key)
        assert text_of(after) == "Still talking"
        assert [e for e in before if not kinds([e])[0].endswith("Delta")] == [
            e for e in after if not kinds([e])[0].endswith("Delta")
        ]

    async def test_removes_reasoning_too(self, storage: Storage) -> None:
        running = await storage.start_in_new_session()
        await storage.writer.write(running.claim, storage.delta(running, ReasoningDelta(running.message_id, "hm")))
        await storage.answer(running, "Hi.")
        await compact(storage)
        assert "ReasoningDelta" not in kinds(await storage.events(running.claim.session_key))

    async def test_leaves_a_turn_that_waits_alone(self, storage: Storage) -> None:
        running = await storage.start_in_new_session()
        await speaks(storage, running, "Let me ", "look")
        await storage.answer(running, "Let me look", [read("c1")], [RUNS])
        assert await compact(storage) == 0
        assert text_of(await storage.events(running.claim.session_key)) == "Let me look"
        running = storage.run(await storage.send(results("c1")))
        await storage.answer(running, "Done.")
        assert await compact(storage) == 1
        assert text_of(await storage.events(running.claim.session_key)) == ""

    async def test_leaves_what_ended_lately(self, storage: Storage) -> None:
        await storage.new_session()
        await a_turn(storage, "Hi.")
        assert await compact(storage, older_than=100 * 365 * 86400.0) == 0
        assert await compact(storage) == 1
        assert await compact(storage) == 0, "a turn is compacted once"

    async def test_is_bounded_and_begins_with_the_oldest(self, storage: Storage) -> None:
        await storage.new_session()
        running = [await a_turn(storage, text) for text in ("One.", "Two.", "Three.")]
        for number, one in enumerate(running):
            await ended_at(storage, one, float(number + 1))
        assert await compact(storage, limit=2) == 2
        assert text_of(await storage.events(running[0].claim.session_key)) == "Three."

    async def test_leaves_a_gap_that_names_the_message(self, storage: Storage) -> None:
        await storage.new_session()
        running = await a_turn(storage, "O", "n", "ce.")
        key = running.claim.session_key
        deltas = [e.sequence for e in await storage.events(key) if kinds([e]) == ["TextDelta"]]
        await compact(storage)
        items = await everything_watched(storage, key, 0, await head(storage))
        [gap] = gaps(list(items))
        assert gap == Gap(deltas[0], deltas[-1], GapReason.COMPACTED, (running.turn.final_message_id or "",))
        assert covered(list(items)) == list(range(1, await head(storage) + 1))

    async def test_begins_a_gap_where_the_reader_stopped(self, storage: Storage) -> None:
        await storage.new_session()
        running = await a_turn(storage, "O", "n", "ce.")
        key = running.claim.session_key
        deltas = [e.sequence for e in await storage.events(key) if kinds([e]) == ["TextDelta"]]
        await compact(storage)
        items = await everything_watched(storage, key, deltas[0], await head(storage))
        [gap] = gaps(list(items))
        assert (gap.from_sequence, gap.to_sequence) == (deltas[1], deltas[-1])

    async def test_names_the_message_in_each_gap_that_others_have_split(self, storage: Storage) -> None:
        running = await storage.start_in_new_session()
        message_id = running.message_id
        await speaks(storage, running, "On")
        await storage.change(note)
        await speaks(storage, running, "ce.")
        await storage.answer(running, "Once.")
        await compact(storage)
        items = await everything_watched(storage, running.claim.session_key, 0, await head(storage))
        assert [gap.message_ids for gap in gaps(list(items))] == [(message_id,), (message_id,)]

    async def test_says_that_a_gap_below_was_cleared_and_one_above_was_compacted(self, storage: Storage) -> None:
        await storage.new_session()
        cleared = await a_turn(storage, "Secret.")
        await storage.change(clear)
        cleared_through = await head(storage) - 1
        later = await a_turn(storage, "Hi.")
        await compact(storage)
        items = await everything_watched(storage, later.claim.session_key, 0, await head(storage))
        assert [gap.reason for gap in gaps(list(items))] == [GapReason.CLEARED, GapReason.COMPACTED]
        assert gaps(list(items))[0].to_sequence == cleared_through
        assert covered(list(items)) == list(range(1, await head(storage) + 1))
        assert cleared.turn.id != later.turn.id

    async def test_leaves_history_and_snapshot_as_they_were(self, storage: Storage) -> None:
        await storage.new_session()
        first = await a_turn(storage, "On", "ce.")
        running = await storage.start()
        await speaks(storage, running, "Still ")
        before = await storage.reads.snapshot(OWNER, "s1"), await storage.history(first.claim.session_key)
        await compact(storage)
        after = await storage.reads.snapshot(OWNER, "s1"), await storage.history(first.claim.session_key)
        assert after == before
        assert before[0].draft_text == "Still "

    async def test_keeps_the_text_of_a_turn_that_was_cancelled(self, storage: Storage) -> None:
        running = await storage.start_in_new_session()
        await speaks(storage, running, "half a ", "sent")
        await storage.send(UserMessage("now!", busy_policy=BusyPolicy.INTERRUPT))
        await storage.change(lambda change: cancel_turn(change, cause=CancelCause.USER, cancelled_by="ann"))
        assert await compact(storage) == 2
        [kept] = [m for m in await storage.history(running.claim.session_key) if m.role is Role.ASSISTANT]
        assert (kept.content, kept.complete) == ("half a sent", False)

    async def test_while_somebody_reads_loses_no_number(self, storage: Storage) -> None:
        await storage.new_session()
        running = await a_turn(storage, *"some words said one by one")
        through = await head(storage)
        stream = EventStream(
            storage.feed,
            running.claim.session_key,
            0,
            clock=storage.clock,
            settings=StreamSettings(),
            ends_with=lambda _: False,
            through=through,
        )
        seen: list[object] = []
        compacting = asyncio.create_task(compact(storage))
        async for batch in stream.items():
            seen.extend(batch)
        await compacting
        assert covered(seen) == list(range(1, through + 1))

    async def test_leaves_rows_in_proportion_to_messages(self, storage: Storage) -> None:
        await storage.new_session()
        running = [await a_turn(storage, *"a long answer in many pieces") for _ in range(4)]
        key = running[0].claim.session_key
        before = await rows_of(storage, key)
        await compact(storage)
        rows = await rows_of(storage, key)
        assert before["session_events"] > 100
        assert rows["session_events"] <= 4 * rows["messages"]
        assert sum(rows.values()) <= 10 * rows["messages"]

    async def test_by_two_at_once_does_it_once(self, storage: Storage) -> None:
        await storage.new_session()
        running = [await a_turn(storage, "Hi ", "there.") for _ in range(6)]
        counts = await asyncio.gather(*(compact(storage) for _ in range(3)))
        assert max(counts) <= 6 <= sum(counts)
        assert text_of(await storage.events(running[0].claim.session_key)) == ""
        assert await compact(storage) == 0


class TestRequestIds:
    async def test_are_forgotten_when_they_are_old_and_work_anew(self, storage: Storage) -> None:
        await storage.new_session()
        key = IdempotencyKey(OWNER, "UpdateSession", "r1", bytes(32))
        first = await storage.store.change(OWNER, "s1", note, correlation_id=CORRELATION, key=key)
        again = await storage.store.change(OWNER, "s1", note, correlation_id=CORRELATION, key=key)
        assert (first.repeated, again.repeated) == (False, True)
        assert await storage.housekeeping.forget_requests(older_than=100 * 365 * 86400.0) == 0
        assert await storage.housekeeping.forget_requests(older_than=NOW) == 1
        later = await storage.store.change(OWNER, "s1", note, correlation_id=CORRELATION, key=key)
        assert not later.repeated

    async def test_that_are_young_stay(self, storage: Storage) -> None:
        await storage.new_session()
        for number in range(3):
            key = IdempotencyKey(OWNER, "UpdateSession", f"r{number}", bytes(32))
            await storage.store.change(OWNER, "s1", note, correlation_id=CORRELATION, key=key)
        await storage.database.write(
            lambda connection: connection.execute(
                update(idempotency).where(idempotency.c.request_id == "r1").values(create_time=datetime.now(UTC))
            ),
            repeatable=True,
        )
        assert await storage.housekeeping.forget_requests(older_than=3600.0) == 2
        assert await storage.store.recall(IdempotencyKey(OWNER, "UpdateSession", "r1", bytes(32))) is not None


class TestIdsOfDeletedSessions:
    async def test_are_free_again_when_they_are_old(self, storage: Storage) -> None:
        key = (await storage.new_session()).session.key
        await storage.new_session("s2")
        await storage.change(delete)
        with pytest.raises(SessionAlreadyExistsError):
            await storage.new_session()
        assert await storage.housekeeping.forget_deleted_sessions(older_than=100 * 365 * 86400.0) == 0
        assert await storage.housekeeping.forget_deleted_sessions(older_than=NOW) == 1
        assert set(await rows_of(storage, key)) <= {"outbox"}, "what happened outlives it"
        assert (await storage.new_session()).last_sequence == 0
        assert (await storage.reads.session(OWNER, "s2")).session.id == "s2"

    async def test_are_forgotten_by_two_at_once(self, storage: Storage) -> None:
        for number in range(5):
            await storage.new_session(f"s{number}")
            await storage.change(delete, f"s{number}")
        await asyncio.gather(*(storage.housekeeping.forget_deleted_sessions(older_than=NOW) for _ in range(3)))
        left = await storage.database.read(lambda connection: connection.scalars(select(sessions.c.session_id)).all())
        assert left == []


async def test_a_housekeeper_does_all_of_it_however_much_there_is(storage: Storage) -> None:
    for session in range(5):
        await storage.new_session(f"s{session}")
        for _ in range(9):
            await a_turn(storage, "Hi.", session_id=f"s{session}")
    await storage.change(delete, "s0")
    retention = Retention(deltas=NOW, requests=NOW, deleted_sessions=NOW)
    keepers = [Housekeeper(storage.housekeeping, retention) for _ in range(2)]
    await asyncio.gather(*(keeper.tidy() for keeper in keepers))
    assert await compact(storage) == 0
    location = await storage.reads.locate(OWNER, "s4")
    assert text_of(await storage.events(location.session_key)) == ""


async def ended_at(storage: Storage, running: Running, seconds: float) -> None:
    """Has a turn have ended then."""

    def unit(connection: Connection) -> None:
        connection.execute(update(turns).where(turns.c.turn_id == running.turn.id).values(compactable_since=seconds))

    await storage.database.write(unit, repeatable=True)


async def head(storage: Storage) -> int:
    return (await storage.reads.locate(OWNER, "s1")).last_sequence


def covered(items: list[object]) -> list[int]:
    """Every number that the items deliver or declare a gap, in their order."""
    numbers: list[int] = []
    for item in items:
        if isinstance(item, SessionEvent):
            numbers.append(item.sequence)
        elif isinstance(item, Gap):
            numbers.extend(range(item.from_sequence, item.to_sequence + 1))
    return numbers
