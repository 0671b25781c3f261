"""What removing does: a cleared log says what is gone and goes on; a deleted session is gone, its id stays taken."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from agent_runtime.v1 import session_stream_pb2, turn_pb2
from devtools.scripted_model import ScriptedModel, gate, reply, text
from tests.support.runtime_client import (
    RuntimeClient,
    kinds,
    read_rest,
    read_until,
    refusal_of,
    refused,
    said,
    text_of,
)

CLEARED = session_stream_pb2.STREAM_GAP_REASON_CLEARED


def cleared(events: list[Any]) -> bool:
    return bool(events) and events[-1].HasField("messages_cleared")


async def watched(client: RuntimeClient, session_id: str, after: int) -> list[Any]:
    """Everything a watcher is told from a number up to the head."""
    return await read_rest(client.watch(session_id, after_sequence=after, stop_at_head=True))


async def test_clearing_empties_the_history_and_keeps_the_rest(client: RuntimeClient, model: ScriptedModel) -> None:
    session = await client.new_session(agent="universal", title="t", labels={"a": "1"})
    events = await client.ask(session.id, "forget me")
    before = await client.session(session.id)
    answer = await client.clear(session.id)
    assert answer.cleared_messages == 2
    after = answer.session
    assert (after.message_count, after.last_sequence) == (0, events[-1].sequence + 1)
    assert (after.title, dict(after.labels), after.current_agent) == ("t", {"a": "1"}, "universal")
    assert (after.version, after.update_time) == (before.version, before.update_time)
    assert list((await client.list_messages(session.id)).messages) == []
    (turn,) = (await client.list_turns(session.id)).turns
    assert turn.usage == events[-1].turn_completed.usage
    assert turn.result_text == ""


async def test_a_replay_shows_one_cleared_gap_a_snapshot_and_what_came_after(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    session = await client.new_session(agent="universal")
    last = (await client.ask(session.id, "one"))[-1].sequence
    await client.clear(session.id)
    later = await client.ask(session.id, "two")
    for after in range(last):
        gap, snapshot, *rest = await watched(client, session.id, after)
        assert (gap.gap.from_sequence, gap.gap.to_sequence, gap.gap.reason) == (after + 1, last, CLEARED)
        assert list(gap.gap.message_ids) == []
        assert snapshot.snapshot.session.message_count == 2
        assert rest[0].event.sequence == last + 1
        assert rest[0].event.messages_cleared.message_count == 2
        assert [item.event for item in rest[1:]] == later
    assert [item.event for item in (await watched(client, session.id, last))[1:]] == later


async def test_a_live_watcher_is_told_and_follows_on(client: RuntimeClient, model: ScriptedModel) -> None:
    session = await client.new_session(agent="universal")
    last = (await client.ask(session.id, "one"))[-1].sequence
    watch = client.watch(session.id, after_sequence=last)
    await watch.initial_metadata()
    await client.clear(session.id)
    (event,) = await read_until(watch, cleared)
    assert (event.sequence, event.messages_cleared.message_count) == (last + 1, 2)
    later = await client.ask(session.id, "two")
    assert await read_until(watch, lambda events: len(events) == len(later)) == later


async def test_numbers_go_on_after_clearing_and_the_model_sees_only_what_is_new(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    session = await client.new_session(agent="universal")
    await client.ask(session.id, "old")
    cleared_at = (await client.clear(session.id)).session.last_sequence
    events = await client.ask(session.id, "new")
    assert [event.sequence for event in events] == list(range(cleared_at + 1, cleared_at + 1 + len(events)))
    assert [message.ordinal for message in (await client.list_messages(session.id)).messages] == [3, 4]
    sent = (await model.calls())[-1]["body"]["messages"]
    assert [message["content"] for message in sent[1:]] == ["new"]
    assert (await client.clear(session.id)).cleared_messages == 2
    (gap, *_) = await watched(client, session.id, 0)
    assert (gap.gap.from_sequence, gap.gap.to_sequence) == (1, events[-1].sequence)


async def test_attaching_again_to_a_cleared_input_tells_the_gap_and_ends(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    session = await client.new_session(agent="universal")
    last = (await client.ask(session.id, "one", request_id="r-1"))[-1].sequence
    await client.clear(session.id)
    await client.ask(session.id, "two")
    calls = (await model.counts())["calls"]
    for after in (None, 0, 1, last - 1):
        stream = client.send(session.id, "one", request_id="r-1", after_sequence=after)
        (item,) = await read_rest(stream)
        assert (item.gap.from_sequence, item.gap.to_sequence, item.gap.reason) == ((after or 0) + 1, last, CLEARED)
    assert await client.ask(session.id, "one", request_id="r-1", after_sequence=last) == []
    assert (await model.counts())["calls"] == calls


async def test_a_repeat_of_clear_leaves_what_was_said_since(client: RuntimeClient, model: ScriptedModel) -> None:
    session = await client.new_session(agent="universal")
    await client.ask(session.id, "one")
    assert (await client.clear(session.id, "r-1")).cleared_messages == 2
    await client.ask(session.id, "two")
    repeat = await client.clear(session.id, "r-1")
    assert (repeat.cleared_messages, repeat.session.message_count) == (2, 2)


async def test_a_session_with_an_active_turn_is_not_cleared(client: RuntimeClient, model: ScriptedModel) -> None:
    await model.play(reply(gate("go"), text("done")))
    session = await client.new_session(agent="universal")
    await client.ask(session.id, "go", detach=True)
    async with refused() as refusal:
        await client.clear(session.id)
    assert refusal().reason == "TURN_IN_PROGRESS"
    await model.release("go")


async def test_an_inactive_session_can_be_cleared_and_deleted(client: RuntimeClient, model: ScriptedModel) -> None:
    session = await client.new_session(agent="universal")
    await client.ask(session.id, "one")
    await client.deactivate(session.id)
    assert (await client.clear(session.id)).session.message_count == 0
    await client.delete(session.id)


async def test_nothing_of_a_deleted_session_can_be_read_or_changed(client: RuntimeClient, model: ScriptedModel) -> None:
    session = await client.new_session(session_id="gone")
    events = await client.ask(session.id, "hello", request_id="r-1")
    await client.delete(session.id)
    for attempt in (
        client.session("gone"),
        client.update("gone", title="x"),
        client.deactivate("gone"),
        client.activate("gone"),
        client.clear("gone"),
        client.delete("gone"),
        client.list_messages("gone"),
        client.list_turns("gone"),
        client.turn("gone", events[0].turn_id),
        client.cancel("gone", events[0].turn_id),
        client.usage_stats(session_id="gone"),
        client.log("gone"),
        client.ask("gone", "hello?"),
        client.ask("gone", "hello", request_id="r-1"),
        client.ask("gone", "hello", request_id="r-1", after_sequence=0),
    ):
        async with refused() as refusal:
            await attempt
        assert (refusal().code, refusal().reason) == (grpc.StatusCode.NOT_FOUND, "SESSION_NOT_FOUND")
    assert list((await client.list_sessions()).sessions) == []
    assert list((await client.usage_stats()).stats) == []


async def test_the_id_of_a_deleted_session_stays_taken(client: RuntimeClient, other_client: RuntimeClient) -> None:
    await client.new_session(session_id="gone")
    await client.delete("gone")
    for allow_existing in (False, True):
        async with refused() as refusal:
            await client.new_session(session_id="gone", allow_existing=allow_existing)
        assert refusal().reason == "SESSION_ALREADY_EXISTS"
    assert (await other_client.new_session(session_id="gone")).id == "gone"


async def test_a_repeat_of_the_delete_that_did_it_is_fine(client: RuntimeClient) -> None:
    session = await client.new_session(agent="universal")
    await client.delete(session.id, "r-1")
    await client.delete(session.id, "r-1")
    async with refused() as refusal:
        await client.delete(session.id, "r-2")
    assert refusal().reason == "SESSION_NOT_FOUND"


async def test_watchers_see_the_deletion_last_and_end_well(client: RuntimeClient, model: ScriptedModel) -> None:
    session = await client.new_session(agent="universal")
    last = (await client.ask(session.id, "hello"))[-1].sequence
    watch = client.watch(session.id, after_sequence=last)
    await watch.initial_metadata()
    await client.delete(session.id)
    (item,) = await read_rest(watch)
    assert item.event.HasField("session_deleted")
    assert item.event.sequence == last + 1
    assert await watch.code() == grpc.StatusCode.OK


async def test_deleting_ends_a_running_turn_its_streams_and_its_request_to_the_model(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    await model.play(reply(text("so far "), gate("never"), text("not this")))
    session = await client.new_session(agent="universal")
    sender = client.send(session.id, "go")
    seen = await read_until(sender, said("so far "))
    watch = client.watch(session.id, after_sequence=seen[-1].sequence)
    await watch.initial_metadata()
    await client.delete(session.id)
    told = [item.event for item in await read_rest(watch)]
    assert kinds(told) == ["turn_cancelled", "session_deleted"]
    assert told[0].turn_cancelled.cause == turn_pb2.TURN_CANCELLATION_CAUSE_SESSION_DELETED
    assert told[0].sequence == seen[-1].sequence + 1
    assert [item.event for item in await read_rest(sender)] == told[:1]
    assert await sender.code() == await watch.code() == grpc.StatusCode.OK
    assert (await model.counts("closed_early", at_least=1))["closed_early"] == 1


@pytest.mark.parametrize("words", ["a word that must not survive"])
async def test_clearing_leaves_no_content_in_the_log(client: RuntimeClient, model: ScriptedModel, words: str) -> None:
    await model.play(reply(text(words)))
    session = await client.new_session(agent="universal", title="t")
    assert text_of(await client.ask(session.id, words)) == words
    await client.clear(session.id)
    left = [item.SerializeToString() for item in await watched(client, session.id, 0)]
    left.append((await client.list_turns(session.id)).SerializeToString())
    left.append((await client.session(session.id)).SerializeToString())
    assert not any(words.encode() in item for item in left)


async def test_a_cursor_from_before_a_deletion_is_simply_not_found(client: RuntimeClient) -> None:
    session = await client.new_session(agent="universal")
    await client.delete(session.id)
    watch = client.watch(session.id, after_sequence=5)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await read_rest(watch)
    assert refusal_of(caught.value).reason == "SESSION_NOT_FOUND"
