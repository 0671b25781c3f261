"""The operator's limits hold for each model call of a turn and of a session, whatever the model does (row 24)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from agent_runtime.v1 import error_reason_pb2
from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import ScriptedModel, Usage, refusal, reply, tool_calls
from tests.rpc.conftest import ONE_ATTEMPT
from tests.rpc.flows.context.words import ANSWER, long_talk, summary
from tests.support.runtime_client import RuntimeClient, connected, kinds, text_result
from tests.support.tool_turns import read, requests

BUDGET_EXHAUSTED = error_reason_pb2.ERROR_REASON_BUDGET_EXHAUSTED


@asynccontextmanager
async def limited(url: str, model: ScriptedModel, settings: Mapping[str, str]) -> AsyncIterator[RuntimeClient]:
    """A client of a server with such limits."""
    async with (
        RuntimeProcess(url, model.url, ONE_ATTEMPT | dict(settings)) as process,
        connected(process.address) as client,
    ):
        yield client


async def test_the_model_calls_of_a_session_end_with_its_limit(database_url: str, own_model: ScriptedModel) -> None:
    await own_model.play(ANSWER)
    async with limited(database_url, own_model, {"TURNS__SESSION_MODEL_CALLS": "3"}) as client:
        session = await client.new_session(agent="ask")
        ends = [(await client.ask(session.id, str(n)))[-1] for n in range(5)]
        assert [kinds([end])[0] for end in ends] == ["turn_completed"] * 3 + ["turn_failed"] * 2
        failed = ends[-1].turn_failed
        assert (failed.reason, failed.resumable) == (BUDGET_EXHAUSTED, False)
        assert "fork" in failed.message
        assert len(await requests(own_model)) == 3
        usage = await client.session_usage(session.id)
        assert usage.models[0].model_calls == 3
        fork = await client.fork(session.id)
        assert kinds(await client.ask(fork.id, "on we go"))[-1] == "turn_completed"


async def test_the_router_s_calls_count_as_well(database_url: str, own_model: ScriptedModel) -> None:
    await own_model.play(ANSWER)
    async with limited(database_url, own_model, {"TURNS__SESSION_MODEL_CALLS": "3"}) as client:
        session = await client.new_session()
        assert kinds(await client.ask(session.id, "explain this"))[-1] == "turn_completed"
        await client.ask(session.id, "and that")
        assert kinds(await client.ask(session.id, "and all of it"))[-1] == "turn_failed"
        assert len(await requests(own_model)) == 3


async def test_tokens_overshoot_by_one_answer_at_most(database_url: str, own_model: ScriptedModel) -> None:
    cost = Usage(prompt_tokens=40, completion_tokens=10)
    asks = [reply(tool_calls(read(f"f{n}", f"c{n}")), usage=cost) for n in range(9)]
    settings = {"TURNS__TOKENS": "120", "TURNS__SESSION_TOKENS": "210"}
    await own_model.play(*asks)
    async with limited(database_url, own_model, settings) as client:
        session = await client.new_session(agent="ask")
        events = await client.ask(session.id, "go")
        for n in range(3):
            assert kinds(events)[-1] == "turn_paused"
            events = await client.tool_results(session.id, text_result(f"c{n}", "x"))
        assert events[-1].turn_failed.reason == BUDGET_EXHAUSTED
        assert "turn" in events[-1].turn_failed.message
        events = await client.ask(session.id, "go on")
        for n in range(3, 5):
            assert kinds(events)[-1] == "turn_paused"
            events = await client.tool_results(session.id, text_result(f"c{n}", "x"))
        assert events[-1].turn_failed.reason == BUDGET_EXHAUSTED
        assert "session" in events[-1].turn_failed.message
        assert len(await requests(own_model)) == 5
        usage = (await client.session_usage(session.id)).usage
        assert usage.prompt_tokens + usage.completion_tokens == 250


async def test_a_summary_is_a_call_that_the_limit_counts(database_url: str, own_model: ScriptedModel) -> None:
    await own_model.play(summary(), ANSWER)
    settings = {"CONTEXT__WINDOW": "8000", "TURNS__MODEL_CALLS": "1"}
    async with limited(database_url, own_model, settings) as client:
        session_id, events = await long_talk(client, 4)
        assert events[-1].turn_failed.reason == BUDGET_EXHAUSTED
        assert len(await requests(own_model)) == 3
        assert (await client.turn(session_id, events[0].turn_id)).turn.model_calls == 0


async def test_a_loop_of_tools_a_loop_of_one_call_and_a_storm_of_failures_cost_what_is_allowed(
    database_url: str, own_model: ScriptedModel
) -> None:
    settings = {
        "TURNS__MODEL_CALLS": "7",
        "RESILIENCE__MODEL_ATTEMPTS": "3",
        "RESILIENCE__MODEL_RETRY_MIN_WAIT": "0.01",
        "RESILIENCE__MODEL_RETRY_MAX_WAIT": "0.02",
    }
    async with limited(database_url, own_model, settings) as client:
        for same in (False, True):
            await own_model.reset()
            names = ["f0" if same else f"f{n}" for n in range(20)]
            await own_model.play(*(reply(tool_calls(read(name, f"c{n}"))) for n, name in enumerate(names)))
            session = await client.new_session(agent="coder")
            events = await client.ask(session.id, "go")
            while kinds(events)[-1] == "turn_paused":
                open_ids = events[-1].turn_paused.open_tool_call_ids
                events = await client.tool_results(session.id, *(text_result(id, "x") for id in open_ids))
            assert events[-1].turn_failed.reason == BUDGET_EXHAUSTED
            assert len(await requests(own_model)) == 7
        await own_model.reset()
        await own_model.play(refusal(503, repeat=True))
        session = await client.new_session(agent="coder")
        assert kinds(await client.ask(session.id, "go"))[-1] == "turn_failed"
        assert len(await requests(own_model)) <= 3
