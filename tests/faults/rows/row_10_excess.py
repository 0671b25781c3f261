"""Row 10, the second part: four times the turns that a server gets done, and what becomes of them."""

from __future__ import annotations

import asyncio
import time

from devtools.scripted_model import reply, text
from server.config import Settings
from tests.faults.crowd.running import crowd_at
from tests.faults.crowd.stage import OWNER, Stage, stage
from tests.faults.harness.verdict import Measure, percentile
from tests.support.health import HealthClient

_SESSIONS_A_SECOND = 40  # so that none has a long history, which costs each of its turns
_CONNECTIONS = 4  # of gateways
_AT_ONCE = (2, 4, 8)  # the most is done by few: more wait for one another
_TIMES = 4
_WARM_UP = 3.0
_HEALTH_EVERY = 0.1
_BY_DEFAULT = {"OVERLOAD_LAG": str(Settings.model_fields["overload_lag"].default)}


async def excess(seconds: float) -> tuple[list[Measure], list[str]]:
    """How many turns a second are done at the most, and how many when four times as many are asked for."""
    async with (
        stage(reply(text("fine"), repeat=True), settings=_BY_DEFAULT) as on,
        crowd_at(on.address, "asking") as crowd,
    ):
        sessions = int(_SESSIONS_A_SECOND * seconds)
        await crowd.do("connect", owner=OWNER, connections=_CONNECTIONS)
        await crowd.do("talk_in", sessions=await on.sessions(sessions))
        await crowd.do("ask_at_once", at_once=_AT_ONCE[-1], seconds=_WARM_UP)
        share = seconds / len(_AT_ONCE)
        peak = max([(await crowd.do("ask_at_once", at_once=few, seconds=share))["done"] / share for few in _AT_ONCE])
        await crowd.do("talk_in", sessions=await on.sessions(sessions))  # as new as the others were
        probing = asyncio.create_task(_probe(on))
        began = time.monotonic()
        told = await crowd.do("ask_at_rate", rate=peak * _TIMES, seconds=seconds)
        passed = time.monotonic() - began
        probing.cancel()
        await asyncio.wait({probing})
        health = probing.exception() if not probing.cancelled() else None
    refused, asked = told["refused"], (told["asked"] - told["unsent"]) / seconds
    return [
        Measure("peak_turns_s", peak),
        Measure("asked_s", asked, at_least=0.95 * peak * _TIMES, timed=True),
        Measure("goodput_share", told["done"] / seconds / peak, at_least=0.8, timed=True),
        Measure("excess_refused", len(refused), at_least=1, timed=True),
        Measure("refused_ms_p50", 1000 * percentile(refused, 0.5)),
        Measure("refused_ms_p90", 1000 * percentile(refused, 0.9), at_most=50.0, timed=True),
        Measure("refused_ms_p99", 1000 * percentile(refused, 0.99)),
        Measure("all_ended_after_s", passed - seconds),
    ], [*told["complaints"], *([f"health failed: {health!r}"] if health else [])]


async def _probe(on: Stage) -> None:
    """Health answers meanwhile; raises when it does not."""
    health = HealthClient(on.channel)
    while True:
        async with asyncio.timeout(5):
            await health.check()
        await asyncio.sleep(_HEALTH_EVERY)
