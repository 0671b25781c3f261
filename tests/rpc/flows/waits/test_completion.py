"""`attempt_completion` ends the turn with its result, unless what the agent did beside it says otherwise."""

from __future__ import annotations

from agent_runtime.v1 import approval_pb2, turn_pb2
from devtools.scripted_model import ScriptedModel, reply, text, tool_calls
from tests.support.runtime_client import RuntimeClient, kinds, text_result
from tests.support.tool_turns import (
    approvals_in,
    begin,
    calls,
    completion,
    decide_here,
    only,
    ordered,
    payloads,
    question,
    read,
    results_read,
    write,
)

DECLARED = turn_pb2.FINISH_REASON_ATTEMPT_COMPLETION


async def test_a_declared_completion_ends_the_turn_with_its_result(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, events = await begin(
        client, model, reply(text("There. "), tool_calls(completion("All is done.", "c1"))), reply(text("you too"))
    )
    completed = events[-1].turn_completed
    assert (completed.finish_reason, completed.result_text) == (DECLARED, "All is done.")
    assert "tool_calls_requested" not in kinds(events)
    assert not only(events, "tool_result_recorded").is_error
    (_, answer, result) = [payload.message for payload in payloads(events, "message_added")]
    assert (answer.id, answer.content) == (completed.final_message_id, "There. ")
    assert result.tool_call_id == "c1"
    turn = (await client.turn(session_id, events[0].turn_id)).turn
    assert (turn.state, turn.finish_reason, turn.result_text) == (
        turn_pb2.TURN_STATE_COMPLETED,
        DECLARED,
        "All is done.",
    )
    assert turn.final_message_id == completed.final_message_id
    assert (await model.counts())["calls"] == 1
    assert (await client.ask(session_id, "thanks"))[-1].turn_completed.result_text == "you too"
    assert (await results_read(model)).keys() == {"c1"}


async def test_completion_waits_for_what_was_asked_for_beside_it(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, events = await begin(client, model, calls(write("a", "c1"), completion("Written.", "c2")))
    assert "turn_completed" not in kinds(events)
    released = await decide_here(client, approvals_in(events)["c1"])
    assert ordered(released) == [["c1"]]
    events = await client.tool_results(session_id, text_result("c1", "written"))
    assert (events[-1].turn_completed.finish_reason, events[-1].turn_completed.result_text) == (DECLARED, "Written.")
    assert (await model.counts())["calls"] == 1


async def test_completion_is_not_taken_if_what_was_beside_it_failed(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    session_id, _ = await begin(
        client, model, calls(read("a", "c1"), completion("Read.", "c2")), calls(completion("No such file.", "c3"))
    )
    events = await client.tool_results(session_id, text_result("c1", "no such file", is_error=True))
    assert events[-1].turn_completed.result_text == "No such file."
    assert "not taken" in (await results_read(model))["c2"]


async def test_completion_is_not_taken_after_a_rejection(client: RuntimeClient, model: ScriptedModel) -> None:
    _, events = await begin(
        client, model, calls(completion("Written.", "c1"), write("a", "c2")), reply(text("I could not"))
    )
    rejected = approval_pb2.DECISION_REJECT
    events = await decide_here(client, approvals_in(events)["c2"], rejected, feedback="no")
    assert events[-1].turn_completed.result_text == "I could not"
    assert events[-1].turn_completed.finish_reason == turn_pb2.FINISH_REASON_STOP


async def test_who_asks_is_not_done(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, events = await begin(
        client, model, calls(question("Sure?", "c1"), completion("Done.", "c2")), reply(text("then on"))
    )
    assert "turn_completed" not in kinds(events)
    assert (await client.ask(session_id, "no"))[-1].turn_completed.result_text == "then on"


async def test_who_is_done_twice_is_done_once(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, events = await begin(
        client, model, calls(completion("One.", "c1"), completion("Two.", "c2")), reply(text("fine")), reply(text("on"))
    )
    assert kinds(events).count("turn_completed") == 1
    assert (await client.ask(session_id, "and on"))[-1].HasField("turn_completed")
    assert (await results_read(model)).keys() == {"c1", "c2"}
