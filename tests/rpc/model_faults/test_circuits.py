"""With the model away: what is refused costs nothing, all else works, and the next message after it comes back does."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median

import grpc
import pytest

from agent_runtime.v1 import approval_pb2, input_pb2
from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import (
    ScriptedModel,
    When,
    call,
    refusal,
    reply,
    running_scripted_model,
    scripted_model_process,
    tool_calls,
)
from tests.rpc.model_faults.door import Door, open_door
from tests.rpc.model_faults.flows import changed
from tests.rpc.model_faults.person import Person
from tests.support.runtime_client import RuntimeClient, connected, kinds, refused, text_of, text_result

OPEN_TIME = 5.0
SETTINGS = {
    "RESILIENCE__MODEL_ATTEMPTS": "1",
    "RESILIENCE__MODEL_CIRCUIT_OPEN_TIME": str(OPEN_TIME),
    "LLM_FIRST_TOKEN_TIMEOUT": "5",
}
_ROOT = Path(__file__).parents[3]
# What the process does for itself, whoever calls.
_BACKGROUND = (
    "leases.",
    "housekeeping.",
    "outbox_store.",
    "waits.",
    "watches.",
    "open.",
    "lock_file.",
    "signing_keys.",
)


@pytest.fixture
async def model() -> AsyncIterator[ScriptedModel]:
    async with running_scripted_model() as running:
        yield running


@pytest.fixture
async def server(model: ScriptedModel, tmp_path: Path) -> AsyncIterator[RuntimeProcess]:
    async with RuntimeProcess(f"sqlite:///{tmp_path / 'runtime.db'}", model.url, SETTINGS) as process:
        yield process


@pytest.fixture
async def client(server: RuntimeProcess) -> AsyncIterator[RuntimeClient]:
    async with connected(server.address) as connection:
        yield connection


async def open_the_circuit(client: RuntimeClient, model: ScriptedModel) -> str:
    """Five messages that fail, in a session whose id is returned; the model stays ill."""
    await model.play(refusal(503, repeat=True))
    session = await client.new_session(agent="coder")
    for _ in range(5):
        assert kinds(await client.ask(session.id, "hello?"))[-1] == "turn_failed"
    return session.id


async def test_a_message_is_refused_at_once_and_works_when_the_model_is_back(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    session_id = await open_the_circuit(client, model)
    before = await model.counts()
    wait = 0.0
    for fields in ({"user_message": input_pb2.UserMessage(text="hi")}, {"resume": input_pb2.Resume()}):
        async with refused() as refusal_, asyncio.timeout(OPEN_TIME):
            _ = [item async for item in client.send_input(session_id, **fields)]
        assert (refusal_().code, refusal_().reason) == (grpc.StatusCode.UNAVAILABLE, "LLM_UNAVAILABLE")
        wait = refusal_().retry_seconds or 0.0
        assert 0 < wait <= OPEN_TIME
    assert await model.counts() == before
    await model.play()
    await asyncio.sleep(wait)
    for _ in range(4):
        assert text_of(await client.ask(session_id, "hello?")) == "You said: hello?"


async def test_the_turn_that_opens_it_says_when_to_come_back(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id = await open_the_circuit(client, model)
    turn = (await client.list_turns(session_id)).turns[0]
    assert turn.failure.resumable
    assert 0 < turn.failure.retry_delay.ToNanoseconds() / 1e9 <= OPEN_TIME


async def test_everything_else_works_meanwhile(client: RuntimeClient, model: ScriptedModel) -> None:
    write = tool_calls(call("write_file", {"path": "a.md", "content": "x"}), call("read_file", {"path": "b.md"}))
    ask = tool_calls(call("ask_followup_question", {"question": "Which?", "suggestions": ["this", "that"]}))
    await model.play(
        reply(write, when=When(last_user_contains="write")), reply(ask, when=When(last_user_contains="which"))
    )
    writing, asking = await client.new_session(agent="coder"), await client.new_session(agent="coder")
    waiting = await client.ask(writing.id, "write", request_id="first")
    approval = next(event.approval_requested.approval for event in waiting if event.HasField("approval_requested"))
    question = next(e.followup_asked for e in await client.ask(asking.id, "which") if e.HasField("followup_asked"))
    await open_the_circuit(client, model)

    assert (await client.session(writing.id)).id == writing.id
    assert len((await client.list_messages(writing.id)).messages) == 2
    await client.switch_agent((await client.new_session(agent="coder")).id, "ask")
    repeated = [item.event async for item in client.send(writing.id, "write", request_id="first", after_sequence=0)]
    assert kinds(repeated) == kinds(waiting)
    assert kinds(await client.tool_results(writing.id, text_result("call_read_file", "b")))[-1] == "turn_paused"
    decided = await client.decide(approval, approval_pb2.DECISION_APPROVE)
    assert decided.approval.released
    ended = (await client.tool_results(writing.id, text_result("call_write_file", "ok")))[-1].turn_failed
    assert ended.resumable
    ended = (await client.answer(asking.id, question.followup_id, text="this"))[-1].turn_failed
    assert ended.resumable
    assert 0 < ended.retry_delay.ToNanoseconds() / 1e9 <= OPEN_TIME

    await model.play()
    await asyncio.sleep(OPEN_TIME)
    for session_id in (writing.id, asking.id):
        assert (await Person(client, session_id).resume()).HasField("turn_completed")
    assert (await model.counts())["refused"] == 0


async def test_while_only_the_routers_model_is_away_words_route(model: ScriptedModel, tmp_path: Path) -> None:
    agents = tmp_path / "agents"
    agents.mkdir()
    router = "\n".join(
        ('description = "Routes."', 'version = "1"', "routes = true", 'system_prompt = "{agents}"', 'model = "small"')
    )
    (agents / "orchestrator.toml").write_text(router)
    url = f"sqlite:///{tmp_path / 'runtime.db'}"
    await model.play(changed(refusal(500, repeat=True), when=When(model="small")))
    settings = SETTINGS | {"AGENTS_DIR": str(agents)}
    async with RuntimeProcess(url, model.url, settings) as process, connected(process.address) as client:
        for number in range(7):
            session = await client.new_session()
            events = await client.ask(session.id, "fix the failing test")
            switched = next(event.agent_switched for event in events if event.HasField("agent_switched"))
            assert (switched.to_agent, text_of(events)) == ("debug", "You said: fix the failing test"), number
        asked = [entry["body"]["model"] for entry in await model.calls()]
        assert asked.count("small") == 5


async def test_another_model_answers_and_is_named(model: ScriptedModel, tmp_path: Path) -> None:
    async with running_scripted_model() as other, _closed_door(model.url) as door:
        fallback = json.dumps([{"base_url": other.url, "model": "spare"}])
        settings = SETTINGS | {"RESILIENCE__MODEL_FALLBACKS": fallback, "LLM_MODEL": "first"}
        url = f"sqlite:///{tmp_path / 'runtime.db'}"
        async with RuntimeProcess(url, door.url, settings) as process, connected(process.address) as client:
            session = await client.new_session(agent="coder")
            for _ in range(7):
                events = await client.ask(session.id, "hello?")
                assert text_of(events) == "You said: hello?"
            assert {entry["body"]["model"] for entry in await other.calls()} == {"spare"}


@asynccontextmanager
async def _closed_door(model_url: str) -> AsyncIterator[Door]:
    async with open_door(model_url) as door:
        door.shut()
        yield door


async def test_a_refusal_costs_no_statement_and_no_request(tmp_path: Path) -> None:
    record = tmp_path / "statements"
    async with (
        scripted_model_process() as model,
        _counted_server(record, tmp_path / "runtime.db", model.url) as address,
        connected(address) as client,
    ):
        session_id = await open_the_circuit(client, model)
        before, requests = _statements(record), await model.counts()
        assert before > 0
        seconds = []
        for _ in range(50):
            began = time.monotonic()
            async with refused() as refusal_:
                await client.ask(session_id, "hi")
            seconds.append(time.monotonic() - began)
            assert refusal_().reason == "LLM_UNAVAILABLE"
        assert median(seconds) < 0.05
        assert (_statements(record), await model.counts()) == (before, requests)
        await client.session(session_id)
        assert _statements(record) > before


def _statements(record: Path) -> int:
    """What calls and turns have done in the database so far."""
    units = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]
    return sum(unit["statements"] for unit in units if not unit["name"].startswith(_BACKGROUND))


@asynccontextmanager
async def _counted_server(record: Path, database: Path, model_url: str) -> AsyncIterator[str]:
    chosen = SETTINGS | {
        "DATABASE_URL": f"sqlite:///{database}",
        "LLM_PROXY_URL": model_url,
        "LISTEN": "127.0.0.1:0",
        "DEV": "true",
        "RESILIENCE__MODEL_CIRCUIT_OPEN_TIME": "60",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.bench.counted_server", str(record)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=_ROOT,
        env=os.environ | {f"AGENT_RUNTIME__{name}": value for name, value in chosen.items()},
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(30):
            address = (await process.stdout.readline()).decode().split()[-1]
        yield address
    finally:
        process.kill()
        await process.wait()
