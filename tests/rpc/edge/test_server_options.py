"""Each server option that can be tried out quickly does what it says; a misspelt one would be ignored silently."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue

from server.grpc_options import server_options
from server.setting_groups import Sizes
from tests.rpc.edge.edge_server import Edge, running_edge

LIMIT = Sizes().grpc_message
# Tag and length of a StringValue of this size.
FRAME = 5


async def length(request: StringValue, context: Any) -> StringValue:
    return StringValue(value=str(len(request.value)))


async def of_length(request: StringValue, context: Any) -> StringValue:
    return StringValue(value="x" * int(request.value))


async def stream_of_length(request: StringValue, context: Any) -> None:
    await context.write(await of_length(request, context))


def unlimited(edge: Edge) -> grpc.aio.Channel:
    """A channel that leaves the limits to the server."""
    options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    return grpc.aio.insecure_channel(edge.address, options=options)


async def code_of(call: Any) -> grpc.StatusCode:
    try:
        await (call.read() if hasattr(call, "read") else call)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def test_a_second_server_cannot_take_the_same_port() -> None:
    async with running_edge() as edge:
        second = grpc.aio.server(options=server_options(LIMIT))
        with pytest.raises(RuntimeError):
            second.add_insecure_port(edge.address)
        await second.stop(0)


async def test_messages_up_to_8_mib_pass_each_way_and_no_larger_ones() -> None:
    handlers = {"Length": length, "OfLength": of_length}
    async with running_edge(unary=handlers, streams={"Watch": stream_of_length}) as edge, unlimited(edge) as channel:
        wide = Edge(edge.address, channel, edge.drain, edge.deadline)
        # A client that leaves its own limit at 4 MiB sends more than it takes.
        for size in (LIMIT // 2 - 1, LIMIT // 2 + 1, LIMIT):
            assert (await wide.unary("Length", "x" * (size - FRAME))).value == str(size - FRAME)
        assert await code_of(wide.unary("Length", "x" * (LIMIT - FRAME + 1))) is grpc.StatusCode.RESOURCE_EXHAUSTED
        for call in (wide.unary, wide.stream):
            method = "OfLength" if call == wide.unary else "Watch"
            assert await code_of(call(method, str(LIMIT - FRAME))) is grpc.StatusCode.OK
            assert await code_of(call(method, str(LIMIT - FRAME + 1))) is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert not edge.log_lines("unexpected error")


async def test_too_much_metadata_is_refused_every_time_and_less_never() -> None:
    async with running_edge(unary={"Length": length}) as edge:
        small = [await code_of(edge.unary("Length", metadata=(("x-filler", "y" * 12_000),))) for _ in range(8)]
        large = [await code_of(edge.unary("Length", metadata=(("x-filler", "y" * 17_000),))) for _ in range(8)]
    assert set(small) == {grpc.StatusCode.OK}
    assert set(large) == {grpc.StatusCode.RESOURCE_EXHAUSTED}


async def test_a_connection_carries_1024_streams_and_the_next_waits() -> None:
    async def hold(request: StringValue, context: Any) -> None:
        await context.accept()
        await asyncio.Event().wait()

    async with running_edge(streams={"Watch": hold}) as edge:
        held = [edge.stream("Watch") for _ in range(1024)]
        await asyncio.gather(*(call.initial_metadata() for call in held))
        waiting = edge.stream("Watch", timeout=0.3)
        assert await code_of(waiting) is grpc.StatusCode.DEADLINE_EXCEEDED
        held[0].cancel()
        following = edge.stream("Watch")
        async with asyncio.timeout(5):
            await following.initial_metadata()
        for call in (*held, following):
            call.cancel()


async def test_silent_connections_are_closed() -> None:
    async with running_edge() as edge:
        host, _, port = edge.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        async with asyncio.timeout(7):
            while await reader.read(1024):
                pass
        writer.close()


def test_every_option_is_named_once() -> None:
    names = [name for name, _ in server_options(LIMIT)]
    assert len(names) == len(set(names))
