"""An agent hands the session over by `switch_mode`: in several hops, up to a cap, and only to whom there is."""

from __future__ import annotations

import pytest

from agent_runtime.v1 import agent_context_pb2, error_reason_pb2
from devtools.scripted_model import ScriptedModel, call, reply, text, tool_calls
from tests.support.runtime_client import RuntimeClient, kinds, text_result
from tests.support.tool_turns import (
    begin,
    calls,
    handover,
    only,
    ordered,
    payloads,
    prompt_of,
    read,
    requests,
    results_read,
    switches,
    tools_in,
)

AGENT = agent_context_pb2.AGENT_SWITCH_SOURCE_AGENT


async def test_a_turn_goes_on_with_whom_it_was_handed_to_in_several_hops(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    session_id, events = await begin(
        client,
        model,
        reply(text("Not mine. "), tool_calls(handover("debug", "c1", "find the cause"))),
        calls(handover("ask", "c2", "explain it")),
        reply(text("so it is")),
        agent="architect",
    )
    assert events[-1].turn_completed.result_text == "so it is"
    switched = payloads(events, "agent_switched")
    assert [(each.from_agent, each.to_agent, each.reason, each.source) for each in switched] == [
        ("architect", "debug", "find the cause", AGENT),
        ("debug", "ask", "explain it", AGENT),
    ]
    prompts = [prompt_of(request) for request in await requests(model)]
    assert len(set(prompts)) == 3
    offered = [tools_in(request) for request in await requests(model)]
    assert ["write_file" in tools for tools in offered] == [True, False, False]
    assert ["execute_command" in tools for tools in offered] == [False, True, False]
    written = [payload.message for payload in payloads(events, "message_added")]
    assert [message.agent for message in written if message.agent] == ["architect", "debug", "ask"]
    turn = (await client.turn(session_id, events[0].turn_id)).turn
    assert (turn.agent, turn.agent_switches, turn.model_calls, turn.tool_calls) == ("ask", 2, 3, 2)
    assert [each.requested_by for each in (await switches(client, session_id)).agent_switches] == ["dev", "dev"]
    assert "agent_switched" not in kinds(await client.ask(session_id, "thanks"))


async def test_agents_that_hand_over_in_circles_are_stopped_and_the_session_goes_on(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    there_and_back = [calls(handover("ask" if number % 2 else "debug", f"c{number}")) for number in range(1, 12)]
    session_id, events = await begin(client, model, *there_and_back, reply(text("fine")), agent="debug")
    failed = events[-1].turn_failed
    assert failed.reason == error_reason_pb2.ERROR_REASON_BUDGET_EXHAUSTED
    assert "10 agent switches" in failed.message
    assert (await model.counts())["calls"] == 11
    assert kinds(events).count("tool_result_recorded") == 11
    assert (await client.ask(session_id, "and now?", agent="coder"))[-1].turn_completed.result_text == "fine"


@pytest.mark.parametrize(
    ("mode", "why"),
    [("debug", "already"), ("plumber", "no such mode"), ("orchestrator", "no such mode"), ("Coder", "no such mode")],
)
async def test_a_handover_that_cannot_be_is_answered_to_the_model(
    client: RuntimeClient, model: ScriptedModel, mode: str, why: str
) -> None:
    session_id, events = await begin(
        client, model, calls(handover(mode, "c1")), reply(text("then I do it")), agent="debug"
    )
    assert only(events, "tool_result_recorded").is_error
    assert why in (await results_read(model))["c1"]
    assert "agent_switched" not in kinds(events)
    assert events[-1].turn_completed.result_text == "then I do it"
    assert (await client.session(session_id)).current_agent == "debug"


@pytest.mark.parametrize("agent", ["coder", "universal"])
async def test_an_agent_that_was_not_given_the_tool_hands_nothing_over(
    client: RuntimeClient, model: ScriptedModel, agent: str
) -> None:
    _, events = await begin(client, model, calls(handover("ask", "c1")), reply(text("mine")), agent=agent)
    assert "agent_switched" not in kinds(events)
    assert only(events, "tool_result_recorded").is_error
    assert events[-1].turn_completed.result_text == "mine"


async def test_calls_beside_a_handover_keep_the_rights_of_their_agent(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    session_id, events = await begin(
        client,
        model,
        calls(handover("ask", "c1"), read("a.py", "c2"), call("write_file", {"path": "a.md", "content": "x"}, id="c3")),
        reply(text("as I read")),
        agent="architect",
    )
    assert ordered(events) == [["c2"]]
    approval = only(events, "approval_requested").approval
    assert (approval.tool_call_id, approval.agent) == ("c3", "architect")
    await client.decide(approval)
    await client.tool_results(session_id, text_result("c2", "text"))
    rest = await client.tool_results(session_id, text_result("c3", "written"))
    assert rest[-1].turn_completed.result_text == "as I read"
    assert (await results_read(model)).keys() == {"c1", "c2", "c3"}
    assert "write_file" not in tools_in((await requests(model))[-1])
