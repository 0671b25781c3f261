"""Row 4: PostgreSQL crashes and comes back while replicas write to it; what was acknowledged must be there."""

from __future__ import annotations

import asyncio
import random

from devtools.local_postgres import local_postgres
from tests.faults.harness.load import Load
from tests.faults.harness.script import script
from tests.faults.harness.verdict import Measure, Verdict, percentile
from tests.faults.harness.world import world
from tests.faults.harness.writers import Writers
from tests.support.server_command import serve_once

ROW = 4
REDUCED, FULL = 3, 20


async def run(restarts: int, seed: int, *, pooled: bool = False) -> Verdict:
    """Restarts the database so many times, as after a crash."""
    choice = random.Random(seed)
    back: list[float] = []
    pauses = (1.0, 2.0) if restarts <= REDUCED else (5.0, 40.0)
    async with world(*script(0.02, words=30), pooled=pooled) as w:
        load = Load(w.net, w.postgres.url, sessions=10, seed=seed, name="restart")
        writers = Writers(w.net, 50)
        load.start()
        writers.start()
        await load.settled()
        for _ in range(restarts):
            await asyncio.sleep(choice.uniform(*pauses))
            ready = await w.postgres.crash_and_restart()
            await load.settled()
            back.append(writers.first_after(ready.timestamp()))
            if load.violations:
                break
        await writers.stop()
        await load.finish()
        lost = await writers.lost(w.postgres.url)
        refused = await w.refused_histories()
        statuses = dict(w.net.statuses)
    return Verdict(
        ROW,
        seed,
        (
            Measure("restarts", len(back), at_least=restarts),
            Measure("turns", load.turns),
            Measure("acknowledged", len(writers.acknowledged)),
            Measure("lost", len(lost), at_most=0, at_least=0),
            Measure("first_success_p50", percentile(back, 0.5)),
            Measure("first_success_max", max(back, default=0.0), at_most=2.0, timed=True),
            Measure("unanswered", statuses.get("no answer", 0)),
            Measure("asynchronous_commit_refused", await _asynchronous_commit_is_refused(), at_least=1),
            Measure("refused_by_model", refused, at_most=0, at_least=0),
        ),
        (*load.violations, *writers.complaints),
        load.history,
    )


async def _asynchronous_commit_is_refused() -> bool:
    """Whether a server will not start on a database that acknowledges what it may still lose."""
    async with local_postgres("synchronous_commit = off") as careless:
        try:
            code, output = await serve_once(careless.url)
        except TimeoutError:
            return False  # it serves
    return code == 2 and "synchronous_commit" in output
