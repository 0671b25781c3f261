"""P1: what a streamed token costs the server, durable before it is delivered, against the floor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from statistics import median
from time import monotonic

from tests.bench.child import cpu_seconds
from tests.bench.figure import Figure
from tests.bench.load import crowd
from tests.bench.stage import Stage, saying
from tests.bench.targets import Target

_TURNS = 100
_RATE = 50
_WINDOW = 3.0
_STAGGER = 2.0
_SETTLING = 0.5
_ROUNDS = 3
_GOAL = 1.5
_BUSY_MODEL = 0.8
_UNJOINED = 0.9
_TOKENS = 60 * _RATE  # more than anybody hears: no turn may end inside a window


@dataclass(frozen=True, slots=True)
class Window:
    """What a steady window cost: microseconds of CPU per token, and whether the model kept its rate meanwhile."""

    cost: float
    rate: float
    messages_per_token: float
    model_share: float


async def streamed_events(stage: Stage) -> AsyncIterator[Figure]:
    """One figure for each database; the ratios are of one round, within a minute, the median of three rounds."""
    targets = await stage.floor_and_runtimes()
    await stage.model.play(saying("speak", _TOKENS, 1 / _RATE))
    sessions = {target.name: await target.sessions(_TURNS) for target in targets}
    windows: dict[str, list[Window]] = {target.name: [] for target in targets}
    for number in range(1, _ROUNDS + 1):
        for target in targets:
            window = await _steady_window(stage, target, sessions[target.name])
            windows[target.name].append(window)
            stage.say(f"P1 round {number}: {target.name} {window.cost:.0f} µs per token at {window.rate:.0f}/s")
    floors = windows.pop("floor")
    for name, measured in windows.items():
        ratio = median(one.cost / floor.cost for one, floor in zip(measured, floors, strict=True))
        yield Figure(
            "P1",
            median(one.cost for one in measured),
            "µs CPU/token",
            f"<= {_GOAL} x the floor",
            ratio <= _GOAL,
            baseline=median(floor.cost for floor in floors),
            ratio=ratio,
            part=name,
            note=_note(measured, floors),
        )


async def _steady_window(stage: Stage, target: Target, sessions: list[str]) -> Window:
    async with crowd(target) as turns:
        await turns.join_over(_STAGGER, sessions, "speak")
        await turns.all_speaking()
        await asyncio.sleep(_SETTLING)
        before, model_before, began = cpu_seconds(target.pid), cpu_seconds(stage.model_pid), monotonic()
        tokens, messages = turns.tokens, turns.messages
        await asyncio.sleep(_WINDOW)
        cost, took = cpu_seconds(target.pid) - before, monotonic() - began
        tokens, messages = turns.tokens - tokens, turns.messages - messages
        model_share = (cpu_seconds(stage.model_pid) - model_before) / took
        await turns.stop(sessions)
    return Window(cost / tokens * 1e6, tokens / took, messages / tokens, model_share)


def _note(measured: list[Window], floors: list[Window]) -> str:
    rate, floor_rate = (median(one.rate for one in windows) for windows in (measured, floors))
    messages = median(one.messages_per_token for one in measured)
    share = max(one.model_share for one in (*measured, *floors))
    nominal = _TURNS * _RATE
    note = (
        f"{rate:,.0f} tokens/s of {nominal:,} came (floor {floor_rate:,.0f}), {messages:.2f} messages a token; "
        f"the model used {share:.0%} of a core"
    )
    if share > _BUSY_MODEL:
        note += ", so that it was the bottleneck"
    if messages < _UNJOINED or min(rate, floor_rate) < _UNJOINED * nominal:
        note += "; the machine was too busy, so tokens came joined to fewer messages, which flatters the ratio"
    return note
