"""Calls of one answer that build on each other are ordered one after the other; what lost its ground is not run."""

from __future__ import annotations

import pytest

from agent_runtime.v1 import approval_pb2, error_reason_pb2, tool_event_pb2
from devtools.scripted_model import ScriptedModel, reply, text
from tests.support.runtime_client import RuntimeClient, kinds, refused, text_result
from tests.support.tool_turns import (
    approvals_in,
    begin,
    calls,
    command,
    decide_here,
    open_calls,
    ordered,
    payloads,
    read,
    results_read,
    write,
)

SETTLED = tool_event_pb2.TOOL_RESULT_SOURCE_SETTLED


async def test_a_write_waits_for_reads_of_its_path_and_a_read_for_the_write(
    ruled_client: RuntimeClient, model: ScriptedModel
) -> None:
    session_id, events = await begin(
        ruled_client,
        model,
        calls(
            *(read("free/a", "c1"), write("./free//a", "c2"), read("free/A", "c3")),
            *(write("free/b", "c4"), read("free/c", "c5")),
        ),
        reply(text("done")),
    )
    assert ordered(events) == [["c1", "c4", "c5"]]
    async with refused() as refusal:
        await ruled_client.tool_results(session_id, text_result("c2", "early"))
    assert refusal().reason == "TOOL_CALL_NOT_OPEN"
    assert "other calls" in refusal().message
    then = await ruled_client.tool_results(session_id, text_result("c1", "old"))
    assert ordered(then) == [["c2"]]
    assert payloads(then, "tool_calls_requested")[0].batch_id == payloads(events, "tool_calls_requested")[0].batch_id
    assert sorted(each.call.id for each in await open_calls(ruled_client, session_id)) == ["c2", "c4", "c5"]
    last = await ruled_client.tool_results(session_id, text_result("c2", "written"))
    assert ordered(last) == [["c3"]]
    events = await ruled_client.tool_results(session_id, *(text_result(id, "x") for id in ("c3", "c4", "c5")))
    assert events[-1].turn_completed.result_text == "done"


async def test_a_command_waits_for_every_write_before_it(ruled_client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, events = await begin(
        ruled_client,
        model,
        calls(write("free/a", "c1"), write("free/b", "c2"), command("make test", "c3"), read("free/z", "c4")),
        reply(text("done")),
    )
    assert ordered(events) == [["c1", "c2", "c4"]]
    assert ordered(await ruled_client.tool_results(session_id, text_result("c1", "ok"))) == []
    assert ordered(await ruled_client.tool_results(session_id, text_result("c2", "ok"))) == [["c3"]]
    events = await ruled_client.tool_results(session_id, text_result("c3", "0"), text_result("c4", "z"))
    assert events[-1].turn_completed.result_text == "done"


async def test_commands_and_what_runs_with_them_run_one_after_the_other(
    ruled_client: RuntimeClient, model: ScriptedModel
) -> None:
    _, events = await begin(
        ruled_client, model, calls(read("a", "c1"), command("make a", "c2"), command("make b", "c3"))
    )
    (order,) = payloads(events, "tool_calls_requested")
    assert [each.id for each in order.calls] == ["c1", "c2", "c3"]
    assert order.execution_mode == tool_event_pb2.TOOL_EXECUTION_MODE_SEQUENTIAL


async def test_what_builds_on_a_failed_write_is_not_run(ruled_client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, _ = await begin(
        ruled_client,
        model,
        calls(
            *(write("free/a", "c1"), write("free/a", "c2"), read("free/a", "c3")),
            *(write("free/b", "c4"), command("make", "c5")),
        ),
        reply(text("I see")),
    )
    events = await ruled_client.tool_results(session_id, text_result("c1", "disk full", is_error=True))
    recorded = payloads(events, "tool_result_recorded")
    assert [(each.tool_call_id, each.source) for each in recorded[1:]] == [("c2", SETTLED), ("c5", SETTLED)]
    assert all(each.is_error for each in recorded)
    assert ordered(events) == [["c3"]]  # a read needs no write to have happened
    async with refused() as refusal:
        await ruled_client.tool_results(session_id, text_result("c5", "ran"))
    assert refusal().reason == "TOOL_CALL_NOT_OPEN"
    events = await ruled_client.tool_results(session_id, text_result("c3", "old"), text_result("c4", "ok"))
    assert events[-1].turn_completed.result_text == "I see"
    results = await results_read(model)
    assert {id: "not run" in said for id, said in results.items()} == {
        "c1": False,
        "c2": True,
        "c3": False,
        "c4": False,
        "c5": True,
    }


async def test_a_failed_read_stops_nothing(ruled_client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, _ = await begin(
        ruled_client,
        model,
        calls(read("free/a", "c1"), write("free/a", "c2"), command("make", "c3")),
        reply(text("ok")),
    )
    events = await ruled_client.tool_results(session_id, text_result("c1", "no such file", is_error=True))
    assert ordered(events) == [["c2"]]
    assert ordered(await ruled_client.tool_results(session_id, text_result("c2", "ok"))) == [["c3"]]


@pytest.mark.parametrize("refused_by", ["a person", "the file rules"])
async def test_a_command_after_a_write_that_may_not_be_is_not_asked_for_any_more(
    client: RuntimeClient, model: ScriptedModel, refused_by: str
) -> None:
    path = "a.py" if refused_by == "a person" else "/etc/passwd"
    session_id, events = await begin(
        client, model, calls(write(path, "c1"), command("make", "c2"), command("ls", "c3")), reply(text("I see"))
    )
    asked = approvals_in(events)
    if refused_by == "a person":
        events = await decide_here(client, asked["c1"], approval_pb2.DECISION_REJECT, feedback="not now")
    outcomes = {each.tool_call_id: each for each in payloads(await client.log(session_id), "approval_resolved")}
    for id in ("c2", "c3"):
        assert outcomes[id].outcome == approval_pb2.APPROVAL_STATE_CANCELLED
        assert (outcomes[id].released, outcomes[id].decided_by) == (False, "")
    assert events[-1].turn_completed.result_text == "I see"
    assert "not run" in (await results_read(model))["c2"]
    assert "tool_calls_requested" not in kinds(await client.log(session_id))
    assert list((await client.list_approvals(session_id=session_id)).approvals) == []


async def test_a_turn_of_too_many_calls_ends_and_the_session_goes_on(
    ruled_client: RuntimeClient, model: ScriptedModel
) -> None:
    answers = [calls(*(read(f"f{turn}_{number}", f"c{turn}_{number}") for number in range(30))) for turn in range(4)]
    session_id, events = await begin(ruled_client, model, *answers, reply(text("fine")))
    for turn in range(3):
        events = await ruled_client.tool_results(
            session_id, *(text_result(f"c{turn}_{number}", "x") for number in range(30))
        )
    assert events[-1].turn_failed.reason == error_reason_pb2.ERROR_REASON_BUDGET_EXHAUSTED
    assert ordered(events) == []
    assert kinds(events).count("tool_result_recorded") == 60
    assert (await ruled_client.ask(session_id, "and now?"))[-1].turn_completed.result_text == "fine"
