"""The log writer commits what all sessions have waiting, in order, once, and no session's trouble reaches another."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from itertools import repeat

import pytest

from services.application.ports import FencedError
from services.application.turns.answer_steps import take_answer
from services.application.turns.outside_steps import cancel_turn
from services.domain.message import MessageToolCall
from services.domain.session_change import SessionChange
from services.domain.session_events import Payload, ReasoningDelta, SessionDeleted, TextDelta
from services.domain.turn import CancelCause
from services.infrastructure.persistence.log_writer import GroupLogWriter
from tests.support.storage import (
    CORRELATION,
    LIMITS,
    REFUSED,
    Running,
    Storage,
    an_answer,
    kinds,
    note,
    sequences,
    text_of,
)
from tests.support.unreliable_database import Loss, UnreliableDatabase
from tests.support.waiting import eventually

KIB = 1024


def all_published(storage: Storage, running: Running) -> bool:
    """Whether both of a session's deltas are out, behind the three events with which its turn began."""
    return len(storage.published.of(running.claim)) == 5


async def numbered_without_gaps(storage: Storage, running: Running) -> bool:
    events = await storage.events(running.claim.session_key)
    return sequences(events) == list(range(1, len(events) + 1))


async def test_a_delta_is_delivered_with_the_next_number_and_is_then_in_the_log(storage: Storage) -> None:
    running = await storage.start_in_new_session()
    head = storage.published.of(running.claim)[-1].sequence
    await storage.say(running, "first")
    await storage.published.until_said(running.claim, "first")
    await storage.say(running, "second")
    await storage.published.until_said(running.claim, "second")
    delivered = storage.published.of(running.claim)
    assert sequences(delivered)[-2:] == [head + 1, head + 2]
    assert await storage.events(running.claim.session_key) == delivered


async def test_deltas_of_one_message_that_wait_together_become_one_event(storage: Storage) -> None:
    running = await storage.start_in_new_session()
    for word in ("to", "ge", "ther"):
        await storage.say(running, word)
    await storage.published.until_said(running.claim, "together")
    assert [e.payload.text for e in storage.published.of(running.claim) if isinstance(e.payload, TextDelta)] == [
        "together"
    ]


async def test_text_reasoning_and_other_messages_are_never_joined(storage: Storage) -> None:
    running = await storage.start_in_new_session()
    said: list[Payload] = [
        TextDelta("m1", "a"),
        ReasoningDelta("m1", "b"),
        ReasoningDelta("m2", "c"),
        TextDelta("m2", "d"),
        TextDelta("m1", "e"),
    ]
    for payload in said:
        await storage.writer.write(running.claim, storage.delta(running, payload))
    await storage.published.until_said(running.claim, "e")
    assert [event.payload for event in storage.published.of(running.claim)[-5:]] == said


async def test_no_event_of_joined_deltas_is_larger_than_16_kib(storage: Storage) -> None:
    running = await storage.start_in_new_session()
    for _ in range(10):
        await storage.say(running, "é" * 3 * KIB)
    await storage.say(running, "end")
    await storage.published.until_said(running.claim, "end")
    texts = [e.payload.text for e in storage.published.of(running.claim) if isinstance(e.payload, TextDelta)]
    assert max(len(text.encode()) for text in texts) <= 16 * KIB
    assert "".join(texts) == "é" * 30 * KIB + "end"


async def test_what_all_sessions_have_waiting_goes_out_in_one_flush(storage: Storage) -> None:
    all_running = [await storage.start_in_new_session(f"s{n}") for n in range(20)]
    before = storage.writer.flushes
    for running in all_running:
        await storage.say(running, "x")
    for running in all_running:
        await storage.published.until_said(running.claim, "x")
    assert storage.writer.flushes == before + 1


