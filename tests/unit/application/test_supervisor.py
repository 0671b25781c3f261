"""A background task that fails is begun again: soon the first time, ever later while it goes on failing."""

from __future__ import annotations

import asyncio

import pytest

from services.application.background.supervisor import Supervisor
from tests.support.clock import ManualClock
from tests.support.waiting import eventually


async def test_a_task_that_was_well_for_a_while_is_soon_there_again(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    pauses: list[float] = []
    lasting = iter([0, 0, 0, 60, 0])

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 5:
            await asyncio.Event().wait()

    async def work() -> None:
        clock.advance(next(lasting))
        raise ValueError("a fault")

    async with Supervisor(clock.monotonic, pause) as supervisor:
        supervisor.start("work", work)
        await eventually(lambda: len(pauses) == 5)
        assert [(state.failures, state.running) for state in supervisor.states()] == [(5, False)]
    assert pauses == [0.1, 0.2, 0.4, 0.1, 0.2]
    assert "background task work failed" in caplog.text
