"""Nobody decides in time: that is recorded as what it is, happens once, and the turn goes on without the call."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent_runtime.v1 import approval_pb2, tool_event_pb2, turn_event_pb2, turn_pb2
from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import ScriptedModel, reply, text
from tests.support.runtime_client import RuntimeClient, connected, kinds, refused, text_result
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

EXPIRED = approval_pb2.APPROVAL_STATE_EXPIRED


async def test_an_expired_approval_does_not_run_and_the_turn_goes_on(
    brief_client: RuntimeClient, model: ScriptedModel
) -> None:
    session_id, events = await begin(
        brief_client, model, calls(write("a", "c1"), command("ls", "c2")), reply(text("then not"))
    )
    asked = approvals_in(events)
    events = await follow(brief_client, session_id, events[-1].sequence)
    resolved = {each.tool_call_id: each for each in payloads(events, "approval_resolved")}
    assert {id: each.outcome for id, each in resolved.items()} == {"c1": EXPIRED, "c2": EXPIRED}
    for each in resolved.values():
        assert (each.released, each.automatic, each.decided_by) == (False, True, "")
    recorded = payloads(events, "tool_result_recorded")
    assert {(each.is_error, each.source) for each in recorded} == {(True, tool_event_pb2.TOOL_RESULT_SOURCE_SETTLED)}
    assert only(events, "turn_resumed").cause == turn_event_pb2.TURN_RESUME_CAUSE_EXPIRY
    assert ordered(events) == []
    assert events[-1].turn_completed.result_text == "then not"
    said = (await results_read(model))["c1"]
    assert "did not run" in said
    assert "rejected" not in said
    kept = await brief_client.approval(session_id, asked["c1"].id)
    assert (kept.state, kept.released, kept.automatic, kept.decided_by) == (EXPIRED, False, True, "")
    assert kept.resolve_time.ToNanoseconds() >= kept.expire_time.ToNanoseconds()
    async with refused() as refusal:
        await brief_client.decide(asked["c1"])
    assert (refusal().reason, refusal().metadata["outcome"]) == ("APPROVAL_RESOLVED", "EXPIRED")
    assert (await model.counts())["calls"] == 2


async def test_what_was_decided_before_does_not_expire(brief_client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, events = await begin(
        brief_client, model, calls(write("a", "c1"), write("b", "c2")), reply(text("one of two"))
    )
    asked = approvals_in(events)
    await brief_client.decide(asked["c1"])
    events = await brief_client.tool_results(session_id, text_result("c1", "written"))
    events = await follow(brief_client, session_id, events[-1].sequence)
    assert only(events, "approval_resolved").approval_id == asked["c2"].id
    assert events[-1].turn_completed.result_text == "one of two"
    assert (await brief_client.approval(session_id, asked["c1"].id)).state == approval_pb2.APPROVAL_STATE_APPROVED


async def test_the_operator_may_have_approvals_wait_for_ever(tmp_path: Path, own_model: ScriptedModel) -> None:
    settings = {"TURNS__APPROVAL_WAIT": "0.1", "TURNS__APPROVAL_EXPIRY": "wait"}
    async with (
        RuntimeProcess(f"sqlite:///{tmp_path / 'runtime.db'}", own_model.url, settings) as runtime,
        connected(runtime.address) as client,
    ):
        session_id, events = await begin(client, own_model, calls(write("a", "c1")), reply(text("done")))
        assert not approvals_in(events)["c1"].HasField("expire_time")
        assert not events[-1].turn_paused.HasField("expire_time")
        turn = (await client.turn(session_id, events[0].turn_id)).turn
        assert (turn.state, turn.HasField("expire_time")) == (turn_pb2.TURN_STATE_PAUSED, False)


@pytest.mark.parametrize("decided", [True, False])
async def test_an_approval_outlives_the_server(database_url: str, own_model: ScriptedModel, decided: bool) -> None:
    settings = {"TURNS__APPROVAL_WAIT": "300" if decided else "0.7"}
    async with RuntimeProcess(database_url, own_model.url, settings) as runtime:
        async with connected(runtime.address, "me") as client:
            session_id, events = await begin(client, own_model, calls(command("ls", "c1")), reply(text("done")))
            approval = approvals_in(events)["c1"]
            await runtime.kill()
        await runtime.start()
        async with connected(runtime.address, "me") as client:
            if decided:
                assert await client.log(session_id) == events
                assert list((await client.list_approvals()).approvals) == [approval]
                watch = client.watch(session_id, snapshot=True, stop_at_head=True)
                (snapshot,) = [item.snapshot async for item in watch if item.HasField("snapshot")]
                assert [each.id for each in snapshot.pending_approvals] == [approval.id]
                assert ordered(await decide_here(client, approval)) == [["c1"]]
                rest = await client.tool_results(session_id, text_result("c1", "ok"))
            else:
                rest = await follow(client, session_id, events[-1].sequence)
                assert only(rest, "approval_resolved").outcome == EXPIRED
            assert rest[-1].turn_completed.result_text == "done"
            assert kinds(await client.log(session_id)).count("approval_resolved") == 1
    assert (await own_model.counts())["refused"] == 0
