"""Row 10, the second part: four times the turns that a server gets done, and what becomes of them."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field

import grpc

from devtools.scripted_model import reply, text
from server.config import Settings
from tests.faults.harness.caller import Caller
from tests.faults.harness.verdict import Measure, percentile
from tests.faults.harness.world import World, world
from tests.support.health import HealthClient
from tests.support.runtime_client import RuntimeClient, ended, refusal_of

_SESSIONS = 600
_AT_ONCE = (2, 8, 32)
_CREATED_AT_ONCE = 16
_TIMES = 4
_WARM_UP = 3.0
_HEALTH_EVERY = 0.1
_BY_DEFAULT = {"OVERLOAD_LAG": str(Settings.model_fields["overload_lag"].default)}


@dataclass
class Excess:
    """What came of the turns that were asked for; times are seconds."""

    sessions: deque[tuple[RuntimeClient, str]]
    done: int = 0
    refused: list[float] = field(default_factory=list)
    unsent: int = 0
    complaints: list[str] = field(default_factory=list)

    async def turn(self) -> None:
        """Asks for one, in whichever session has been quiet for longest."""
        if not self.sessions:
            self.unsent += 1
            return
        client, session_id = self.sessions.popleft()
        began = time.monotonic()
        try:
            events = await client.ask(session_id, "go")
            self.done += ended(events)
        except grpc.aio.AioRpcError as error:
            refusal = refusal_of(error)
            if refusal.code is not grpc.StatusCode.RESOURCE_EXHAUSTED or not refusal.retry_seconds:
                self.complaints.append(f"excess was told {refusal.code.name} {refusal.reason}: {refusal.message}")
            self.refused.append(time.monotonic() - began)
        finally:
            self.sessions.append((client, session_id))


async def excess(seconds: float) -> tuple[list[Measure], list[str]]:
    """How many turns a second are done at the most, and how many when four times as many are asked for."""
    async with world(reply(text("fine"), repeat=True), replicas=1, settings=_BY_DEFAULT) as w:
        asked = Excess(await _sessions(w))
        await _done_at_once(asked, _AT_ONCE[-1], _WARM_UP)
        peak = max([await _done_at_once(asked, at_once, seconds / len(_AT_ONCE)) for at_once in _AT_ONCE])
        asked.done, asked.refused = 0, []
        probing = asyncio.create_task(_probe(w))
        asking: set[asyncio.Task[None]] = set()
        began, sent = time.monotonic(), 0
        while (passed := time.monotonic() - began) < seconds:
            while sent < passed * peak * _TIMES:
                asking.add(asyncio.create_task(asked.turn()))
                sent += 1
            await asyncio.sleep(0.005)
        done = asked.done / (time.monotonic() - began)
        probing.cancel()
        await asyncio.wait(asking | {probing})
        health = probing.exception() if not probing.cancelled() else None
    complaints = sorted(set(asked.complaints)) + ([f"health failed: {health!r}"] if health else [])
    return [
        Measure("peak_turns_s", peak),
        Measure("asked_s", sent / seconds),
        Measure("goodput_share", done / peak, at_least=0.8, timed=True),
        Measure("excess_refused", len(asked.refused), at_least=1, timed=True),
        Measure("refused_ms_p50", 1000 * percentile(asked.refused, 0.5)),
        Measure("refused_ms_p90", 1000 * percentile(asked.refused, 0.9), at_most=50.0, timed=True),
        Measure("not_sent", asked.unsent),
    ], complaints


async def _sessions(w: World) -> deque[tuple[RuntimeClient, str]]:
    """Sessions and clients of as many owners, so that no limit of an owner is reached."""
    sessions = deque(
        (Caller(w.net, f"excess-owner-{number}").at(w.net.names[0]), f"excess-{number}") for number in range(_SESSIONS)
    )
    free = asyncio.Semaphore(_CREATED_AT_ONCE)

    async def create(client: RuntimeClient, name: str) -> None:
        async with free:
            await client.new_session(session_id=name, agent="universal")

    await asyncio.gather(*(create(client, name) for client, name in sessions))
    return sessions


async def _done_at_once(asked: Excess, at_once: int, seconds: float) -> float:
    """Turns a second that are done when so many are asked for at once, each after another has ended."""
    before, ends_at = asked.done, time.monotonic() + seconds

    async def work() -> None:
        while time.monotonic() < ends_at:
            await asked.turn()

    await asyncio.gather(*(work() for _ in range(at_once)))
    return (asked.done - before) / (time.monotonic() - ends_at + seconds)


async def _probe(w: World) -> None:
    """Health answers meanwhile; raises when it does not."""
    health = HealthClient(w.net.channels[w.net.names[0]])
    while True:
        async with asyncio.timeout(5):
            await health.check()
        await asyncio.sleep(_HEALTH_EVERY)
