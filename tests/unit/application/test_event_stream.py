"""A client's stream: every number delivered or declared missing, signs of life, and a clean end."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from services.application.event_feed import EventFeed
from services.application.event_stream import (
    Drain,
    EventStream,
    Gap,
    GapReason,
    Heartbeat,
    Item,
    StreamSettings,
)
from services.application.ports import SessionSnapshot, SessionView
from services.domain.agent_context import AgentContext
from services.domain.errors import SessionNotFoundError
from services.domain.session_events import SessionDeleted, SessionEvent
from tests.support.changes import NOW, a_session
from tests.support.clock import ManualClock
from tests.support.memory_log import MemoryLog, event

KEY = 1
QUICK = StreamSettings(heartbeat=0.01)


def a_snapshot(as_of: int = 0) -> SessionSnapshot:
    view = SessionView(a_session(), AgentContext("universal"), as_of)
    return SessionSnapshot(view, None, None, "", "", (), (), (), as_of)


class Watched:
    """A session's log, its feed and streams over it."""

    def __init__(self, events: int = 0, *, page: int = 3) -> None:
        self.log = MemoryLog(page=page)
        self.log.commit(KEY, *(event(n) for n in range(1, events + 1)))
        self.feed = EventFeed(self.log)
        self.clock = ManualClock()

    def stream(self, after: int = 0, *, settings: StreamSettings = QUICK, **options: object) -> EventStream:
        given: dict[str, object] = {"ends_with": lambda _: False, "through": self.log.heads.get(KEY, 0)}
        return EventStream(
            self.feed,
            KEY,
            after,
            clock=self.clock,
            settings=settings,
            **(given | options),  # type: ignore[arg-type]
        )


async def whole(stream: EventStream) -> list[Item]:
    batches = [batch async for batch in stream.items()]
    assert all(batches), "an empty batch"
    return [item for batch in batches for item in batch]


def numbers(items: list[Item]) -> list[int]:
    """Every number that the items deliver or declare missing."""
    found: list[int] = []
    for item in items:
        if isinstance(item, SessionEvent):
            found.append(item.sequence)
        elif isinstance(item, Gap):
            found.extend(range(item.from_sequence, item.to_sequence + 1))
    return found


async def test_a_stream_without_holes_is_the_log() -> None:
    items = await whole(Watched(7).stream(after=2))
    assert items == [event(n) for n in range(3, 8)]


async def test_a_hole_is_declared_where_it_is() -> None:
    watched = Watched(7, page=100)
    watched.log.compact(KEY, 2, 3, 5)
    assert await whole(watched.stream()) == [
        event(1),
        Gap(2, 3, GapReason.COMPACTED),
        event(4),
        Gap(5, 5, GapReason.COMPACTED),
        event(6),
        event(7),
    ]


async def test_a_hole_at_the_end_is_declared_too() -> None:
    watched = Watched(4, page=100)
    watched.log.compact(KEY, 3, 4)
    assert await whole(watched.stream()) == [event(1), event(2), Gap(3, 4, GapReason.COMPACTED)]


async def test_what_was_cleared_is_told_from_what_was_compacted_and_a_snapshot_follows() -> None:
    watched = Watched(6, page=100)
    watched.log.compact(KEY, 1, 2, 3, 4)
    watched.log.cleared[KEY] = 3

    async def snapshot() -> SessionSnapshot:
        return a_snapshot(6)

    assert await whole(watched.stream(snapshot=snapshot)) == [
        Gap(1, 3, GapReason.CLEARED),
        a_snapshot(6),
        Gap(4, 4, GapReason.COMPACTED),
        event(5),
        event(6),
    ]


async def test_a_cleared_gap_begins_where_the_reader_stood() -> None:
    watched = Watched(6, page=100)
    watched.log.compact(KEY, 1, 2, 3, 4, 5)
    watched.log.cleared[KEY] = 5
    assert await whole(watched.stream(after=2)) == [Gap(3, 5, GapReason.CLEARED), event(6)]


async def test_a_session_deleted_meanwhile_has_no_snapshot_but_an_end() -> None:
    watched = Watched(2)
    watched.log.compact(KEY, 1, 2)
    watched.log.cleared[KEY] = 2
    deleted = SessionEvent("s1", 3, SessionDeleted(), NOW, "corr-1")
    watched.log.commit(KEY, deleted)

    async def snapshot() -> SessionSnapshot:
        raise SessionNotFoundError

    items = await whole(watched.stream(through=None, snapshot=snapshot))
    assert items == [Gap(1, 2, GapReason.CLEARED), deleted]


async def test_an_opening_snapshot_comes_first() -> None:
    assert await whole(Watched(1).stream(opening=a_snapshot())) == [a_snapshot(), event(1)]


