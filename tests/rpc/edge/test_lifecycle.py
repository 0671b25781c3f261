"""Start, health, reflection and the orderly stop of one server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckResponse
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from server.authentication.selection import authenticator_for
from server.config import Settings
from server.drain_signal import DrainSignal
from server.interceptors.chain import build_chain
from server.interceptors.deadline import Deadline
from server.lifecycle import RuntimeServer
from server.startup_error import StartupError
from server.stop_signals import StopSignals
from services.infrastructure.circuits import ProcessCircuits
from tests.rpc.edge.edge_server import SERVICE, Edge, next_value, service
from tests.rpc.edge.rpc_errors import refusal_of
from tests.support.raw_http2 import (
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    WINDOW_UPDATE,
    call_frames,
    connection,
    frame,
    has_read,
    header_block,
    keep_manners,
)


def health_stub(edge: Edge) -> Any:
    """Generated without types."""
    return health_pb2_grpc.HealthStub(cast(Any, edge.channel))


class Running:
    """A started server and a client of it."""

    def __init__(self, server: RuntimeServer, edge: Edge) -> None:
        self.server = server
        self.edge = edge

    async def health(self, name: str = "") -> str:
        answer = await health_stub(self.edge).Check(health_pb2.HealthCheckRequest(service=name))
        return str(HealthCheckResponse.ServingStatus.Name(answer.status))


@asynccontextmanager
async def running(
    *, unary: dict[str, Any] | None = None, streams: Any = None, **settings: Any
) -> AsyncIterator[Running]:
    """A server that lets nobody in but health and reflection, unless in development mode."""
    chosen = Settings(**{"listen": "127.0.0.1:0", "grace": 2.0, "drain_delay": 0.0, **settings})
    drain, deadline = DrainSignal(), Deadline(5.0)
    chain = build_chain(
        authenticator=authenticator_for(chosen), drain=drain, deadline=deadline, circuits=ProcessCircuits()
    )
    server = RuntimeServer(chosen, interceptor=chain, drain=drain, deadline=deadline)
    server.grpc.add_generic_rpc_handlers([service(SERVICE, unary or {}, streams or {})])
    address = await server.start([SERVICE])
    async with grpc.aio.insecure_channel(address) as channel:
        yield Running(server, Edge(address, channel, drain, deadline))
    await server.grpc.stop(0)


def reflection_stub(channel: grpc.aio.Channel) -> Any:
    """Generated without types."""
    return reflection_pb2_grpc.ServerReflectionStub(cast(Any, channel))


async def listed_services(channel: grpc.aio.Channel) -> list[str]:
    call = reflection_stub(channel).ServerReflectionInfo(
        iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    )
    answer = await call.read()
    call.cancel()
    return [one.name for one in answer.list_services_response.service]


async def test_it_is_not_serving_until_somebody_says_so() -> None:
    async with running() as one:
        assert [await one.health(), await one.health(SERVICE)] == ["NOT_SERVING", "NOT_SERVING"]
        one.server.health.report(serving=True)
        assert [await one.health(), await one.health(SERVICE)] == ["SERVING", "SERVING"]
        one.server.health.report(serving=False, service=SERVICE)
        assert [await one.health(), await one.health(SERVICE)] == ["SERVING", "NOT_SERVING"]
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await one.health("no.such.Service")
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_health_needs_no_credential_and_the_rest_does() -> None:
    async def handler(request: StringValue, context: Any) -> StringValue:
        return request

    async with running(unary={"Call": handler}) as one:
        assert await one.health() == "NOT_SERVING"
        assert (await refusal_of(one.edge.unary("Call"))).code is grpc.StatusCode.UNAUTHENTICATED


async def test_reflection_lists_the_services_on_loopback_and_can_be_switched_off() -> None:
    async with running() as one:
        listed = await listed_services(one.edge.channel)
        assert {SERVICE, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"} == set(listed)
    async with running(reflection=False) as one:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await listed_services(one.edge.channel)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_taken_address_is_one_line() -> None:
    async with running() as one:
        with pytest.raises(StartupError, match="cannot listen on"):
            async with running(listen=one.edge.address):
                pass


async def test_the_stop_tells_health_then_streams_and_waits_for_both_kinds_of_calls() -> None:
    order: list[str] = []
    begun = asyncio.Event()

    async def watch(request: StringValue, context: Any) -> None:
        await context.write(StringValue(value="event"))
        await drain.wait()
        order.append("stream drained")
        await context.write(StringValue(value="drain: resume after 7"))

    async def command(request: StringValue, context: Any) -> StringValue:
        begun.set()
        await drain.wait()
        await asyncio.sleep(0.05)
        order.append("command finished")
        return request

    async with running(dev=True, drain_delay=0.3, unary={"Call": command}, streams={"Watch": watch}) as one:
        drain = one.edge.drain
        one.server.health.report(serving=True)
        watching = health_stub(one.edge).Watch(health_pb2.HealthCheckRequest(service=""))
        assert (await watching.read()).status == HealthCheckResponse.SERVING
        stream, call = one.edge.stream("Watch"), one.edge.unary("Call", "done")
        assert await next_value(stream) == "event"
        await begun.wait()

        stopping = asyncio.create_task(one.server.stop(asyncio.Event()))
        assert (await watching.read()).status == HealthCheckResponse.NOT_SERVING
        # Balancers that have not noticed yet are still served.
        assert not drain.draining
        late = one.edge.stream("Watch")
        assert await next_value(late) == "event"
        watching.cancel()
        for open_stream in (stream, late):
            assert await next_value(open_stream) == "drain: resume after 7"
            assert await open_stream.read() is grpc.aio.EOF
            assert await open_stream.code() is grpc.StatusCode.OK
        assert (await call).value == "done"
        await stopping
    assert order == ["stream drained", "stream drained", "command finished"]


async def test_neither_watchers_of_health_nor_idle_reflection_keep_a_stop_waiting() -> None:
    async with running(dev=True, grace=600.0) as one:
        one.server.health.report(serving=True)
        watching = health_stub(one.edge).Watch(health_pb2.HealthCheckRequest(service=SERVICE))
        assert (await watching.read()).status == HealthCheckResponse.SERVING
        reflecting = reflection_stub(one.edge.channel).ServerReflectionInfo()
        await reflecting.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        await reflecting.read()  # and says nothing more
        async with asyncio.timeout(10):
            await one.server.stop(asyncio.Event())
        assert (await watching.read()).status == HealthCheckResponse.NOT_SERVING
        for stream in (watching, reflecting):
            assert await stream.read() is grpc.aio.EOF
            assert await stream.code() is grpc.StatusCode.OK


async def test_who_hurries_waits_neither_for_balancers_nor_for_what_does_not_end() -> None:
    async def deaf(request: StringValue, context: Any) -> None:
        await context.accept()
        await asyncio.Event().wait()

    async def watch(request: StringValue, context: Any) -> None:
        await context.accept()
        await drain.wait()
        await context.write(StringValue(value="drain"))

    async with running(dev=True, drain_delay=600.0, grace=600.0, streams={"Deaf": deaf, "Watch": watch}) as one:
        drain, hurried = one.edge.drain, asyncio.Event()
        stuck, stream = one.edge.stream("Deaf"), one.edge.stream("Watch")
        await stuck.initial_metadata()
        await stream.initial_metadata()
        stopping = asyncio.create_task(one.server.stop(hurried))
        await asyncio.sleep(0)
        assert not drain.draining
        hurried.set()
        async with asyncio.timeout(10):
            assert await next_value(stream) == "drain"
            assert await stream.read() is grpc.aio.EOF
            await stopping
        assert await stuck.code() is grpc.StatusCode.UNAVAILABLE


async def test_while_draining_new_streams_are_sent_elsewhere_and_short_calls_served() -> None:
    async def handler(request: StringValue, context: Any) -> StringValue:
        return request

    async with running(dev=True, unary={"Call": handler}, streams={"Watch": handler}) as one:
        one.edge.drain.give()
        refusal = await refusal_of(one.edge.stream("Watch"))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
        assert refusal.retry_after == 1.0
        assert (await one.edge.unary("Call", "x")).value == "x"


async def test_streams_that_do_not_listen_are_cut_at_the_end_of_the_grace() -> None:
    ended = asyncio.Event()

    async def deaf(request: StringValue, context: Any) -> None:
        try:
            await context.accept()
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with running(dev=True, grace=0.2, streams={"Watch": deaf}) as one:
        stream = one.edge.stream("Watch")
        await stream.initial_metadata()
        async with asyncio.timeout(3):
            await one.server.stop(asyncio.Event())
            await ended.wait()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stream.read()
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


@asynccontextmanager
async def without_request(edge: Edge, *methods: str) -> AsyncIterator[asyncio.StreamWriter]:
    """Calls of the methods that the server has begun to receive, and not more: streams 1, 3, and so on."""
    reader, writer = await connection(edge.address)
    try:
        for number, method in enumerate(methods):
            head = header_block(f"/{SERVICE}/{method}")
            writer.write(frame(HEADERS, END_HEADERS, 2 * number + 1, head))
        await has_read(reader, writer)
        polite = asyncio.create_task(keep_manners(reader, writer))
        yield writer
        await polite  # the server has hung up
    finally:
        writer.close()


async def test_calls_whose_request_never_comes_do_not_keep_a_stop_waiting() -> None:
    async def handler(request: StringValue, context: Any) -> StringValue:
        return request

    async with running(dev=True, grace=600.0, unary={"Call": handler}, streams={"Watch": handler}) as one:
        assert (await one.edge.unary("Call", "before")).value == "before"
        async with without_request(one.edge, "Call", "Watch"), asyncio.timeout(10):
            await one.server.stop(asyncio.Event())


async def test_such_calls_shorten_the_time_of_no_other() -> None:
    ended: list[str] = []

    async def watch(request: StringValue, context: Any) -> None:
        await context.accept()
        await drain.wait()
        await asyncio.sleep(0.8)
        await context.write(StringValue(value="drain: resume after 7"))
        ended.append("stream")

    async def command(request: StringValue, context: Any) -> StringValue:
        await asyncio.sleep(0.8)
        ended.append("command")
        return request

    async with running(dev=True, grace=600.0, unary={"Call": command}, streams={"Watch": watch}) as one:
        drain, stream = one.edge.drain, one.edge.stream("Watch")
        await stream.initial_metadata()
        async with without_request(one.edge, "Call", "Call") as writer, asyncio.timeout(20):
            stopping = asyncio.create_task(one.server.stop(asyncio.Event()))
            await drain.wait()
            # The request of one comes after all, while the stop waits for the stream.
            writer.write(frame(DATA, END_STREAM, 1, bytes(5)))
            assert await next_value(stream) == "drain: resume after 7"
            assert await stream.read() is grpc.aio.EOF
            assert await stream.code() is grpc.StatusCode.OK
            await stopping
    assert sorted(ended) == ["command", "stream"]


async def test_an_answer_that_is_taken_slowly_is_in_work_until_it_has_gone() -> None:
    answered = asyncio.Event()

    async def long(request: StringValue, context: Any) -> StringValue:
        answered.set()
        return StringValue(value="x" * 100_000)

    async with running(dev=True, grace=600.0, unary={"Call": long}) as one:
        reader, writer = await connection(one.edge.address, window=10)
        writer.write(call_frames(1, f"/{SERVICE}/Call"))
        async with asyncio.timeout(20):
            await answered.wait()
            stopping = asyncio.create_task(one.server.stop(asyncio.Event()))
            await asyncio.wait({stopping}, timeout=1.0)
            assert not stopping.done()
            writer.write(frame(WINDOW_UPDATE, 0, 1, (200_000).to_bytes(4, "big")))
            writer.write(frame(WINDOW_UPDATE, 0, 0, (200_000).to_bytes(4, "big")))
            answer = await reader.read(-1)
            await stopping
        writer.close()
    assert answer.count(b"x") >= 100_000


async def test_it_serves_until_told_to_stop() -> None:
    async with running(dev=True) as one:
        stop = StopSignals(patience=60.0)
        serving = asyncio.create_task(one.server.serve_until(stop))
        assert await one.health() == "NOT_SERVING"
        assert not serving.done()
        stop.asked.set()
        async with asyncio.timeout(5):
            await serving
