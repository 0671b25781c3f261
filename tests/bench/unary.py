"""P3: what the cheapest read costs the server, against a unary call that returns a constant."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from statistics import median
from time import monotonic

from tests.bench.child import cpu_seconds
from tests.bench.figure import Figure
from tests.bench.stage import Stage
from tests.bench.targets import Target

_CALLERS = 10
_WINDOW = 1.0
_ROUNDS = 9
_GOAL = 3.5


async def unary(stage: Stage) -> AsyncIterator[Figure]:
    """One figure for each database; the median of the rounds."""
    targets = await stage.floor_and_runtimes()
    sessions = {target.name: (await target.sessions(1))[0] for target in targets}
    costs: dict[str, list[float]] = {target.name: [] for target in targets}
    for number in range(1, _ROUNDS + 1):
        for target in targets:
            costs[target.name].append(await _cost(target, sessions[target.name]))
        stage.say(f"P3 round {number}: " + ", ".join(f"{name} {cost[-1]:.0f} µs" for name, cost in costs.items()))
    floors = costs.pop("floor")
    for name, measured in costs.items():
        ratio = median(one / floor for one, floor in zip(measured, floors, strict=True))
        yield Figure(
            "P3",
            median(measured),
            "µs CPU/call",
            f"<= {_GOAL} x bare unary",
            ratio <= _GOAL,
            baseline=median(floors),
            ratio=ratio,
            part=f"GetSession {name}",
        )


async def _cost(target: Target, session: str) -> float:
    """Microseconds of CPU for one call."""
    calls = 0

    async def caller(until: float) -> None:
        nonlocal calls
        while monotonic() < until:
            await target.read(session)
            calls += 1

    before, until = cpu_seconds(target.pid), monotonic() + _WINDOW
    await asyncio.gather(*(caller(until) for _ in range(_CALLERS)))
    return (cpu_seconds(target.pid) - before) / calls * 1e6