async def test_a_stream_ends_with_the_item_it_is_told_to_end_with() -> None:
    stream = Watched(7).stream(through=None, ends_with=lambda i: isinstance(i, SessionEvent) and i.sequence == 4)
    assert numbers(await whole(stream)) == [1, 2, 3, 4]


async def test_a_stream_through_a_number_ends_there_though_the_log_goes_on() -> None:
    for page in (1, 3, 100):
        assert numbers(await whole(Watched(9, page=page).stream(through=5))) == [1, 2, 3, 4, 5]


async def test_a_stream_through_a_number_in_a_hole_ends_there() -> None:
    watched = Watched(9, page=100)
    watched.log.compact(KEY, 4, 5, 6, 7)
    items = await whole(watched.stream(through=5))
    assert items[-1] == Gap(4, 5, GapReason.COMPACTED)
    assert numbers(items) == [1, 2, 3, 4, 5]


async def test_a_stream_through_a_number_it_has_passed_ends_at_once() -> None:
    assert await whole(Watched(5).stream(after=5, through=5)) == []


async def test_silence_is_broken_by_heartbeats_that_say_what_was_delivered_here() -> None:
    watched = Watched(2)
    async with aclosing(watched.stream(through=None).items()) as batches:
        assert numbers(await anext(batches)) == [1, 2]
        watched.log.commit(KEY, event(3))  # committed, but nobody has told this process
        assert await anext(batches) == [Heartbeat(2)]
        assert await anext(batches) == [Heartbeat(2)]
        watched.feed.hint(KEY, 3)
        assert numbers(await anext(batches)) == [3]
        assert await anext(batches) == [Heartbeat(3)]


async def test_an_old_stream_is_asked_to_move_with_the_number_to_resume_after() -> None:
    watched = Watched(2)
    settings = StreamSettings(heartbeat=0.01, max_age=60)
    async with aclosing(watched.stream(through=None, settings=settings).items()) as batches:
        await anext(batches)
        watched.clock.advance(59)
        assert await anext(batches) == [Heartbeat(2)]
        watched.clock.advance(1)
        assert [batch async for batch in batches] == [[Drain(2)]]


async def test_a_draining_process_ends_its_streams_with_the_number_to_resume_after() -> None:
    watched = Watched(2)
    stream = watched.stream(through=None, settings=StreamSettings())
    async with aclosing(stream.items()) as batches:
        await anext(batches)
        rest = asyncio.create_task(anext(batches))
        await asyncio.sleep(0)
        watched.feed.drain()
        assert await asyncio.wait_for(rest, 1) == [Drain(2)]
        assert [batch async for batch in batches] == []


async def test_a_stream_that_is_left_gives_its_place_up() -> None:
    watched = Watched(2)
    async with aclosing(watched.stream(through=None).items()) as batches:
        await anext(batches)
        assert len(watched.feed._watched) == 1
    assert len(watched.feed._watched) == 0


@given(
    seed=st.integers(0, 2**32),
    head=st.integers(1, 30),
    holes=st.sets(st.integers(1, 30)),
    cleared=st.integers(0, 30),
    after=st.integers(0, 30),
    page=st.integers(1, 12),
)
async def test_every_number_is_delivered_or_declared_exactly_once_and_in_order(
    seed: int, head: int, holes: set[int], cleared: int, after: int, page: int
) -> None:
    dice = Random(seed)
    cleared, after = min(cleared, head - 1), min(after, head)
    watched = Watched(page=page)
    watched.log.commit(KEY)
    stream = watched.stream(after, through=head)
    items: list[Item] = []

    def append(first: int, last: int) -> None:
        events = [event(n) for n in range(first, last + 1)]
        watched.log.commit(KEY, *events)
        if dice.random() < 0.6:
            watched.feed.publish(KEY, events)

    first_part = dice.randrange(after, head + 1)
    append(1, first_part) if first_part else None
    gone = {n for n in holes if n <= first_part and n < head} | set(range(1, min(cleared, first_part) + 1))
    watched.log.compact(KEY, *gone)
    watched.log.cleared[KEY] = min(cleared, first_part)
    async with aclosing(stream.items()) as batches:
        if first_part > after:
            items.extend(await anext(batches))
        if first_part < head:
            append(first_part + 1, head)
        watched.feed.hint(KEY, head)
        async for batch in batches:
            items.extend(batch)
    assert numbers(items) == list(range(after + 1, head + 1))
    for gap in (item for item in items if isinstance(item, Gap)):
        numbers_in = set(range(gap.from_sequence, gap.to_sequence + 1))
        assert numbers_in <= gone
        assert (gap.to_sequence <= watched.log.cleared[KEY]) is (gap.reason is GapReason.CLEARED)
