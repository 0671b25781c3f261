"""The reading half of AgentService: who there is, who is current, and what they have done."""

from __future__ import annotations

from datetime import timedelta

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from agent_runtime.v1 import agent_service_pb2
from devtools.scripted_model import ScriptedModel, Usage, call, refusal, reply, text, tool_calls
from tests.support.runtime_client import RuntimeClient, every_page, refused
from tests.support.tool_turns import agent_context, switches

BUILT_IN = {"orchestrator", "coder", "architect", "debug", "ask", "universal"}


async def test_the_loaded_agents_are_listed_by_name_and_can_be_read_alone(client: RuntimeClient) -> None:
    async def page(token: str) -> agent_service_pb2.ListAgentsResponse:
        request = agent_service_pb2.ListAgentsRequest(page_size=1, page_token=token)
        return await client.agents.ListAgents(request, metadata=client.metadata)

    agents = [agent for answer in await every_page(page) for agent in answer.agents]
    names = [agent.name for agent in agents]
    assert names == sorted(names)
    assert set(names) >= BUILT_IN
    assert {agent.name for agent in agents if agent.routable} == BUILT_IN - {"orchestrator", "universal"}
    for agent in agents:
        request = agent_service_pb2.GetAgentRequest(agent=agent.name)
        assert (await client.agents.GetAgent(request, metadata=client.metadata)).agent == agent
        assert agent.description
        assert agent.version


@pytest.mark.parametrize("name", ["nobody", "Universal", "universal ", "uni%", "../universal"])
async def test_a_name_that_is_not_exactly_an_agents_is_not_found(client: RuntimeClient, name: str) -> None:
    async with refused() as refusal:
        await client.agents.GetAgent(agent_service_pb2.GetAgentRequest(agent=name), metadata=client.metadata)
    assert (refusal().code, refusal().reason) == (grpc.StatusCode.NOT_FOUND, "AGENT_NOT_FOUND")


async def test_system_prompts_are_never_shown(client: RuntimeClient, model: ScriptedModel) -> None:
    session = await client.new_session(agent="universal")
    await client.ask(session.id, "hello")
    prompt = (await model.calls())[-1]["body"]["messages"][0]["content"]
    agents = await client.agents.ListAgents(agent_service_pb2.ListAgentsRequest(), metadata=client.metadata)
    shown = agents.SerializeToString()
    assert prompt
    assert not [line for line in prompt.splitlines() if line and line.encode() in shown]


@pytest.mark.parametrize(("asked_for", "first"), [("", "orchestrator"), ("universal", "universal"), ("ask", "ask")])
async def test_a_new_session_has_its_first_agent_and_no_switches(
    client: RuntimeClient, asked_for: str, first: str
) -> None:
    session = await client.new_session(agent=asked_for)
    context = await agent_context(client, session.id)
    assert (context.session_id, context.current_agent) == (session.id, first)
    assert (context.switch_count, context.switch_limit) == (0, 50)
    made = await switches(client, session.id)
    assert (list(made.agent_switches), made.next_page_token) == ([], "")


async def test_usage_is_summed_over_the_callers_sessions(
    client: RuntimeClient, other_client: RuntimeClient, model: ScriptedModel
) -> None:
    await model.play(
        reply(
            tool_calls(call("no_such_tool", {"path": "x"})),
            usage=Usage(prompt_tokens=100, completion_tokens=10, cached_tokens=40),
        ),
        reply(text("one"), usage=Usage(prompt_tokens=200, completion_tokens=20, reasoning_tokens=5)),
        reply(text("two"), usage=Usage(prompt_tokens=1, completion_tokens=2)),
        refusal(500),
    )
    assert list((await client.usage_stats()).stats) == []
    first, second = await client.new_session(agent="universal"), await client.new_session(agent="universal")
    await client.ask(first.id, "a")
    await client.ask(second.id, "b")
    await client.ask(second.id, "fails")
    await other_client.ask((await other_client.new_session(agent="universal")).id, "not mine")
    (stats,) = (await client.usage_stats()).stats
    assert (stats.agent, stats.sessions, stats.turns, stats.switches_in) == ("universal", 2, 3, 0)
    assert (stats.model_calls, stats.tool_calls) == (4, 1)
    usage = stats.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens, usage.reasoning_tokens) == (
        301,
        32,
        40,
        5,
    )
    (one,) = (await client.usage_stats(session_id=first.id)).stats
    assert (one.sessions, one.turns, one.model_calls, one.usage.prompt_tokens) == (1, 1, 2, 300)
    await client.clear(first.id)
    assert (await client.usage_stats()).stats[0] == stats
    await client.delete(first.id)
    assert (await client.usage_stats()).stats[0].usage.prompt_tokens == 1


async def test_usage_of_a_span_counts_the_turns_that_started_in_it(client: RuntimeClient, model: ScriptedModel) -> None:
    session = await client.new_session(agent="universal")
    await client.ask(session.id, "one")
    await client.ask(session.id, "two")
    second, first = (await client.list_turns(session.id)).turns
    assert (await client.usage_stats(start_time=second.create_time)).stats[0].turns == 1
    assert (await client.usage_stats(end_time=second.create_time)).stats[0].turns == 1
    assert (await client.usage_stats(start_time=first.create_time)).stats[0].turns == 2
    after = Timestamp()
    after.FromDatetime(second.create_time.ToDatetime() + timedelta(microseconds=1))
    assert list((await client.usage_stats(start_time=after)).stats) == []
