"""A runtime with one agent for everything: no router, one agent, all its tools."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import ScriptedModel, reply, text
from tests.support.runtime_client import RuntimeClient, connected, kinds
from tests.support.tool_turns import only, requests, tools_in


@pytest.fixture(scope="module")
async def single(
    shared_model: ScriptedModel, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RuntimeProcess]:
    url = f"sqlite:///{tmp_path_factory.mktemp('single') / 'runtime.db'}"
    async with RuntimeProcess(url, shared_model.url, {"AGENT_MODE": "single"}) as process:
        yield process


@pytest.fixture
async def single_client(single: RuntimeProcess) -> AsyncIterator[RuntimeClient]:
    async with connected(single.address) as connection:
        yield connection


async def test_a_session_begins_with_universal_which_is_not_routed(
    single_client: RuntimeClient, model: ScriptedModel
) -> None:
    await model.play(reply(text("done")))
    session = await single_client.new_session()
    assert session.current_agent == "universal"
    events = await single_client.ask(session.id, "Design the architecture of a billing service")
    assert only(events, "turn_started").agent == "universal"
    assert "agent_switched" not in kinds(events)
    (request,) = await requests(model)
    assert {"write_file", "execute_command", "attempt_completion"} < tools_in(request)
    assert "switch_mode" not in tools_in(request)


async def test_a_reset_goes_back_to_universal(single_client: RuntimeClient, model: ScriptedModel) -> None:
    session = await single_client.new_session()
    await single_client.switch_agent(session.id, "ask")
    reset = (await single_client.reset_agent(session.id)).agent_context
    assert (reset.current_agent, reset.switch_count) == ("universal", 0)
    events = await single_client.ask(session.id, "hello")
    assert only(events, "turn_started").agent == "universal"
