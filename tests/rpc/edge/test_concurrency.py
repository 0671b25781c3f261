"""A fill of one class of calls is refused with its reason and starves no other class."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from google.protobuf.wrappers_pb2 import StringValue

from server.setting_groups import ConcurrencySettings
from tests.rpc.edge.edge_server import OPERATIONS, Edge, eventually, next_value, running_edge
from tests.rpc.edge.rpc_errors import refusal_of

FEW = ConcurrencySettings(streams=3, calls=2, reserve=1)


async def endless(request: StringValue, context: Any) -> None:
    await context.write(StringValue(value="here"))
    await asyncio.Event().wait()


async def echo(request: StringValue, context: Any) -> StringValue:
    return request


async def open_streams(edge: Edge, count: int) -> list[Any]:
    streams = [edge.stream("Endless") for _ in range(count)]
    assert [await next_value(stream) for stream in streams] == ["here"] * count
    return streams


async def test_streams_beyond_the_limit_are_refused_and_unary_calls_are_not() -> None:
    async with running_edge(unary={"Echo": echo}, streams={"Endless": endless}, concurrency=FEW) as edge:
        streams = await open_streams(edge, 3)
        refusal = await refusal_of(edge.stream("Endless"))
        assert refusal.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (refusal.reason, refusal.retry_after) == ("TOO_MANY_STREAMS", 1.0)
        assert (await edge.unary("Echo", "a")).value == "a"

        streams[0].cancel()
        await eventually(lambda: len(edge.log_lines("rpc")) == 3)
        streams += await open_streams(edge, 1)
        assert (await refusal_of(edge.stream("Endless"))).reason == "TOO_MANY_STREAMS"


async def test_unary_calls_beyond_the_limit_are_refused_but_operators_find_a_reserve() -> None:
    release = asyncio.Event()
    working = 0

    async def wait(request: StringValue, context: Any) -> StringValue:
        nonlocal working
        working += 1
        await release.wait()
        return request

    async with running_edge(
        unary={"Wait": wait}, streams={"Endless": endless}, operations={"Wait": wait, "Echo": echo}, concurrency=FEW
    ) as edge:
        calls = [asyncio.ensure_future(edge.unary("Wait")) for _ in range(2)]
        await eventually(lambda: working == 2)
        refusal = await refusal_of(edge.unary("Wait"))
        assert refusal.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (refusal.reason, refusal.retry_after) == ("RATE_LIMITED", 1.0)
        assert (await edge.unary("Echo", "a", service=OPERATIONS)).value == "a"
        await open_streams(edge, 1)

        calls.append(asyncio.ensure_future(edge.unary("Wait", service=OPERATIONS)))
        await eventually(lambda: working == 3)
        assert (await refusal_of(edge.unary("Echo", service=OPERATIONS))).reason == "RATE_LIMITED"
        release.set()
        await asyncio.gather(*calls)
        assert (await edge.unary("Wait", "b")).value == "b"


async def test_a_call_that_its_caller_has_left_keeps_its_place_until_its_handler_ends() -> None:
    release = asyncio.Event()
    working = 0

    async def wait(request: StringValue, context: Any) -> StringValue:
        nonlocal working
        working += 1
        await release.wait()
        working -= 1
        return request

    async with running_edge(unary={"Wait": wait}, concurrency=FEW) as edge:
        calls = [edge.unary("Wait") for _ in range(2)]
        waiting = [asyncio.ensure_future(call) for call in calls]
        await eventually(lambda: working == 2)
        for call in calls:
            call.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await edge.access_lines(2)
        assert (await refusal_of(edge.unary("Wait"))).reason == "RATE_LIMITED"
        release.set()
        await eventually(lambda: working == 0)
        assert (await edge.unary("Wait", "b")).value == "b"
