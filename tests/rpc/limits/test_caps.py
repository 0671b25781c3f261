"""What one principal may have at once; the others are not held to it, and a place that is given back can be had."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import grpc
import pytest

from agent_runtime.v1 import input_pb2, turn_event_pb2
from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import ScriptedModel, When, call, gate, reply, text, tool_calls
from tests.rpc.busy.words import QUEUE, wait_in, waiting, withdraw
from tests.support.databases import DATABASES, empty_database
from tests.support.runtime_client import (
    Event,
    RuntimeClient,
    connected,
    ended,
    kinds,
    read_rest,
    read_until,
    refused,
    text_result,
)

_SETTINGS = {
    "LIMITS__STREAMS": "3",
    "LIMITS__RUNNING_TURNS": "2",
    "LIMITS__SESSIONS": "6",
    "LIMITS__REQUEST_BYTES": "2MiB",
    "SIZES__HISTORY": "64KiB",
}
QUEUED = turn_event_pb2.TURN_START_CAUSE_QUEUED_INPUT
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.fixture(scope="module", params=DATABASES)
async def server(request: pytest.FixtureRequest, shared_model: ScriptedModel) -> AsyncIterator[RuntimeProcess]:
    async with empty_database(request) as url, RuntimeProcess(url, shared_model.url, _SETTINGS) as process:
        yield process


@pytest.fixture
async def client(server: RuntimeProcess) -> AsyncIterator[RuntimeClient]:
    async with connected(server.address) as connection:
        yield connection


@pytest.fixture
async def other(server: RuntimeProcess) -> AsyncIterator[RuntimeClient]:
    async with connected(server.address) as connection:
        yield connection


async def test_open_streams(client: RuntimeClient, other: RuntimeClient, model: ScriptedModel) -> None:
    session, theirs = await client.new_session(), await other.new_session()
    await client.ask(session.id, "hi")
    watches = [client.watch(session.id, after_sequence=0) for _ in range(3)]
    for watch in watches:
        await watch.read()
    async with refused() as refusal:
        await client.log(session.id)
    assert (refusal().code, refusal().reason, refusal().metadata) == (EXHAUSTED, "TOO_MANY_STREAMS", {"limit": "3"})
    assert refusal().retry_seconds
    async with refused() as refusal:
        await client.ask(session.id, "hi")
    assert refusal().reason == "TOO_MANY_STREAMS"
    assert (await client.session(session.id)).id == session.id
    assert ended(await other.ask(theirs.id, "hi"))
    watches[0].cancel()
    async with asyncio.timeout(10):
        while not await _finds_a_place(client, session.id):  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.02)
    for watch in watches:
        watch.cancel()


async def _finds_a_place(client: RuntimeClient, session_id: str) -> bool:
    """The server hears of a stream that is left a moment later."""
    try:
        return bool(await client.log(session_id))
    except grpc.aio.AioRpcError:
        return False


async def test_running_turns(client: RuntimeClient, other: RuntimeClient, model: ScriptedModel) -> None:
    await model.play(reply(gate("open"), text("so be it"), repeat=True))
    one, two, three = [await client.new_session(agent="universal") for _ in range(3)]
    theirs = await other.new_session(agent="universal")
    for session in (one, two):
        await client.ask(session.id, "go", detach=True)
    async with refused() as refusal:
        await client.ask(three.id, "go")
    assert (refusal().code, refusal().reason, refusal().metadata) == (EXHAUSTED, "TOO_MANY_TURNS", {"limit": "2"})
    assert refusal().retry_seconds
    assert not await client.log(three.id)
    # A message that takes the place of a running turn makes no more of them, and one that waits is none yet.
    await client.ask(one.id, "rather this", busy_policy=input_pb2.BUSY_POLICY_INTERRUPT, detach=True)
    await client.ask(two.id, "later", busy_policy=input_pb2.BUSY_POLICY_QUEUE, detach=True)
    await other.ask(theirs.id, "go", detach=True)
    await model.release("open")
    await read_until(client.watch(one.id, after_sequence=0), _completed(1))
    await read_until(client.watch(two.id, after_sequence=0), _completed(2))
    assert ended(await client.ask(three.id, "go"))


def _completed(times: int) -> Callable[[list[Event]], bool]:
    return lambda events: kinds(events).count("turn_completed") == times


async def test_a_turn_that_waits_does_not_run_and_may_always_go_on(client: RuntimeClient, model: ScriptedModel) -> None:
    read = tool_calls(call("read_file", {"path": "a"}, id="c1"))
    await model.play(
        reply(read, when=When(last_user_contains="read")),
        reply(gate("open"), text("so be it"), when=When(last_user_contains="go"), repeat=True),
        reply(text("done"), when=When(last_role="tool"), repeat=True),
    )
    waiting, *sessions = [await client.new_session(agent="universal") for _ in range(3)]
    await client.ask(waiting.id, "read it")
    for session in sessions:
        await client.ask(session.id, "go", detach=True)
    events = await client.tool_results(waiting.id, text_result("c1", "x"))
    assert events[-1].turn_completed.result_text == "done"
    await model.release("open")


async def test_messages_behind_waiting_turns_begin_when_there_is_a_place(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    await model.play(
        reply(tool_calls(call("read_file", {"path": "a"}, id="c1")), when=When(last_user_contains="read"), repeat=True),
        reply(gate("open"), text("so be it"), when=When(last_user_contains="later"), repeat=True),
        reply(text("at last"), when=When(last_user_contains="last"), repeat=True),
    )
    sessions = [(await client.new_session(agent="universal")).id for _ in range(3)]
    turns = [(await client.ask(session_id, "read it"))[0].turn_id for session_id in sessions]
    for session_id in sessions:
        await wait_in(client, session_id, "later", QUEUE)
    for session_id, turn_id in zip(sessions, turns, strict=True):
        await client.cancel(session_id, turn_id)
    third = sessions[2]
    assert [await waiting(client, session_id) for session_id in sessions] == [[], [], ["later"]]
    assert kinds(await client.log(third))[-1] == "turn_cancelled"
    # Nobody overtakes it, and it can be had back.
    for attempt in (client.ask(third, "now"), client.clear(third), client.deactivate(third)):
        async with refused() as refusal:
            await attempt
        assert refusal().reason == "TURN_IN_PROGRESS"
    accepted = await wait_in(client, third, "never", QUEUE)
    await withdraw(client, third, accepted.input_accepted.input_id)
    await wait_in(client, third, "last", QUEUE)
    await model.release("open")
    events = await read_until(client.watch(third, after_sequence=0), _completed(2))
    said = [event.message_added.message.content for event in events if event.HasField("message_added")]
    assert said[-4:] == ["later", "so be it", "last", "at last"]
    ends = [await read_until(client.watch(each, after_sequence=0), _completed(1)) for each in sessions[:2]]
    began = next(event for event in events if event.HasField("turn_started") and event.turn_started.cause == QUEUED)
    assert began.event_time.ToNanoseconds() >= min(end[-1].event_time.ToNanoseconds() for end in ends)


async def test_sessions(client: RuntimeClient, other: RuntimeClient) -> None:
    sessions = [await client.new_session(session_id=f"s{number}") for number in range(5)]
    await client.fork(sessions[0].id, new_session_id="s5")
    for attempt in (client.new_session(), client.fork(sessions[0].id)):
        async with refused() as refusal:
            await attempt
        assert (refusal().code, refusal().reason) == (EXHAUSTED, "TOO_MANY_SESSIONS")
        assert refusal().metadata == {"limit": "6"}
    assert (await client.new_session(session_id="s3", allow_existing=True)).id == "s3"
    async with refused() as refusal:
        await client.new_session(session_id="s3")
    assert refusal().reason == "SESSION_ALREADY_EXISTS"
    await other.new_session()
    await client.delete("s1")
    async with refused() as refusal:
        await client.new_session(session_id="s1")
    assert refusal().reason == "SESSION_ALREADY_EXISTS"
    await client.new_session()


async def test_the_bytes_of_a_history(client: RuntimeClient) -> None:
    session = await client.new_session()
    await client.ask(session.id, "x" * (64 << 10))
    async with refused() as refusal:
        await client.ask(session.id, "and now?")
    assert (refusal().code, refusal().reason) == (grpc.StatusCode.FAILED_PRECONDITION, "SESSION_MESSAGE_LIMIT")
    assert refusal().metadata == {"limit_bytes": "65536"}
    fork = await client.fork(session.id)
    async with refused() as refusal:
        await client.ask(fork.id, "and now?")
    assert refusal().reason == "SESSION_MESSAGE_LIMIT"
    await client.clear(session.id)
    assert ended(await client.ask(session.id, "and now?"))


async def test_requests_in_work(client: RuntimeClient, other: RuntimeClient, model: ScriptedModel) -> None:
    reads = [call("read_file", {"path": each}, id=each) for each in "abc"]
    await model.play(
        reply(tool_calls(*reads), when=When(last_user_contains="read")),
        reply(gate("open"), text("so be it"), when=When(last_role="tool")),
        reply(text("fine"), repeat=True),
    )
    session, another, theirs = [await each.new_session(agent="universal") for each in (client, client, other)]
    await client.ask(session.id, "read them")
    # Larger than the limit, and let in: no other is there, and it could never come in otherwise.
    results = input_pb2.ToolResults(results=[text_result(each, "x" * (900 << 10)) for each in "abc"])
    going_on = client.send_input(session.id, tool_results=results)
    await read_until(going_on, lambda events: kinds(events)[-1:] == ["turn_resumed"])
    async with refused() as refusal:
        await client.ask(another.id, "y" * (17 << 10))
    assert (refusal().code, refusal().reason) == (EXHAUSTED, "TOO_MANY_BYTES")
    assert refusal().metadata == {"limit_bytes": str(2 << 20)}
    assert refusal().retry_seconds
    assert ended(await client.ask(another.id, "a small one"))
    assert ended(await other.ask(theirs.id, "y" * (17 << 10)))
    await model.release("open")
    await read_rest(going_on)
    # What was refused, or is over, holds nothing.
    assert ended(await client.ask(another.id, "y" * (17 << 10)))
