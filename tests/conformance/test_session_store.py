"""Every change of a session is one transaction under the session's lock: all of it or nothing, once per request."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

import pytest

from services.application.ports import Committed, FencedError, IdempotencyKey
from services.application.turns.inputs.user_message import accept_user_message
from services.application.turns.outside_steps import cancel_turn
from services.domain.errors import (
    DatabaseUnavailableError,
    RequestIdReusedError,
    SessionInactiveError,
    SessionNotFoundError,
    TurnInProgressError,
)
from services.domain.input import UserMessage
from services.domain.message import Message, MessageToolCall, Role
from services.domain.session_change import Removal, SessionChange
from services.domain.session_events import SessionDeleted
from services.domain.turn import CancelCause, TurnState
from tests.support.changes import ANN
from tests.support.storage import CORRELATION, LIMITS, OWNER, Storage, kinds, note, sequences, text_of
from tests.support.unreliable_database import Loss, UnreliableDatabase


def key(body: bytes = b"body", rpc: str = "UpdateSession", owner_id: str = OWNER) -> IdempotencyKey:
    return IdempotencyKey(owner_id, rpc, "r1", body.ljust(32, b"."))


async def update(storage: Storage, request: IdempotencyKey | None, session_id: str = "s1") -> Committed:
    """A command that counts how often it had its effect, in the session's version."""

    def decide(change: SessionChange) -> None:
        note(change)
        change.session = replace(change.session, version=change.session.version + 1)
        change.outcome = f"version {change.session.version}"

    return await storage.store.change(OWNER, session_id, decide, correlation_id=CORRELATION, key=request)


def cancel(change: SessionChange) -> None:
    cancel_turn(change, cause=CancelCause.USER, cancelled_by="ann")


def delete(change: SessionChange) -> None:
    change.append(SessionDeleted())
    change.removal = Removal.SESSION


class TestACommand:
    async def test_commits_what_it_staged_numbered_from_the_head_on(self, storage: Storage) -> None:
        session = (await storage.new_session()).session
        await storage.change(note)

        def decide(change: SessionChange) -> None:
            note(change, "two")
            note(change, "three")

        committed = await storage.change(decide)
        assert sequences(committed.events) == [2, 3]
        assert committed.present().last_sequence == 3
        assert (await storage.events(session.key))[1:] == list(committed.events)
        assert (await storage.reads.session(OWNER, "s1")).last_sequence == 3

    async def test_has_published_its_events_when_it_returns(self, storage: Storage) -> None:
        session = (await storage.new_session()).session
        committed = await storage.change(note)
        assert storage.published.by_session[session.key] == list(committed.events)

    async def test_that_is_refused_leaves_nothing(self, storage: Storage) -> None:
        session = (await storage.new_session()).session

        def refuse(change: SessionChange) -> None:
            note(change)
            change.add_message(Message("m1", Role.USER, "hello", change.now))
            raise SessionInactiveError("no")

        before = await storage.reads.session(OWNER, "s1")
        entries = len(await storage.outbox.oldest(100))
        with pytest.raises(SessionInactiveError):
            await storage.store.change(OWNER, "s1", refuse, correlation_id=CORRELATION, key=key())
        assert await storage.reads.session(OWNER, "s1") == before
        assert await storage.events(session.key) == []
        assert await storage.history(session.key) == []
        assert len(await storage.outbox.oldest(100)) == entries
        assert await storage.store.recall(key()) is None

    async def test_finds_no_session_that_does_not_exist(self, storage: Storage) -> None:
        with pytest.raises(SessionNotFoundError):
            await storage.change(note, "nowhere")

    async def test_waits_for_the_one_before_it_so_no_update_is_lost(self, storage: Storage) -> None:
        session = (await storage.new_session()).session
        await asyncio.gather(*(update(storage, None) for _ in range(20)))
        assert (await storage.reads.session(OWNER, "s1")).session.version == 21
        assert sequences(await storage.events(session.key)) == list(range(1, 21))

    async def test_is_not_cut_in_the_middle_by_a_caller_who_hangs_up(self, storage: Storage) -> None:
        await storage.new_session()
        loop, started, cancelled = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

        def decide(change: SessionChange) -> None:
            note(change)
            loop.call_soon_threadsafe(started.set)
            if storage.database.dialect == "sqlite":  # runs in a thread, which could be faster than the cancel
                cancelled.wait(5)

        calling = asyncio.create_task(storage.change(decide))
        await started.wait()
        calling.cancel()
        cancelled.set()
        with pytest.raises(asyncio.CancelledError):
            await calling
        assert (await storage.reads.session(OWNER, "s1")).last_sequence == 1

    async def test_keeps_messages_in_order_with_ordinals_that_never_go_back(self, storage: Storage) -> None:
        session = (await storage.new_session()).session

        def add(change: SessionChange) -> None:
            role = Role.USER if change.session.last_ordinal % 2 else Role.SYSTEM
            change.add_message(Message(f"m{change.session.last_ordinal + 1}", role, "text", change.now))

        await asyncio.gather(*(storage.change(add) for _ in range(10)))
        history = await storage.history(session.key)
        assert [(m.ordinal, m.id) for m in history] == [(n, f"m{n}") for n in range(1, 11)]
        stored = (await storage.reads.session(OWNER, "s1")).session
        assert (stored.message_count, stored.last_ordinal) == (10, 10)


