"""Against a real Redis: one window for all, by its clock; without it a share, at once and never an open door."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from redis.asyncio import Redis

from services.domain.ids import new_id
from services.infrastructure.rates import KnownRefusals, LocalShare, LocalWindows, RedisWindows, SharedRates
from tests.support.clock import ManualClock
from tests.support.tcp_relay import TcpRelay, relay_to
from tests.support.waiting import eventually


@dataclass(frozen=True, slots=True)
class Replica:
    """One of two replicas, as far as rates go; its `clock` is its own, and says nothing to Redis."""

    rates: SharedRates
    shared: RedisWindows
    clock: ManualClock

    async def admitted(self, name: str, limit: int, times: int) -> int:
        """How many of so many calls pass, all at once."""
        answers = await asyncio.gather(*(self.rates.admit(name, limit) for _ in range(times)))
        return sum(answer.admitted for answer in answers)


@asynccontextmanager
async def replica(url: str) -> AsyncIterator[Replica]:
    clock = ManualClock()
    shared = RedisWindows(url, clock.monotonic)
    own = LocalShare(LocalWindows(clock.monotonic), replicas=lambda: 2)
    running = asyncio.create_task(shared.run())
    try:
        await eventually(lambda: shared.there)
        yield Replica(SharedRates(shared, own, KnownRefusals(clock.monotonic)), shared, clock)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@asynccontextmanager
async def two_replicas(url: str) -> AsyncIterator[tuple[Replica, Replica, TcpRelay]]:
    """Both behind a wire to Redis that can be cut."""
    async with AsyncExitStack() as stack:
        relay = await stack.enter_async_context(relay_to(url))
        here = f"redis://127.0.0.1:{relay.port}{url[url.rindex('/') :]}"
        one, two = [await stack.enter_async_context(replica(here)) for _ in range(2)]
        yield one, two, relay


async def test_two_replicas_let_pass_together_what_one_would(redis_url: str) -> None:
    name = new_id("owner")
    async with two_replicas(redis_url) as (one, two, _):
        passed = await asyncio.gather(one.admitted(name, 60, 90), two.admitted(name, 60, 90))
        assert sum(passed) == 60
        answer = await two.rates.admit(name, 60)
        assert (answer.admitted, answer.limit, answer.remaining) == (False, 60, 0)
        assert 50 < answer.free_in <= 60
        assert (await two.rates.admit(new_id("owner"), 60)).remaining == 59


async def test_what_leaves_the_window_makes_room_by_the_clock_of_redis(redis_url: str) -> None:
    name = new_id("owner")
    async with two_replicas(redis_url) as (one, two, _), Redis.from_url(redis_url) as redis:
        assert await one.admitted(name, 3, 3) == 3
        two.clock.advance(3_600)
        assert not (await two.rates.admit(name, 3)).admitted
        key = f"agent-runtime:rate:{name}"
        seconds, microseconds = await redis.time()
        aged = str((seconds - 60) * 1_000_000 + microseconds)
        await redis.lset(key, 0, aged)
        await redis.lset(key, 1, aged)
        assert not (await two.rates.admit(name, 3)).admitted, "it was told when to come back"
        two.clock.advance(60)
        answer = await two.rates.admit(name, 3)
        assert (answer.admitted, answer.remaining) == (True, 1)
        assert await redis.llen(key) == 2
        assert 0 < await redis.ttl(key) <= 60
        assert not (await two.rates.admit(name, 1)).admitted  # a limit that has fallen


async def test_nobody_is_locked_out_when_the_clock_of_redis_is_set_back(redis_url: str) -> None:
    name = new_id("owner")
    async with two_replicas(redis_url) as (one, two, _), Redis.from_url(redis_url) as redis:
        assert await one.admitted(name, 3, 3) == 3
        seconds, microseconds = await redis.time()
        ahead = str((seconds + 3_600) * 1_000_000 + microseconds)
        for position in range(3):
            await redis.lset(f"agent-runtime:rate:{name}", position, ahead)
        answer = await two.rates.admit(name, 3)
        assert (answer.admitted, answer.remaining) == (True, 2)
        assert 59 < answer.free_in <= 60


async def test_without_redis_each_enforces_its_share_and_waits_for_nobody(redis_url: str) -> None:
    name, other = new_id("owner"), new_id("owner")
    async with two_replicas(redis_url) as (one, two, relay):
        assert await one.admitted(name, 60, 40) == 40
        await relay.cut()
        began = time.monotonic()
        assert await one.admitted(name, 60, 50) == 0  # it knows of the 40
        assert await two.admitted(name, 60, 50) == 30
        assert [await each.admitted(other, 60, 50) for each in (one, two)] == [30, 30]
        assert time.monotonic() - began < 0.5


async def test_a_redis_that_comes_back_empty_does_not_open_the_door(redis_url: str) -> None:
    name = new_id("owner")
    async with two_replicas(redis_url) as (one, two, relay), Redis.from_url(redis_url) as redis:
        assert [await each.admitted(name, 60, 30) for each in (one, two)] == [30, 30]
        await relay.cut()
        assert [await each.admitted(name, 60, 10) for each in (one, two)] == [0, 0]
        await redis.flushdb()
        await relay.mend()
        await eventually(lambda: one.shared.there and two.shared.there)
        assert [await each.admitted(name, 60, 10) for each in (one, two)] == [0, 0]
        for each in (one, two):
            each.clock.advance(61)
        assert [await each.admitted(name, 60, 40) for each in (one, two)] == [40, 20]


async def test_a_redis_that_says_nothing_delays_a_call_once(redis_url: str) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Passes on until the test says stop, then holds everything back."""
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_until(stop, reader, far_writer), _until(stop, far_reader, writer))

    port, stop = int(redis_url.rsplit(":", 1)[1].split("/")[0]), asyncio.Event()
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server, replica(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0") as one:
        name = new_id("owner")
        assert (await one.rates.admit(name, 60)).limit == 60
        stop.set()
        answers = await asyncio.wait_for(asyncio.gather(*(one.rates.admit(name, 60) for _ in range(50))), 5)
        assert {answer.limit for answer in answers} == {30}
        assert not one.shared.there
        began = time.monotonic()
        await one.admitted(name, 60, 50)
        assert time.monotonic() - began < 0.5


async def _until(stop: asyncio.Event, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        if not stop.is_set():
            writer.write(data)
    writer.close()
