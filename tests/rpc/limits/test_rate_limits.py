"""Sixty inputs a minute for each principal, on one server and on two, with Redis, without it and when it goes."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from redis.asyncio import Redis

from agent_runtime.v1 import input_pb2, session_service_pb2
from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import ScriptedModel, call, reply, text, tool_calls
from services.domain.ids import new_id
from tests.support.health import SERVING, HealthClient
from tests.support.postgres import PostgresServer
from tests.support.runtime_client import RuntimeClient, connected, read_rest, refusal_of, refused, text_result
from tests.support.tcp_relay import relay_to
from tests.support.unlimited import NEVER_BUSY

LIMIT = 60
_PATIENCE = 20.0


class Replicas:
    """Where they are; each client is another owner unless told."""

    def __init__(self, processes: list[RuntimeProcess]) -> None:
        self.processes = processes

    @asynccontextmanager
    async def clients(self, owner: str = "") -> AsyncIterator[list[RuntimeClient]]:
        """One owner's clients, one of each replica."""
        owner = owner or new_id("owner")
        async with AsyncExitStack() as stack:
            yield [await stack.enter_async_context(connected(each.address, owner)) for each in self.processes]


async def passes(client: RuntimeClient) -> bool:
    """Whether a message to a session that is not there is refused for that, and not for its number."""
    async with refused() as refusal:
        await read_rest(client.send("nowhere", "hi"))
    assert refusal().reason in ("SESSION_NOT_FOUND", "RATE_LIMITED"), refusal()
    return refusal().reason == "SESSION_NOT_FOUND"


