"""What is cleared or deleted is gone from every table, and the log says so."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import Connection, func, select

from services.application.event_stream import EventStream, Gap, GapReason, Item, StreamSettings
from services.application.idempotency import key_for
from services.application.ports import FencedError, Principal, SessionSnapshot
from services.application.sessions.clear_messages import ClearMessages
from services.application.turns.inputs.accepted_input import Sender
from services.application.turns.inputs.user_message import accept_user_message
from services.application.turns.outside_steps import recover_turn
from services.domain.approval import Decision
from services.domain.errors import SessionNotFoundError, TurnInProgressError
from services.domain.input import UserMessage
from services.domain.message import MessageToolCall
from services.domain.session_change import Removal, SessionChange
from services.domain.session_events import SessionDeleted, SessionEvent, TurnCancelled
from services.domain.turn import CancelCause
from services.infrastructure.persistence.tables import metadata, sessions
from tests.support.conversation import command, handover, question, read, write
from tests.support.storage import CORRELATION, LIMITS, OWNER, Storage, kinds, sequences
from tests.support.stored_turns import TOOLS, answered, approval_of, decision, results

ANN = Principal("ann", OWNER)
SENDER = Sender("r1", "ann")
SECRET = "sentinel-4711"


async def a_conversation(storage: Storage, session_id: str = "s1") -> int:
    """A session with messages, tool calls, deltas and a finished turn, all of which say the secret."""
    key = (await storage.new_session(session_id, title="a title")).session.key

    def accept(change: SessionChange) -> None:
        change.outcome = accept_user_message(change, UserMessage(f"{SECRET} hello"), SENDER, LIMITS).turn_id

    request = key_for(ANN, "SendMessage", session_id, text=SECRET)
    committed = await storage.store.change(OWNER, session_id, accept, correlation_id=CORRELATION, key=request)
    running = storage.run(committed)
    await storage.say(running, f"{SECRET} delta")
    await storage.answer(running, f"{SECRET} call", [MessageToolCall("call_1", "read_file", f'"{SECRET}"')])
    await storage.answer(running, f"{SECRET} answer")
    return key


async def a_conversation_with_tools(storage: Storage) -> int:
    """A session whose turn had a call edited, one rejected, and a question answered, all of which say the secret."""
    key = (await storage.new_session(title="a title")).session.key
    running = await storage.start(text=SECRET)
    wanted = (
        write("c1", "a.md", SECRET),
        command("c2", SECRET),
        question("c3", SECRET, SECRET, "no"),
        handover("c4", "debug", SECRET),
        read("c5", SECRET),
    )
    await answered(storage, running, *wanted)
    edits = json.dumps({"path": "b.md", "content": SECRET})
    await storage.send(decision(await approval_of(storage, "c1"), Decision.APPROVE_WITH_EDITS, edits))
    await storage.send(decision(await approval_of(storage, "c2"), Decision.REJECT, feedback=SECRET))
    await storage.send(results("c1", "c5", content=SECRET))
    await storage.send(UserMessage(SECRET))
    return key


async def orphans(storage: Storage) -> dict[str, int]:
    """How many rows each table has of sessions that are not there."""

    def unit(connection: Connection) -> dict[str, int]:
        counts = {}
        for table in metadata.sorted_tables:
            if "session_key" in table.c and table.name not in ("sessions", "outbox"):
                there = select(sessions.c.session_key)
                statement = select(func.count()).select_from(table).where(table.c.session_key.not_in(there))
                counts[table.name] = connection.execute(statement).scalar_one()
        return counts

    return await storage.database.read(unit)


async def rows_with(storage: Storage, text: str) -> list[str]:
    """The tables that hold the text anywhere."""

    def unit(connection: Connection) -> list[str]:
        return [
            table.name
            for table in metadata.sorted_tables
            for row in connection.execute(select(table))
            if text in str(tuple(row))
        ]

    return await storage.database.read(unit)


async def rows_of(storage: Storage, session_key: int) -> dict[str, int]:
    """How many rows each table has for a session, where there are any."""

    def unit(connection: Connection) -> dict[str, int]:
        counts = {
            table.name: connection.execute(
                select(func.count()).select_from(table).where(table.c.session_key == session_key)
            ).scalar_one()
            for table in metadata.sorted_tables
            if "session_key" in table.c
        }
        return {name: count for name, count in counts.items() if count}

    return await storage.database.read(unit)


async def clear(storage: Storage, request_id: str = "") -> int:
    execute = ClearMessages(storage.store).execute
    return (await execute(ANN, session_id="s1", request_id=request_id, correlation_id=CORRELATION))[1]


def delete(change: SessionChange) -> None:
    if change.turn is not None:
        change.append(TurnCancelled(CancelCause.SESSION_DELETED, "ann"), turn_id=change.turn.id)
    change.append(SessionDeleted())
    change.removal = Removal.SESSION


async def everything_watched(storage: Storage, key: int, after: int, through: int) -> list[Item]:
    stream = EventStream(
        storage.feed,
        key,
        after,
        clock=storage.clock,
        settings=StreamSettings(),
        ends_with=lambda _: False,
        through=through,
        snapshot=lambda: storage.reads.snapshot(OWNER, "s1"),
    )
    return [item async for batch in stream.items() for item in batch]


class TestClearing:
    async def test_leaves_no_content_in_any_table(self, storage: Storage) -> None:
        key = await a_conversation(storage)
        assert set(await rows_with(storage, SECRET)) >= {"session_events", "messages", "tool_calls", "turns"}
        assert await clear(storage) == 4
        assert await rows_with(storage, SECRET) == []
        assert await storage.history(key) == []

    async def test_leaves_nothing_of_calls_decisions_and_answers(self, storage: Storage) -> None:
        key = await a_conversation_with_tools(storage)
        running = storage.run(await storage.change(partial(recover_turn, unattended=True)))
        await storage.answer(running, SECRET)
        assert set(await rows_with(storage, SECRET)) >= {"session_events", "messages", "tool_calls", "approvals"}
        await clear(storage)
        # Which agent the session has, and why, is no message.
        assert set(await rows_with(storage, SECRET)) <= {"agent_switches"}
        assert not {"messages", "tool_calls", "approvals", "inputs"} & set(await rows_of(storage, key))
        assert (await storage.reads.session(OWNER, "s1")).context.current_agent == "debug"

    async def test_lets_call_ids_be_used_again(self, storage: Storage) -> None:
        await a_conversation_with_tools(storage)
        running = storage.run(await storage.change(partial(recover_turn, unattended=True)))
        await storage.answer(running, "done")
        await clear(storage)
        again = await storage.start()
        await answered(storage, again, write("c1"))
        assert (await approval_of(storage, "c1")).arguments_json == write("c1").arguments_json
        await storage.send(decision(await approval_of(storage, "c1"), Decision.REJECT))
        history = await storage.history(again.claim.session_key)
        assert [call.arguments_edited for message in history for call in message.tool_calls] == [False]

    async def test_leaves_a_gap_that_says_so_and_a_snapshot_behind_it(self, storage: Storage) -> None:
        key = await a_conversation(storage)
        head = len(await storage.events(key))
        await clear(storage)
        page = await storage.log.read(key, 0)
        assert (page.cleared_through, page.head, page.through) == (head, head + 1, head + 1)
        assert kinds(page.events) == ["MessagesCleared"]
        gap, snapshot, event = await everything_watched(storage, key, 0, head + 1)
        assert gap == Gap(1, head, GapReason.CLEARED)
        assert isinstance(snapshot, SessionSnapshot)
        assert isinstance(event, SessionEvent)
        assert event.sequence == head + 1

    async def test_is_seen_by_readers_though_others_have_the_events_still_cached(self, storage: Storage) -> None:
        key = (await storage.new_session()).session.key
        watching = storage.feed.subscribe(key, 0)
        try:
            assert await watching.next(0) is None
            running = await storage.start()
            await storage.answer(running, SECRET)
            while watching.position < 6:
                assert await watching.next(5)
            await clear(storage)
            items = await everything_watched(storage, key, 0, 7)
            assert SECRET not in str(items)
            assert items[0] == Gap(1, 6, GapReason.CLEARED)
        finally:
            watching.close()

    async def test_keeps_what_was_spent_and_never_uses_a_number_again(self, storage: Storage) -> None:
        key = await a_conversation(storage)
        [spent] = await storage.reads.agent_usage(OWNER, "s1", since=None, before=None)
        head = len(await storage.events(key))
        await clear(storage)
        assert await storage.reads.agent_usage(OWNER, "s1", since=None, before=None) == [spent]
        running = await storage.start()
        await storage.answer(running, "again")
        assert sequences(await storage.events(key)) == list(range(head + 1, head + 8))
        assert [m.ordinal for m in await storage.history(key)] == [5, 6]
        session = (await storage.reads.session(OWNER, "s1")).session
        assert (session.message_count, session.last_ordinal) == (2, 6)

    async def test_repeated_tells_how_many_messages_went_the_first_time(self, storage: Storage) -> None:
        await a_conversation(storage)
        assert await clear(storage, "c1") == 4
        assert await clear(storage, "c1") == 4
        assert await clear(storage, "c2") == 0

    async def test_needs_the_session_to_be_idle(self, storage: Storage) -> None:
        await storage.start_in_new_session()
        with pytest.raises(TurnInProgressError):
            await clear(storage)

    async def test_touches_no_other_session(self, storage: Storage) -> None:
        await a_conversation(storage, "s1")
        other = await a_conversation(storage, "s2")
        before = await rows_of(storage, other)
        await clear(storage)
        assert await rows_of(storage, other) == before


class TestDeleting:
    async def test_leaves_a_tombstone_without_content(self, storage: Storage) -> None:
        key = await a_conversation(storage)
        await storage.change(
            lambda change: setattr(
                change, "session", replace(change.session, description=SECRET, labels={"a": SECRET}, title=SECRET)
            )
        )
        await storage.outbox.delivered(await storage.outbox.oldest(100))
        await storage.change(delete)
        assert await rows_with(storage, SECRET) == []
        assert await rows_of(storage, key) == {"sessions": 1, "session_heads": 1, "session_events": 1}
        assert await storage.database.read(
            lambda connection: connection.scalar(select(sessions.c.delete_time).where(sessions.c.session_key == key))
        )

    @pytest.mark.parametrize("is_waiting", [True, False])
    async def test_leaves_no_row_of_calls_approvals_switches_and_tools(
        self, storage: Storage, is_waiting: bool
    ) -> None:
        key = await a_conversation_with_tools(storage)
        if is_waiting:
            running = storage.run(await storage.change(partial(recover_turn, unattended=True)))
            await answered(storage, running, read("d1"), write("d2"), question("d3"))
        await storage.change(lambda change: setattr(change, "client_tools", TOOLS))
        await storage.outbox.delivered(await storage.outbox.oldest(100))
        await storage.change(delete)
        assert await rows_with(storage, SECRET) == []
        rows = await rows_of(storage, key)
        assert set(rows) == {"sessions", "session_heads", "session_events", "outbox"}
        assert set((await orphans(storage)).values()) == {0}
        assert (await storage.reads.approvals(OWNER, None, states=(), limit=10, after=None)).items == ()
        assert await storage.waits.due(10) == []

    async def test_makes_session_deleted_the_last_event(self, storage: Storage) -> None:
        key = await a_conversation(storage)
        head = len(await storage.events(key))
        await storage.change(delete)
        assert kinds(await storage.events(key)) == ["SessionDeleted"]
        items = await everything_watched(storage, key, 0, head + 1)
        assert isinstance(items[-1], SessionEvent)
        assert isinstance(items[-1].payload, SessionDeleted)

    async def test_ends_the_running_turn_and_locks_its_process_out(self, storage: Storage) -> None:
        running = await storage.start_in_new_session()
        await storage.say(running, SECRET)
        await storage.published.until_said(running.claim, SECRET)
        await storage.change(delete)
        with pytest.raises(FencedError):
            await storage.answer(running, SECRET)
        assert await rows_with(storage, SECRET) == []
        assert kinds(await storage.events(running.claim.session_key)) == ["TurnCancelled", "SessionDeleted"]

    async def test_makes_the_session_unfindable(self, storage: Storage) -> None:
        await a_conversation(storage)
        await storage.change(delete)
        with pytest.raises(SessionNotFoundError):
            await storage.reads.session(OWNER, "s1")
        with pytest.raises(SessionNotFoundError):
            await storage.change(delete)

    async def test_may_be_asked_for_again_under_the_same_request_id(self, storage: Storage) -> None:
        key = await a_conversation(storage)
        request = key_for(ANN, "DeleteSession", "d1", session_id="s1")
        for repeated in (False, True, True):
            committed = await storage.store.change(OWNER, "s1", delete, correlation_id=CORRELATION, key=request)
            assert committed.repeated is repeated
            if repeated:
                assert committed.session is None
                with pytest.raises(SessionNotFoundError):
                    committed.present()
        assert kinds(await storage.events(key)) == ["SessionDeleted"]

    async def test_forgets_the_requests_that_told_of_its_content(self, storage: Storage) -> None:
        await a_conversation(storage)
        request = key_for(ANN, "SendMessage", "s1", text=SECRET)
        assert request is not None
        assert await storage.store.recall(request) is not None
        await storage.change(delete)
        assert await storage.store.recall(request) is None
