"""GetSessionUsage: sums over everything a session has done, which clearing keeps and a fork does not have."""

from __future__ import annotations

import pytest

from agent_runtime.v1 import approval_pb2
from devtools.scripted_model import ScriptedModel, Usage, gate, reply, text, tool_calls
from tests.support.runtime_client import RuntimeClient, kinds, read_until, refused, said, text_result
from tests.support.tool_turns import CLASSIFYING, approvals_in, begin, calls, command, decide_here, read


def used(prompt: int, completion: int, cached: int = 0, reasoning: int = 0) -> Usage:
    return Usage(prompt_tokens=prompt, completion_tokens=completion, cached_tokens=cached, reasoning_tokens=reasoning)


async def test_a_session_that_has_done_nothing_has_cost_nothing(client: RuntimeClient) -> None:
    session = await client.new_session()
    usage = await client.session_usage(session.id)
    assert usage.session_id == session.id
    assert (usage.ended_turns, usage.success_share, usage.usage.prompt_tokens) == (0, 0, 0)
    assert (list(usage.models), list(usage.tools)) == ([], [])


async def test_every_answer_counts_by_model_with_the_router_s(client: RuntimeClient, model: ScriptedModel) -> None:
    await model.play(
        reply(text('{"agent": "ask", "confidence": "high"}'), when=CLASSIFYING, usage=used(10, 1)),
        reply(tool_calls(read("a.py", "c1"), read("b.py", "c2")), usage=used(200, 20, 150, 5)),
        reply(text("so it is"), usage=used(3000, 300, 2000, 50)),
    )
    session = await client.new_session()
    await client.ask(session.id, "why?")
    paused = await client.session_usage(session.id)
    assert (paused.ended_turns, paused.usage.prompt_tokens) == (0, 210), "a turn that goes on counts, too"
    assert [(tool.tool_name, tool.tool_calls, tool.failed_tool_calls) for tool in paused.tools] == [("read_file", 2, 0)]
    events = await client.tool_results(
        session.id, text_result("c1", "x"), text_result("c2", "no such file", is_error=True)
    )
    usage = await client.session_usage(session.id)
    assert usage.usage == events[-1].turn_completed.usage
    sums = usage.usage
    assert (sums.prompt_tokens, sums.completion_tokens, sums.cached_tokens, sums.reasoning_tokens) == (
        3210,
        321,
        2150,
        55,
    )
    assert not sums.estimated
    [by_model] = usage.models
    assert (by_model.model, by_model.model_calls) == ("scripted", 3)
    assert by_model.usage == sums
    assert 0 < by_model.model_time.ToNanoseconds() <= usage.running_time.ToNanoseconds() * 1.05 + 5e7
    [tool] = usage.tools
    assert (tool.tool_name, tool.tool_calls, tool.failed_tool_calls) == ("read_file", 2, 1)
    assert (usage.ended_turns, usage.completed_turns, usage.success_share) == (1, 1, 1.0)
    assert usage.waiting_time.ToNanoseconds() > 0


async def test_turns_count_by_how_they_ended(client: RuntimeClient, model: ScriptedModel) -> None:
    await model.play(
        reply(text("one")),
        reply(text("two"), gate("never")),
        reply(finish_reason="stop"),
        reply(text("four")),
    )
    session = await client.new_session(agent="ask")
    await client.ask(session.id, "1")
    stream = client.send(session.id, "2")
    events = await read_until(stream, said("two"))
    await client.cancel(session.id, events[0].turn_id)
    assert kinds(await client.ask(session.id, "3"))[-1] == "turn_failed"
    await client.ask(session.id, "4")
    usage = await client.session_usage(session.id)
    ends = (usage.ended_turns, usage.completed_turns, usage.failed_turns, usage.cancelled_turns)
    assert ends == (4, 2, 1, 1)
    assert usage.success_share == 0.5


async def test_calls_that_never_ran_count_as_failed(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, events = await begin(
        client, model, calls(command("make", "c1"), read("../../x", "c2"), read("a", "c3")), reply(text("well"))
    )
    approval = approvals_in(events)["c1"]
    await decide_here(client, approval, decision=approval_pb2.DECISION_REJECT, feedback="no")
    await client.tool_results(session_id, text_result("c3", "x"))
    usage = await client.session_usage(session_id)
    tools = {tool.tool_name: (tool.tool_calls, tool.failed_tool_calls) for tool in usage.tools}
    assert tools == {"execute_command": (1, 1), "read_file": (2, 1)}


async def test_what_the_provider_does_not_say_is_estimated_and_marked(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    await model.play(reply(text("one"), usage=used(100, 10)), reply(text("two"), send_usage=False))
    session = await client.new_session(agent="ask")
    await client.ask(session.id, "1")
    assert not (await client.session_usage(session.id)).usage.estimated
    await client.ask(session.id, "2")
    usage = await client.session_usage(session.id)
    assert usage.usage.estimated
    assert usage.usage.prompt_tokens > 100
    assert usage.models[0].usage.estimated
    [stats] = (await client.usage_stats(session_id=session.id)).stats
    assert stats.usage.estimated


async def test_clearing_keeps_it_and_a_fork_starts_at_zero(client: RuntimeClient, model: ScriptedModel) -> None:
    await model.play(reply(text("one"), usage=used(100, 10)))
    session = await client.new_session(agent="ask")
    await client.ask(session.id, "1")
    before = await client.session_usage(session.id)
    fork = await client.fork(session.id)
    assert (await client.session_usage(fork.id)).usage.prompt_tokens == 0
    await client.clear(session.id)
    assert await client.session_usage(session.id) == before


@pytest.mark.parametrize("theirs", [True, False])
async def test_nobody_else_is_told(client: RuntimeClient, other_client: RuntimeClient, theirs: bool) -> None:
    session_id = (await other_client.new_session()).id if theirs else "nowhere"
    async with refused() as refusal:
        await client.session_usage(session_id)
    assert refusal().reason == "SESSION_NOT_FOUND"
