"""Row 12: readers and turns that are cancelled at any moment, over and over, leave nothing behind."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence

from devtools.scripted_model import Reply, When, reply, text
from tests.faults.crowd.stage import OWNER, Stage, stage
from tests.faults.harness.verdict import Measure, Verdict
from tests.support.runtime_client import read_until, text_of

ROW = 12
REDUCED, FULL = 5_000, 200_000
_SESSIONS = 50
_CONNECTIONS = 20
_AT_ONCE = 60
_LONGEST = 0.4
_WARM_UP = 0.2  # of the churn: what a server allocates once
_TURNS_EVERY = 50  # streams cancelled for one turn cancelled
_ASKED_AFTERWARDS = 30
_SETTLED_SECONDS = 30.0
_POOL = 10 + 2 + 1  # for calls and turns; the log and the lease; wake-ups
_IDLE_SECONDS = 1.0

_LONG: Reply = reply(
    text("word " * 200, chunk_characters=5, chunk_delay=0.02), when=When(last_user_contains="talk"), repeat=True
)
_SHORT: Reply = reply(text("fine"), when=When(last_user_contains="well?"), repeat=True)


async def run(streams: int, seed: int) -> Verdict:
    """Cancels so many streams, and a turn now and then, and looks at what the server still holds."""
    async with stage(_LONG, _SHORT) as on:
        sessions = await on.sessions(_SESSIONS)
        await on.crowd.do("connect", owner=OWNER, connections=_CONNECTIONS)
        await _churn(on, sessions, int(streams * _WARM_UP), seed)
        await _settled(on)
        before = on.usage()
        began = time.monotonic()
        turns = await _churn(on, sessions, streams, seed + 1)
        took = time.monotonic() - began
        watched = await _settled(on)
        after = on.usage()
        answered = sum(await asyncio.gather(*(_answered(on, session) for session in sessions[:_ASKED_AFTERWARDS])))
        playing = (await on.model.counts())["playing"]
        full = streams >= FULL
        return Verdict(
            ROW,
            seed,
            (
                Measure("cancelled", streams),
                Measure("per_second", streams / took),
                Measure("turns_cancelled", turns, at_least=1),
                Measure(
                    "bytes_per_cancel",
                    1e6 * (after.megabytes - before.megabytes) / streams,
                    at_most=128.0 if full else None,
                    timed=True,
                ),
                Measure("more_files", after.files - before.files, at_most=2),
                Measure("connections", await on.connections(), at_most=_POOL),
                Measure("connections_held", await on.held(_IDLE_SECONDS), at_most=0, at_least=0),
                Measure("still_watched", watched, at_most=0, at_least=0),
                Measure("still_asked", playing, at_most=0, at_least=0),
                Measure("answered", answered, at_least=_ASKED_AFTERWARDS),
                Measure("handlers_reached", on.watches_ended()),
                Measure("errors", on.errors, at_most=0, at_least=0),
            ),
        )


async def _churn(on: Stage, sessions: Sequence[str], count: int, seed: int) -> int:
    """Cancels so many streams, and turns meanwhile; how many turns."""
    rng = random.Random(seed)
    churning = asyncio.create_task(
        on.crowd.do("churn", sessions=sessions, count=count, longest=_LONGEST, at_once=_AT_ONCE, seed=seed)
    )
    turns = 0
    while not churning.done() and turns < max(1, count // _TURNS_EVERY):
        turn = on.client.send(session := rng.choice(sessions), "talk")
        events = await read_until(turn, lambda seen: bool(text_of(seen)))
        await asyncio.sleep(rng.uniform(0.0, 0.1))
        turn.cancel()
        await on.client.cancel(session, events[0].turn_id)
        turns += 1
    await churning
    return turns


async def _settled(on: Stage) -> int:
    """Waits until no session counts as watched any more; how many still do when it takes too long."""
    ends_at = time.monotonic() + _SETTLED_SECONDS
    while True:
        watched = await on.watched()
        if not watched or time.monotonic() > ends_at:
            return watched
        await asyncio.sleep(0.5)


async def _answered(on: Stage, session: str) -> bool:
    events = await on.client.ask(session, "well?")
    return events[-1].turn_completed.result_text == "fine"