class TestARequestId:
    async def test_makes_a_repeat_find_the_outcome_and_write_nothing(self, storage: Storage) -> None:
        session = (await storage.new_session()).session
        first = await update(storage, key())
        again = await update(storage, key())
        assert (first.repeated, again.repeated) == (False, True)
        assert first.outcome == again.outcome == "version 2"
        assert again.view == first.view
        assert sequences(await storage.events(session.key)) == [1]
        assert await storage.store.recall(key()) == "version 2"

    async def test_makes_identical_requests_at_once_one_effect(self, storage: Storage) -> None:
        session = (await storage.new_session()).session
        results = await asyncio.gather(*(update(storage, key()) for _ in range(8)))
        assert {result.outcome for result in results} == {"version 2"}
        assert sum(not result.repeated for result in results) == 1
        assert sequences(await storage.events(session.key)) == [1]

    async def test_with_a_changed_body_is_refused(self, storage: Storage) -> None:
        await storage.new_session()
        await update(storage, key(b"one"))
        with pytest.raises(RequestIdReusedError):
            await update(storage, key(b"other"))
        with pytest.raises(RequestIdReusedError):
            await storage.store.recall(key(b"other"))
        assert (await storage.reads.session(OWNER, "s1")).session.version == 2

    async def test_sent_to_two_sessions_at_once_has_its_effect_in_one(self, storage: Storage) -> None:
        await storage.new_session("s1")
        await storage.new_session("s2")
        results = await asyncio.gather(
            update(storage, key(b"one"), "s1"), update(storage, key(b"two"), "s2"), return_exceptions=True
        )
        assert [type(result) for result in results if isinstance(result, Exception)] == [RequestIdReusedError]
        versions = [(await storage.reads.session(OWNER, id_)).session.version for id_ in ("s1", "s2")]
        assert sorted(versions) == [1, 2]

    async def test_means_something_else_to_another_owner_and_another_rpc(self, storage: Storage) -> None:
        await storage.new_session()
        await update(storage, key(b"one"))
        assert await storage.store.recall(key(b"other", owner_id="bob")) is None
        assert await storage.store.recall(key(b"other", rpc="ClearMessages")) is None
        assert not (await update(storage, key(b"other", rpc="ClearMessages"))).repeated

    async def test_makes_a_command_whose_reply_was_lost_happen_once(
        self, shaky: Storage, unreliable: UnreliableDatabase
    ) -> None:
        session = (await shaky.new_session()).session
        unreliable.lose(Loss.REPLY)
        committed = await update(shaky, key())
        assert (committed.outcome, committed.view.session.version) == ("version 2", 2)
        assert sequences(await shaky.events(session.key)) == [1]

    async def test_makes_watchers_learn_of_a_command_whose_reply_was_lost(
        self, shaky: Storage, unreliable: UnreliableDatabase
    ) -> None:
        session = (await shaky.new_session()).session
        cursor = shaky.feed.subscribe(session.key, 0)
        try:
            assert await cursor.next(0) is None
            unreliable.lose(Loss.REPLY)
            await update(shaky, key())
            page = await cursor.next(5)
            assert page is not None
            assert sequences(page.events) == [1]
        finally:
            cursor.close()

    async def test_is_needed_to_run_a_command_again_when_nobody_knows_whether_it_happened(
        self, shaky: Storage, unreliable: UnreliableDatabase
    ) -> None:
        await shaky.new_session()
        unreliable.lose(Loss.REPLY)
        with pytest.raises(DatabaseUnavailableError):
            await update(shaky, None)
        assert (await shaky.reads.session(OWNER, "s1")).session.version == 2


