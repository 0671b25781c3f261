"""What closes a session for messages and what opens it again, and how it comes by its title."""

from __future__ import annotations

import grpc
import pytest

from agent_runtime.v1 import session_pb2
from devtools.scripted_model import ScriptedModel, gate, reply, text
from tests.support.runtime_client import RuntimeClient, kinds, refused, text_of


async def test_an_inactive_session_takes_no_message_until_it_is_activated(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    session = await client.new_session(agent="universal")
    closed = await client.deactivate(session.id, reason="holidays")
    assert closed.state == session_pb2.SESSION_STATE_INACTIVE
    assert (closed.deactivation_reason, closed.version) == ("holidays", 2)
    async with refused() as refusal:
        await client.ask(session.id, "hello?")
    assert (refusal().code, refusal().reason) == (grpc.StatusCode.FAILED_PRECONDITION, "SESSION_INACTIVE")
    opened = await client.activate(session.id)
    assert opened.state == session_pb2.SESSION_STATE_ACTIVE
    assert (opened.deactivation_reason, opened.version, opened.message_count) == ("", 3, 0)
    assert text_of(await client.ask(session.id, "hello?"))


async def test_both_changes_are_told_in_the_log(client: RuntimeClient) -> None:
    session = await client.new_session(agent="universal")
    await client.deactivate(session.id, reason="r" * 500)
    await client.activate(session.id)
    closed, opened = [event.session_state_changed for event in await client.log(session.id)]
    assert (closed.state, closed.reason) == (session_pb2.SESSION_STATE_INACTIVE, "r" * 500)
    assert (opened.state, opened.reason) == (session_pb2.SESSION_STATE_ACTIVE, "")


async def test_doing_it_twice_changes_nothing_not_even_the_reason(client: RuntimeClient) -> None:
    session = await client.new_session(agent="universal")
    assert await client.activate(session.id) == session
    closed = await client.deactivate(session.id, reason="first")
    assert await client.deactivate(session.id, reason="second") == closed
    assert kinds(await client.log(session.id)) == ["session_state_changed"]


async def test_a_late_repeat_does_not_undo_what_came_since(client: RuntimeClient) -> None:
    session = await client.new_session(agent="universal")
    await client.deactivate(session.id, reason="x", request_id="r-1")
    await client.activate(session.id, request_id="r-1")  # another RPC, another id
    assert (await client.deactivate(session.id, reason="x", request_id="r-1")).state == session_pb2.SESSION_STATE_ACTIVE
    async with refused() as refusal:
        await client.deactivate(session.id, reason="y", request_id="r-1")
    assert refusal().reason == "REQUEST_ID_REUSED"


async def test_an_inactive_session_can_be_read_and_changed(client: RuntimeClient, model: ScriptedModel) -> None:
    session = await client.new_session(agent="universal")
    events = await client.ask(session.id, "hello", request_id="r-1")
    await client.deactivate(session.id)
    assert (await client.update(session.id, title="new")).title == "new"
    assert len((await client.list_messages(session.id)).messages) == 2
    assert (await client.log(session.id))[: len(events)] == events
    assert await client.ask(session.id, "hello", request_id="r-1", after_sequence=0) == events
    assert await client.ask(session.id, "hello", request_id="r-1") == events


async def test_a_session_with_an_active_turn_is_not_deactivated(client: RuntimeClient, model: ScriptedModel) -> None:
    await model.play(reply(gate("go"), text("done")))
    session = await client.new_session(agent="universal")
    (accepted,) = await client.ask(session.id, "go", detach=True)
    async with refused() as refusal:
        await client.deactivate(session.id)
    assert (refusal().code, refusal().reason) == (grpc.StatusCode.ABORTED, "TURN_IN_PROGRESS")
    assert refusal().metadata == {"turn_id": accepted.turn_id, "turn_state": "RUNNING", "waiting_for": ""}
    await client.cancel(session.id, accepted.turn_id)
    assert (await client.deactivate(session.id)).state == session_pb2.SESSION_STATE_INACTIVE


async def test_a_full_session_refuses_messages_and_has_two_ways_out(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    session = await client.new_session(message_limit=2)
    await client.ask(session.id, "one")
    async with refused() as refusal:
        await client.ask(session.id, "two")
    assert (refusal().code, refusal().reason) == (grpc.StatusCode.FAILED_PRECONDITION, "SESSION_MESSAGE_LIMIT")
    assert refusal().metadata == {"limit": "2"}
    await client.update(session.id, message_limit=4)
    await client.ask(session.id, "two")
    async with refused() as refusal:
        await client.ask(session.id, "three")
    assert refusal().metadata == {"limit": "4"}
    await client.clear(session.id)
    await client.ask(session.id, "three")
    assert (await client.session(session.id)).message_count == 2


async def test_an_answer_is_kept_even_if_it_is_the_message_too_many(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    session = await client.new_session(message_limit=1)
    assert (await client.ask(session.id, "one"))[-1].HasField("turn_completed")
    assert (await client.session(session.id)).message_count == 2
    lowered = await client.update((await client.new_session(message_limit=9)).id, message_limit=1)
    assert lowered.message_limit == 1


@pytest.mark.parametrize(
    ("words", "title"),
    [
        ("  \n hello there \t ", "hello there"),
        ("x" * 501, "x" * 500),
        ("x" * 499 + " y", "x" * 499),
        ("x" * 499 + "e\u0301 and more", "x" * 499),
        ("x" * 499 + "👨‍👩‍👧 family", "x" * 499),
        ("ж" * 600, "ж" * 500),
    ],
)
async def test_the_first_message_is_the_title_cut_at_a_whole_character(
    client: RuntimeClient, model: ScriptedModel, words: str, title: str
) -> None:
    session = await client.new_session(agent="universal")
    await client.ask(session.id, words)
    await client.ask(session.id, "a second message changes nothing")
    assert (await client.session(session.id)).title == title
    assert (await client.list_messages(session.id)).messages[0].content == words


async def test_a_given_title_stays_and_an_emptied_one_is_replaced(client: RuntimeClient, model: ScriptedModel) -> None:
    session = await client.new_session(title="given")
    await client.ask(session.id, "first")
    assert (await client.session(session.id)).title == "given"
    await client.update(session.id, title="")
    await client.ask(session.id, "second")
    assert (await client.session(session.id)).title == "second"


async def test_messages_move_activity_and_duration_but_neither_version_nor_update_time(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    before = await client.new_session(agent="universal")
    events = await client.ask(before.id, "hello")
    after = await client.session(before.id)
    assert (after.version, after.update_time) == (before.version, before.update_time)
    assert after.last_activity_time.ToNanoseconds() > before.last_activity_time.ToNanoseconds()
    elapsed = after.last_activity_time.ToNanoseconds() - after.create_time.ToNanoseconds()
    assert after.duration.ToNanoseconds() == elapsed
    assert (after.message_count, after.last_sequence) == (2, events[-1].sequence)
    assert after.active_turn_id == ""
