"""Events for a crowd: answers that come word by word in some of its sessions, then in others; and health meanwhile."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence

from devtools.scripted_model import Reply, reply, text
from tests.faults.crowd.stage import Stage
from tests.support.health import HealthClient

_WORD = "word "
_EVERY = 0.1
_WORDS = 50
_HEALTH_EVERY = 0.02

SCRIPT: Reply = reply(text(_WORD * _WORDS, chunk_characters=len(_WORD), chunk_delay=_EVERY), repeat=True)
"""What the model says to everything."""


async def drip(on: Stage, sessions: Sequence[str], rate: float, seconds: float, seed: int) -> int:
    """Starts turns evenly, so that about `rate` events a second are said; how many. Ends before the last of them."""
    rng = random.Random(seed)
    order = rng.sample(sessions, len(sessions))
    pause = _WORDS / rate
    began = time.monotonic()
    started = 0
    beginning: set[asyncio.Task[None]] = set()
    while time.monotonic() < began + seconds:
        task = asyncio.create_task(_begin(on, order[started % len(order)]))
        beginning.add(task)
        task.add_done_callback(beginning.discard)
        started += 1
        await asyncio.sleep(began + started * pause - time.monotonic())
    await asyncio.gather(*beginning)
    return started


async def health_times(on: Stage, until: asyncio.Task[int]) -> list[float]:
    """How long health takes to answer, in milliseconds, asked again and again while that task runs."""
    health = HealthClient(on.channel)
    times = []
    while not until.done():
        began = time.monotonic()
        await health.check()
        times.append(1000 * (time.monotonic() - began))
        await asyncio.sleep(_HEALTH_EVERY)
    return times


async def _begin(on: Stage, session: str) -> None:
    async for _ in on.client.send(session, "go", detach=True):
        pass
