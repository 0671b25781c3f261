"""The runtime with a real model behind a real llama.cpp server: what it says is streamed, counted, routed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from agent_runtime.v1 import agent_context_pb2, message_pb2
from devtools.local_model.__main__ import local_model_settings
from devtools.local_model.servers import llama_server
from devtools.runtime_process import RuntimeProcess
from services.application.turns.routing_steps import routing_request
from services.domain.model_exchange import FinishReason, ModelAnswer
from services.domain.policies.classification import parse_classification
from services.infrastructure.circuits import ProcessCircuits
from services.infrastructure.llm import OpenAiModelClient, OpenAiSettings
from tests.support.catalogs import Agents
from tests.support.conversation import Conversation
from tests.support.runtime_client import RuntimeClient, connected, kinds, read_rest, read_until, text_of
from tests.support.tool_turns import only

pytestmark = pytest.mark.local_model

# The model is a hundredth of those that are meant: what it says makes little sense, how it says it is real.
ROUTER = '''
description = "Routes."
version = "1"
routes = true
system_prompt = """
{agents}
Answer with JSON: {"agent": "coder", "confidence": "high", "reason": "code"}"""
temperature = 0.0
max_tokens = 200
'''
REQUESTS = ("fix the failing test", "explain how closures work", "Спроектируй архитектуру", "hi", "{", "x" * 2000)


@pytest.fixture(scope="module")
async def llama() -> AsyncIterator[str]:
    async with llama_server() as url:
        yield url


@pytest.fixture(scope="module")
async def runtime(llama: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RuntimeProcess]:
    directory = tmp_path_factory.mktemp("local-model")
    (directory / "agents").mkdir()
    (directory / "agents" / "orchestrator.toml").write_text(ROUTER)
    settings = local_model_settings() | {"AGENTS_DIR": str(directory / "agents")}
    async with RuntimeProcess(f"sqlite:///{directory / 'runtime.db'}", llama, settings) as process:
        yield process


@pytest.fixture
async def client(runtime: RuntimeProcess) -> AsyncIterator[RuntimeClient]:
    async with connected(runtime.address) as connection:
        yield connection


async def test_an_answer_is_streamed_counted_and_kept(client: RuntimeClient) -> None:
    session = await client.new_session(agent="coder")
    events = await client.ask(session.id, "What is the capital of France? Answer in one sentence.")
    completed = events[-1].turn_completed
    assert completed.result_text
    assert text_of(events) == completed.result_text
    assert kinds(events).count("text_delta") > 3, "piece by piece, not at once"
    usage = only(events, "usage_reported")
    assert usage.model == "smollm2"
    assert not usage.usage.estimated
    assert usage.usage == completed.usage
    assert usage.usage.prompt_tokens > 500, "the agent's prompt and its tools"
    assert 3 < usage.usage.completion_tokens < 1000

    again = (await client.ask(session.id, "And of Italy?"))[-1].turn_completed
    assert again.usage.prompt_tokens > completed.usage.prompt_tokens, "it has read what was said before"
    assert again.usage.cached_tokens > 500, "the server has kept what it had read"
    assert [message.role for message in (await client.list_messages(session.id)).messages] == [
        *(message_pb2.MESSAGE_ROLE_USER, message_pb2.MESSAGE_ROLE_ASSISTANT) * 2
    ]


async def test_a_cancel_in_mid_answer_stops_the_model(client: RuntimeClient) -> None:
    # More of them than the server can answer at once: one that went on would be in the way of the last.
    for _ in range(4):
        session = await client.new_session(agent="ask")
        call = client.send(session.id, "Write a story of a thousand words about a ship and its captain, who is old.")
        async with asyncio.timeout(30):
            events = await read_until(call, lambda seen: kinds(seen).count("text_delta") >= 3)
        await client.cancel(session.id, events[0].turn_id)
        async with asyncio.timeout(5):
            rest = [item.event for item in await read_rest(call)]
        assert kinds(rest)[-1] == "turn_cancelled"
        kept = (await client.list_messages(session.id)).messages[-1]
        assert kept.state == message_pb2.MESSAGE_STATE_INCOMPLETE
        assert kept.content.startswith(text_of(events))


async def test_the_router_answers_by_its_schema_and_is_followed(client: RuntimeClient) -> None:
    session = await client.new_session()
    assert session.current_agent == "orchestrator"
    call = client.send(session.id, "fix the failing test")
    events = await read_until(call, lambda seen: "text_delta" in kinds(seen))
    await client.cancel(session.id, events[0].turn_id)
    switched = only(events, "agent_switched")
    assert switched.source == agent_context_pb2.AGENT_SWITCH_SOURCE_ROUTER
    assert switched.to_agent in {agent.name for agent in Agents().routable()}
    assert switched.confidence != agent_context_pb2.ROUTING_CONFIDENCE_UNSPECIFIED
    assert (await client.session(session.id)).current_agent == switched.to_agent


@pytest.mark.parametrize("profile", ["llama.cpp", "openai"])
async def test_every_answer_of_the_router_is_a_classification(llama: str, profile: str) -> None:
    agents = Agents()
    names = {agent.name for agent in agents.routable()}
    talk = Conversation(agent="orchestrator")
    talk.user()
    client = OpenAiModelClient(OpenAiSettings(llama, "smollm2", profile=profile), ProcessCircuits())
    try:
        for text in REQUESTS:
            asked = routing_request(talk.turn, agents.get("orchestrator"), agents.routable(), text)
            async with client.stream(replace(asked, max_tokens=500)) as events:
                answer = [event async for event in events][-1]
            assert isinstance(answer, ModelAnswer)
            if answer.finish_reason is FinishReason.LENGTH:
                continue  # a reason without end; the words decide then
            said = json.loads(answer.text)
            assert list(said) == ["agent", "confidence", "reason"]
            assert parse_classification(answer.text, names) is not None
    finally:
        await client.aclose()
