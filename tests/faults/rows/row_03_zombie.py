"""Row 3: a replica is frozen for three leases in mid-turn, others finish its turns, then it wakes up and goes on."""

from __future__ import annotations

import asyncio
import random
import time

from tests.faults.harness.load import Load
from tests.faults.harness.script import script
from tests.faults.harness.verdict import Measure, Verdict, percentile
from tests.faults.harness.world import world

ROW = 3
REDUCED, FULL = 3, 50
_LEASE = 2.0
_NOTICED = "the lease was lost"


async def run(freezes: int, seed: int) -> Verdict:
    """Freezes one of two replicas so many times; what it writes afterwards must not count."""
    choice = random.Random(seed)
    gave_up: list[float] = []
    # Silent calls: a zombie's first write is then a step as often as a flush, and both must be fenced.
    async with world(*script(0.02, words=30, silent=True), settings={"LEASE": str(_LEASE)}) as w:
        load = Load(w.net, w.postgres.url, sessions=10, seed=seed, name="zombie")
        load.start()
        await load.settled()
        for _ in range(freezes):
            await asyncio.sleep(choice.uniform(0.0, 1.0))
            victim = choice.choice(w.replicas)
            victim.freeze()
            await asyncio.sleep(3 * _LEASE)
            thawed = time.time()
            victim.thaw()
            await load.settled()
            gave_up.append(min((at for at in victim.logged(_NOTICED) if at >= thawed), default=thawed + 99) - thawed)
            if load.violations:
                break
        await load.finish()
        refused = await w.refused_histories()
    return Verdict(
        ROW,
        seed,
        (
            Measure("freezes", len(gave_up), at_least=freezes),
            Measure("turns", load.turns),
            Measure("takeovers", len(load.restarts), at_least=freezes),
            Measure("gave_up_p50", percentile(gave_up, 0.5)),
            Measure("gave_up_max", max(gave_up, default=0.0), at_most=1.0, timed=True),
            Measure("refused_by_model", refused, at_most=0, at_least=0),
        ),
        tuple(load.violations),
        load.history,
    )