class TestATurn:
    async def test_starts_once_however_many_ask_at_once(self, storage: Storage) -> None:
        session = (await storage.new_session()).session

        def start(change: SessionChange) -> None:
            accept_user_message(change, UserMessage("hello"), ANN, LIMITS)

        results = await asyncio.gather(*(storage.change(start) for _ in range(6)), return_exceptions=True)
        refused = [result for result in results if isinstance(result, BaseException)]
        assert len(refused) == 5
        assert all(isinstance(error, TurnInProgressError) for error in refused)
        assert kinds(await storage.events(session.key)) == ["InputAccepted", "MessageAdded", "TurnStarted"]

    async def test_is_claimed_by_whoever_starts_it_under_a_higher_epoch_each_time(self, storage: Storage) -> None:
        await storage.new_session()
        epochs = []
        for _ in range(3):
            running = await storage.start()
            epochs.append(running.claim.epoch)
            await storage.answer(running, "done")
        assert epochs == sorted(set(epochs))

    async def test_started_by_a_command_whose_reply_was_lost_is_there_once(
        self, shaky: Storage, unreliable: UnreliableDatabase
    ) -> None:
        session = (await shaky.new_session()).session

        def start(change: SessionChange) -> None:
            change.outcome = accept_user_message(change, UserMessage("hello"), ANN, LIMITS).turn_id

        unreliable.lose(Loss.REPLY)
        committed = await shaky.store.change(OWNER, "s1", start, correlation_id=CORRELATION, key=key())
        turn = committed.present().turn
        assert turn is not None
        assert turn.id == committed.outcome
        assert kinds(await shaky.events(session.key)) == ["InputAccepted", "MessageAdded", "TurnStarted"]


