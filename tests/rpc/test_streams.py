"""What a stream promises: the same events with the same numbers for everyone, from any number, at any time (G1, G2)."""

from __future__ import annotations

import asyncio
from typing import Any

from devtools.scripted_model import ScriptedModel, gate, reasoning, reply, text
from tests.support.runtime_client import (
    Event,
    RuntimeClient,
    ended,
    kinds,
    read_rest,
    read_until,
    refused,
    said,
    text_of,
)


async def test_an_answer_arrives_piece_by_piece_and_ends_with_the_whole(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    await model.play(reply(reasoning("let me see "), text("one "), gate("seen"), text("two three")))
    session = await client.new_session(agent="universal")
    stream = client.send(session.id, "count")
    events = await read_until(stream, said("one "))
    await model.release("seen")
    events += [item.event for item in await read_rest(stream)]
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert kinds(events)[:3] == ["input_accepted", "message_added", "turn_started"]
    assert kinds(events)[-3:] == ["message_added", "usage_reported", "turn_completed"]
    assert set(kinds(events)[3:-3]) == {"reasoning_delta", "text_delta"}
    assert text_of(events) == "one two three"
    assert events[-3].message_added.message.content == "one two three"
    assert events[-3].message_added.message.reasoning == "let me see "
    assert events[-1].turn_completed.result_text == "one two three"
    assert {event.turn_id for event in events} == {events[0].input_accepted.turn_id}


async def test_watching_again_from_any_number_gives_exactly_the_rest(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    await model.play(
        reply(text("a first answer of several words", chunk_delay=0.01)),
        reply(text("and a second one", chunk_delay=0.01)),
    )
    session = await client.new_session(agent="universal")
    seen = await client.ask(session.id, "first") + await client.ask(session.id, "second")
    for after in range(len(seen) + 1):
        assert await client.log(session.id, after) == seen[after:]


async def test_two_watchers_and_the_sender_see_the_same(client: RuntimeClient, model: ScriptedModel) -> None:
    await model.play(reply(text("the same for everyone", chunk_delay=0.01)))
    session = await client.new_session(agent="universal")

    async def watch() -> list[Event]:
        return await read_until(client.watch(session.id, after_sequence=0), ended)

    one, other, sender = await asyncio.gather(watch(), watch(), client.ask(session.id, "hello"))
    assert one == other == sender


async def test_a_cursor_beyond_the_log_is_refused(client: RuntimeClient, model: ScriptedModel) -> None:
    session = await client.new_session(agent="universal")
    async with refused() as refusal:
        await client.watch(session.id, after_sequence=1).read()
    assert refusal().reason == "SEQUENCE_AHEAD"
    assert refusal().metadata == {"last_sequence": "0"}


async def test_a_snapshot_in_the_middle_of_an_answer_and_what_follows_make_the_whole(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    await model.play(reply(text("before the gate "), gate("go"), text("and after it")))
    session = await client.new_session(agent="universal")
    await read_until(client.send(session.id, "go on"), said("before the gate "))
    watch = client.watch(session.id, snapshot=True)
    opening: Any = await watch.read()
    snapshot = opening.snapshot
    assert snapshot.partial_message.text == "before the gate "
    assert snapshot.active_turn.id == snapshot.session.active_turn_id != ""
    await model.release("go")
    rest = await read_until(watch, ended)
    assert rest[0].sequence == snapshot.as_of_sequence + 1
    assert rest[0].text_delta.message_id == snapshot.partial_message.message_id
    assert snapshot.partial_message.text + text_of(rest) == rest[-1].turn_completed.result_text


async def test_closing_the_stream_does_not_stop_the_turn(client: RuntimeClient, model: ScriptedModel) -> None:
    await model.play(reply(text("still "), gate("later"), text("here")))
    session = await client.new_session(agent="universal")
    call = client.send(session.id, "go")
    (first,) = await read_until(call, lambda events: len(events) == 1)
    await model.held("later")
    call.cancel()
    await model.release("later")
    await read_until(client.watch(session.id, after_sequence=first.sequence), ended)
    turn = (await client.turn(session.id, first.turn_id)).turn
    assert turn.result_text == "still here"
    assert (await model.counts())["calls"] == 1


async def test_a_repeated_request_attaches_to_the_same_turn(client: RuntimeClient, model: ScriptedModel) -> None:
    await model.play(reply(text("said "), gate("more"), text("once")))
    session = await client.new_session(agent="universal")
    first = asyncio.ensure_future(client.ask(session.id, "say it", request_id="r-1"))
    await model.held("more")
    second = asyncio.ensure_future(client.ask(session.id, "say it", request_id="r-1"))
    await model.release("more")
    assert await first == await second
    assert await client.ask(session.id, "say it", request_id="r-1") == await first
    assert (await model.counts())["calls"] == 1


async def test_a_request_id_with_another_body_is_refused(client: RuntimeClient, model: ScriptedModel) -> None:
    session = await client.new_session(agent="universal")
    await client.ask(session.id, "one thing", request_id="r-1")
    async with refused() as refusal:
        await client.ask(session.id, "another thing", request_id="r-1")
    assert refusal().reason == "REQUEST_ID_REUSED"


async def test_attaching_again_goes_on_after_any_number_and_starts_nothing(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    await model.play(reply(text("a few words here", chunk_delay=0.01)))
    session = await client.new_session(agent="universal")
    seen = await client.ask(session.id, "go", request_id="r-1")
    for after in range(len(seen) + 1):
        assert await client.ask(session.id, "go", request_id="r-1", after_sequence=after) == seen[after:]
    async with refused() as refusal:
        await client.ask(session.id, "go", request_id="never-sent", after_sequence=0)
    assert refusal().reason == "INPUT_NOT_FOUND"
    assert await client.log(session.id) == seen


async def test_a_detached_call_ends_with_the_acceptance(client: RuntimeClient, model: ScriptedModel) -> None:
    await model.play(reply(gate("later"), text("in the background")))
    session = await client.new_session(agent="universal")
    accepted = await client.ask(session.id, "go", detach=True)
    assert kinds(accepted) == ["input_accepted"]
    await model.release("later")
    await read_until(client.watch(session.id, after_sequence=1), ended)


async def test_a_second_turn_at_the_same_time_is_refused_and_names_the_first(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    await model.play(reply(gate("wait"), text("done")))
    session = await client.new_session(agent="universal")
    accepted = await client.ask(session.id, "first", detach=True)
    async with refused() as refusal:
        await client.ask(session.id, "second")
    assert refusal().reason == "TURN_IN_PROGRESS"
    assert refusal().metadata["turn_id"] == accepted[0].turn_id
    assert refusal().metadata["turn_state"] == "RUNNING"
    await model.release("wait")
