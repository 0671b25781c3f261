"""BUSY_POLICY_QUEUE: a message waits for the end of the turn before it, and is said then, in its order."""

from __future__ import annotations

import grpc
import pytest

from agent_runtime.v1 import turn_event_pb2, turn_pb2
from agent_runtime.v1.message_service_pb2 import ListPendingInputsRequest
from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import ScriptedModel, refusal, reply, text
from tests.rpc.busy.words import (
    QUEUE,
    REJECT,
    STEER,
    begun,
    busy,
    history,
    pending,
    rest_of,
    wait_in,
    waiting,
    waiting_in_snapshot,
)
from tests.rpc.flows.waits.waiting_states import STATES, take_to_its_end
from tests.support.runtime_client import RuntimeClient, connected, every_page, kinds, refused
from tests.support.tool_turns import begin, follow, only

IN_THE_WAY = [name for name, state in STATES.items() if not state.takes_messages]


async def test_without_an_active_turn_it_starts_one_like_any_other(client: RuntimeClient, model: ScriptedModel) -> None:
    await model.play(reply(text("Hi.")))
    session = await client.new_session(agent="coder")
    events = await client.ask(session.id, "go", busy_policy=QUEUE)
    assert events[0].input_accepted.disposition == turn_event_pb2.INPUT_DISPOSITION_STARTED
    assert events[0].input_accepted.queue_position == 0
    assert events[-1].turn_completed.result_text == "Hi."


async def test_it_is_said_once_the_running_turn_has_ended(client: RuntimeClient, model: ScriptedModel) -> None:
    at = await busy(client, model, reply(text("Second.")))
    accepted, stream = await begun(client, at.session_id, "second", QUEUE, request_id="q1")
    assert accepted.input_accepted.disposition == turn_event_pb2.INPUT_DISPOSITION_QUEUED
    assert (accepted.input_accepted.turn_id, accepted.turn_id) == ("", "")
    assert accepted.input_accepted.queue_position == 1
    assert await history(client, at.session_id) == ["go"]
    await model.release("go on")
    events = [accepted, *await rest_of(stream)]
    started = next(event for event in events if event.HasField("turn_started"))
    assert started.turn_started.cause == turn_event_pb2.TURN_START_CAUSE_QUEUED_INPUT
    assert started.turn_started.input_id == accepted.input_accepted.input_id
    assert started.turn_id != at.turn_id
    assert events[-1].turn_id == started.turn_id
    assert events[-1].turn_completed.result_text == "Second."
    assert (await at.stream)[-1].turn_completed.result_text == "half a sentence"
    assert await history(client, at.session_id) == ["go", "half a sentence", "second", "Second."]
    # The end of the one and the start of the other are written together.
    log = await client.log(at.session_id)
    at_end = kinds(log).index("turn_completed")
    assert kinds(log)[at_end : at_end + 3] == ["turn_completed", "message_added", "turn_started"]
    assert [event.sequence for event in log] == list(range(1, len(log) + 1))
    assert events == [event for event in log if event.sequence >= accepted.sequence]


@pytest.mark.parametrize("state", IN_THE_WAY)
async def test_it_waits_while_the_turn_waits(client: RuntimeClient, model: ScriptedModel, state: str) -> None:
    session_id, events = await begin(client, model, STATES[state].answer, reply(text("first")), reply(text("second")))
    accepted = await wait_in(client, session_id, "and another thing", QUEUE)
    assert await waiting(client, session_id) == ["and another thing"]
    rest = await take_to_its_end(client, session_id, events)
    assert rest[-1].turn_completed.result_text == "first"
    assert (await follow(client, session_id, rest[-1].sequence))[-1].turn_completed.result_text == "second"
    assert accepted.input_accepted.disposition == turn_event_pb2.INPUT_DISPOSITION_QUEUED
    assert await waiting(client, session_id) == []