async def test_only_deltas_may_wait(storage: Storage) -> None:
    running = await storage.start_in_new_session()
    with pytest.raises(TypeError):
        await storage.writer.write(running.claim, storage.delta(running, SessionDeleted()))
    await storage.say(running, "a delta")
    await storage.published.until_said(running.claim, "a delta")
    assert kinds(await storage.events(running.claim.session_key))[3:] == ["TextDelta"]


async def test_the_writer_of_a_session_that_has_too_much_waiting_waits(storage: Storage) -> None:
    running = await storage.start_in_new_session()
    asleep = GroupLogWriter(storage.database, storage.published.add, storage.clock)
    asleep.open(running.claim)

    async def write_two_mebibytes() -> None:
        for _ in range(128):
            delta = TextDelta(running.message_id, "x" * 16 * KIB)
            await asleep.write(running.claim, storage.delta(running, delta))

    writing = asyncio.create_task(write_two_mebibytes())
    for _ in range(200):
        await asyncio.sleep(0)
    assert not writing.done()
    flushing = asyncio.create_task(asleep.run())
    await asyncio.wait_for(writing, 10)
    await storage.published.until(lambda: len(text_of(storage.published.of(running.claim))) == 2 * KIB * KIB)
    flushing.cancel()


async def test_commands_take_numbers_between_deltas_and_none_is_lost(storage: Storage) -> None:
    running = await storage.start_in_new_session()

    async def talk() -> None:
        for n in range(50):
            await storage.say(running, f"{n};")
            await asyncio.sleep(0)

    async def command() -> None:
        for _ in range(10):
            await storage.change(note)

    await asyncio.gather(talk(), command())
    await storage.answer(running, "done")
    events = await storage.events(running.claim.session_key)
    assert sequences(events) == list(range(1, len(events) + 1))
    assert text_of(events) == "".join(f"{n};" for n in range(50))
    assert kinds(events).count("SessionUpdated") == 10


async def test_a_claim_that_was_never_opened_or_is_closed_cannot_write(storage: Storage) -> None:
    running = await storage.start_in_new_session()
    await storage.say(running, "dropped")
    storage.writer.close(running.claim)
    storage.writer.close(running.claim)  # harmless
    with pytest.raises(FencedError):
        await storage.say(running, "too late")


async def test_a_newer_claim_voids_the_older_one_in_the_writer(storage: Storage) -> None:
    older = await storage.start_in_new_session()
    await storage.answer(older, "done")
    newer = await storage.start()
    with pytest.raises(FencedError):
        await storage.say(older, "stale")
    storage.writer.close(older.claim)
    await storage.say(newer, "fresh")
    await storage.published.until_said(newer.claim, "fresh")


async def test_a_session_taken_over_stops_writing_and_the_others_go_on(storage: Storage) -> None:
    fenced, other = await storage.start_in_new_session("s1"), await storage.start_in_new_session("s2")
    await storage.change(lambda change: cancel_turn(change, cause=CancelCause.USER, cancelled_by="ann"))
    before = await storage.events(fenced.claim.session_key)
    await storage.say(fenced, "nobody asked")
    await storage.say(other, "welcome")
    await storage.published.until_said(other.claim, "welcome")
    with pytest.raises(FencedError):
        await storage.say(fenced, "again")
    assert await storage.events(fenced.claim.session_key) == before
    assert await numbered_without_gaps(storage, other)


async def test_an_event_the_database_cannot_store_stops_its_own_session_only(storage: Storage) -> None:
    poisoned, other = await storage.start_in_new_session("s1"), await storage.start_in_new_session("s2")
    unstorable = storage.delta(poisoned, TextDelta(poisoned.message_id, "x"), correlation_id="\ud800")
    await storage.writer.write(poisoned.claim, unstorable)
    await storage.say(other, "unharmed")
    await storage.published.until_said(other.claim, "unharmed")
    with pytest.raises(Exception):  # noqa: B017, PT011 - what the driver says of it is its own
        await storage.say(poisoned, "more")
    assert await numbered_without_gaps(storage, other)
    await storage.change(note)  # its session stays usable


