"""Row 19: a replica is asked to stop with very many streams open; all go on elsewhere and miss nothing."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field

from tests.faults.harness.audience import Session, all_speak, judged, new_sessions, open_views, speak, watch
from tests.faults.harness.replicas import Replica
from tests.faults.harness.script import script
from tests.faults.harness.verdict import Measure, Verdict
from tests.faults.harness.world import World, world
from tests.faults.rows.row_19_bad_times import stops_amid_the_start, stops_without_database
from tests.support.health import NOT_SERVING, HealthClient

ROW = 19
REDUCED, FULL = 1, 50
_DRAIN_DELAY, _GRACE = 1.0, 10.0
_PATIENCE = 60.0
# What becomes of a stream; the last is one that the replica had not begun when it was time to go.
_TOLD = frozenset({"drained", "ok", "UNAVAILABLE DRAINING"})
_BAD_STARTS, _OUTAGES = 20, 4
_SECOND_SIGNAL_AFTER = 0.3


@dataclass
class Figures:
    """What the stops were like; times are seconds."""

    not_serving: list[float] = field(default_factory=list)
    noticed: list[float] = field(default_factory=list)
    handed_over: list[float] = field(default_factory=list)
    exits: list[float] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    open_streams: list[int] = field(default_factory=list)
    cut_streams: int = 0


async def run(stops: int, seed: int) -> Verdict:
    """Stops one of two replicas so many times, the one where all streams are; every second time with two signals."""
    streams, turns, words, delay = (1000, 300, 8, 1.0) if stops > REDUCED else (100, 30, 8, 0.4)
    figures = Figures()
    settings = {"DRAIN_DELAY": str(_DRAIN_DELAY), "GRACE": str(_GRACE)}
    async with world(*script(delay, words=words), settings=settings) as w:
        sessions = await new_sessions(w, f"stop-{seed}", turns)
        watching: list[asyncio.Task[None]] = []
        for number in range(stops):
            stopped = max(w.replicas, key=lambda replica: len(open_views(sessions, replica)))
            speaking = await speak(w, sessions, stopped)
            if not watching:
                watching = await watch(w, sessions, streams - turns, stopped)
            await all_speak(sessions)
            await _stop(w, stopped, sessions, figures, twice=number % 2 == 1)
            await asyncio.gather(*speaking)
            if number < stops - 1:
                await stopped.start()
        found, history = await judged(w, sessions, watching)
        refused = await w.refused_histories()
    more: tuple[Measure, ...] = ()
    if stops > REDUCED:
        starts = await stops_amid_the_start(_BAD_STARTS, random.Random(seed), within=_GRACE + 1.0)
        outages, broken = await stops_without_database(_OUTAGES, seed, within=_DRAIN_DELAY + _GRACE + 1.0)
        more, found = (*starts, *outages), [*found, *broken]
    return Verdict(
        ROW,
        seed,
        (
            Measure("stops", len(figures.exits), at_least=stops),
            Measure("open_streams", min(figures.open_streams), at_least=0.9 * streams, timed=True),
            Measure("turns", turns * stops),
            Measure("cut_streams", figures.cut_streams, at_most=0, at_least=0),
            Measure("not_serving_ms", 1000 * max(figures.not_serving), at_most=100, timed=True),
            Measure("noticed_by_client_ms", 1000 * max(figures.noticed)),
            Measure("turns_handed_over", len(figures.handed_over), at_least=turns * stops // 2, timed=True),
            Measure("handed_over_after", max(figures.handed_over, default=99.0), at_most=5.0, timed=True),
            Measure("exit_after", max(figures.exits), at_most=_DRAIN_DELAY + _GRACE + 1.0, timed=True),
            Measure("exit_codes", sum(map(abs, figures.codes)), at_most=0, at_least=0),
            *more,
            Measure("refused_by_model", refused, at_most=0, at_least=0),
        ),
        tuple(found),
        history,
    )


async def _stop(w: World, replica: Replica, sessions: list[Session], figures: Figures, *, twice: bool) -> None:
    """Signals, and looks at what follows until the process has ended and all streams have moved."""
    views = open_views(sessions, replica)
    channel = w.net.channels[replica.name]
    noticing = asyncio.create_task(HealthClient(channel).becomes(NOT_SERVING))
    await asyncio.sleep(0.3)  # the watch is open by then
    asked, asked_at = time.monotonic(), time.time()
    ending = asyncio.create_task(replica.terminate())
    noticed_at = asyncio.create_task(_when(noticing))
    if twice:
        await asyncio.sleep(_SECOND_SIGNAL_AFTER)
        replica.signal_stop()
    figures.codes.append(await ending)
    figures.exits.append(time.monotonic() - asked)
    figures.noticed.append(await noticed_at - asked)
    figures.not_serving.append(max(replica.logged("draining")) - asked_at)
    figures.open_streams.append(len(views))
    async with asyncio.timeout(_PATIENCE):
        while any(view.end == "open" for view in views):  # noqa: ASYNC110 - tells nobody
            await asyncio.sleep(0.02)
    figures.cut_streams += sum(view.end not in _TOLD for view in views)
    drained_at = asked_at + (_SECOND_SIGNAL_AFTER if twice else _DRAIN_DELAY)
    async with asyncio.timeout(_PATIENCE):
        while any(not _settled_after(session, drained_at) for session in sessions):  # noqa: ASYNC110 - neither
            await asyncio.sleep(0.1)
    for session in sessions:
        at = _taken_up_at(session, drained_at)
        figures.handed_over += [at - drained_at] if at is not None else []


async def _when(task: asyncio.Task[float]) -> float:
    await task
    return time.monotonic()


def _taken_up_at(session: Session, since: float) -> float | None:
    """When its turn was taken up again, by the clock of the servers; a hurried stop may drain a little earlier."""
    return min((at for at in session.taken_up if at >= since - _SECOND_SIGNAL_AFTER), default=None)


def _settled_after(session: Session, since: float) -> bool:
    """Whether its turn was taken up again, or had ended."""
    return session.over or _taken_up_at(session, since) is not None
