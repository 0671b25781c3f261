"""An agent asks the user: an option, own words, or simply the next message is the answer."""

from __future__ import annotations

import grpc
import pytest

from agent_runtime.v1 import input_pb2, turn_event_pb2, turn_pb2
from devtools.scripted_model import ScriptedModel, reply, text
from tests.support.refused_calls import send, wrong_fields
from tests.support.runtime_client import RuntimeClient, kinds, refused, text_result
from tests.support.tool_turns import (
    begin,
    calls,
    completion,
    only,
    open_calls,
    ordered,
    payloads,
    question,
    read,
    requests,
    results_read,
)


async def test_a_question_is_asked_with_its_options(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, events = await begin(client, model, calls(question("Which one?", "c1", "the red", "the blue")))
    asked = only(events, "followup_asked")
    assert (asked.tool_call_id, asked.question, asked.free_text_allowed) == ("c1", "Which one?", True)
    assert [option.label for option in asked.options] == ["the red", "the blue"]
    assert len({option.id for option in asked.options}) == 2
    paused = events[-1].turn_paused
    assert list(paused.waiting_for) == [turn_pb2.WAIT_REASON_FOLLOWUP]
    assert (paused.followup_id, paused.expire_time) == (asked.followup_id, asked.expire_time)
    turn = (await client.turn(session_id, events[0].turn_id)).turn
    assert turn.followup_id == asked.followup_id
    assert 24 * 3600 - 5 < asked.expire_time.seconds - turn.create_time.seconds < 24 * 3600 + 5
    watch = client.watch(session_id, snapshot=True, stop_at_head=True)
    (snapshot,) = [item.snapshot async for item in watch if item.HasField("snapshot")]
    assert snapshot.open_followup == asked
    assert await open_calls(client, session_id) == []


@pytest.mark.parametrize("how", ["option", "text", "message"])
async def test_an_answer_is_the_result_the_model_reads(client: RuntimeClient, model: ScriptedModel, how: str) -> None:
    session_id, events = await begin(
        client, model, calls(question("Which one?", "c1", "the red", "the blue")), reply(text("as you wish"))
    )
    asked = only(events, "followup_asked")
    match how:
        case "option":
            answered = await client.answer(session_id, asked.followup_id, option_id=asked.options[1].id)
        case "text":
            answered = await client.answer(session_id, asked.followup_id, text="the blue")
        case _:
            answered = await client.ask(session_id, "the blue")
    assert kinds(answered)[:4] == ["input_accepted", "tool_result_recorded", "message_added", "turn_resumed"]
    accepted = only(answered, "input_accepted")
    assert (accepted.turn_id, accepted.disposition) == (
        events[0].turn_id,
        turn_event_pb2.INPUT_DISPOSITION_CONTINUED,
    )
    assert only(answered, "turn_resumed").cause == turn_event_pb2.TURN_RESUME_CAUSE_FOLLOWUP
    assert not only(answered, "tool_result_recorded").is_error
    assert answered[-1].turn_completed.result_text == "as you wish"
    assert await results_read(model) == {"c1": "the blue"}
    assert [message["role"] for message in (await requests(model))[-1]["messages"]].count("user") == 1
    assert len((await client.list_turns(session_id)).turns) == 1


async def test_an_answer_that_is_none_leaves_the_question_open(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, events = await begin(client, model, calls(question("Which one?", "c1")), reply(text("fine")))
    followup_id = only(events, "followup_asked").followup_id
    for wrong in ("followup_" + "0" * 32, followup_id[:-1], events[0].turn_id):
        async with refused() as refusal:
            await client.answer(session_id, wrong, text="yes")
        assert (refusal().code, refusal().reason) == (grpc.StatusCode.FAILED_PRECONDITION, "TURN_NOT_ACTIVE")
    unknown = input_pb2.FollowupAnswer(followup_id=followup_id, option_id="option_9")
    fields = await wrong_fields(send(client, session_id=session_id, followup_answer=unknown))
    assert list(fields) == ["followup_answer.option_id"]
    async with refused() as refusal:
        await client.tool_results(session_id, text_result("c1", "yes"))
    assert refusal().reason == "TOOL_CALL_NOT_OPEN"
    assert await client.log(session_id) == events
    await client.answer(session_id, followup_id, text="yes")
    async with refused() as refusal:
        await client.answer(session_id, followup_id, text="no")
    assert refusal().reason == "TURN_NOT_ACTIVE"


async def test_a_question_beside_other_calls_holds_nothing_up(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, events = await begin(
        client, model, calls(question("Which one?", "c1"), read("a", "c2")), reply(text("fine"))
    )
    assert ordered(events) == [["c2"]]
    assert list(events[-1].turn_paused.waiting_for) == [
        turn_pb2.WAIT_REASON_TOOL_RESULTS,
        turn_pb2.WAIT_REASON_FOLLOWUP,
    ]
    answered = await client.ask(session_id, "yes")  # the answer; the other wait stays
    assert kinds(answered) == ["input_accepted", "tool_result_recorded", "message_added", "turn_paused"]
    assert list(answered[-1].turn_paused.waiting_for) == [turn_pb2.WAIT_REASON_TOOL_RESULTS]
    assert answered[-1].turn_paused.followup_id == ""
    async with refused() as refusal:
        await client.ask(session_id, "and another thing")  # nothing asks any more
    assert refusal().reason == "TURN_IN_PROGRESS"
    events = await client.tool_results(session_id, text_result("c2", "A"))
    assert events[-1].turn_completed.result_text == "fine"
    assert await results_read(model) == {"c1": "yes", "c2": "A"}


async def test_results_first_and_the_answer_last(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, events = await begin(
        client, model, calls(read("a", "c1"), question("Which one?", "c2")), reply(text("fine"))
    )
    asked = only(events, "followup_asked")
    paused = (await client.tool_results(session_id, text_result("c1", "A")))[-1].turn_paused
    assert (list(paused.waiting_for), paused.followup_id) == ([turn_pb2.WAIT_REASON_FOLLOWUP], asked.followup_id)
    events = await client.answer(session_id, asked.followup_id, text="yes")
    assert events[-1].turn_completed.result_text == "fine"


async def test_one_question_at_a_time(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, events = await begin(
        client, model, calls(question("One?", "c1"), question("Two?", "c2")), reply(text("fine"))
    )
    assert only(events, "followup_asked").question == "One?"
    assert only(events, "tool_result_recorded").is_error
    assert (await client.ask(session_id, "yes"))[-1].turn_completed.result_text == "fine"
    results = await results_read(model)
    assert results["c1"] == "yes"
    assert "one question at a time" in results["c2"]


async def test_question_after_question_in_one_turn(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, first = await begin(
        client, model, calls(question("One?", "c1")), calls(question("Two?", "c2")), calls(completion("both", "c3"))
    )
    second = await client.ask(session_id, "yes")
    assert only(second, "followup_asked").followup_id != only(first, "followup_asked").followup_id
    third = await client.ask(session_id, "no")
    assert third[-1].turn_completed.result_text == "both"
    assert payloads(await client.log(session_id), "turn_started")[1:] == []