class TestAStep:
    async def test_commits_the_waiting_deltas_first_and_in_the_same_transaction(self, storage: Storage) -> None:
        running = await storage.start_in_new_session()
        await storage.flushing.stop()
        await storage.say(running, "Hello")
        committed = await storage.answer(running, "Hello")
        assert kinds(committed.events) == ["TextDelta", "MessageAdded", "UsageReported", "TurnCompleted"]
        storage.flushing.start()
        assert await storage.events(running.claim.session_key) == storage.published.of(running.claim)
        turn = await storage.reads.turn(OWNER, "s1", running.turn.id)
        assert (turn.state, turn.result_text) == (TurnState.COMPLETED, "Hello")

    async def test_may_find_its_deltas_half_flushed(self, storage: Storage) -> None:
        running = await storage.start_in_new_session()
        await storage.say(running, "already durable, ")
        await storage.published.until_said(running.claim, "durable, ")
        await storage.flushing.stop()
        await storage.say(running, "still waiting")
        committed = await storage.answer(running, "all")
        assert text_of(committed.events) == "still waiting"
        storage.flushing.start()
        events = await storage.events(running.claim.session_key)
        assert sequences(events) == list(range(1, len(events) + 1))
        assert text_of(events) == "already durable, still waiting"

    async def test_of_a_void_claim_is_fenced_and_writes_nothing(self, storage: Storage) -> None:
        running = await storage.start_in_new_session()
        await storage.say(running, "unsaid")
        await storage.change(cancel)
        before = await storage.events(running.claim.session_key)
        with pytest.raises(FencedError):
            await storage.answer(running, "unsaid")
        with pytest.raises(FencedError):
            await storage.say(running, "more")
        assert await storage.events(running.claim.session_key) == before
        assert kinds(before)[-1] == "TurnCancelled"

    async def test_of_a_deleted_session_is_fenced(self, storage: Storage) -> None:
        running = await storage.start_in_new_session()
        await storage.change(delete)
        with pytest.raises(FencedError):
            await storage.answer(running, "hello?")

    async def test_of_a_claim_nobody_opened_is_fenced(self, storage: Storage) -> None:
        running = await storage.start_in_new_session()
        storage.writer.close(running.claim)
        with pytest.raises(FencedError):
            await storage.answer(running, "hello?")

    async def test_that_goes_wrong_writes_nothing_and_leaves_its_deltas_waiting(self, storage: Storage) -> None:
        running = await storage.start_in_new_session()

        def break_down(change: SessionChange) -> None:
            note(change)
            raise RuntimeError("a fault of ours")

        await storage.say(running, "kept")
        with pytest.raises(RuntimeError):
            await storage.store.step(running.claim, break_down, correlation_id=CORRELATION)
        await storage.published.until_said(running.claim, "kept")
        assert kinds(await storage.events(running.claim.session_key))[3:] == ["TextDelta"]

    async def test_gives_calls_with_an_id_the_session_already_has_an_id_of_our_own(self, storage: Storage) -> None:
        running = await storage.start_in_new_session()
        call = MessageToolCall("call_1", "read_file", "{}")
        await storage.answer(running, "", [call])
        await storage.answer(running, "", [call])
        await storage.answer(running, "done")
        history = await storage.history(running.claim.session_key)
        asked = [call.id for message in history for call in message.tool_calls]
        assert len(set(asked)) == 2
        assert [m.tool_call_id for m in history if m.role is Role.TOOL] == asked

    @pytest.mark.parametrize("loss", [Loss.REPLY, Loss.CONNECTION, Loss.REQUEST])
    async def test_whose_reply_was_lost_is_not_done_twice(
        self, shaky: Storage, unreliable: UnreliableDatabase, loss: Loss
    ) -> None:
        running = await shaky.start_in_new_session()
        call = MessageToolCall("call_1", "read_file", "{}")
        await shaky.flushing.stop()
        await shaky.say(running, "Let me look. ")
        unreliable.lose(loss)
        if loss is not Loss.REPLY:
            with pytest.raises(DatabaseUnavailableError):
                await shaky.answer(running, "Let me look.", [call])
        await shaky.answer(running, "Let me look.", [call])
        shaky.flushing.start()
        await shaky.say(running, "Done.")
        await shaky.answer(running, "Done.")
        events = await shaky.events(running.claim.session_key)
        assert sequences(events) == list(range(1, len(events) + 1))
        assert events == shaky.published.of(running.claim)
        assert text_of(events) == "Let me look. Done."
        assert kinds(events).count("TurnCompleted") == 1

    async def test_whose_reply_was_lost_survives_the_flushes_before_it_is_repeated(
        self, shaky: Storage, unreliable: UnreliableDatabase
    ) -> None:
        running = await shaky.start_in_new_session("s1")
        other = await shaky.start_in_new_session("s2")
        await shaky.flushing.stop()
        await shaky.say(running, "Bye.")
        unreliable.lose(Loss.CONNECTION)
        with pytest.raises(DatabaseUnavailableError):
            await shaky.answer(running, "Bye.")
        shaky.flushing.start()
        await shaky.say(other, "meanwhile")
        await shaky.published.until_said(other.claim, "meanwhile")
        await shaky.answer(running, "Bye.")
        events = await shaky.events(running.claim.session_key)
        assert events == shaky.published.of(running.claim)
        assert kinds(events)[3:] == ["TextDelta", "MessageAdded", "UsageReported", "TurnCompleted"]
