"""The runtime with a model server that others wrote: flows, faults, and its verdict on us as a client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from agent_runtime.v1 import agent_context_pb2
from devtools.local_model.servers import mock_server
from devtools.runtime_process import RuntimeProcess
from tests.rpc.model_faults.person import Person
from tests.support.runtime_client import RuntimeClient, connected, kinds, text_of, text_result
from tests.support.tool_turns import only, ordered

pytestmark = pytest.mark.local_model

SETTINGS = {
    "LLM_MODEL": "gpt-4o",
    "LLM_FIRST_TOKEN_TIMEOUT": "2",
    "LLM_PROGRESS_TIMEOUT": "2",
    "RESILIENCE__MODEL_RETRY_MIN_WAIT": "0.1",
    "RESILIENCE__MODEL_RETRY_MAX_WAIT": "0.5",
    "RESILIENCE__MODEL_RETRY_FLOOR": "1000",
    "RESILIENCE__MODEL_CIRCUIT_FAILURES": "1000",
}
READ = {"name": "read_file", "arguments": {"path": "docs/a.md"}}
WRITE = {"name": "write_file", "arguments": {"path": "a.py", "content": "x = 1\n"}}


class Mock:
    """The server's control interface."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def play(self, *behaviours: dict[str, Any]) -> None:
        """What it does with the next requests, one each."""
        await self._post("reset")
        for behaviour in behaviours:
            await self._post("scenario", {"behaviors": [behaviour]})

    async def asked(self) -> list[dict[str, Any]]:
        """The requests it has had, oldest first."""
        return list((await self._http.get("/_llmock/requests")).json()["requests"])

    async def findings(self) -> list[str]:
        """What it has to say about its client, by code."""
        verdict = (await self._http.get("/_llmock/verdict")).json()
        return [finding["code"] for finding in verdict["findings"]]

    async def _post(self, what: str, body: object = None) -> None:
        (await self._http.post(f"/_llmock/{what}", json=body)).raise_for_status()


@pytest.fixture(scope="module")
async def url() -> AsyncIterator[str]:
    async with mock_server() as address:
        yield address


@pytest.fixture
async def mock(url: str) -> AsyncIterator[Mock]:
    async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
        control = Mock(http)
        await control.play()
        yield control


@pytest.fixture(scope="module")
async def runtime(url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RuntimeProcess]:
    database = f"sqlite:///{tmp_path_factory.mktemp('mock') / 'runtime.db'}"
    async with RuntimeProcess(database, f"{url}/v1", SETTINGS) as process:
        yield process


@pytest.fixture
async def client(runtime: RuntimeProcess) -> AsyncIterator[RuntimeClient]:
    async with connected(runtime.address) as connection:
        yield connection


def says(text: str, *calls: dict[str, Any]) -> dict[str, Any]:
    return {"type": "reply", "text": text, "tool_calls": list(calls)}


async def test_a_message_is_answered(client: RuntimeClient, mock: Mock) -> None:
    await mock.play(says("Paris is the capital of France."))
    session = await client.new_session(agent="coder")
    events = await client.ask(session.id, "What is the capital of France?")
    assert text_of(events) == events[-1].turn_completed.result_text == "Paris is the capital of France."
    usage = only(events, "usage_reported")
    assert usage.usage.prompt_tokens > 0
    assert usage.usage.completion_tokens > 0
    assert not usage.usage.estimated
    assert await mock.findings() == []


async def test_the_router_is_held_to_its_schema(client: RuntimeClient, mock: Mock) -> None:
    session = await client.new_session()
    await mock.play({"type": "reply", "text": "Done.", "match": {"tools": True}})
    events = await client.ask(session.id, "please do it")
    switched = only(events, "agent_switched")
    assert switched.source == agent_context_pb2.AGENT_SWITCH_SOURCE_ROUTER
    assert switched.confidence == agent_context_pb2.ROUTING_CONFIDENCE_HIGH
    assert events[-1].turn_completed.result_text == "Done."
    assert len(await mock.asked()) == 2


async def test_it_calls_the_tools_it_is_offered_and_reads_their_results(client: RuntimeClient, mock: Mock) -> None:
    session = await client.new_session(agent="coder")
    # Unless told otherwise it calls the tool that fits the words best, with arguments made from the tool's schema.
    completed = (await Person(client, session.id).say("execute the command")).turn_completed
    assert completed.result_text
    assert len(await mock.asked()) == 2
    messages = (await client.list_messages(session.id)).messages
    assert [call.name for call in messages[1].tool_calls] == ["execute_command"]
    assert await mock.findings() == []


async def test_parallel_calls_of_which_one_asks(client: RuntimeClient, mock: Mock) -> None:
    await mock.play(says("Both.", READ, WRITE), says("All done."))
    session = await client.new_session(agent="coder")
    events = await client.ask(session.id, "do it")
    [[read]] = ordered(events)
    assert only(events, "approval_requested").approval.tool_name == "write_file"
    paused = await client.tool_results(session.id, text_result(read, "# A"))
    assert kinds(paused)[-1] == "turn_paused"
    await client.cancel(session.id, events[0].turn_id)
    assert (await Person(client, session.id).say("again")).turn_completed.result_text == "All done."
    assert await mock.findings() == []


@pytest.mark.parametrize("kind", ["malformed_arguments", "unknown_tool"])
async def test_a_broken_call_goes_back_to_the_model(client: RuntimeClient, mock: Mock, kind: str) -> None:
    await mock.play({"type": "tool_fault", "kind": kind})
    session = await client.new_session(agent="coder")
    events = await client.ask(session.id, "read file")
    assert only(events, "tool_result_recorded").is_error
    assert not {"tool_calls_requested", "approval_requested"} & set(kinds(events))
    assert events[-1].HasField("turn_completed")


async def test_what_passes_is_tried_again_as_asked(client: RuntimeClient, mock: Mock) -> None:
    await mock.play(
        {"type": "fail", "status": 429, "retry_after": 0.7}, {"type": "fail", "status": 503}, says("At last.")
    )
    session = await client.new_session(agent="coder")
    assert (await client.ask(session.id, "hello"))[-1].turn_completed.result_text == "At last."
    assert len(await mock.asked()) == 3
    assert await mock.findings() == []


async def test_what_does_not_pass_is_not(client: RuntimeClient, mock: Mock) -> None:
    for status in (400, 401, 404):
        await mock.play({"type": "fail", "status": status})
        session = await client.new_session(agent="coder")
        assert (await client.ask(session.id, "hello"))[-1].HasField("turn_failed")
        assert len(await mock.asked()) == 1
        assert await mock.findings() == []


@pytest.mark.parametrize("kind", ["disconnect", "truncate", "stall", "malformed"])
async def test_a_stream_that_breaks_is_no_answer(client: RuntimeClient, mock: Mock, kind: str) -> None:
    await mock.play(
        {"type": "stream_fault", "kind": kind, "after_chunks": 3, "stall_seconds": 10.0},
        says("one two three four five six"),
        says("again"),
    )
    session = await client.new_session(agent="coder")
    failed = (await client.ask(session.id, "hello"))[-1].turn_failed
    assert failed.resumable
    # What had been said is not said twice, so it is the user who asks again, and the verdict knows nothing of users.
    assert set(await mock.findings()) <= {"gave_up", "truncated_stream_accepted", "malformed_chunk_ignored"}
    assert (await Person(client, session.id).resume()).turn_completed.result_text == "again"
    assert (await Person(client, session.id).say("and now?")).HasField("turn_completed")
