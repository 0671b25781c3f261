"""Where the operator wants it, a call runs that nobody decided about in time; what always asks never does."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from agent_runtime.v1 import approval_pb2, approval_rule_pb2, turn_event_pb2
from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import ScriptedModel, reply, text
from tests.support.runtime_client import RuntimeClient, connected, kinds, text_result
from tests.support.tool_turns import (
    approvals_in,
    begin,
    calls,
    command,
    follow,
    only,
    ordered,
    payloads,
    results_read,
    write,
)

EXPIRED = approval_pb2.APPROVAL_STATE_EXPIRED


@pytest.fixture
async def trusting(database_url: str, own_model: ScriptedModel) -> AsyncIterator[RuntimeClient]:
    """A server that lets calls run when nobody decides."""
    settings = {"TURNS__APPROVAL_WAIT": "1", "TURNS__APPROVAL_EXPIRY": "release"}
    async with (
        RuntimeProcess(database_url, own_model.url, settings) as process,
        connected(process.address) as client,
    ):
        yield client


async def test_the_call_runs_and_is_recorded_as_expired(trusting: RuntimeClient, own_model: ScriptedModel) -> None:
    made = calls(write("a", "c1"), command("ls", "c2"))
    session_id, events = await begin(trusting, own_model, made, reply(text("done")))
    asked = approvals_in(events)
    events = await follow(trusting, session_id, events[-1].sequence)
    resolved = {each.tool_call_id: each for each in payloads(events, "approval_resolved")}
    assert {id: (each.outcome, each.released) for id, each in resolved.items()} == {
        "c1": (EXPIRED, True),
        "c2": (EXPIRED, False),
    }
    assert {(each.automatic, each.decided_by) for each in resolved.values()} == {(True, "")}
    assert ordered(events) == [["c1"]]
    kept = await trusting.approval(session_id, asked["c1"].id)
    assert (kept.state, kept.released) == (EXPIRED, True)
    events = await trusting.tool_results(session_id, text_result("c1", "written"))
    assert events[-1].turn_completed.result_text == "done"
    said = await results_read(own_model)
    assert "Nobody decided" in said["c1"]
    assert said["c1"].endswith("written")
    assert "did not run" in said["c2"]
    assert kinds(await trusting.log(session_id)).count("approval_resolved") == 2


async def test_what_a_rule_denies_by_now_does_not_run(trusting: RuntimeClient, own_model: ScriptedModel) -> None:
    session_id, events = await begin(trusting, own_model, calls(write("a", "c1")), reply(text("well")))
    await trusting.create_rule("write_file", approval_rule_pb2.APPROVAL_EFFECT_DENY)
    events = await follow(trusting, session_id, events[-1].sequence)
    assert not only(events, "approval_resolved").released
    assert ordered(events) == []
    assert only(events, "turn_resumed").cause == turn_event_pb2.TURN_RESUME_CAUSE_EXPIRY
