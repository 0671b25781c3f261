"""How a stream reaches its reader, over a real connection: in order, at the reader's pace, and not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from agent_runtime.v1.message_service_pb2_grpc import (
    MessageServiceServicer,
    MessageServiceStub,
    add_MessageServiceServicer_to_server,
)
from agent_runtime.v1.session_stream_pb2 import WatchSessionRequest, WatchSessionResponse
from server.converters.stream import to_watch_session_response
from server.handlers.stream_writer import write_stream
from server.interceptors.correlation import correlate
from server.interceptors.error_mapping import map_errors
from server.interceptors.rpc_context import RpcContext
from server.interceptors.seam import InterceptionSeam
from services.application.event_feed import EventFeed
from services.application.event_stream import EventStream, StreamSettings
from services.application.ports import LogPage
from services.domain.session_events import SessionEvent, TextDelta
from tests.support.clock import ManualClock

if TYPE_CHECKING:
    from agent_runtime.v1.message_service_pb2_grpc import MessageServiceAsyncStub

Call = grpc.aio.UnaryStreamCall[WatchSessionRequest, WatchSessionResponse]

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def event(sequence: int) -> SessionEvent:
    return SessionEvent("s", sequence, TextDelta("m", "x" * 16_000), NOW, "c", "t")


@dataclass
class LongLog:
    """A log with `head` events; reading it may fail."""

    head: int = 0
    failure: Exception | None = None

    async def read(self, session_key: int, after: int) -> LogPage:
        if self.failure is not None:
            raise self.failure
        through = min(after + 50, self.head)
        return LogPage(tuple(map(event, range(after + 1, through + 1))), max(through, after), self.head, 0)


@dataclass
class Watching:
    """A service that streams one log, and what became of the last stream."""

    log: LongLog
    patience: float = 60.0
    heartbeat: float = 60.0
    feed: EventFeed = field(init=False)
    ended: asyncio.Future[BaseException | None] = field(default_factory=asyncio.Future)

    def __post_init__(self) -> None:
        self.feed = EventFeed(self.log)

    async def stream(self, request: WatchSessionRequest, context: RpcContext) -> None:
        after = request.after_sequence if request.HasField("after_sequence") else None
        settings = StreamSettings(heartbeat=self.heartbeat, max_age=3600)
        stream = EventStream(
            self.feed, 1, after or 0, clock=ManualClock(), settings=settings, ends_with=lambda _: False
        )
        try:
            await write_stream(context, stream, to_watch_session_response, after=after, patience=self.patience)
        except BaseException as error:
            self.ended.set_result(error)
            raise
        self.ended.set_result(None)


class _Servicer(MessageServiceServicer):
    def __init__(self, watching: Watching) -> None:
        self.WatchSession: Any = watching.stream


@asynccontextmanager
async def served(watching: Watching) -> AsyncIterator[MessageServiceAsyncStub]:
    server = grpc.aio.server(interceptors=[InterceptionSeam([correlate, map_errors])])
    add_MessageServiceServicer_to_server(_Servicer(watching), server)  # type: ignore[abstract]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield MessageServiceStub(channel)
    finally:
        await server.stop(None)


async def received(call: Call) -> WatchSessionResponse:
    item = await call.read()
    assert isinstance(item, WatchSessionResponse)
    return item


async def numbers_until_the_error(call: Call) -> tuple[list[int], grpc.aio.AioRpcError]:
    numbers: list[int] = []
    try:
        while True:
            numbers.append((await received(call)).event.sequence)
    except grpc.aio.AioRpcError as error:
        return numbers, error


async def test_a_reader_that_takes_nothing_is_told_where_to_resume() -> None:
    watching = Watching(LongLog(head=1_000_000), patience=0.3)
    async with served(watching) as stub:
        call = stub.WatchSession(WatchSessionRequest(session_id="s", after_sequence=7))
        await call.wait_for_connection()
        await watching.ended
        numbers, error = await numbers_until_the_error(call)
    assert error.code() is grpc.StatusCode.ABORTED
    status = rpc_status.from_call(cast(grpc.Call, error))
    info = ErrorInfo()
    assert status is not None
    assert status.details[0].Unpack(info)
    assert info.reason == "SLOW_CONSUMER"
    assert numbers == list(range(8, numbers[-1] + 1))
    # What was on its way when the patience ended may have arrived, but nothing is left out.
    assert numbers[-1] - 1 <= int(info.metadata["resume_after_sequence"]) <= numbers[-1]


async def test_a_quiet_stream_is_accepted_at_once_and_silence_is_not_slowness() -> None:
    watching = Watching(LongLog(), patience=0.3, heartbeat=0.2)
    async with served(watching) as stub:
        call = stub.WatchSession(WatchSessionRequest(session_id="s"))
        assert "x-correlation-id" in dict(await call.initial_metadata())
        for _ in range(3):
            assert (await received(call)).heartbeat.last_sequence == 0
        call.cancel()
        await watching.ended


async def test_a_stream_ends_well_at_its_end() -> None:
    watching = Watching(LongLog(head=120))
    async with served(watching) as stub:
        call = stub.WatchSession(WatchSessionRequest(session_id="s"))
        numbers = [(await received(call)).event.sequence for _ in range(120)]
        watching.feed.drain()
        assert (await received(call)).drain.resume_after_sequence == 120
        assert await call.read() is grpc.aio.EOF
        assert await call.code() is grpc.StatusCode.OK
    assert numbers == list(range(1, 121))
    assert await watching.ended is None


async def test_a_reader_that_hangs_up_is_let_go() -> None:
    watching = Watching(LongLog(head=1_000_000))
    async with served(watching) as stub:
        call = stub.WatchSession(WatchSessionRequest(session_id="s"))
        await received(call)
        call.cancel()
        assert isinstance(await watching.ended, (asyncio.CancelledError, grpc.aio.InternalError))


async def test_a_timeout_behind_the_stream_is_no_slow_reader() -> None:
    watching = Watching(LongLog(failure=TimeoutError("pool")))
    async with served(watching) as stub:
        call = stub.WatchSession(WatchSessionRequest(session_id="s"))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert isinstance(await watching.ended, TimeoutError)
