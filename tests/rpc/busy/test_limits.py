"""The caller's own limits: the turn pauses for BUDGET before the call that is too much, and goes on when told to."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from agent_runtime.v1 import turn_event_pb2, turn_pb2
from devtools.scripted_model import ScriptedModel, reply, text
from tests.rpc.busy.words import INTERRUPT, QUEUE, REJECT, STEER, resume, wait_in
from tests.support.refused_calls import wrong_fields
from tests.support.runtime_client import Event, RuntimeClient, kinds, refused, text_result
from tests.support.tool_turns import (
    approvals_in,
    calls,
    follow,
    handover,
    open_calls,
    ordered,
    payloads,
    read,
    results_read,
    routed,
    write,
)

BUDGET = turn_pb2.WAIT_REASON_BUDGET


async def limited(
    client: RuntimeClient, model: ScriptedModel, *replies: Any, agent: str = "coder", **limits: Any
) -> tuple[str, list[Event]]:
    """A new session and what comes of its first message with these limits."""
    await model.play(*replies)
    session = await client.new_session(agent=agent)
    return session.id, await client.ask(session.id, "go", limits=turn_pb2.TurnLimits(**limits))


async def test_model_calls(client: RuntimeClient, model: ScriptedModel) -> None:
    reads = [calls(read(f"f{n}", f"c{n}")) for n in range(3)]
    session_id, events = await limited(client, model, *reads, reply(text("done")), max_model_calls=2)
    rest = await client.tool_results(session_id, text_result("c0", "x"))
    assert list(rest[-1].turn_paused.waiting_for) == [turn_pb2.WAIT_REASON_TOOL_RESULTS]
    rest = await client.tool_results(session_id, text_result("c1", "x"))
    paused = rest[-1].turn_paused
    assert list(paused.waiting_for) == [BUDGET]
    assert (list(paused.open_tool_call_ids), paused.HasField("expire_time")) == ([], False)
    turn = (await client.turn(session_id, events[0].turn_id)).turn
    assert (turn.state, list(turn.waiting_for)) == (turn_pb2.TURN_STATE_PAUSED, [BUDGET])
    assert (turn.model_calls, turn.limits.max_model_calls) == (2, 2)
    # Without new limits the same ones count anew.
    rest = await resume(client, session_id)
    assert kinds(rest)[:2] == ["input_accepted", "turn_resumed"]
    assert rest[0].input_accepted.disposition == turn_event_pb2.INPUT_DISPOSITION_CONTINUED
    assert rest[1].turn_resumed.cause == turn_event_pb2.TURN_RESUME_CAUSE_RESUME
    assert {event.turn_id for event in rest} == {events[0].turn_id}
    rest = await client.tool_results(session_id, text_result("c2", "x"))
    assert rest[-1].turn_completed.result_text == "done"
    log = await client.log(session_id)
    assert kinds(log).count("tool_result_recorded") == kinds(log).count("tool_calls_requested") == 3


async def test_tool_calls(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, events = await limited(
        client,
        model,
        calls(read("a", "c1")),
        calls(read("b", "c2"), read("c", "c3")),
        reply(text("done")),
        max_tool_calls=2,
    )
    rest = await client.tool_results(session_id, text_result("c1", "x"))
    assert list(rest[-1].turn_paused.waiting_for) == [BUDGET]
    assert ordered(rest) == []
    assert await open_calls(client, session_id) == []
    async with refused() as refusal:
        await client.tool_results(session_id, text_result("c2", "x"))
    assert refusal().reason == "TOOL_CALL_NOT_OPEN"
    rest = await resume(client, session_id, max_tool_calls=5)
    assert ordered(rest) == [["c2", "c3"]]
    assert list(rest[-1].turn_paused.waiting_for) == [turn_pb2.WAIT_REASON_TOOL_RESULTS]
    rest = await client.tool_results(session_id, text_result("c2", "x"), text_result("c3", "x"))
    assert rest[-1].turn_completed.result_text == "done"
    assert rest[-1].turn_id == events[0].turn_id


async def test_tokens(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, _ = await limited(client, model, calls(read("a", "c1")), reply(text("done")), max_tokens=1)
    rest = await client.tool_results(session_id, text_result("c1", "x"))
    assert list(rest[-1].turn_paused.waiting_for) == [BUDGET]
    assert (await resume(client, session_id, max_tokens=1))[-1].turn_completed.result_text == "done"


async def test_running_time(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, _ = await limited(
        client, model, calls(read("a", "c1")), reply(text("done")), max_running_time=Duration(nanos=1_000_000)
    )
    rest = await client.tool_results(session_id, text_result("c1", "x"))
    assert list(rest[-1].turn_paused.waiting_for) == [BUDGET]
    rest = await resume(client, session_id, max_running_time=Duration(seconds=60))
    assert rest[-1].turn_completed.result_text == "done"


async def test_agent_switches(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, events = await limited(
        client, model, calls(handover("coder", "c1")), reply(text("done")), agent="ask", max_agent_switches=0
    )
    assert payloads(events, "agent_switched") == []
    assert "no further change" in (await results_read(model))["c1"]
    assert events[-1].turn_completed.result_text == "done"
    assert (await client.session(session_id)).current_agent == "ask"


async def test_the_routers_question_is_not_among_the_calls(client: RuntimeClient, model: ScriptedModel) -> None:
    _, events = await limited(
        client, model, routed("ask"), reply(text("done")), agent="orchestrator", max_model_calls=1
    )
    assert events[-1].turn_completed.result_text == "done"


@pytest.mark.parametrize("policy", [REJECT, QUEUE, STEER, INTERRUPT])
async def test_a_message_supersedes_a_turn_that_waits_for_nothing_else(
    client: RuntimeClient, model: ScriptedModel, policy: int
) -> None:
    session_id, events = await limited(client, model, calls(read("a", "c1")), reply(text("new")), max_model_calls=1)
    await client.tool_results(session_id, text_result("c1", "x"))
    rest = await client.ask(session_id, "something else", busy_policy=policy)
    cancelled = next(event for event in rest if event.HasField("turn_cancelled"))
    assert cancelled.turn_id == events[0].turn_id
    assert cancelled.turn_cancelled.cause == turn_pb2.TURN_CANCELLATION_CAUSE_SUPERSEDED
    assert rest[-1].turn_completed.result_text == "new"
    turn = (await client.turn(session_id, rest[-1].turn_id)).turn
    assert not turn.HasField("limits"), "the limits were those of the other turn"
    async with refused() as refusal:
        await resume(client, session_id)
    assert refusal().reason == "NOTHING_TO_RESUME"


async def test_calls_that_were_never_ordered_are_settled_when_it_is_superseded(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    session_id, _ = await limited(
        client, model, calls(read("a", "c1"), read("b", "c2")), reply(text("new")), max_tool_calls=1
    )
    rest = await client.ask(session_id, "something else")
    assert [each.tool_call_id for each in payloads(rest, "tool_result_recorded")] == ["c1", "c2"]
    assert set((await results_read(model)).values()) == {"not run: superseded"}


async def test_what_waits_starts_when_a_paused_turn_is_cancelled(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, events = await limited(client, model, calls(read("a", "c1")), reply(text("later")), max_model_calls=1)
    await wait_in(client, session_id, "later", QUEUE)
    paused = await client.tool_results(session_id, text_result("c1", "x"))
    assert list(paused[-1].turn_paused.waiting_for) == [BUDGET]
    await client.cancel(session_id, events[0].turn_id)
    rest = await follow(client, session_id, paused[-1].sequence + 1)
    assert rest[-1].turn_completed.result_text == "later"


async def test_that_are_no_limits_are_refused(client: RuntimeClient, model: ScriptedModel) -> None:
    session = await client.new_session(agent="coder")
    for name, value in [
        ("max_model_calls", 0),
        ("max_tool_calls", 0),
        ("max_agent_switches", -1),
        ("max_tokens", 0),
        ("max_running_time", Duration()),
        ("max_running_time", Duration(seconds=-1)),
    ]:
        limits = turn_pb2.TurnLimits(**{name: value})  # type: ignore[arg-type]
        assert list(await wrong_fields(client.ask(session.id, "go", limits=limits))) == [f"limits.{name}"]
        assert list(await wrong_fields(resume(client, session.id, **{name: value}))) == [f"resume.limits.{name}"]


class TestTheSameCallAgain:
    async def test_and_again_is_answered_with_an_error(self, client: RuntimeClient, model: ScriptedModel) -> None:
        await model.play(*(calls(read("a", f"c{n}")) for n in range(4)), reply(text("I give up.")))
        session = await client.new_session(agent="coder")
        await client.ask(session.id, "go")
        for n in range(2):
            await client.tool_results(session.id, text_result(f"c{n}", "the same"))
        rest = await client.tool_results(session.id, text_result("c2", "the same"))
        assert rest[-1].turn_completed.result_text == "I give up."
        assert "c3" not in [each for order in ordered(await client.log(session.id)) for each in order]
        assert (await results_read(model))["c3"].startswith("not run: you have made this very call")

    async def test_is_another_one_after_a_write(self, client: RuntimeClient, model: ScriptedModel) -> None:
        await model.play(
            *(calls(read("a", f"c{n}")) for n in range(3)),
            calls(write("a", "w")),
            calls(read("a", "c3")),
            reply(text("done")),
        )
        session = await client.new_session(agent="coder")
        rest = await client.ask(session.id, "go")
        for n in range(3):
            rest = await client.tool_results(session.id, text_result(f"c{n}", "the same"))
        await client.decide(approvals_in(rest)["w"])
        await client.tool_results(session.id, text_result("w", "written"))
        rest = await client.tool_results(session.id, text_result("c3", "another"))
        assert rest[-1].turn_completed.result_text == "done"
