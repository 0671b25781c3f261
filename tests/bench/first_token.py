"""P2: how much later than at the floor the first token comes, while the server is busy with other turns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from statistics import quantiles
from time import monotonic

from tests.bench.child import cpu_seconds
from tests.bench.figure import Figure
from tests.bench.load import crowd
from tests.bench.stage import Stage, saying
from tests.bench.targets import Target

_RUNNING = 100
_RATE = 50
_NEW_PER_SECOND = 20
_SECONDS = 8.0
_STAGGER = 2.0
_TOKENS = 120 * _RATE  # more than anybody hears
_GOALS = {50: 8.0, 99: 40.0}


@dataclass(frozen=True, slots=True)
class Arrivals:
    """The milliseconds to the first token of each new turn, and the share of a core that the server used."""

    waits: list[float]
    share: float


async def first_token(stage: Stage) -> AsyncIterator[Figure]:
    """Two figures for each database, p50 and p99, in milliseconds over the floor."""
    targets = await stage.floor_and_runtimes()
    await stage.model.play(saying("speak", _TOKENS, 1 / _RATE), saying("hello", 10, 1 / _RATE))
    arrivals: dict[str, Arrivals] = {}
    for target in targets:
        arrivals[target.name] = arrived = await _arrivals(target)
        p50, p99 = (_percentile(arrived.waits, share) for share in _GOALS)
        stage.say(f"P2 {target.name}: first token after {p50:.1f} ms p50, {p99:.1f} ms p99")
    floor = arrivals.pop("floor")
    for name, arrived in arrivals.items():
        for share, goal in _GOALS.items():
            value, baseline = _percentile(arrived.waits, share), _percentile(floor.waits, share)
            yield Figure(
                "P2",
                value,
                "ms",
                f"<= {goal:.0f} ms over the floor",
                value - baseline <= goal,
                baseline=baseline,
                ratio=value / baseline,
                part=f"first token p{share} {name}",
                note=f"{value - baseline:+.1f} ms; {len(arrived.waits)} turns, {arrived.share:.0%} of a core used",
            )


async def _arrivals(target: Target) -> Arrivals:
    sessions = await target.sessions(_RUNNING)
    new = await target.sessions(int(_SECONDS * _NEW_PER_SECOND))
    async with crowd(target) as turns:
        await turns.join_over(_STAGGER, sessions, "speak")
        await turns.all_speaking()
        before, began = cpu_seconds(target.pid), monotonic()
        await turns.join_over(_SECONDS, new, "hello")
        share = (cpu_seconds(target.pid) - before) / (monotonic() - began)
        waits = await asyncio.gather(*(turns.turns[session] for session in new))
        await turns.stop(sessions)
    return Arrivals([wait * 1e3 for wait in waits], share)


def _percentile(values: list[float], share: int) -> float:
    return quantiles(values, n=100, method="inclusive")[share - 1]
