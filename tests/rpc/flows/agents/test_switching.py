"""The user changes the agent: with a message, by RPC, in the middle of a turn, and back to the router."""

from __future__ import annotations

from itertools import pairwise

import grpc

from agent_runtime.v1 import agent_context_pb2
from devtools.scripted_model import ScriptedModel, reply, text
from tests.support.runtime_client import RuntimeClient, every_page, kinds, refused, text_result
from tests.support.tool_turns import (
    agent_context,
    begin,
    calls,
    only,
    open_calls,
    payloads,
    question,
    read,
    requests,
    routed,
    switches,
    tools_in,
)

USER = agent_context_pb2.AGENT_SWITCH_SOURCE_USER


async def test_a_message_names_its_agent_and_is_not_routed(client: RuntimeClient, model: ScriptedModel) -> None:
    await model.play(reply(text("hm")))
    session = await client.new_session()
    events = await client.ask(session.id, "Write a function", agent="debug")
    assert kinds(events)[:4] == ["input_accepted", "agent_switched", "message_added", "turn_started"]
    switched = only(events, "agent_switched")
    assert (switched.from_agent, switched.to_agent, switched.source) == ("orchestrator", "debug", USER)
    assert only(events, "turn_started").agent == "debug"
    assert "execute_command" in tools_in((await requests(model))[0])
    again = await client.ask(session.id, "and on", agent="debug")  # naming the current one is no error here
    assert "agent_switched" not in kinds(again)


async def test_a_message_for_an_agent_nobody_knows_does_nothing(client: RuntimeClient, model: ScriptedModel) -> None:
    session = await client.new_session()
    async with refused() as refusal:
        await client.ask(session.id, "hello", agent="plumber")
    assert (refusal().code, refusal().reason) == (grpc.StatusCode.NOT_FOUND, "AGENT_NOT_FOUND")
    assert await client.log(session.id) == []


