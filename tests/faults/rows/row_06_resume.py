"""Row 6: a client leaves its stream at any event and goes on at another replica; it has seen what is stored."""

from __future__ import annotations

import asyncio
import random
import time

from tests.faults.harness.caller import Caller
from tests.faults.harness.load import Ended, Load
from tests.faults.harness.script import script
from tests.faults.harness.verdict import Measure, Verdict, spread
from tests.faults.harness.world import World, world

ROW = 6
REDUCED, FULL = 200, 1000
_SHARE_OF_ITEMS = 0.15


async def run(leaves: int, seed: int) -> Verdict:
    """Leaves and comes back so many times while turns run, then half as often to sessions at rest."""
    choice = random.Random(seed)
    async with world(*script(0.02, words=30)) as w:
        load = Load(w.net, w.postgres.url, sessions=10, seed=seed, name="resume", restless=_SHARE_OF_ITEMS)
        load.start()
        while load.left < leaves and not load.violations:
            await load.settled()
        await load.finish()
        replays = [await _replay(w, choice.choice(load.ended), choice) for _ in range(leaves // 2)]
        refused = await w.refused_histories()
    started = [1000 * seconds for seconds, _ in replays]
    return Verdict(
        ROW,
        seed,
        (
            Measure("leaves", load.left, at_least=leaves),
            Measure("turns", load.turns),
            Measure("replays", len(replays)),
            Measure("wrong_replays", sum(not right for _, right in replays), at_most=0, at_least=0),
            *spread("replay_start_ms", started, at_most=100.0),
            Measure("refused_by_model", refused, at_most=0, at_least=0),
        ),
        tuple(load.violations),
        load.history,
    )


async def _replay(w: World, session: Ended, choice: random.Random) -> tuple[float, bool]:
    """Reads a session at rest from any number on any replica: seconds to the first event, and whether all came."""
    client = Caller(w.net, session.owner).at(choice.choice(w.net.names))
    after = choice.randrange(session.last_sequence)
    call = client.watch(session.session_id, after_sequence=after, stop_at_head=True)
    asked = time.monotonic()
    first, numbers = 0.0, []
    async with asyncio.timeout(10):
        async for item in call:
            first = first or time.monotonic() - asked
            numbers.append(item.event.sequence)
    return first, numbers == list(range(after + 1, session.last_sequence + 1))
