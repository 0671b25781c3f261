"""P9: how long the embedded server takes from its start to its first call, its database made on the way."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from statistics import median

from tests.bench.child import cpu_seconds
from tests.bench.figure import Figure
from tests.bench.stage import Stage

_STARTS = 3
_GOAL = 1.5


async def starting(stage: Stage) -> AsyncIterator[Figure]:
    """The median of three starts."""
    walls, costs = [], []
    for _ in range(_STARTS):
        began = time.monotonic()
        async with stage.runtime("SQLite") as server:
            walls.append(time.monotonic() - began)
            costs.append(cpu_seconds(server.pid))
    wall = median(walls)
    stage.say(f"P9: {wall:.2f} s")
    note = f"{median(costs):.2f} s of CPU, which is what a machine with nothing else to do needs"
    yield Figure("P9", wall, "s", f"<= {_GOAL} s", wall <= _GOAL, part="start to serving, embedded", note=note)
