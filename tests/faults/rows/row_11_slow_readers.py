"""Row 11: readers that take nothing, or a byte a second, cost little memory, hold nobody up, and are let go."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from devtools.scripted_model import reply, text
from tests.faults.crowd.running import crowd_at
from tests.faults.crowd.stage import OWNER, Stage, stage
from tests.faults.harness.verdict import Measure, Verdict, percentile
from tests.support.runtime_client import text_of

ROW = 11
REDUCED, FULL = 20, 200
_PIECE = 4_000
_PIECES = 100  # of an answer, so 400 kB: far more than a connection takes when nobody reads it
_GOOD_CONNECTIONS = 4
_SAMPLED_EVERY = 0.5
_PATIENCE_OF_ROW = 90.0
_LET_GO = 60.0
_MORE_MEGABYTES = 64.0
_FLAT_AFTER = 10.0
_FLAT_MEGABYTES = 8.0
_HEARD_AFTER = 2.0
_LATER = 1.2
_NOISE_MS = 5.0  # of a lag that is small


@dataclass
class _Watched:
    """What the good readers saw while the answers came, and what the server took for it, sample by sample."""

    megabytes: list[float] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def rise(self) -> float:
        """By how much it grew after the first seconds; the cache does until it is full, without slow readers, too."""
        later = self.megabytes[int(_FLAT_AFTER / _SAMPLED_EVERY) :]
        return max(later) - later[0] if later else 0.0

    @property
    def lag_ms(self) -> float:
        return 1000 * percentile(self.lags, 0.99)


async def run(peers: int, seed: int) -> Verdict:
    """So many sessions answer at once: first to good readers alone, then to two slow ones each as well."""
    full = peers >= FULL
    words = "x" * _PIECE * _PIECES
    answer = reply(text(words, chunk_characters=_PIECE, chunk_delay=0.4 if full else 0.03), repeat=True)
    settings = {"SLOW_CONSUMER_TIMEOUT": "20" if full else "2"}
    async with stage(answer, settings=settings) as on, crowd_at(on.address) as rude:
        sessions = await on.sessions(peers)
        await on.crowd.do("connect", owner=OWNER, connections=_GOOD_CONNECTIONS)
        await on.crowd.do("watch", sessions=sessions)
        alone = await _answers(on, sessions)
        await on.crowd.do("hang_up")
        await _let_go(on, peers, time.monotonic())
        sessions = await on.sessions(peers)  # others: a turn holds what was said before in its session
        await on.crowd.do("connect", owner=OWNER, connections=_GOOD_CONNECTIONS)
        await on.crowd.do("watch", sessions=sessions)
        await rude.do("connect", owner=OWNER, connections=peers, drip=1)
        await rude.do("watch", sessions=sessions)
        await rude.do("connect", owner=OWNER, connections=peers, deaf=True)
        await rude.do("watch", sessions=sessions, wait=False)
        began = time.monotonic()
        crowded = await _answers(on, sessions)
        let_go = await _let_go(on, 3 * peers, began)
        await rude.do("read_on")
        await asyncio.sleep(_HEARD_AFTER)
        told = [end for end in (await rude.do("seen"))["ended"] if end["reason"] == "SLOW_CONSUMER"]
        stored = sum([text_of(await on.client.log(session, 0)) == words for session in sessions])
        resumed = sum([await _goes_on(on, end) for end in told])
    counts = alone.counts + crowded.counts
    return Verdict(
        ROW,
        seed,
        (
            Measure("slow_readers", 2 * peers),
            Measure("more_mb", max(crowded.megabytes) - max(alone.megabytes), at_most=_MORE_MEGABYTES, timed=True),
            Measure("slope_mb", crowded.rise - alone.rise, at_most=_FLAT_MEGABYTES, timed=True),
            Measure("stored", stored, at_least=peers),
            Measure("lag_ms_alone", alone.lag_ms),
            Measure("lag_ms", crowded.lag_ms, at_most=_LATER * alone.lag_ms + _NOISE_MS, timed=True),
            Measure("lost", counts["lost"], at_most=0, at_least=0),
            Measure("doubled", counts["doubled"], at_most=0, at_least=0),
            Measure("let_go_s", let_go if let_go is not None else -1.0, at_most=_LET_GO, timed=True),
            Measure("told_why", len(told), at_least=peers),
            Measure("resumed", resumed, at_least=len(told)),
            Measure("errors", on.errors, at_most=0, at_least=0),
        ),
        () if let_go is not None else ("slow readers are still there",),
    )


async def _answers(on: Stage, sessions: Sequence[str]) -> _Watched:
    """Asks in each session, and looks on until all are answered."""
    watched = _Watched()

    async def ask(session: str) -> None:
        async for _ in on.client.send(session, "go", detach=True):
            pass

    await asyncio.gather(*(ask(session) for session in sessions))
    async with asyncio.timeout(_PATIENCE_OF_ROW):
        while watched.counts["turn_completed"] < len(sessions):
            await asyncio.sleep(_SAMPLED_EVERY)
            watched.megabytes.append(on.usage().megabytes)
            seen = await on.crowd.do("seen")
            watched.lags += seen["lags"]
            watched.counts.update(seen["counts"])
    return watched


async def _let_go(on: Stage, streams: int, began: float) -> float | None:
    """The seconds from the first piece until the server has ended so many streams; None when it does not."""
    while time.monotonic() < began + _PATIENCE_OF_ROW:
        if on.watches_ended() >= streams:
            return time.monotonic() - began
        await asyncio.sleep(_SAMPLED_EVERY)
    return None


async def _goes_on(on: Stage, end: dict[str, str]) -> bool:
    """Whether a stream from the cursor that the slow reader got has everything after it."""
    after = int(end["resume_after_sequence"])
    numbers = [event.sequence for event in await on.client.log(end["session"], after)]
    return numbers == list(range(after + 1, after + 1 + len(numbers))) and bool(numbers)
