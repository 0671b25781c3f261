"""A loop that stands still is noticed, and the log says where, without a word of what it was about."""

from __future__ import annotations

import asyncio
import io
import json
import time

import pytest

from server.loop_watch import LoopLag, LoopWatch
from server.telemetry.logs import configure_logging
from tests.support.logging_state import kept_logging

WORDS = "what somebody said"


def after(*late: float) -> bool:
    lag = LoopLag(limit=1.0)
    for seconds in late:
        lag.beat(seconds)
    return lag.well


@pytest.mark.parametrize(
    ("late", "well"),
    [
        ((), True),
        ((0.9,), True),
        ((1.0,), False),
        ((0.4, 0.4), True),
        ((0.4, 0.4, 0.4), False),
        ((0.4, 0.4, 0.0, 0.4), True),
        ((0.2,) * 20, True),
        ((3.0, *(0.0,) * 9), False),
        ((3.0, *(0.0,) * 10), True),
        ((3.0, *(0.0,) * 9, 0.3), False),
    ],
)
def test_one_long_stand_or_several_in_a_row_are_too_much(late: tuple[float, ...], well: bool) -> None:
    assert after(*late) is well


async def test_it_says_where_the_loop_stands_and_when_it_runs_again() -> None:
    said: list[bool] = []
    log = io.StringIO()
    with kept_logging():
        configure_logging(level="INFO", stream=log)
        task = asyncio.create_task(LoopWatch(LoopLag(0.2), said.append).run())
        await asyncio.sleep(0.15)
        stand_still(WORDS)
        async with asyncio.timeout(10):
            while said != [False, True]:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.wait({task})
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    where, how_long = (line for line in lines if line["event"].startswith("the event loop st"))
    assert (where["event"], how_long["event"]) == ("the event loop stands still", "the event loop stood still")
    assert "in stand_still" in where["stack"]
    assert how_long["seconds"] >= 0.2
    assert WORDS not in log.getvalue()


def stand_still(words: str) -> int:
    """Works as code does that never lets go."""
    ends_at = time.monotonic() + 0.6
    while time.monotonic() < ends_at:
        pass
    return len(words)
