"""Approvals that nobody needs any more are closed, told to whoever watches, and can no longer be decided."""

from __future__ import annotations

from agent_runtime.v1 import approval_pb2, tool_event_pb2, turn_pb2
from devtools.scripted_model import ScriptedModel, reply, text
from tests.support.runtime_client import RuntimeClient, kinds, read_rest, refused
from tests.support.tool_turns import approvals_in, begin, calls, payloads, read, results_read, write

CANCELLED = approval_pb2.APPROVAL_STATE_CANCELLED


async def test_a_cancelled_turn_closes_them(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, events = await begin(
        client, model, calls(write("a", "c1"), write("b", "c2"), read("c", "c3")), reply(text("fine"))
    )
    before = events[-1].sequence
    turn = (await client.cancel(session_id, events[0].turn_id)).turn
    assert turn.state == turn_pb2.TURN_STATE_CANCELLED
    assert (list(turn.pending_approval_ids), list(turn.open_tool_call_ids), list(turn.waiting_for)) == ([], [], [])
    log = await client.log(session_id, before)
    assert kinds(log)[-1] == "turn_cancelled"
    resolved = payloads(log, "approval_resolved")
    assert [(each.tool_call_id, each.outcome, each.released) for each in resolved] == [
        ("c1", CANCELLED, False),
        ("c2", CANCELLED, False),
    ]
    recorded = payloads(log, "tool_result_recorded")
    assert {(each.is_error, each.source) for each in recorded} == {(True, tool_event_pb2.TOOL_RESULT_SOURCE_SETTLED)}
    for approval in approvals_in(events).values():
        assert (await client.approval(session_id, approval.id)).state == CANCELLED
        for decision in (approval_pb2.DECISION_APPROVE, approval_pb2.DECISION_REJECT):
            async with refused() as refusal:
                await client.decide(approval, decision)
            assert refusal().reason == "APPROVAL_RESOLVED"
            assert refusal().metadata["outcome"] == "CANCELLED"
    assert list((await client.list_approvals(session_id=session_id)).approvals) == []
    assert (await client.ask(session_id, "and now?"))[-1].turn_completed.result_text == "fine"
    assert (await results_read(model)).keys() == {"c1", "c2", "c3"}


async def test_whoever_watches_a_session_being_deleted_sees_them_closed(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    session_id, events = await begin(client, model, calls(write("a", "c1"), read("b", "c2")))
    watch = client.watch(session_id, after_sequence=events[-1].sequence)
    await watch.initial_metadata()
    await client.delete(session_id)
    seen = [item.event for item in await read_rest(watch) if item.HasField("event")]
    (resolved,) = payloads(seen, "approval_resolved")
    assert (resolved.tool_call_id, resolved.outcome, resolved.released) == ("c1", CANCELLED, False)
    (cancelled,) = payloads(seen, "turn_cancelled")
    assert cancelled.cause == turn_pb2.TURN_CANCELLATION_CAUSE_SESSION_DELETED
    assert kinds(seen)[-1] == "session_deleted"
    async with refused() as refusal:
        await client.decide(approvals_in(events)["c1"])
    assert refusal().reason == "SESSION_NOT_FOUND"
    assert list((await client.list_approvals()).approvals) == []


async def test_a_switch_of_the_agent_leaves_them_as_they_are(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, events = await begin(client, model, calls(write("a", "c1")))
    await client.switch_agent(session_id, "ask")
    await client.reset_agent(session_id)
    approval = approvals_in(events)["c1"]
    assert await client.approval(session_id, approval.id) == approval
    assert (await client.decide(approval)).approval.released
