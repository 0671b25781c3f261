"""Usage belongs to the agent that caused it, also where several took part in one turn."""

from __future__ import annotations

from devtools.scripted_model import ScriptedModel, Usage, reply, text, tool_calls
from tests.support.runtime_client import RuntimeClient
from tests.support.tool_turns import CLASSIFYING, handover


async def test_each_agent_of_a_turn_has_its_own_usage(client: RuntimeClient, model: ScriptedModel) -> None:
    await model.play(
        reply(
            text('{"agent": "debug", "confidence": "high"}'),
            when=CLASSIFYING,
            usage=Usage(prompt_tokens=10, completion_tokens=1),
        ),
        reply(tool_calls(handover("ask", "c1")), usage=Usage(prompt_tokens=200, completion_tokens=2)),
        reply(text("so it is"), usage=Usage(prompt_tokens=3000, completion_tokens=3)),
    )
    session = await client.new_session()
    completed = (await client.ask(session.id, "why?"))[-1].turn_completed
    assert completed.usage.prompt_tokens == 3210
    stats = {each.agent: each for each in (await client.usage_stats(session_id=session.id)).stats}
    assert sorted(stats) == ["ask", "debug", "orchestrator"]
    assert {agent: each.usage.prompt_tokens for agent, each in stats.items()} == {
        "orchestrator": 10,
        "debug": 200,
        "ask": 3000,
    }
    assert {each.model_calls for each in stats.values()} == {1}
    assert {agent: each.tool_calls for agent, each in stats.items()} == {"orchestrator": 0, "debug": 1, "ask": 0}
    assert {agent: each.switches_in for agent, each in stats.items()} == {"orchestrator": 0, "debug": 1, "ask": 1}
    assert {(each.sessions, each.turns) for each in stats.values()} == {(1, 1)}
