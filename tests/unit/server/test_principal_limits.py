"""The interceptors of a principal's limits alone: whom they count, in which order, and what they hold afterwards."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Any

import pytest

from agent_runtime.v1 import input_pb2
from agent_runtime.v1.message_service_pb2 import SendMessageRequest
from server.interceptors.call_classes import CallClass
from server.interceptors.concurrency import Concurrency
from server.interceptors.deadline import Deadline
from server.interceptors.needs import SEND_MESSAGE
from server.interceptors.rate_limits import RateLimits
from server.interceptors.request_bytes import RequestBytes
from server.interceptors.rpc import Proceed, Rpc, RpcInterceptor
from server.interceptors.rpc_context import RpcContext
from server.interceptors.stream_places import StreamPlaces
from server.setting_groups import ConcurrencySettings
from services.application.ports import Principal
from services.domain.errors import RateLimitedError, TooManyBytesError, TooManyStreamsError
from services.infrastructure.rates import LocalShare, LocalWindows
from tests.support.clock import ManualClock

READ = "/agent_runtime.v1.SessionService/GetSession"
OPERATORS = "/agent_runtime.v1.OperationsService/GetStatus"
NEW = SendMessageRequest(user_message=input_pb2.UserMessage(text="hi"))


def rpc_of(owner: str, method: str = READ, request: object = None, *, streaming: bool = False, peer: str = "a") -> Rpc:
    inner: Any = None
    principal = Principal("key", owner)
    return Rpc(method, streaming, request, RpcContext(inner), (), peer, 0.0, None, principal=principal)


async def fine() -> str:
    return "fine"


def rates(clock: ManualClock, limit: int = 2) -> RateLimits:
    share = LocalShare(LocalWindows(clock.monotonic), lambda: 1)
    return RateLimits(share, dict.fromkeys(CallClass, limit))


async def test_owners_and_classes_are_counted_apart_and_connections_are_not(clock: ManualClock) -> None:
    limits = rates(clock)
    for peer in "ab":
        await limits(rpc_of("ann", peer=peer), fine)
    with pytest.raises(RateLimitedError) as refused:
        await limits(rpc_of("ann", peer="c"), fine)
    assert refused.value.retry_after == 60
    assert await limits(rpc_of("bob"), fine) == "fine"
    assert await limits(rpc_of("ann", SEND_MESSAGE, NEW), fine) == "fine"
    clock.advance(60)
    assert await limits(rpc_of("ann"), fine) == "fine"


async def test_operators_calls_are_not_counted(clock: ManualClock) -> None:
    limits = rates(clock)
    for _ in range(5):
        rpc = rpc_of("ann", OPERATORS)
        assert await limits(rpc, fine) == "fine"
        assert rpc.context.answer_metadata == ()


async def test_reads_say_what_is_left_once_half_is_gone(clock: ManualClock) -> None:
    limits, said = rates(clock, limit=4), []
    for _ in range(4):
        rpc = rpc_of("ann")
        await limits(rpc, fine)
        said.append(dict(rpc.context.answer_metadata).get("ratelimit-remaining"))
    assert said == [None, "2", "1", "0"]


async def _held(interceptor: RpcInterceptor, rpc: Rpc) -> tuple[asyncio.Task[Any], asyncio.Event]:
    """A call that lasts until the event is set."""
    end = asyncio.Event()
    call = asyncio.ensure_future(interceptor(rpc, end.wait))
    await asyncio.sleep(0)
    return call, end


async def test_a_stream_holds_a_place_however_it_ends() -> None:
    places = StreamPlaces(2)
    held = [await _held(places, rpc_of("ann", streaming=True)) for _ in range(2)]
    with pytest.raises(TooManyStreamsError):
        await places(rpc_of("ann", streaming=True), fine)
    assert await places(rpc_of("ann"), fine) == "fine"  # not a stream
    assert await places(rpc_of("bob", streaming=True), fine) == "fine"
    held[0][0].cancel()
    held[1][1].set()
    await asyncio.gather(*(call for call, _ in held), return_exceptions=True)
    assert places.taken == 0
    assert await places(rpc_of("ann", streaming=True), fine) == "fine"


async def test_large_requests_have_to_wait_for_each_other_and_small_ones_do_not() -> None:
    large = SendMessageRequest(user_message=input_pb2.UserMessage(text="x" * 60_000))
    held_bytes = RequestBytes(100_000)
    call, end = await _held(held_bytes, rpc_of("ann", SEND_MESSAGE, large))
    with pytest.raises(TooManyBytesError):
        await held_bytes(rpc_of("ann", SEND_MESSAGE, large), fine)
    assert await held_bytes(rpc_of("ann", SEND_MESSAGE, NEW), fine) == "fine"
    assert await held_bytes(rpc_of("bob", SEND_MESSAGE, large), fine) == "fine"
    end.set()
    await call
    assert await held_bytes(rpc_of("ann", SEND_MESSAGE, large), fine) == "fine"


async def test_a_request_larger_than_the_limit_is_let_in_alone() -> None:
    larger, large = (SendMessageRequest(user_message=input_pb2.UserMessage(text="x" * n)) for n in (200_000, 20_000))
    held_bytes = RequestBytes(100_000)
    call, end = await _held(held_bytes, rpc_of("ann", SEND_MESSAGE, larger))
    with pytest.raises(TooManyBytesError):
        await held_bytes(rpc_of("ann", SEND_MESSAGE, large), fine)
    end.set()
    await call
    call, end = await _held(held_bytes, rpc_of("ann", SEND_MESSAGE, large))
    with pytest.raises(TooManyBytesError):
        await held_bytes(rpc_of("ann", SEND_MESSAGE, larger), fine)
    end.set()
    await call


async def test_a_large_request_is_held_until_its_handler_ends_whoever_has_left() -> None:
    large = SendMessageRequest(user_message=input_pb2.UserMessage(text="x" * 60_000))
    held_bytes, deadline, end = RequestBytes(100_000), Deadline(5), asyncio.Event()
    rpc = rpc_of("ann", request=large)
    rpc.started = time.monotonic()
    call = asyncio.ensure_future(held_bytes(rpc, partial(deadline, rpc, end.wait)))
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    with pytest.raises(TooManyBytesError):
        await held_bytes(rpc_of("ann", request=large), fine)
    end.set()
    await deadline.finish(within=1)
    assert await held_bytes(rpc_of("ann", request=large), fine) == "fine"


async def test_calls_that_wait_for_their_rate_have_their_places() -> None:
    places, rated = Concurrency(ConcurrencySettings(calls=2, reserve=1)), asyncio.Event()
    calls = [asyncio.ensure_future(places(rpc_of("ann"), rated.wait)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(RateLimitedError):
        await places(rpc_of("bob"), fine)
    assert await places(rpc_of("bob", OPERATORS), fine) == "fine"
    rated.set()
    await asyncio.gather(*calls)
    assert await places(rpc_of("bob"), fine) == "fine"


async def test_a_call_that_finds_no_place_does_not_count_as_one_of_the_minute(clock: ManualClock) -> None:
    places, limits = StreamPlaces(1), rates(clock, limit=1)
    call, end = await _held(places, rpc_of("ann", streaming=True))
    rpc = rpc_of("ann", SEND_MESSAGE, NEW, streaming=True)

    async def counted() -> Any:
        return await limits(rpc, fine)

    proceed: Proceed = counted
    for _ in range(3):
        with pytest.raises(TooManyStreamsError):
            await places(rpc, proceed)
    end.set()
    await call
    assert await places(rpc, proceed) == "fine"
