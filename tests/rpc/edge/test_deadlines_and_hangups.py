"""What happens to a handler whose caller is late or leaves, and how that is told apart from a failure."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue

from server.interceptors.deadline import current_deadline
from tests.rpc.edge.edge_server import eventually, next_value, running_edge
from tests.rpc.edge.rpc_errors import refusal_of


class SlowCommand:
    """A handler that says when it begins and ends only when told to."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.release = asyncio.Event()
        self.outcome = "running"
        self.error: Exception | None = None

    async def __call__(self, request: StringValue, context: Any) -> StringValue:
        self.begun.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.outcome = "cancelled"
            raise
        if self.error is not None:
            raise self.error
        self.outcome = "finished"
        return request


def handler_of(command: SlowCommand) -> Any:
    async def handler(request: StringValue, context: Any) -> StringValue:
        return await command(request, context)

    return handler


async def test_a_command_finishes_after_its_caller_left() -> None:
    command = SlowCommand()
    async with running_edge(unary={"Call": handler_of(command)}) as edge:
        call = edge.unary("Call")
        await command.begun.wait()
        call.cancel()
        (line,) = await edge.access_lines(1)
        assert line["code"] == "CANCELLED"
        assert command.outcome == "running"
        command.release.set()
        await edge.deadline.finish(within=5)
        assert command.outcome == "finished"
        assert not edge.log_lines("unexpected error")


async def test_what_a_command_raises_after_its_caller_left_is_logged_once() -> None:
    command = SlowCommand()
    command.error = ValueError("nobody would know")
    async with running_edge(unary={"Call": handler_of(command)}) as edge:
        call = edge.unary("Call", metadata=(("x-correlation-id", "call-1"),))
        await command.begun.wait()
        call.cancel()
        await edge.access_lines(1)
        command.release.set()
        await edge.deadline.finish(within=5)
        await asyncio.sleep(0)
        (error,) = edge.log_lines("unexpected error")
        assert "nobody would know" in error["exception"]
        assert error["correlation_id"] == "call-1"


async def test_a_callers_deadline_ends_the_call_but_not_the_command() -> None:
    command = SlowCommand()
    async with running_edge(unary={"Call": handler_of(command)}) as edge:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await edge.unary("Call", timeout=0.1)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        (line,) = await edge.access_lines(1)
        assert line["code"] == "DEADLINE_EXCEEDED"
        command.release.set()
        await edge.deadline.finish(within=5)
        assert command.outcome == "finished"


@pytest.mark.parametrize("asked", [None, 60.0])
async def test_no_unary_call_works_longer_than_the_server_allows(asked: float | None) -> None:
    command = SlowCommand()
    async with running_edge(unary={"Call": handler_of(command)}, unary_timeout=0.1) as edge:
        refusal = await refusal_of(edge.unary("Call", timeout=asked))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")
        assert command.outcome == "cancelled"


async def test_a_timeout_of_something_inside_is_not_the_calls_deadline() -> None:
    async def handler(request: StringValue, context: Any) -> StringValue:
        raise TimeoutError

    async with running_edge(unary={"Call": handler}) as edge:
        assert (await refusal_of(edge.unary("Call"))).code is grpc.StatusCode.INTERNAL


async def test_the_handler_knows_how_long_it_has() -> None:
    async def tell(request: StringValue, context: Any) -> StringValue:
        deadline = current_deadline()
        return StringValue(value="none" if deadline is None else str(deadline - time.monotonic()))

    async def tell_in_stream(request: StringValue, context: Any) -> None:
        await context.write(await tell(request, context))

    async with running_edge(unary={"Call": tell}, streams={"Watch": tell_in_stream}, unary_timeout=30) as edge:
        assert 29 < float((await edge.unary("Call")).value) <= 30
        assert 9 < float((await edge.unary("Call", timeout=10)).value) < 10.5
        assert 29 < float((await edge.unary("Call", timeout=3600)).value) <= 30
        assert [message.value async for message in edge.stream("Watch", timeout=10)] == ["none"]


async def test_at_the_stop_late_commands_are_waited_for_and_then_cancelled() -> None:
    command = SlowCommand()
    async with running_edge(unary={"Call": handler_of(command)}) as edge:
        call = edge.unary("Call")
        await command.begun.wait()
        call.cancel()
        await edge.access_lines(1)
        await edge.deadline.finish(within=0.05)
        assert command.outcome == "cancelled"
        await edge.deadline.finish(within=0.05)


async def test_a_stream_ends_in_its_own_task_when_the_reader_leaves_while_it_waits() -> None:
    ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def handler(request: StringValue, context: Any) -> None:
        task = asyncio.current_task()
        try:
            await context.write(StringValue(value="first"))
            await asyncio.Event().wait()
        finally:
            ended.set_result(asyncio.current_task() is task)

    async with running_edge(streams={"Watch": handler}) as edge:
        call = edge.stream("Watch")
        await call.read()
        call.cancel()
        async with asyncio.timeout(5):
            assert await ended
        (line,) = await edge.access_lines(1)
        assert (line["code"], line["messages"]) == ("CANCELLED", 1)
        assert not edge.log_lines("unexpected error")


async def test_a_reader_that_leaves_during_a_write_is_a_hang_up_too() -> None:
    blocked = asyncio.Event()

    async def handler(request: StringValue, context: Any) -> None:
        for _ in range(10_000):
            asyncio.get_running_loop().call_later(0.2, blocked.set)
            await context.write(StringValue(value="x" * 65536))
            blocked.clear()

    async with running_edge(streams={"Watch": handler}) as edge:
        call = edge.stream("Watch")
        await call.read()
        async with asyncio.timeout(10):
            await blocked.wait()
        call.cancel()
        (line,) = await edge.access_lines(1)
        assert line["code"] == "CANCELLED"
        assert line["peer"].startswith("ipv4:127.0.0.1:")
        assert {record["level"] for record in edge.log_lines()} == {"info"}


async def test_a_handler_that_yields_is_closed_where_it_ran() -> None:
    closed = asyncio.Event()

    async def handler(request: StringValue, context: Any) -> AsyncIterator[StringValue]:
        try:
            yield StringValue(value="one")
            yield StringValue(value="two")
            await asyncio.Event().wait()
        finally:
            closed.set()

    async with running_edge(streams={"Watch": handler}) as edge:
        call = edge.stream("Watch")
        assert [await next_value(call), await next_value(call)] == ["one", "two"]
        call.cancel()
        async with asyncio.timeout(5):
            await closed.wait()


async def test_a_thousand_mixed_calls_leave_nothing_behind() -> None:
    async def answer(request: StringValue, context: Any) -> StringValue:
        return request

    async def forever(request: StringValue, context: Any) -> None:
        await context.write(request)
        await asyncio.Event().wait()

    async with running_edge(unary={"Call": answer}, streams={"Watch": forever}) as edge:
        await edge.unary("Call")
        before = len(asyncio.all_tasks())
        for _ in range(10):
            calls = [edge.unary("Call") for _ in range(50)]
            streams = [edge.stream("Watch") for _ in range(50)]
            for call in calls:
                await call
            for stream in streams[::2]:
                await stream.read()
            for stream in streams:
                stream.cancel()
        await eventually(lambda: len(asyncio.all_tasks()) <= before)
        lines = edge.log_lines("rpc")
        assert all(line["correlation_id"] for line in lines)
        assert {line["code"] for line in lines} == {"OK", "CANCELLED"}
        assert not [record for record in edge.log_lines() if record["level"] == "error"]
