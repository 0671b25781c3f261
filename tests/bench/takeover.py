"""P10: how long the turns of a killed replica stand still until another one has them, over PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from time import monotonic

from devtools.runtime_process import RuntimeProcess
from tests.bench.figure import Figure
from tests.bench.stage import Stage, saying
from tests.support.runtime_client import RuntimeClient, connected
from tests.support.unlimited import UNLIMITED

_LEASE = 5.0
_KILLS = 5
_TURNS = 8
_GOAL = 8.0
_PATIENCE = 30.0


async def takeover(stage: Stage) -> AsyncIterator[Figure]:
    """The longest of all turns, which with so few is their p99."""
    await stage.model.play(saying("slowly", 600, 0.1))
    url = await stage.new_database("PostgreSQL")
    waits: list[float] = []
    async with AsyncExitStack() as stack:
        replicas = [
            await stack.enter_async_context(
                RuntimeProcess(url, stage.model.url, {"LEASE": str(_LEASE), "LOG_LEVEL": "WARNING"} | UNLIMITED)
            )
            for _ in range(2)
        ]
        for number in range(_KILLS):
            victim, survivor = replicas if number % 2 else reversed(replicas)
            waits += (took := await _kill(victim, survivor))
            stage.say(f"P10 kill {number + 1}: {len(took)} turns went on after {min(took):.1f} to {max(took):.1f} s")
    yield Figure(
        "P10",
        max(waits),
        "s",
        f"<= {_GOAL:.0f} s",
        max(waits) <= _GOAL,
        part="takeover after kill -9, p99",
        note=f"{len(waits)} turns in {_KILLS} kills, lease {_LEASE:.0f} s",
    )


async def _kill(victim: RuntimeProcess, survivor: RuntimeProcess) -> list[float]:
    """Seconds from the kill to the news of the restarted attempt, at the replica that lives; the other is started
    again.
    """
    async with connected(survivor.address) as watching, connected(victim.address, watching.owner) as talking:
        sessions = [(await talking.new_session(agent="universal")).id for _ in range(_TURNS)]
        streams = [talking.send(session, "slowly, please") for session in sessions]
        for stream in streams:
            await _until(stream, "text_delta")
        watches = [watching.watch(session, after_sequence=0) for session in sessions]
        for watch in watches:
            await _until(watch, "text_delta")
        killed = monotonic()
        await victim.kill()
        restarting = asyncio.create_task(victim.start())

        async def restarted(watch: object) -> float:
            await _until(watch, "attempt_restarted")
            return monotonic() - killed

        waits = await asyncio.gather(*(restarted(watch) for watch in watches))
        await restarting
        await _end(watching, sessions)
    return waits


async def _until(stream: object, kind: str) -> None:
    async with asyncio.timeout(_PATIENCE):
        async for item in stream:  # type: ignore[attr-defined]
            if item.HasField("event") and item.event.WhichOneof("payload") == kind:
                return
    raise RuntimeError(f"a stream ended without {kind}")


async def _end(client: RuntimeClient, sessions: list[str]) -> None:
    for session in sessions:
        await client.cancel(session, "")
