"""When calls that come one right after the other are too many; what gRPC does with them is tried out in tests/rpc."""

from __future__ import annotations

import asyncio

import pytest

from server.accept_queue import AcceptQueue
from tests.support.clock import ManualClock

METHOD = "/a.Service/Begin"


class Calls:
    """Calls of one method by a clock that is moved by hand."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.queue = AcceptQueue(METHOD, patience=0.25, monotonic=self.clock.monotonic)

    async def is_refused(self, owner: str = "greedy", *, behind: str | None = METHOD) -> bool:
        """Whether a call is one too many that is taken in now, with another taken in right after it."""
        self.queue.taken(METHOD)
        judging = asyncio.create_task(self.queue.is_too_long(owner))
        await asyncio.sleep(0)
        if behind is not None:
            self.queue.taken(behind)
        return await judging

    async def crowd(self, seconds: float, *, every: float = 0.1) -> list[bool]:
        """Calls for so long, each with another behind it; which of them are refused."""
        refused = []
        for _ in range(round(seconds / every)):
            refused.append(await self.is_refused())
            self.clock.advance(every)
        return refused


@pytest.fixture
def calls() -> Calls:
    return Calls()


async def test_a_call_alone_passes(calls: Calls) -> None:
    assert not await calls.is_refused(behind=None)


async def test_calls_of_other_methods_are_no_queue(calls: Calls) -> None:
    for _ in range(20):
        assert not await calls.is_refused(behind="/a.Service/Read")
        calls.clock.advance(0.1)


async def test_a_burst_passes(calls: Calls) -> None:
    assert await calls.crowd(0.3) == [False] * 3


async def test_a_queue_that_stands_is_let_in_no_more(calls: Calls) -> None:
    assert await calls.crowd(0.9) == [False] * 3 + [False] + [True] * 5, "the fourth is the first beyond the burst"


async def test_bursts_with_pauses_between_them_pass(calls: Calls) -> None:
    for _ in range(20):
        assert not any(await calls.crowd(0.3))
        assert not await calls.is_refused(behind=None)


async def test_whoever_finds_no_queue_passes_in_the_midst_of_it(calls: Calls) -> None:
    await calls.crowd(1.0)
    assert not await calls.is_refused(behind=None)
    assert await calls.is_refused(), "the queue is back and was not let in"


async def test_while_there_are_many_no_queue_is_let_in(calls: Calls) -> None:
    await calls.crowd(1.0)
    for _ in range(30):
        refused = []
        for _ in range(10):
            refused += await calls.crowd(0.1, every=0.01)
            assert not await calls.is_refused(behind=None)
        assert refused.count(False) <= 2, "one of each second is"


async def test_whoever_calls_without_end_keeps_nobody_else_out(calls: Calls) -> None:
    await calls.crowd(3.0, every=0.01)
    for _ in range(30):
        refused = await calls.crowd(0.7, every=0.01)
        assert refused.count(False) == 1
        assert not await calls.is_refused("somebody")
        assert await calls.is_refused("somebody")
        assert not await calls.is_refused("another")
        calls.clock.advance(0.3)


async def test_a_queue_that_was_too_long_is_forgotten(calls: Calls) -> None:
    await calls.crowd(1.0)
    assert not await calls.is_refused(behind=None)
    calls.clock.advance(10.0)
    assert await calls.crowd(0.3) == [False] * 3


async def test_some_bursts_do_not_keep_it_in_mind(calls: Calls) -> None:
    await calls.crowd(1.0)
    refused = []
    for _ in range(20):
        assert not await calls.is_refused(behind=None)
        refused.append(await calls.is_refused())
        calls.clock.advance(1.0)
    assert refused[0]
    assert not any(refused[12:])
