"""P5: what a turn costs the server in a session of 1,000 messages, against one of 10.

The history goes to the model either way; sending it is the least part, so its bytes are counted with the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from statistics import median

from tests.bench.child import cpu_seconds
from tests.bench.figure import Figure
from tests.bench.stage import Stage, saying
from tests.bench.targets import Target

_LONG = 1000
_SHORT = 10
_TURNS = 25
_ROUNDS = 3
_GOAL = 1.5


async def long_sessions(stage: Stage) -> AsyncIterator[Figure]:
    """One figure for each database; the median of three rounds."""
    _, *targets = await stage.floor_and_runtimes()
    await stage.model.play(saying("hello", 10, 0.0))
    stage.say(f"P5: talking until a session has {_LONG:,} messages")
    prepared = await asyncio.gather(*(_prepare(target) for target in targets))
    for target, (long, short) in zip(targets, prepared, strict=True):
        costs = []
        for _ in range(_ROUNDS):
            costs.append((await _cost(target, [long] * _TURNS), await _cost(target, short)))
        ratio = median(one / other for one, other in costs)
        value, baseline = (median(column) for column in zip(*costs, strict=True))
        stage.say(f"P5 {target.name}: {value:.1f} ms against {baseline:.1f} ms")
        yield Figure(
            "P5",
            value,
            "ms CPU/turn",
            f"<= {_GOAL} x a short one",
            ratio <= _GOAL,
            baseline=baseline,
            ratio=ratio,
            part=f"turn among {_LONG:,} messages {target.name}",
        )


async def _prepare(target: Target) -> tuple[str, list[str]]:
    """A long session, and as many short ones as there are turns in a round, so that they stay short."""
    long, *short = await target.sessions(1 + _TURNS)
    await _talk(target, [long] * (_LONG // 2))
    for session in short:
        await _talk(target, [session] * (_SHORT // 2))
    return long, short


async def _cost(target: Target, sessions: Sequence[str]) -> float:
    """Milliseconds of CPU for one turn."""
    before = cpu_seconds(target.pid)
    await _talk(target, sessions)
    return (cpu_seconds(target.pid) - before) / len(sessions) * 1e3


async def _talk(target: Target, sessions: Sequence[str]) -> None:
    """One turn after the other."""
    for session in sessions:
        async for _ in target.turn(session, "hello, what is there to say about this?"):
            pass
