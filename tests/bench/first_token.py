"""P2: how much later than at the floor the first token comes, while the server is busy with other turns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from statistics import quantiles
from time import monotonic

from tests.bench.figure import Figure
from tests.bench.load import crowd
from tests.bench.stage import Stage, saying
from tests.bench.targets import Target

_RUNNING = 100
_RATE = 50
_NEW_PER_SECOND = 20
_SECONDS = 8.0
_STAGGER = 1.0
_GOALS = {50: 8.0, 99: 40.0}


async def first_token(stage: Stage) -> AsyncIterator[Figure]:
    """Two figures for each database, p50 and p99, in milliseconds over the floor."""
    targets = await stage.floor_and_runtimes()
    until_all_is_over = int((_STAGGER + _SECONDS + 1.5) * _RATE)
    await stage.model.play(saying("speak", until_all_is_over, 1 / _RATE), saying("hello", 10, 1 / _RATE))
    waits: dict[str, list[float]] = {}
    for target in targets:
        waits[target.name] = await _waits(target)
        p50, p99 = (_percentile(waits[target.name], share) for share in _GOALS)
        stage.say(f"P2 {target.name}: first token after {p50:.1f} ms p50, {p99:.1f} ms p99")
    floor = waits.pop("floor")
    for name, measured in waits.items():
        for share, goal in _GOALS.items():
            value, baseline = _percentile(measured, share), _percentile(floor, share)
            yield Figure(
                "P2",
                value,
                "ms",
                f"<= {goal:.0f} ms over the floor",
                value - baseline <= goal,
                baseline=baseline,
                ratio=value / baseline,
                part=f"first token p{share} {name}",
                note=f"{value - baseline:+.1f} ms, of {len(measured)} turns",
            )


async def _waits(target: Target) -> list[float]:
    """The milliseconds to the first token of each new turn."""
    sessions = await target.sessions(_RUNNING)
    new = await target.sessions(int(_SECONDS * _NEW_PER_SECOND))
    async with crowd(target) as running:
        await running.join_over(_STAGGER, sessions, "speak")
        await running.all_speaking()
        arriving = []
        started = monotonic()
        for position, session in enumerate(new):
            await asyncio.sleep(started + position / _NEW_PER_SECOND - monotonic())
            arriving.append(running.join(session, "hello"))
    return [turn.result() * 1e3 for turn in arriving]


def _percentile(values: list[float], share: int) -> float:
    return quantiles(values, n=100, method="inclusive")[share - 1]