async def test_an_answer_to_a_question_may_name_another_agent(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, events = await begin(
        client, model, calls(question("Which?", "c1")), reply(text("explained")), agent="coder"
    )
    assert only(events, "turn_paused").followup_id
    events = await client.ask(session_id, "rather explain it", agent="ask")
    assert only(events, "agent_switched").to_agent == "ask"
    assert only(events, "turn_resumed").agent == "ask"
    assert "write_file" not in tools_in((await requests(model))[-1])
    assert payloads(events, "message_added")[-1].message.agent == "ask"


async def test_switch_agent_only_switches(client: RuntimeClient, model: ScriptedModel) -> None:
    session = await client.new_session()
    answer = await client.switch_agent(session.id, "coder", reason="I want code", request_id="r-1")
    assert (answer.agent_context.current_agent, answer.agent_context.switch_count) == ("coder", 1)
    made = answer.agent_switch
    assert (made.ordinal, made.from_agent, made.to_agent, made.reason) == (1, "orchestrator", "coder", "I want code")
    assert (made.source, made.requested_by) == (USER, "dev")
    assert made.confidence == agent_context_pb2.ROUTING_CONFIDENCE_UNSPECIFIED
    (event,) = await client.log(session.id)
    assert (event.agent_switched.to_agent, event.HasField("turn_id")) == ("coder", False)
    assert (await client.switch_agent(session.id, "coder", reason="I want code", request_id="r-1")) == answer
    for agent, reason in (("coder", "SAME_AGENT"), ("plumber", "AGENT_NOT_FOUND"), ("Coder", "AGENT_NOT_FOUND")):
        async with refused() as refusal:
            await client.switch_agent(session.id, agent)
        assert refusal().reason == reason
    async with refused() as refusal:
        await client.switch_agent(session.id, "debug", request_id="r-1")
    assert refusal().reason == "REQUEST_ID_REUSED"
    assert len(await client.log(session.id)) == 1
    assert (await model.counts())["calls"] == 0


async def test_a_switch_in_mid_turn_counts_from_the_next_model_call(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    session_id, events = await begin(client, model, calls(read("a.py", "c1")), reply(text("explained")))
    await client.switch_agent(session_id, "ask")
    ((waiting),) = await open_calls(client, session_id)
    assert (waiting.call.id, waiting.agent) == ("c1", "coder")
    rest = await client.tool_results(session_id, text_result("c1", "print()"))
    assert only(rest, "turn_resumed").agent == "ask"
    first, second = await requests(model)
    assert "write_file" in tools_in(first)
    assert "write_file" not in tools_in(second)
    assert rest[-1].turn_completed.result_text == "explained"
    log = await client.log(session_id)
    (switched,) = [event for event in log if event.HasField("agent_switched")]
    assert switched.turn_id == events[0].turn_id


async def test_a_reset_brings_the_router_back(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, _ = await begin(client, model, reply(text("one")), agent="coder")
    reset = (await client.reset_agent(session_id, "r-1")).agent_context
    assert (reset.current_agent, reset.switch_count) == ("orchestrator", 0)
    assert (await client.reset_agent(session_id, "r-1")).agent_context == reset
    assert (await client.reset_agent(session_id)).agent_context == reset  # nothing to switch, no event
    assert kinds(await client.log(session_id)).count("agent_switched") == 1
    await model.play(routed("ask"), reply(text("two")))
    events = await client.ask(session_id, "and now?")
    assert only(events, "agent_switched").to_agent == "ask"


async def test_a_reset_in_mid_turn_has_the_rest_of_it_routed(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, _ = await begin(client, model, calls(read("a.py", "c1")), routed("ask"), reply(text("explained")))
    await client.reset_agent(session_id)
    events = await client.tool_results(session_id, text_result("c1", "print()"))
    assert only(events, "turn_resumed").agent == "orchestrator"
    assert only(events, "agent_switched").to_agent == "ask"
    assert events[-1].turn_completed.result_text == "explained"
    assert (await requests(model))[1]["messages"][1]["content"] == "go"


async def test_fifty_switches_are_the_limit_and_a_reset_is_the_way_out(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    session = await client.new_session()
    for number in range(1, 51):
        await client.switch_agent(session.id, "debug" if number % 2 else "orchestrator")
    for attempt in (
        client.switch_agent(session.id, "coder"),
        client.ask(session.id, "hello", agent="coder"),
    ):
        async with refused() as refusal:
            await attempt
        assert (refusal().code, refusal().reason) == (grpc.StatusCode.FAILED_PRECONDITION, "SWITCH_LIMIT")
        assert refusal().metadata["limit"] == "50"
    context = await agent_context(client, session.id)
    assert (context.switch_count, context.switch_limit) == (50, 50)
    await model.play(routed("coder"), routed("coder"), reply(text("at last")))
    failed = (await client.ask(session.id, "hello"))[-1].turn_failed
    assert "switches" in failed.message
    assert (await client.reset_agent(session.id)).agent_context.switch_count == 0
    assert (await client.ask(session.id, "hello"))[-1].turn_completed.result_text == "at last"
    assert (await agent_context(client, session.id)).switch_count == 1


async def test_switches_are_numbered_on_across_resets_and_listed_in_pages(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    session = await client.new_session()
    for agent in ("coder", "debug", None, "ask", None, "coder"):
        await (client.switch_agent(session.id, agent) if agent else client.reset_agent(session.id))
    for newest_first in (False, True):
        pages = await every_page(
            lambda token, order=newest_first: switches(  # type: ignore[misc]
                client, session.id, page_size=4, page_token=token, newest_first=order
            )
        )
        listed = [entry for page in pages for entry in page.agent_switches]
        ordinals = [1, 2, 3, 4, 5, 6]
        assert [entry.ordinal for entry in listed] == (ordinals[::-1] if newest_first else ordinals)
        chain = listed[::-1] if newest_first else listed
        assert [entry.to_agent for entry in chain] == ["coder", "debug", "orchestrator", "ask", "orchestrator", "coder"]
        assert all(one.to_agent == next_one.from_agent for one, next_one in pairwise(chain))
        assert [len(page.agent_switches) for page in pages] == [4, 2]
