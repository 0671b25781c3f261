"""The database goes away and comes back: calls fail fast and say so, and nothing that was accepted is lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import grpc
import pytest

from agent_runtime.v1 import agent_service_pb2
from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import ScriptedModel, gate, reply, text
from tests.support.health import NOT_SERVING, SERVING, HealthClient
from tests.support.postgres import PostgresServer
from tests.support.runtime_client import (
    RuntimeClient,
    connected,
    read_rest,
    read_until,
    refusal_of,
    refused,
    said,
)
from tests.support.tcp_relay import TcpRelay, relay_to

_PATIENCE = 10.0


@dataclass
class Far:
    """A server whose database is at the other end of a wire."""

    runtime: RuntimeProcess
    wire: TcpRelay

    async def whole(self) -> None:
        """Returns when the server serves again: is healthy, and lets calls through to the database.

        The one does not follow from the other: an absence too short for health to notice can have opened the circuit.
        """
        async with grpc.aio.insecure_channel(self.runtime.address) as channel:
            await HealthClient(channel).becomes(SERVING)
            client = RuntimeClient(channel)
            async with asyncio.timeout(_PATIENCE):
                while seconds := await _held_off(client):  # noqa: ASYNC110
                    await asyncio.sleep(seconds)


async def _held_off(client: RuntimeClient) -> float:
    """The seconds a refused caller is told to wait; 0 for a caller that was answered."""
    try:
        await client.list_sessions()
    except grpc.aio.AioRpcError as error:
        refusal = refusal_of(error)
        assert refusal.reason == "DATABASE_UNAVAILABLE"
        assert refusal.retry_seconds
        return refusal.retry_seconds
    return 0.0


@pytest.fixture(scope="module")
async def far(postgres: PostgresServer, shared_model: ScriptedModel) -> AsyncIterator[Far]:
    async with postgres.database() as name, relay_to(postgres.url_of(name)) as wire:
        user = urlsplit(postgres.url_of(name)).netloc.rpartition("@")[0]
        url = f"postgresql://{user}@127.0.0.1:{wire.port}/{name}"
        async with RuntimeProcess(url, shared_model.url, {"LEASE": "4"}) as runtime:
            yield Far(runtime, wire)


@pytest.fixture
async def far_client(far: Far) -> AsyncIterator[RuntimeClient]:
    async with connected(far.runtime.address) as client:
        yield client


@asynccontextmanager
async def away(far: Far) -> AsyncIterator[None]:
    """The database is gone inside, and the server whole again behind it."""
    await far.wire.cut()
    try:
        yield
    finally:
        await far.wire.mend()
        await far.whole()


async def test_health_follows_the_database_for_every_service(far: Far) -> None:
    async with grpc.aio.insecure_channel(far.runtime.address) as channel:
        health = HealthClient(channel)
        async with away(far):
            assert await health.becomes(NOT_SERVING) < 4
            for service in ("agent_runtime.v1.SessionService", "agent_runtime.v1.OperationsService"):
                assert await health.check(service) == NOT_SERVING
        assert await health.check("agent_runtime.v1.MessageService") == SERVING


async def test_calls_fail_fast_and_say_when_to_try_again(far: Far, far_client: RuntimeClient) -> None:
    session = await far_client.new_session(agent="universal")
    async with away(far):
        for attempt in (
            far_client.session(session.id),
            far_client.new_session(),
            far_client.new_session(request_id="r-1"),
            far_client.update(session.id, title="x"),
            far_client.list_sessions(),
            far_client.list_messages(session.id),
            far_client.ask(session.id, "hello"),
            far_client.log(session.id),
        ):
            began = time.monotonic()
            async with refused() as refusal:
                await attempt
            assert time.monotonic() - began < 6
            assert (refusal().code, refusal().reason) == (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")
            assert refusal().retry_seconds
    assert await far_client.session(session.id) == session
    created = await far_client.new_session(request_id="r-1")
    assert await far_client.new_session(request_id="r-1") == created


async def test_agents_are_known_without_the_database(far: Far, far_client: RuntimeClient) -> None:
    async with away(far):
        request = agent_service_pb2.ListAgentsRequest()
        agents = (await far_client.agents.ListAgents(request, metadata=far_client.metadata)).agents
        assert "universal" in [agent.name for agent in agents]


async def test_a_turn_outlives_a_short_absence_and_its_stream_can_be_taken_up(
    far: Far, far_client: RuntimeClient, model: ScriptedModel
) -> None:
    await model.play(reply(text("before "), gate("away"), text("meanwhile "), gate("back"), text("after")))
    session = await far_client.new_session(agent="universal")
    sending = far_client.send(session.id, "go", request_id="r-1")
    seen = await read_until(sending, said("before "))
    async with away(far):
        await model.release("away")
        await model.held("back")
    await model.release("back")
    try:
        rest = [item.event for item in await read_rest(sending) if item.HasField("event")]
    except grpc.aio.AioRpcError as error:
        assert refusal_of(error).reason == "DATABASE_UNAVAILABLE"  # noqa: PT017
        rest = await far_client.ask(session.id, "go", request_id="r-1", after_sequence=seen[-1].sequence)
    assert rest[-1].turn_completed.result_text == "before meanwhile after"
    log = await far_client.log(session.id)
    assert log[: len(seen)] == seen
    assert log[-1] == rest[-1]
    assert [event.sequence for event in log] == list(range(1, len(log) + 1))
    assert (await model.counts())["calls"] == 1


async def test_a_turn_outlives_a_long_absence(far: Far, far_client: RuntimeClient, model: ScriptedModel) -> None:
    await model.play(reply(text("lost "), gate("never")), reply(text("whole answer")))
    session = await far_client.new_session(agent="universal")
    sending = far_client.send(session.id, "go", request_id="r-1")
    seen = await read_until(sending, said("lost "))
    sending.cancel()
    async with away(far):
        await model.counts("closed_early", at_least=1)  # the lease has run out, and with it the right to write
    rest = await far_client.ask(session.id, "go", request_id="r-1", after_sequence=seen[-1].sequence)
    assert rest[-1].turn_completed.result_text == "whole answer"
    log = await far_client.log(session.id)
    assert log == seen + rest
    assert (await far_client.ask(session.id, "and on"))[-1].HasField("turn_completed")
