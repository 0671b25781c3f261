"""A decision is taken once, by whoever is first, about exactly what was shown, and the model learns of it."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

from agent_runtime.v1 import approval_pb2, input_pb2, tool_event_pb2
from devtools.scripted_model import ScriptedModel, reply, text
from tests.support.runtime_client import RuntimeClient, kinds, refusal_of, refused, text_result
from tests.support.tool_turns import (
    approvals_in,
    begin,
    calls,
    command,
    decide_here,
    follow,
    only,
    ordered,
    payloads,
    results_read,
    write,
)

APPROVE, EDIT, REJECT = (
    approval_pb2.DECISION_APPROVE,
    approval_pb2.DECISION_APPROVE_WITH_EDITS,
    approval_pb2.DECISION_REJECT,
)


async def held(client: RuntimeClient, model: ScriptedModel) -> tuple[str, approval_pb2.Approval]:
    """A session whose turn waits for the decision about one command."""
    session_id, events = await begin(client, model, calls(command("make", "c1")), reply(text("done")))
    return session_id, approvals_in(events)["c1"]


async def test_approved_by_the_stream(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, approval = await held(client, model)
    events = await decide_here(client, approval)
    assert kinds(events) == ["input_accepted", "approval_resolved", "tool_calls_requested", "turn_paused"]
    resolved = only(events, "approval_resolved")
    assert (resolved.approval_id, resolved.tool_call_id) == (approval.id, "c1")
    assert resolved.outcome == approval_pb2.APPROVAL_STATE_APPROVED
    assert (resolved.released, resolved.decided_by, resolved.automatic, resolved.rule_id) == (True, "dev", False, "")
    assert ordered(events) == [["c1"]]
    kept = await client.approval(session_id, approval.id)
    assert (kept.state, kept.released, kept.decided_by) == (approval_pb2.APPROVAL_STATE_APPROVED, True, "dev")
    assert kept.HasField("resolve_time")
    events = await client.tool_results(session_id, text_result("c1", "made"))
    assert events[-1].turn_completed.result_text == "done"
    assert await results_read(model) == {"c1": "made"}


async def test_approved_by_the_unary_call(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, approval = await held(client, model)
    decided = await client.decide(approval, request_id="r-1")
    assert decided.approval == await client.approval(session_id, approval.id)
    assert decided.approval.released
    events = await follow(client, session_id, decided.accepted_sequence - 1)
    assert events[0].sequence == decided.accepted_sequence
    assert only(events, "input_accepted").input_id == decided.input_id
    assert ordered(events) == [["c1"]]
    assert await client.decide(approval, request_id="r-1") == decided
    async with refused() as refusal:
        await client.decide(approval, REJECT, request_id="r-1")
    assert refusal().reason == "REQUEST_ID_REUSED"


async def test_a_rejection_and_its_reason_reach_the_model(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, approval = await held(client, model)
    events = await decide_here(client, approval, REJECT, feedback="use the linter instead")
    assert kinds(events)[:5] == [
        *("input_accepted", "approval_resolved", "tool_result_recorded", "message_added", "turn_resumed")
    ]
    resolved = only(events, "approval_resolved")
    assert (resolved.outcome, resolved.released) == (approval_pb2.APPROVAL_STATE_REJECTED, False)
    recorded = only(events, "tool_result_recorded")
    assert (recorded.is_error, recorded.source) == (True, tool_event_pb2.TOOL_RESULT_SOURCE_RUNTIME)
    assert events[-1].turn_completed.result_text == "done"
    assert "use the linter instead" in (await results_read(model))["c1"]
    assert (await client.approval(session_id, approval.id)).feedback == "use the linter instead"


async def test_what_a_person_says_with_an_approval_reaches_the_model_too(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    session_id, approval = await held(client, model)
    await client.decide(approval, feedback="only this once")
    await client.tool_results(session_id, text_result("c1", "made"))
    said = (await results_read(model))["c1"]
    assert "only this once" in said
    assert said.endswith("made")


async def test_a_decision_about_something_else_is_refused(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, events = await begin(client, model, calls(write("a", "c1"), write("b", "c2")))
    one, other = approvals_in(events).values()
    log = await client.log(session_id)
    for hash in (other.arguments_hash, one.arguments_hash.upper(), one.arguments_hash[:-1], "x"):
        for decision in (APPROVE, REJECT):
            async with refused() as refusal:
                await client.decide(one, decision, arguments_hash=hash)
            assert refusal().code == grpc.StatusCode.FAILED_PRECONDITION
            assert refusal().reason == "ARGUMENTS_HASH_MISMATCH"
    assert await client.log(session_id) == log
    assert (await client.approval(session_id, one.id)).state == approval_pb2.APPROVAL_STATE_PENDING


async def test_an_approval_is_found_in_its_own_session_alone(
    client: RuntimeClient, other_client: RuntimeClient, model: ScriptedModel
) -> None:
    session_id, approval = await held(client, model)
    second = await client.new_session()
    await other_client.new_session(session_id=session_id)

    async def attempts(owner: RuntimeClient, where: str, id: str) -> list[Any]:
        seen = []
        sent = input_pb2.ApprovalDecision(approval_id=id, arguments_hash=approval.arguments_hash, decision=APPROVE)
        shown = approval_pb2.Approval(id=id, session_id=where, arguments_hash=approval.arguments_hash)
        for attempt in (
            owner.decide(shown),
            owner.approval(where, id),
            owner.send_input(where, approval_decision=sent).read(),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await attempt
            seen.append(refusal_of(caught.value))
        return seen

    for owner, where in ((client, second.id), (other_client, session_id)):
        theirs = await attempts(owner, where, approval.id)
        assert {(each.code, each.reason) for each in theirs} == {(grpc.StatusCode.NOT_FOUND, "APPROVAL_NOT_FOUND")}
        assert theirs == await attempts(owner, where, "approval_" + "0" * 32)
    nobodys = await attempts(other_client, second.id, approval.id)
    assert {each.reason for each in nobodys} == {"SESSION_NOT_FOUND"}
    assert (await client.approval(session_id, approval.id)).state == approval_pb2.APPROVAL_STATE_PENDING


@pytest.mark.parametrize("taken", [APPROVE, REJECT])
async def test_the_same_decision_again_is_fine_and_another_one_too_late(
    client: RuntimeClient, model: ScriptedModel, taken: approval_pb2.Decision.ValueType
) -> None:
    session_id, approval = await held(client, model)
    stream = await decide_here(client, approval, taken, feedback="so be it")
    log = await client.log(session_id)
    again = await client.decide(approval, taken, feedback="so be it")
    assert again.accepted_sequence == stream[0].sequence
    assert await decide_here(client, approval, taken, feedback="so be it") == stream
    contrary = REJECT if taken == APPROVE else APPROVE
    for decision, fields in (
        (contrary, {"feedback": "so be it"}),
        (taken, {"feedback": "something else"}),
        (EDIT, {"feedback": "so be it", "edited_arguments_json": '{"command": "ls"}'}),
    ):
        async with refused() as refusal:
            await client.decide(approval, decision, **fields)
        assert (refusal().code, refusal().reason) == (grpc.StatusCode.FAILED_PRECONDITION, "APPROVAL_RESOLVED")
        assert refusal().metadata["outcome"] == ("APPROVED" if taken == APPROVE else "REJECTED")
    assert await client.log(session_id) == log


async def test_of_many_deciders_one_wins(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, approval = await held(client, model)
    decisions = [APPROVE if number % 2 else REJECT for number in range(10)]
    outcomes = await asyncio.gather(
        *(client.decide(approval, decision) for decision in decisions), return_exceptions=True
    )
    kept = await client.approval(session_id, approval.id)
    winner = APPROVE if kept.released else REJECT
    for decision, outcome in zip(decisions, outcomes, strict=True):
        if decision == winner:
            assert not isinstance(outcome, BaseException)
            assert outcome.approval == kept
        else:
            assert isinstance(outcome, grpc.aio.AioRpcError)
            assert refusal_of(outcome).reason == "APPROVAL_RESOLVED"
    log = await client.log(session_id)
    assert len(payloads(log, "approval_resolved")) == 1
    assert len(payloads(log, "tool_calls_requested")) == (1 if kept.released else 0)