@pytest.mark.parametrize("policy", [QUEUE, STEER, REJECT])
@pytest.mark.parametrize("state", [name for name, state in STATES.items() if state.takes_messages])
async def test_while_a_question_is_open_the_message_is_its_answer(
    client: RuntimeClient, model: ScriptedModel, state: str, policy: int
) -> None:
    session_id, events = await begin(client, model, STATES[state].answer, reply(text("done")))
    (accepted,) = await client.ask(session_id, "yes", busy_policy=policy, detach=True)
    assert accepted.input_accepted.disposition == turn_event_pb2.INPUT_DISPOSITION_CONTINUED
    assert accepted.turn_id == events[0].turn_id
    assert await waiting(client, session_id) == []


async def test_many_are_said_one_after_another(client: RuntimeClient, model: ScriptedModel) -> None:
    at = await busy(client, model, *(reply(text(f"answer {n}")) for n in range(8)))
    accepted = [await wait_in(client, at.session_id, f"message {n}", QUEUE) for n in range(8)]
    assert [each.input_accepted.queue_position for each in accepted] == list(range(1, 9))
    async with refused() as refusal_:
        await client.ask(at.session_id, "one too many", busy_policy=QUEUE)
    assert (refusal_().code, refusal_().reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL")
    assert refusal_().metadata == {"limit": "8"}
    async with refused() as refusal_:
        await client.ask(at.session_id, "one too many", busy_policy=STEER)
    assert refusal_().reason == "QUEUE_FULL"
    last = client.send(at.session_id, "again", request_id="unknown", after_sequence=0)
    async with refused() as refusal_:
        await last.read()
    assert refusal_().reason == "INPUT_NOT_FOUND"
    await model.release("go on")
    end = 0
    for _ in range(9):
        end = (await follow(client, at.session_id, end))[-1].sequence
    said = ["go", "half a sentence"]
    assert await history(client, at.session_id) == said + [
        words for n in range(8) for words in (f"message {n}", f"answer {n}")
    ]


async def test_they_are_listed_as_they_will_be_taken(client: RuntimeClient, model: ScriptedModel) -> None:
    at = await busy(client, model)
    for words, policy, position in [("q1", QUEUE, 1), ("s1", STEER, 1), ("q2", QUEUE, 3), ("s2", STEER, 2)]:
        accepted = await wait_in(client, at.session_id, words, policy, request_id=f"r-{words}", agent="ask")
        assert accepted.input_accepted.queue_position == position
    listed = await pending(client, at.session_id)
    assert [(each.user_message.text, each.queue_position) for each in listed] == [
        ("s1", 1),
        ("s2", 2),
        ("q1", 3),
        ("q2", 4),
    ]
    assert {each.session_id for each in listed} == {at.session_id}
    assert [each.request_id for each in listed] == ["r-s1", "r-s2", "r-q1", "r-q2"]
    assert {each.user_message.agent for each in listed} == {"ask"}
    assert all(each.submitted_by and each.HasField("create_time") for each in listed)
    assert await waiting_in_snapshot(client, at.session_id) == listed
    await client.cancel(at.session_id, at.turn_id)


async def test_the_list_has_pages(client: RuntimeClient, model: ScriptedModel) -> None:
    at = await busy(client, model)
    for n in range(5):
        await wait_in(client, at.session_id, f"m{n}", QUEUE)
    pages = await every_page(
        lambda token: client.messages.ListPendingInputs(
            ListPendingInputsRequest(session_id=at.session_id, page_size=2, page_token=token), metadata=client.metadata
        )
    )
    listed = [each for page in pages for each in page.pending_inputs]
    assert [len(page.pending_inputs) for page in pages] == [2, 2, 1]
    assert [(each.user_message.text, each.queue_position) for each in listed] == [(f"m{n}", n + 1) for n in range(5)]


async def test_a_long_one_is_cut_in_a_snapshot_alone(client: RuntimeClient, model: ScriptedModel) -> None:
    at = await busy(client, model)
    words = "ж" * 100_000
    await wait_in(client, at.session_id, words, QUEUE)
    (cut,) = await waiting_in_snapshot(client, at.session_id)
    assert words.startswith(cut.user_message.text)
    assert 4000 < len(cut.user_message.text.encode()) <= 4096
    assert await waiting(client, at.session_id) == [words]


async def test_it_goes_on_after_a_failed_turn(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, events = await begin(client, model, STATES["results"].answer, refusal(400), reply(text("fine")))
    _, stream = await begun(client, session_id, "never mind", QUEUE)
    rest = await take_to_its_end(client, session_id, events)
    assert rest[-1].HasField("turn_failed")
    assert (await rest_of(stream))[-1].turn_completed.result_text == "fine"


async def test_it_has_the_agent_and_the_limits_it_came_with(client: RuntimeClient, model: ScriptedModel) -> None:
    at = await busy(client, model, reply(text("Explained.")))
    limits = turn_pb2.TurnLimits(max_model_calls=3)
    _, stream = await begun(client, at.session_id, "explain", QUEUE, agent="ask", limits=limits)
    assert (await client.session(at.session_id)).current_agent == "coder"
    await model.release("go on")
    events = await rest_of(stream)
    turn = (await client.turn(at.session_id, events[-1].turn_id)).turn
    assert (turn.agent, turn.limits) == ("ask", limits)
    assert only(events, "agent_switched").to_agent == "ask"


async def test_the_same_request_again_finds_the_same_message(client: RuntimeClient, model: ScriptedModel) -> None:
    at = await busy(client, model, reply(text("Second.")))
    accepted = await wait_in(client, at.session_id, "second", QUEUE, request_id="q1")
    again, stream = await begun(client, at.session_id, "second", QUEUE, request_id="q1")
    assert again == accepted
    assert len(await pending(client, at.session_id)) == 1
    async with refused() as refusal_:
        await client.ask(at.session_id, "second", busy_policy=STEER, request_id="q1")
    assert refusal_().reason == "REQUEST_ID_REUSED"
    # Whoever comes back with a number gets what comes behind it, to the end of the message's own turn.
    attached = client.send(
        at.session_id, "second", busy_policy=QUEUE, request_id="q1", after_sequence=accepted.sequence
    )
    await model.release("go on")
    events = await rest_of(stream)
    assert events[-1].turn_completed.result_text == "Second."
    assert await rest_of(attached) == events
    late = await client.ask(at.session_id, "second", busy_policy=QUEUE, request_id="q1", after_sequence=0)
    assert late == [accepted, *events]
    (only_accepted,) = await client.ask(at.session_id, "second", busy_policy=QUEUE, request_id="q1", detach=True)
    assert only_accepted == accepted


async def test_deleting_the_session_takes_it_along(client: RuntimeClient, model: ScriptedModel) -> None:
    at = await busy(client, model)
    _, stream = await begun(client, at.session_id, "second", QUEUE)
    await client.delete(at.session_id)
    assert kinds(await rest_of(stream))[-1] == "session_deleted"
    assert kinds(await at.stream)[-1] in ("turn_cancelled", "session_deleted")
    async with refused() as refusal_:
        await pending(client, at.session_id)
    assert refusal_().reason == "SESSION_NOT_FOUND"


async def test_it_is_said_when_the_turn_before_it_waited_too_long(database_url: str, own_model: ScriptedModel) -> None:
    brief = {"TURNS__TOOL_RESULT_WAIT": "1"}
    async with RuntimeProcess(database_url, own_model.url, brief) as runtime, connected(runtime.address) as client:
        session_id, events = await begin(client, own_model, STATES["results"].answer, reply(text("fine")))
        _, stream = await begun(client, session_id, "never mind", QUEUE)
        rest = await rest_of(stream)
        expired = next(event for event in rest if event.HasField("turn_failed"))
        assert expired.turn_id == events[0].turn_id
        assert rest[-1].turn_completed.result_text == "fine"
