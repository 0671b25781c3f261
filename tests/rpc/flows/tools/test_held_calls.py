"""A call that waits for a person, or for another call, is no order: nobody can run it by answering early."""

from __future__ import annotations

import grpc

from agent_runtime.v1 import approval_pb2, error_reason_pb2, turn_pb2
from devtools.scripted_model import ScriptedModel, reply, text
from tests.support.runtime_client import RuntimeClient, kinds, refused, text_result
from tests.support.tool_turns import (
    approvals_in,
    begin,
    calls,
    command,
    decide_here,
    only,
    open_calls,
    ordered,
    read,
    results_read,
    write,
)


async def test_a_held_call_is_not_open_and_an_early_result_is_refused_with_its_reason(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    session_id, events = await begin(client, model, calls(command("make", "c1")), reply(text("made")))
    assert "tool_calls_requested" not in kinds(events)
    assert list(events[-1].turn_paused.waiting_for) == [turn_pb2.WAIT_REASON_APPROVAL]
    assert await open_calls(client, session_id) == []
    approval = approvals_in(events)["c1"]
    log = await client.log(session_id)
    async with refused() as refusal:
        await client.tool_results(session_id, text_result("c1", "I ran it already"))
    assert (refusal().code, refusal().reason) == (grpc.StatusCode.FAILED_PRECONDITION, "TOOL_CALL_NOT_OPEN")
    assert "decision" in refusal().message
    assert await client.log(session_id) == log
    pending = await client.approval(session_id, approval.id)
    assert (pending.state, pending.released) == (approval_pb2.APPROVAL_STATE_PENDING, False)
    released = await decide_here(client, approval)
    assert ordered(released) == [["c1"]]
    events = await client.tool_results(session_id, text_result("c1", "ok"))
    assert events[-1].turn_completed.result_text == "made"
    assert await results_read(model) == {"c1": "ok"}


async def test_an_approval_holds_only_its_own_call(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, events = await begin(
        client, model, calls(write("a.py", "c1"), read("b.py", "c2"), read("c.py", "c3")), reply(text("done"))
    )
    assert ordered(events) == [["c2", "c3"]]
    approval = approvals_in(events)["c1"]
    paused = events[-1].turn_paused
    assert list(paused.waiting_for) == [turn_pb2.WAIT_REASON_TOOL_RESULTS, turn_pb2.WAIT_REASON_APPROVAL]
    assert list(paused.open_tool_call_ids) == ["c2", "c3"]
    assert list(paused.pending_approval_ids) == [approval.id]
    assert paused.expire_time == approval.expire_time  # the first of the waits to end
    events = await client.tool_results(session_id, text_result("c2", "b"), text_result("c1", "early"))
    (rejected,) = only(events, "input_accepted").rejected_results
    assert (rejected.tool_call_id, rejected.reason) == ("c1", error_reason_pb2.ERROR_REASON_TOOL_CALL_NOT_OPEN)
    released = await decide_here(client, approval)
    assert ordered(released) == [["c1"]]
    assert list(released[-1].turn_paused.open_tool_call_ids) == ["c1", "c3"]
    await client.tool_results(session_id, text_result("c1", "written"))
    events = await client.tool_results(session_id, text_result("c3", "c"))
    assert events[-1].turn_completed.result_text == "done"
    assert await results_read(model) == {"c1": "written", "c2": "b", "c3": "c"}


async def test_of_two_approvals_the_last_decision_lets_the_turn_go_on(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    _, events = await begin(client, model, calls(write("a", "c1"), write("b", "c2")), reply(text("then not")))
    asked = approvals_in(events)
    first = await decide_here(client, asked["c2"], approval_pb2.DECISION_REJECT)
    assert kinds(first)[-1] == "turn_paused"
    assert list(first[-1].turn_paused.pending_approval_ids) == [asked["c1"].id]
    last = await decide_here(client, asked["c1"], approval_pb2.DECISION_REJECT)
    assert last[-1].turn_completed.result_text == "then not"
    assert (await model.counts())["calls"] == 2