async def passed(clients: list[RuntimeClient], count: int) -> list[int]:
    """How many of so many messages pass at each client, all sent at once and in turn to each."""
    async with asyncio.TaskGroup() as calls:
        sent = [[calls.create_task(passes(each)) for _ in range(count // len(clients))] for each in clients]
    return [sum(task.result() for task in tasks) for tasks in sent]


def quota_of(error: grpc.aio.AioRpcError) -> tuple[str, str]:
    """Subject and description of the quota that is used up."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    assert status is not None
    failure = error_details_pb2.QuotaFailure()
    (_,) = [packed for packed in status.details if packed.Unpack(failure)]
    (violation,) = failure.violations
    return violation.subject, violation.description


def _left(metadata: Any) -> tuple[int, int]:
    """The limit and what remains of it, as an answer's metadata say."""
    said = dict(metadata)
    assert 0 < int(said["ratelimit-reset"]) <= 60
    return int(said["ratelimit-limit"]), int(said["ratelimit-remaining"])


@pytest.fixture(scope="module")
async def alone(tmp_path_factory: pytest.TempPathFactory, shared_model: ScriptedModel) -> AsyncIterator[RuntimeProcess]:
    url = f"sqlite:///{tmp_path_factory.mktemp('limits') / 'runtime.db'}"
    async with RuntimeProcess(url, shared_model.url, NEVER_BUSY) as process:
        yield process


@asynccontextmanager
async def two(postgres: PostgresServer, model: ScriptedModel, **settings: str) -> AsyncIterator[Replicas]:
    async with AsyncExitStack() as stack:
        url = postgres.url_of(await stack.enter_async_context(postgres.database()))
        running = [RuntimeProcess(url, model.url, NEVER_BUSY | settings) for _ in range(2)]
        await asyncio.gather(*(stack.enter_async_context(process) for process in running))
        yield Replicas(running)


async def until_limit_is(limit: int, replicas: Sequence[RuntimeProcess]) -> None:
    """Waits until each of them says so to whoever comes for the first time: it knows how many there are."""
    async with asyncio.timeout(_PATIENCE):
        for replica in replicas:
            while await _limit_at(replica) != limit:  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0.1)


async def _limit_at(replica: RuntimeProcess) -> int:
    async with connected(replica.address) as newcomer:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await read_rest(newcomer.send("nowhere", "hi"))
    return _left(caught.value.trailing_metadata())[0]


async def _until_shared(replicas: Replicas, redis_url: str) -> None:
    """Waits until each of them asks Redis."""
    async with asyncio.timeout(_PATIENCE), Redis.from_url(redis_url) as redis, replicas.clients() as clients:
        for client in clients:
            while not await redis.delete(f"agent-runtime:rate:work:{client.owner}"):
                await passes(client)
                await asyncio.sleep(0.05)


@pytest.fixture
async def client(alone: RuntimeProcess) -> AsyncIterator[RuntimeClient]:
    async with connected(alone.address) as connection:
        yield connection


async def test_the_61st_message_is_refused_until_the_first_is_a_minute_old(
    client: RuntimeClient, alone: RuntimeProcess, model: ScriptedModel
) -> None:
    session = await client.new_session(agent="coder")
    for _ in range(3):
        await client.ask(session.id, "hi")
    assert await passed([client], 100) == [LIMIT - 3]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.ask(session.id, "hi")
    refusal = refusal_of(caught.value)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED")
    assert refusal.metadata == {"class": "work", "limit": "60", "window_seconds": "60"}
    assert refusal.retry_seconds is not None
    assert 30 < refusal.retry_seconds <= 60
    assert quota_of(caught.value) == ("principal:work", "60 inputs that start work in 60 s")
    trailers = dict(caught.value.trailing_metadata() or ())
    assert (trailers["ratelimit-limit"], trailers["ratelimit-remaining"]) == ("60", "0")
    assert abs(int(str(trailers["ratelimit-reset"])) - math.ceil(refusal.retry_seconds)) <= 1

    async with connected(alone.address) as other:
        assert await passes(other)
    # Who the principal is decides, not the connection it comes on.
    async with connected(alone.address, client.owner) as again:
        assert not await passes(again)
    assert await HealthClient(grpc.aio.insecure_channel(alone.address)).check() == SERVING


async def test_what_goes_on_with_work_that_was_let_in_is_not_limited_with_it(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    read = tool_calls(call("read_file", {"path": "a"}, id="c1"))
    await model.play(reply(read), reply(text("done")))
    session = await client.new_session(agent="coder")
    await client.ask(session.id, "read it", request_id="first")
    assert await passed([client], 2 * LIMIT) == [LIMIT - 1]
    for _ in range(3):
        assert await client.ask(session.id, "read it", request_id="first", after_sequence=0)
    async with refused() as refusal:
        await read_rest(client.send_input(session.id, resume=input_pb2.Resume()))
    assert refusal().reason == "RATE_LIMITED"
    events = await client.tool_results(session.id, text_result("c1", "x"))
    assert events[-1].turn_completed.result_text == "done"
    assert await client.log(session.id)
    assert (await client.session(session.id)).id == session.id


async def test_answers_say_what_is_left(client: RuntimeClient) -> None:
    created = client.sessions.CreateSession(session_service_pb2.CreateSessionRequest(), metadata=client.metadata)
    assert _left(await created.initial_metadata()) == (1200, 1199)
    session_id = (await created).session.id
    sent = client.send(session_id, "hi")
    assert _left(await sent.initial_metadata()) == (60, 59)
    await read_rest(sent)


async def test_reads_have_a_limit_of_their_own(tmp_path: Any, own_model: ScriptedModel) -> None:
    settings = {"LIMITS__READS_PER_MINUTE": "10", "LIMITS__WATCHES_PER_MINUTE": "3"}
    async with (
        RuntimeProcess(f"sqlite:///{tmp_path / 'runtime.db'}", own_model.url, settings) as process,
        connected(process.address) as client,
    ):
        session = await client.new_session()
        for _ in range(10):
            await client.session(session.id)
        async with refused() as refusal:
            await client.session(session.id)
        assert (refusal().reason, refusal().metadata["class"]) == ("RATE_LIMITED", "reads")
        for _ in range(3):
            await client.log(session.id)
        async with refused() as refusal:
            await client.log(session.id)
        assert refusal().metadata["class"] == "watches"
        assert await passes(client)


async def test_two_replicas_with_redis_let_as_many_pass_as_one(
    postgres: PostgresServer, own_model: ScriptedModel, redis_url: str
) -> None:
    async with relay_to(redis_url) as relay:
        here = f"redis://127.0.0.1:{relay.port}{redis_url[redis_url.rindex('/') :]}"
        async with (
            two(postgres, own_model, REDIS_URL=here) as replicas,
            replicas.clients() as clients,
            replicas.clients() as others,
        ):
            await _until_shared(replicas, redis_url)
            assert sum(await passed(clients, 3 * LIMIT)) == LIMIT
            assert await passed(others[:1], 10) == [10]
            await relay.cut()
            await _without_redis(replicas, clients, others)


async def _without_redis(replicas: Replicas, clients: list[RuntimeClient], others: list[RuntimeClient]) -> None:
    """Each enforces its half, counting what it has let pass before; nobody gets an error of Redis, or waits for it."""
    await until_limit_is(LIMIT // 2, replicas.processes)
    async with asyncio.timeout(_PATIENCE):
        assert [count <= LIMIT / 2 for count in await passed(clients, 2 * LIMIT)] == [True, True]
        assert await passed(others, 4 * LIMIT) == [LIMIT / 2 - 10, LIMIT / 2]
        async with replicas.clients() as new:
            assert await passed(new, 4 * LIMIT) == [LIMIT / 2, LIMIT / 2]


async def test_two_replicas_without_redis_let_half_pass_each(
    postgres: PostgresServer, own_model: ScriptedModel
) -> None:
    async with two(postgres, own_model) as replicas, replicas.clients() as clients:
        await until_limit_is(LIMIT // 2, replicas.processes)
        assert await passed(clients, 3 * LIMIT) == [LIMIT / 2, LIMIT / 2]
        await replicas.processes[1].terminate()
        await until_limit_is(LIMIT, replicas.processes[:1])
        assert await passed(clients[:1], LIMIT) == [LIMIT / 2]
