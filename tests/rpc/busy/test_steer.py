"""BUSY_POLICY_STEER: a message enters the running turn before its next model call, and stops nothing."""

from __future__ import annotations

import pytest

from agent_runtime.v1 import turn_event_pb2
from devtools.scripted_model import ScriptedModel, gate, reply, text, tool_calls
from tests.rpc.busy.words import QUEUE, STEER, asked_by, begun, busy, history, rest_of, wait_in, waiting
from tests.rpc.flows.waits.waiting_states import STATES, take_to_its_end
from tests.support.runtime_client import RuntimeClient, kinds, text_result
from tests.support.tool_turns import begin, calls, follow, payloads, read, requests

IN_THE_WAY = [name for name, state in STATES.items() if not state.takes_messages]


@pytest.mark.parametrize("state", IN_THE_WAY)
async def test_the_model_reads_it_after_the_results(client: RuntimeClient, model: ScriptedModel, state: str) -> None:
    session_id, events = await begin(client, model, STATES[state].answer, reply(text("done")))
    accepted, stream = await begun(client, session_id, "and b.py too", STEER)
    assert accepted.input_accepted.disposition == turn_event_pb2.INPUT_DISPOSITION_STEERED
    assert accepted.turn_id == accepted.input_accepted.turn_id == events[0].turn_id
    assert accepted.input_accepted.queue_position == 1
    rest = await take_to_its_end(client, session_id, events)
    assert rest[-1].turn_completed.result_text == "done"
    messages = (await requests(model))[-1]["messages"]
    assert [message["role"] for message in messages][-2:] == ["tool", "user"]
    assert messages[-1]["content"] == "and b.py too"
    assert await waiting(client, session_id) == []
    stream.cancel()


async def test_it_enters_a_turn_that_runs_with_its_next_results(client: RuntimeClient, model: ScriptedModel) -> None:
    await model.play(reply(text("I read."), gate("go on"), tool_calls(read("a.py", "c1"))), reply(text("Both read.")))
    session = await client.new_session(agent="coder")
    (first,) = await client.ask(session.id, "go", detach=True)
    await model.held("go on")
    accepted, stream = await begun(client, session.id, "b.py too", STEER, request_id="s1")
    await model.release("go on")
    events = await rest_of(stream)
    assert kinds(events)[-1] == "turn_paused"  # as every stream of this turn
    assert await waiting(client, session.id) == ["b.py too"]
    rest = await client.tool_results(session.id, text_result("c1", "fine"))
    assert rest[-1].turn_completed.result_text == "Both read."
    assert [each.message.content for each in payloads(rest, "message_added")] == ["fine", "b.py too", "Both read."]
    assert {event.turn_id for event in rest} == {first.turn_id}
    # Attached again, the stream goes on to where the turn ended.
    again = await client.ask(
        session.id, "b.py too", busy_policy=STEER, request_id="s1", after_sequence=events[-1].sequence
    )
    assert again == rest
    assert accepted.sequence < events[0].sequence


async def test_it_starts_the_next_turn_when_this_one_ends_first(client: RuntimeClient, model: ScriptedModel) -> None:
    at = await busy(client, model, reply(text("Steered.")), reply(text("Queued.")))
    await wait_in(client, at.session_id, "later", QUEUE)
    accepted, stream = await begun(client, at.session_id, "also", STEER, request_id="s1")
    await model.release("go on")
    events = await rest_of(stream)
    assert kinds(events).count("turn_completed") == 2
    started = next(event for event in events if event.HasField("turn_started"))
    assert started.turn_started.cause == turn_event_pb2.TURN_START_CAUSE_STEERED_INPUT
    assert started.turn_started.input_id == accepted.input_accepted.input_id
    assert events[-1].turn_id == started.turn_id != at.turn_id
    assert events[-1].turn_completed.result_text == "Steered."
    last = await follow(client, at.session_id, events[-1].sequence)
    assert last[-1].turn_completed.result_text == "Queued."
    again = await client.ask(
        at.session_id, "also", busy_policy=STEER, request_id="s1", after_sequence=accepted.sequence
    )
    assert again == events
    assert await history(client, at.session_id) == [
        *("go", "half a sentence"),
        *("also", "Steered."),
        *("later", "Queued."),
    ]


async def test_many_enter_together(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, events = await begin(client, model, calls(read("a", "c1")), reply(text("done")))
    for words in ("one", "two", "three"):
        await wait_in(client, session_id, words, STEER)
    await client.tool_results(session_id, text_result("c1", "fine"))
    messages = (await requests(model))[-1]["messages"]
    assert [message["content"] for message in messages[-3:]] == ["one", "two", "three"]
    assert events[0].turn_id == (await client.log(session_id))[-1].turn_id


async def test_after_a_cancel_it_is_said_in_a_turn_of_its_own(client: RuntimeClient, model: ScriptedModel) -> None:
    at = await busy(client, model, reply(text("Steered.")))
    _, stream = await begun(client, at.session_id, "instead", STEER)
    await client.cancel(at.session_id, at.turn_id)
    events = await rest_of(stream)
    assert events[-1].turn_completed.result_text == "Steered."
    assert asked_by((await requests(model))[-1]) == "instead"
    assert (await at.stream)[-1].HasField("turn_cancelled")
