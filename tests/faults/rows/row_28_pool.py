"""Row 28: many turns wait for the model, and hold no connection of a small pool while they do."""

from __future__ import annotations

import asyncio
import time

import asyncpg
import grpc

from devtools.scripted_model import gate, reply, text
from tests.faults.harness.caller import Caller
from tests.faults.harness.verdict import Measure, Verdict, spread
from tests.faults.harness.world import World, world
from tests.support.runtime_client import ended, read_until, said

ROW = 28
REDUCED, FULL = 4, 60
_TURNS = 100
_POOL = 5
_AT_ONCE = 10
# Seconds that the turns are given to begin in: the first of them wait for the model all that time.
_PATIENCE = 60
_OWNER = "waiting"
# A connection that somebody holds: it is in a transaction and does nothing, or has worked on one
# thing for longer than a busy machine explains.
_HELD = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name = 'agent-runtime' AND clock_timestamp() - xact_start > interval '1 second'
"""


async def run(seconds: int, seed: int, *, pooled: bool = False) -> Verdict:
    """Lets all turns wait in mid-answer for so many seconds, and meanwhile asks for other things."""
    script = reply(text("before "), gate("model"), text("after"), repeat=True)
    patience = str(2 * seconds + _PATIENCE)
    settings = {
        "DATABASE_POOL_SIZE": str(_POOL),
        "LLM_PROGRESS_TIMEOUT": patience,
        "LLM_TRANSPORT_TIMEOUT": patience,
    }
    async with world(script, replicas=1, settings=settings, pooled=pooled) as w:
        caller = Caller(w.net, _OWNER)
        client = caller.at(w.net.names[0])

        async def begin(number: int) -> None:
            session = await client.new_session(session_id=f"s{number}", agent="universal")
            await read_until(client.send(session.id, "go"), said("before "))

        try:
            for start in range(0, _TURNS, _AT_ONCE):
                await asyncio.gather(*(begin(number) for number in range(start, start + _AT_ONCE)))
        except grpc.aio.AioRpcError as error:
            return Verdict(ROW, seed, (), (f"a turn could not begin while others wait: {error.details()}",))
        await w.model.held("model", at_least=_TURNS)
        held, unary = await asyncio.gather(_held(w, seconds), _unary(w, seconds))
        await w.model.release("model")

        async def finish(number: int) -> bool:
            # All at once, some are told to come back: the pool is small.
            events = await caller.call(lambda client: read_until(client.watch(f"s{number}", after_sequence=0), ended))
            return events[-1].turn_completed.result_text == "before after"

        finished = await asyncio.gather(*(finish(number) for number in range(_TURNS)))
    return Verdict(
        ROW,
        seed,
        (
            Measure("waiting", _TURNS),
            Measure("pool", _POOL),
            Measure("samples", len(held)),
            Measure("held_max", max(held), at_most=0, at_least=0),
            Measure("calls", len(unary)),
            *spread("unary_ms", unary, at_most=100.0),
            Measure("completed", sum(finished), at_least=_TURNS),
        ),
    )


async def _held(w: World, seconds: int) -> list[int]:
    """How many connections were held, looked at every 10 ms."""
    connection = await asyncpg.connect(w.postgres.url)
    counts: list[int] = []
    try:
        ends_at = time.monotonic() + seconds
        while time.monotonic() < ends_at:
            counts.append(await connection.fetchval(_HELD))
            await asyncio.sleep(0.01)
    finally:
        await connection.close()
    return counts


async def _unary(w: World, seconds: int) -> list[float]:
    """How long other calls take, in milliseconds, one after the other."""
    client = Caller(w.net, "other").at(w.net.names[0])
    session = await client.new_session()
    durations: list[float] = []
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        began = time.monotonic()
        await client.session(session.id)
        durations.append(1000 * (time.monotonic() - began))
        await asyncio.sleep(0.01)
    return durations
