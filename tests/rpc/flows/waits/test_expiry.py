"""Nobody sends a result or an answer in time: the turn ends so, without another model call, and the session goes on."""

from __future__ import annotations

from agent_runtime.v1 import approval_pb2, error_reason_pb2, tool_event_pb2, turn_pb2
from devtools.scripted_model import ScriptedModel, reply, text
from tests.support.runtime_client import RuntimeClient, kinds, refused, text_result
from tests.support.tool_turns import (
    approvals_in,
    begin,
    calls,
    follow,
    only,
    open_calls,
    payloads,
    question,
    read,
    results_read,
    write,
)

WAIT_EXPIRED = error_reason_pb2.ERROR_REASON_WAIT_EXPIRED


async def test_results_that_never_come_end_the_turn(brief_client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, events = await begin(
        brief_client, model, calls(read("a", "c1"), read("b", "c2"), write("c", "c3")), reply(text("fine"))
    )
    approval = approvals_in(events)["c3"]
    await brief_client.tool_results(session_id, text_result("c1", "A"))
    watched = await follow(brief_client, session_id, events[-1].sequence)
    while not watched[-1].HasField("turn_failed"):
        watched = await follow(brief_client, session_id, watched[-1].sequence)
    failed = watched[-1].turn_failed
    assert (failed.reason, failed.resumable) == (WAIT_EXPIRED, False)
    assert failed.message
    recorded = {each.tool_call_id: each.source for each in payloads(watched, "tool_result_recorded")}
    assert recorded["c2"] == tool_event_pb2.TOOL_RESULT_SOURCE_SETTLED
    assert not (await brief_client.approval(session_id, approval.id)).released
    assert list((await brief_client.list_approvals(session_id=session_id)).approvals) == []
    assert await open_calls(brief_client, session_id) == []
    assert (await model.counts())["calls"] == 1
    turn = (await brief_client.turn(session_id, events[0].turn_id)).turn
    assert (turn.state, turn.failure.reason) == (turn_pb2.TURN_STATE_FAILED, WAIT_EXPIRED)
    async with refused() as refusal:
        await brief_client.tool_results(session_id, text_result("c2", "late"))
    assert refusal().reason == "TOOL_CALL_NOT_OPEN"
    async with refused() as refusal:
        await brief_client.decide(approval)
    assert refusal().reason == "APPROVAL_RESOLVED"
    assert (await brief_client.ask(session_id, "and now?"))[-1].turn_completed.result_text == "fine"
    results = await results_read(model)
    assert results["c1"] == "A"
    assert "in time" in results["c2"]


async def test_a_question_nobody_answers_ends_the_turn(brief_client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, events = await begin(brief_client, model, calls(question("Sure?", "c1")), reply(text("fine")))
    followup_id = only(events, "followup_asked").followup_id
    ended = await follow(brief_client, session_id, events[-1].sequence)
    assert kinds(ended) == ["tool_result_recorded", "message_added", "turn_failed"]
    assert ended[-1].turn_failed.reason == WAIT_EXPIRED
    assert (await model.counts())["calls"] == 1
    async with refused() as refusal:
        await brief_client.answer(session_id, followup_id, text="yes")
    assert refusal().reason == "TURN_NOT_ACTIVE"
    assert (await brief_client.ask(session_id, "sorry"))[-1].turn_completed.result_text == "fine"
    assert (await results_read(model)).keys() == {"c1"}


async def test_waiting_time_starts_with_the_order(brief_client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, events = await begin(brief_client, model, calls(write("a", "c1")), reply(text("done")))
    approval = approvals_in(events)["c1"]
    decided = await brief_client.decide(approval)
    assert decided.approval.state == approval_pb2.APPROVAL_STATE_APPROVED
    ((waiting),) = await open_calls(brief_client, session_id)
    assert waiting.expire_time.ToNanoseconds() > approval.expire_time.ToNanoseconds()
    events = await brief_client.tool_results(session_id, text_result("c1", "ok"))
    assert events[-1].turn_completed.result_text == "done"
