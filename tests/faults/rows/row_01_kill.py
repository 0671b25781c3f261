"""Row 1: kill -9 of a replica that streams, at random moments of every kind of turn."""

from __future__ import annotations

import asyncio
import random
import time

from tests.faults.harness.load import Load
from tests.faults.harness.replicas import Replica
from tests.faults.harness.script import script
from tests.faults.harness.verdict import Measure, Verdict, percentile, spread
from tests.faults.harness.world import world

ROW = 1
REDUCED, FULL = 8, 200
_LEASE = 5.0
_SESSIONS = 16
# It was renewed at most a fifth before the kill; a turn that is taken over sooner was taken from a living replica.
_EARLIEST = 0.75 * _LEASE


async def run(kills: int, seed: int, *, pooled: bool = False) -> Verdict:
    """Kills one of two replicas so many times, each once the wounds of the last are healed."""
    choice = random.Random(seed)
    killed_at: list[float] = []
    async with world(*script(0.02, words=20), settings={"LEASE": str(_LEASE)}, pooled=pooled) as w:
        load = Load(w.net, w.postgres.url, sessions=_SESSIONS, seed=seed, name="kill")
        load.start()
        await load.settled()
        for _ in range(kills):
            await asyncio.sleep(choice.uniform(0.0, 1.0))
            victim = choice.choice(w.replicas)
            killed_at.append(time.time())
            await victim.kill()
            await asyncio.gather(load.settled(), _start_later(victim, choice.uniform(0.0, 2.0)))
            if load.violations:
                break
        await load.finish()
        refused = await w.refused_histories()
    takeovers = [seen.at - max((at for at in killed_at if at < seen.at), default=seen.at) for seen in load.restarts]
    return Verdict(
        ROW,
        seed,
        (
            Measure("kills", len(killed_at), at_least=kills),
            Measure("turns", load.turns),
            Measure("takeovers", len(takeovers), at_least=kills),
            Measure("takeover_min", min(takeovers, default=0.0), at_least=_EARLIEST),
            *spread("takeover", takeovers, at_most=8.0),
            Measure("takeover_max", max(takeovers, default=0.0), at_most=15.0, timed=True),
            Measure("watch_lag_p99", percentile(load.lags, 0.99)),
            Measure("refused_by_model", refused, at_most=0, at_least=0),
        ),
        tuple(load.violations),
        load.history,
    )


async def _start_later(victim: Replica, seconds: float) -> None:
    await asyncio.sleep(seconds)
    await victim.start()
