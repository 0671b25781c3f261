"""Streams that have reached their age end with a cursor, not all at once, and whoever comes back misses nothing."""

from __future__ import annotations

import asyncio

import pytest

from tests.faults.crowd.dripping import SCRIPT, drip
from tests.faults.crowd.stage import OWNER, stage

_STREAMS = 200
_AGE = 1.5
_SECONDS = 4.0


@pytest.mark.timeout(120)
async def test_streams_drain_with_their_age_and_lose_nothing() -> None:
    settings = {"STREAM_MAX_AGE": str(_AGE), "HEARTBEAT": "0.5"}
    async with stage(SCRIPT, settings=settings) as on:
        sessions = await on.sessions(_STREAMS)
        await on.crowd.do("connect", owner=OWNER, connections=_STREAMS // 10)
        await on.crowd.do("watch", sessions=sessions, after=0)
        await drip(on, sessions, 200, _SECONDS, seed=1)
        # The last events of the last turns are seen as well.
        await asyncio.sleep(1.0)
        seen = await on.crowd.do("seen")
        on.watches_ended()
    counts = seen["counts"]
    # Some may have been told to go and not have ended yet at the moment of counting.
    assert _STREAMS <= counts["status 0"] <= counts["drain"] < counts["status 0"] + _STREAMS // 10
    assert seen["ended"] == []
    assert (counts["lost"], counts["doubled"], counts["wrong heartbeat"], on.errors) == (0, 0, 0, 0)
    assert counts["event"] > _STREAMS
