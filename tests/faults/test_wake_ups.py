"""Streams on a replica that does not run the turn: as fast as hints are, and complete without any."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from devtools.scripted_model import reply, text
from tests.faults.harness.arrivals import Arrivals
from tests.faults.harness.caller import Caller
from tests.faults.harness.verdict import percentile
from tests.faults.harness.world import World, world
from tests.support.runtime_client import RuntimeClient

WORDS = 60
NOBODY = "postgresql://nobody@127.0.0.1:1/nothing"
# After this long a watcher is known to the other replicas.
KNOWN = 2.5
# What a hint brings is seen sooner than the look each second would see half of it.
AT_ONCE = 0.35
AT_LAST = 5.0
_EXPIRE = "UPDATE replicas SET expires_at = 0 WHERE incarnation = (SELECT owner FROM session_heads JOIN sessions"
LEASE_OF_RUNNER = f"{_EXPIRE} USING (session_key) WHERE session_id = $1)"
ALL_LEASES = "UPDATE replicas SET expires_at = 0 WHERE expires_at > 0 RETURNING incarnation"
ALL_WATCHES = "DELETE FROM session_watches"
SCRIPT = reply(text(" ".join(f"word{n}" for n in range(WORDS)), chunk_delay=0.03), repeat=True)


@pytest.fixture(scope="module")
async def two() -> AsyncIterator[World]:
    """Two replicas that wake each other over PostgreSQL."""
    async with world(SCRIPT, settings={"LEASE": "2"}) as w:
        yield w


class Pair:
    """An owner's session as two replicas show it."""

    def __init__(self, w: World, session_id: str) -> None:
        caller = Caller(w.net, "owner")
        self._w = w
        self.session_id = session_id
        self.here: RuntimeClient = caller.at("r1")
        self.there: RuntimeClient = caller.at("r2")

    def watch(self, client: RuntimeClient) -> Arrivals:
        return Arrivals(client.watch(self.session_id, after_sequence=0))

    def ask(self) -> Arrivals:
        return Arrivals(self.here.send(self.session_id, "go", request_id=self.session_id))

    def ask_again_there(self) -> Arrivals:
        return Arrivals(self.there.send(self.session_id, "go", request_id=self.session_id, after_sequence=0))

    async def execute(self, statement: str, *values: object) -> None:
        connection = await asyncpg.connect(self._w.postgres.url)
        try:
            await connection.execute(statement, *values)
        finally:
            await connection.close()


async def session_of(w: World, session_id: str) -> Pair:
    pair = Pair(w, session_id)
    await pair.here.new_session(session_id=session_id, agent="universal")
    return pair


async def lags_of_two_streams(w: World, session_id: str) -> tuple[list[float], list[float]]:
    """How much later than the sender a watcher and a re-attached sender at the other replica see each event."""
    pair = await session_of(w, session_id)
    watching = pair.watch(pair.there)
    await asyncio.sleep(KNOWN)
    sending = await pair.ask().begun()
    again = await pair.ask_again_there().whole()
    here, there = await sending.whole(), await watching.whole()
    assert there.events == again.events == here.events
    assert [event.sequence for event in here.events] == list(range(1, len(here.events) + 1))
    return there.behind(here), again.behind(here)


async def test_notifications_bring_events_at_once(two: World) -> None:
    for lags in await lags_of_two_streams(two, "notified"):
        assert percentile(lags, 0.5) < AT_ONCE


async def test_redis_brings_events_at_once(redis_url: str) -> None:
    async with world(SCRIPT, settings={"REDIS_URL": redis_url, "DATABASE_DIRECT_URL": NOBODY}) as w:
        for lags in await lags_of_two_streams(w, "redis"):
            assert percentile(lags, 0.5) < 0.1
            assert lags[-1] < 0.5


async def test_without_any_hints_a_look_each_second_finds_them() -> None:
    async with world(SCRIPT, settings={"DATABASE_DIRECT_URL": NOBODY}) as w:
        for lags in await lags_of_two_streams(w, "unheard"):
            assert max(lags) < AT_LAST


async def test_whoever_forgets_the_watchers_delays_events_and_loses_none(two: World) -> None:
    pair = await session_of(two, "forgotten")
    watching = pair.watch(pair.there)
    await asyncio.sleep(KNOWN)
    sending = await pair.ask().begun()
    await pair.execute(ALL_WATCHES)
    here, there = await sending.whole(), await watching.whole()
    assert there.events == here.events
    assert max(there.behind(here)) < AT_LAST


async def test_a_turn_whose_lease_is_taken_away_goes_on_under_the_eyes_of_all(two: World) -> None:
    pair = await session_of(two, "expired")
    watching, beside = pair.watch(pair.there), pair.watch(pair.here)
    await asyncio.sleep(KNOWN)
    sending = await pair.ask().begun()
    await asyncio.sleep(0.5)  # the answer has begun
    await pair.execute(LEASE_OF_RUNNER, pair.session_id)
    here, there = await sending.whole(), await watching.whole()
    assert there.events == here.events == (await beside.whole()).events
    restarts = [event for event in here.events if event.HasField("attempt_restarted")]
    assert restarts  # more than one where the machine was too busy to renew a lease in time
    assert here.events[-1].turn_completed.result_text.split()[-1] == f"word{WORDS - 1}"


async def test_watchers_of_a_replica_with_a_new_name_are_notified_again(two: World) -> None:
    pair = await session_of(two, "renamed")
    watching = pair.watch(pair.there)
    await asyncio.sleep(KNOWN)
    await pair.execute(ALL_LEASES)
    await asyncio.sleep(2 * KNOWN)  # both have noticed, have new names, and said again what they watch
    sending = pair.ask()
    here, there = await sending.whole(), await watching.whole()
    assert there.events == here.events
    assert percentile(there.behind(here), 0.5) < AT_ONCE
