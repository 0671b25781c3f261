"""Row 9: very many open streams in one process cost little, starve nobody, and are gone when their reader is."""

from __future__ import annotations

import asyncio

from tests.faults.crowd.dripping import SCRIPT, drip, health_times
from tests.faults.crowd.stage import OWNER, stage
from tests.faults.harness.verdict import Measure, Verdict, percentile, spread

ROW = 9
REDUCED, FULL = 2_000, 10_000
_STREAMS_PER_CONNECTION = 10
_STREAMS_PER_SESSION = 4
_EVENTS_PER_SECOND = 0.1  # of one session, and so on each of its streams
_IDLE = 1.0
_FULL_MEGABYTES = 700.0
_REDUCED_MEGABYTES = 160.0
_REDUCED_DRIP, _FULL_DRIP = 4.0, 600.0


async def run(streams: int, seed: int, *, seconds: float | None = None) -> Verdict:
    """Opens so many, a few for each session, lets events drip over them, and ends the reader's process."""
    full = streams >= FULL
    seconds = seconds if seconds is not None else _FULL_DRIP if full else _REDUCED_DRIP
    async with stage(SCRIPT) as on:
        sessions = await on.sessions(streams // _STREAMS_PER_SESSION)
        before = on.usage()
        connections = await on.crowd.do("connect", owner=OWNER, connections=streams // _STREAMS_PER_CONNECTION)
        began = on.usage()
        opening = await on.crowd.do("watch", sessions=sessions * _STREAMS_PER_SESSION)
        opened = on.usage()
        held = await on.held(_IDLE)
        dripping = asyncio.create_task(drip(on, sessions, len(sessions) * _EVENTS_PER_SECOND, seconds, seed))
        health = await health_times(on, dripping)
        turns = await dripping
        seen = await on.crowd.do("seen")
        after = on.usage()
        await on.crowd.die()
        freed = await on.freed(streams, after.files - connections)
    lags = [1000 * lag for lag in seen["lags"]]
    counts = seen["counts"]
    return Verdict(
        ROW,
        seed,
        (
            Measure("streams", seen["open"], at_least=streams),
            Measure("connections", connections),
            Measure("opened_per_second", streams / opening, at_least=1_500, timed=True),
            Measure("opening_us", 1e6 * (opened.cpu - began.cpu) / streams),
            Measure("kb_per_stream", 1000 * (opened.megabytes - before.megabytes) / streams),
            Measure("more_mb", after.megabytes - before.megabytes, at_most=_megabytes(streams), timed=True),
            Measure("rss_mb", after.megabytes, at_most=_FULL_MEGABYTES if full else None, timed=True),
            Measure("held", held, at_most=0, at_least=0),
            Measure("turns", turns),
            Measure("events", counts.get("event", 0), at_least=turns),
            Measure("lost", counts.get("lost", 0), at_most=0, at_least=0),
            Measure("doubled", counts.get("doubled", 0), at_most=0, at_least=0),
            Measure("wrong_heartbeats", counts.get("wrong heartbeat", 0), at_most=0, at_least=0),
            Measure("lag_ms_p50", percentile(lags, 0.5)),
            Measure("lag_ms_p99", percentile(lags, 0.99), at_most=500.0, timed=True),
            *spread("health_ms", health, at_most=100.0),
            Measure("errors", on.errors, at_most=0, at_least=0),
            Measure("freed_s", freed if freed is not None else -1.0, at_most=3.0, timed=True),
        ),
        () if freed is not None else ("streams of a dead reader are still there",),
    )


def _megabytes(streams: int) -> float | None:
    """What a reduced run may take on top; a full one is held to the whole."""
    return None if streams >= FULL else _REDUCED_MEGABYTES * streams / REDUCED
