"""P8: no connection is held while the model talks: far more slow turns than connections, and reads as fast as ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from statistics import quantiles
from time import monotonic, perf_counter

from tests.bench.figure import Figure
from tests.bench.load import crowd
from tests.bench.stage import Stage, saying

_TURNS = 200
_CONNECTIONS = 5
_STARTING = 2.0
_TOKENS = 10
_WINDOW = 3.0
_READERS = 4
_PAUSE = 0.01
_GOAL = 50.0


async def pool(stage: Stage) -> AsyncIterator[Figure]:
    """How many of the turns run at once, and how long a read takes meanwhile."""
    await stage.model.reset()
    await stage.model.play(saying("slowly", _TOKENS, 1.0))
    async with stage.runtime("PostgreSQL", {"DATABASE_POOL_SIZE": str(_CONNECTIONS)}) as server:
        sessions = await server.sessions(_TURNS)
        async with crowd(server) as turns:
            await turns.join_over(_STARTING, sessions, "slowly")
            await turns.all_speaking()
            at_once = (await stage.model.counts())["playing"]
            reads: list[float] = []

            async def read(until: float) -> None:
                while monotonic() < until:
                    began = perf_counter()
                    await server.read(sessions[0])
                    reads.append((perf_counter() - began) * 1e3)
                    await asyncio.sleep(_PAUSE)

            until = monotonic() + _WINDOW
            await asyncio.gather(*(read(until) for _ in range(_READERS)))
    p99 = quantiles(reads, n=100, method="inclusive")[98]
    stage.say(f"P8: {at_once} slow turns at once, reads p99 {p99:.1f} ms")
    yield Figure("P8", at_once, "turns", f"{_TURNS} at once", at_once == _TURNS, part=f"pool of {_CONNECTIONS}")
    note = f"{len(reads)} reads; {turns.refused} inputs waited in vain for a connection and were sent again"
    yield Figure("P8", p99, "ms", f"< {_GOAL:.0f} ms", p99 < _GOAL, part="reads meanwhile, p99", note=note)