async def test_a_delta_written_while_a_step_is_under_way_comes_behind_it(storage: Storage) -> None:
    running = await storage.start_in_new_session()
    call = MessageToolCall("call_1", "read_file", "{}")
    loop, deciding = asyncio.get_running_loop(), asyncio.Event()

    def decide(change: SessionChange) -> None:
        loop.call_soon_threadsafe(deciding.set)
        take_answer(change, an_answer("", [call]), [REFUSED], LIMITS)

    stepping = asyncio.create_task(storage.store.step(running.claim, decide, correlation_id=CORRELATION))
    await deciding.wait()
    await storage.say(running, "behind")
    await stepping
    await storage.published.until_said(running.claim, "behind")
    events = await storage.events(running.claim.session_key)
    assert kinds(events)[-2:] == ["MessageAdded", "TextDelta"]
    assert events == storage.published.of(running.claim)


@pytest.mark.parametrize("loss", [Loss.REPLY, Loss.CONNECTION, Loss.REQUEST])
async def test_a_flush_sent_again_after_a_lost_reply_writes_nothing_twice(
    shaky: Storage, unreliable: UnreliableDatabase, loss: Loss
) -> None:
    all_running = [await shaky.start_in_new_session(f"s{n}") for n in range(3)]
    unreliable.lose(loss)
    for running in all_running:
        await shaky.say(running, "once")
        await shaky.writer.write(running.claim, shaky.delta(running, ReasoningDelta(running.message_id, "thought")))
    for running in all_running:
        await shaky.published.until(partial(all_published, shaky, running))
        assert await shaky.events(running.claim.session_key) == shaky.published.of(running.claim)
        await shaky.say(running, "on we go")
        await shaky.published.until_said(running.claim, "on we go")
        assert await numbered_without_gaps(shaky, running)


async def test_what_was_written_while_the_database_was_away_goes_out_when_it_is_back(
    shaky: Storage, unreliable: UnreliableDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    running = await shaky.start_in_new_session()
    unreliable.lose(Loss.REQUEST)
    await shaky.say(running, "before, ")
    await eventually(lambda: "will try again" in caplog.text)
    await shaky.say(running, "meanwhile")
    await shaky.published.until_said(running.claim, "meanwhile")
    assert text_of(await shaky.events(running.claim.session_key)) == "before, meanwhile"


async def test_a_session_taken_over_while_its_flush_had_lost_its_reply_is_fenced(
    shaky: Storage, unreliable: UnreliableDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    running = await shaky.start_in_new_session()
    unreliable.lose(Loss.CONNECTION)
    await shaky.say(running, "durable, though nobody knows")
    await eventually(lambda: "will try again" in caplog.text)
    await shaky.change(lambda change: cancel_turn(change, cause=CancelCause.USER, cancelled_by="ann"))
    with pytest.raises(FencedError):
        await shaky.answer(running, "unwanted")
    events = await shaky.events(running.claim.session_key)
    assert text_of(events) == "durable, though nobody knows"
    assert kinds(events)[-1] == "TurnCancelled"
    assert text_of(shaky.published.of(running.claim)) == ""  # readers find it in the log


async def test_a_step_that_waits_for_a_flush_is_refused_when_its_session_is_claimed_anew(
    shaky: Storage, unreliable: UnreliableDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    running = await shaky.start_in_new_session()
    unreliable.losses = repeat(Loss.REQUEST)
    await shaky.say(running, "never sent")
    await eventually(lambda: "will try again" in caplog.text)
    answering = asyncio.create_task(shaky.answer(running, "unwanted"))
    for _ in range(10):
        await asyncio.sleep(0)  # until it waits for the flush
    shaky.writer.open(replace(running.claim, epoch=running.claim.epoch + 1))
    with pytest.raises(FencedError):
        await asyncio.wait_for(answering, 5)
