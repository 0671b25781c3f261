"""Readers of a session see every event in order, from the cache when they are quick and from the log when not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.application.event_feed import Cursor, EventFeed, KnownHead
from services.application.ports import LogPage
from services.domain.errors import SessionNotFoundError
from services.domain.session_events import MessagesCleared, SessionDeleted, SessionEvent
from tests.support.changes import NOW
from tests.support.memory_log import MemoryLog, event
from tests.support.waiting import eventually

KEY = 1


class Session:
    """A log with a feed before it, and the writer that commits to the one and publishes to the other."""

    def __init__(self, *, page: int = 3, max_bytes: int = 1 << 20, log: MemoryLog | None = None) -> None:
        self.log = log or MemoryLog(page=page)
        self.log.commit(KEY)
        self.feed = EventFeed(self.log, max_bytes=max_bytes)

    def append(self, first: int, last: int, size: int = 10) -> list[SessionEvent]:
        events = [event(sequence, size=size) for sequence in range(first, last + 1)]
        self.log.commit(KEY, *events)
        return events

    def publish(self, first: int, last: int, size: int = 10) -> None:
        self.feed.publish(KEY, self.append(first, last, size))

    @asynccontextmanager
    async def reader(self, after: int = 0) -> AsyncIterator[Cursor]:
        cursor = self.feed.subscribe(KEY, after)
        try:
            yield cursor
        finally:
            cursor.close()


async def read(cursor: Cursor) -> list[int]:
    """The numbers of everything there is for this reader now."""
    numbers: list[int] = []
    while (page := await cursor.next(0)) is not None:
        numbers.extend(one.sequence for one in page.events)
    return numbers


async def test_a_reader_at_the_head_gets_what_is_published_without_a_query() -> None:
    session = Session()
    async with session.reader() as cursor:
        assert await read(cursor) == []
        queries = session.log.reads
        session.publish(1, 2)
        session.publish(3, 3)
        assert await read(cursor) == [1, 2, 3]
        assert session.log.reads == queries


async def test_a_waiting_reader_is_woken_by_a_publish() -> None:
    session = Session()
    async with session.reader() as cursor:
        waiting = asyncio.create_task(cursor.next(10))
        await eventually(lambda: session.log.reads > 0)
        session.publish(1, 1)
        page = await waiting
        assert page is not None
        assert [one.sequence for one in page.events] == [1]


async def test_all_readers_of_a_session_share_one_cache() -> None:
    session = Session()
    async with session.reader() as first, session.reader() as second:
        await read(first)
        queries = session.log.reads
        session.publish(1, 3)
        assert await read(first) == await read(second) == [1, 2, 3]
        assert session.log.reads == queries


async def test_a_reader_from_the_past_pages_from_the_log_and_then_goes_on_live() -> None:
    session = Session(page=3)
    session.append(1, 10)
    async with session.reader(after=2) as cursor:
        assert await read(cursor) == [3, 4, 5, 6, 7, 8, 9, 10]
        queries = session.log.reads
        session.publish(11, 12)
        assert await read(cursor) == [11, 12]
        assert session.log.reads == queries


async def test_stretches_that_arrive_late_or_out_of_order_are_delivered_in_order() -> None:
    session = Session()
    async with session.reader() as cursor:
        await read(cursor)
        one, two, three = (session.append(n, n) for n in (1, 2, 3))
        session.feed.publish(KEY, three)
        session.feed.publish(KEY, one)
        session.feed.publish(KEY, two)
        assert await read(cursor) == [1, 2, 3]


async def test_a_stretch_published_twice_is_delivered_once() -> None:
    session = Session()
    async with session.reader() as cursor:
        events = session.append(1, 2)
        session.feed.publish(KEY, events)
        session.feed.publish(KEY, events)
        session.feed.publish(KEY, events[-1:])
        assert await read(cursor) == [1, 2]


async def test_a_hint_from_elsewhere_makes_readers_look() -> None:
    session = Session()
    async with session.reader() as cursor:
        await read(cursor)
        session.append(1, 4)
        assert await cursor.next(0) is None
        session.feed.hint(KEY, 4)
        assert await read(cursor) == [1, 2, 3, 4]


async def test_a_hint_of_what_is_known_costs_no_query() -> None:
    session = Session()
    async with session.reader() as cursor:
        session.publish(1, 2)
        await read(cursor)
        queries = session.log.reads
        session.feed.hint(KEY, 2)
        assert await cursor.next(0) is None
        assert session.log.reads == queries


async def test_a_reader_who_falls_out_of_the_cache_pages_from_the_log() -> None:
    session = Session(page=50, max_bytes=5_000)
    async with session.reader() as slow, session.reader() as quick:
        await read(slow)
        seen = []
        for n in range(1, 101):
            session.publish(n, n)
            seen.extend(await read(quick))
        assert seen == list(range(1, 101))
        queries = session.log.reads
        assert await read(slow) == seen
        assert session.log.reads > queries


async def test_the_cache_stays_within_its_bytes_whatever_is_published() -> None:
    session = Session(max_bytes=10_000)
    other = 2
    session.log.commit(other)
    async with session.reader():
        cursor = session.feed.subscribe(other, 0)
        for n in range(1, 200):
            session.publish(n, n, size=n * 10)
            session.feed.publish(other, [event(n, size=100)])
            assert session.feed._size <= 10_000
        cursor.close()
    assert session.feed._size == 0


async def test_an_event_larger_than_the_whole_cache_is_read_from_the_log() -> None:
    session = Session(max_bytes=1_000)
    async with session.reader() as cursor:
        await read(cursor)
        session.publish(1, 1, size=5_000)
        session.publish(2, 2)
        assert await read(cursor) == [1, 2]


async def test_nothing_is_kept_of_sessions_nobody_watches() -> None:
    session = Session()
    session.publish(1, 5)
    assert session.feed._size == 0
    async with session.reader():
        session.publish(6, 7)
        assert session.feed._size > 0
    assert (session.feed._size, len(session.feed._watched)) == (0, 0)


@pytest.mark.parametrize("removal", [MessagesCleared(7), SessionDeleted()])
async def test_what_was_removed_is_not_read_from_the_cache(removal: MessagesCleared | SessionDeleted) -> None:
    session = Session()
    async with session.reader():
        session.publish(1, 7)
        removed = SessionEvent("s1", 8, removal, NOW, "corr-1")
        session.log.compact(KEY, *range(1, 8))
        session.log.commit(KEY, removed)
        session.feed.publish(KEY, [removed])
        async with session.reader() as late:
            assert await read(late) == [8]


async def test_draining_tells_every_reader_that_waits() -> None:
    session = Session()
    async with session.reader() as cursor:
        waiting = asyncio.create_task(cursor.next(10))
        await eventually(lambda: session.log.reads > 0)
        session.feed.drain()
        assert await asyncio.wait_for(waiting, 1) is None


async def test_what_is_there_is_still_delivered_while_draining() -> None:
    session = Session()
    session.append(1, 2)
    session.feed.drain()
    async with session.reader() as cursor:
        assert await read(cursor) == [1, 2]


async def test_a_session_without_a_trace_is_not_found() -> None:
    session = Session()
    cursor = session.feed.subscribe(99, 0)
    with pytest.raises(SessionNotFoundError):
        await cursor.next(0)
    cursor.close()
    cursor.close()  # harmless


@given(
    seed=st.integers(0, 2**32),
    stretches=st.lists(st.integers(1, 5), min_size=1, max_size=30),
    readers=st.integers(1, 4),
    max_bytes=st.sampled_from([0, 1_000, 3_000, 1 << 20]),
    page=st.integers(1, 10),
)
async def test_however_it_is_published_every_reader_gets_every_number_once_and_in_order(
    seed: int, stretches: list[int], readers: int, max_bytes: int, page: int
) -> None:
    dice = Random(seed)
    session = Session(page=page, max_bytes=max_bytes)
    starts = [dice.randrange(3) for _ in range(readers)]
    cursors: list[Cursor] = []
    seen: list[list[int]] = [[] for _ in range(readers)]
    head = 0
    late: list[list[SessionEvent]] = []
    for length in stretches:
        events = session.append(head + 1, head + length)
        head += length
        late.append(events)
        while late and dice.random() < 0.7:
            session.feed.publish(KEY, late.pop(dice.randrange(len(late))))
        if len(cursors) < readers:
            cursors.append(session.feed.subscribe(KEY, starts[len(cursors)]))
        for cursor, numbers in zip(cursors, seen, strict=False):
            if dice.random() < 0.5 and (got := await cursor.next(0)) is not None:
                numbers.extend(one.sequence for one in got.events)
        assert session.feed._size <= max_bytes
    session.feed.hint(KEY, head)
    for cursor, start, numbers in zip(cursors, starts, seen, strict=False):
        numbers.extend(await read(cursor))
        assert numbers == list(range(start + 1, head + 1))
        cursor.close()


class SlowLog(MemoryLog):
    """Its answers are old by the time they arrive."""

    def __init__(self, dice: Random, page: int) -> None:
        super().__init__(page=page)
        self._dice = dice

    async def read(self, session_key: int, after: int) -> LogPage:
        page = await super().read(session_key, after)
        for _ in range(self._dice.randrange(4)):
            await asyncio.sleep(0)
        return page


@given(
    seed=st.integers(0, 2**32),
    stretches=st.lists(st.integers(1, 3), min_size=1, max_size=12),
    readers=st.integers(1, 4),
    page=st.integers(1, 4),
)
async def test_whoever_waits_has_heard_of_everything_once_the_last_hint_has_come(
    seed: int, stretches: list[int], readers: int, page: int
) -> None:
    dice = Random(seed)
    session = Session(log=SlowLog(dice, page))
    seen: list[list[int]] = []
    reading: list[asyncio.Task[None]] = []
    last = sum(stretches)

    async def follow(numbers: list[int]) -> None:
        async with session.reader() as cursor:
            while cursor.position < last:
                got = await cursor.next(10)
                assert got is not None
                numbers.extend(one.sequence for one in got.events)

    def begin() -> None:
        seen.append([])
        reading.append(asyncio.create_task(follow(seen[-1])))

    begin()
    head = 0
    for length in stretches:
        events = session.append(head + 1, head + length)
        head += length
        match dice.randrange(4):
            case 0:
                session.feed.publish(KEY, events)
            case 1:
                session.feed.hint(KEY, head)
            case 2:
                session.feed.look_again(KEY)
            case _:
                pass  # nobody is told for now
        for _ in range(dice.randrange(6)):
            if len(reading) < readers and dice.random() < 0.4:
                begin()
            await asyncio.sleep(0)
    # The one that a look at what has grown brings in the end. Who has read it from the log meanwhile tells the others.
    session.feed.hint(KEY, head)
    _, stuck = await asyncio.wait(reading, timeout=2)
    for task in stuck:
        task.cancel()
    assert not stuck
    assert seen == [list(range(1, head + 1))] * len(reading)


async def test_what_one_reader_finds_in_the_log_wakes_the_others() -> None:
    session = Session()
    session.append(1, 2)
    async with session.reader() as early:
        assert await read(early) == [1, 2]
        waiting = asyncio.create_task(early.next(10))
        await asyncio.sleep(0)
        session.append(3, 4)
        async with session.reader() as late:
            assert await read(late) == [1, 2, 3, 4]
        page = await asyncio.wait_for(waiting, 1)
        assert page is not None
        assert [one.sequence for one in page.events] == [3, 4]


async def test_a_reader_that_is_told_to_look_again_finds_what_was_never_published() -> None:
    session = Session()
    session.publish(1, 2)
    async with session.reader() as cursor:
        assert await read(cursor) == [1, 2]
        session.append(3, 4)
        waiting = asyncio.create_task(cursor.next(10))
        await asyncio.sleep(0)
        session.feed.look_again(KEY)
        page = await waiting
        assert page is not None
        assert [event.sequence for event in page.events] == [3, 4]


async def test_a_reader_who_knows_the_head_asks_the_log_nothing() -> None:
    session = Session()
    session.append(1, 2)
    known = KnownHead(2, session.feed.moment())
    cursor = session.feed.subscribe(KEY, 2, known)
    assert await read(cursor) == []
    session.publish(3, 3)
    assert await read(cursor) == [3]
    assert session.log.reads == 0


@pytest.mark.parametrize("news", ["published", "hinted", "to be looked at"])
async def test_a_head_that_is_old_by_now_is_not_believed(news: str) -> None:
    session = Session()
    session.append(1, 2)
    known = KnownHead(2, session.feed.moment())
    match news:
        case "published":
            session.publish(3, 3)
        case "hinted":
            session.append(3, 3)
            session.feed.hint(KEY, 3)
        case _:
            session.append(3, 3)
            session.feed.look_again(KEY)
    assert await read(session.feed.subscribe(KEY, 2, known)) == [3]


async def test_a_head_is_not_believed_when_its_news_went_to_a_reader_who_has_left_meanwhile() -> None:
    session = Session()
    session.append(1, 2)
    async with session.reader(after=2) as leaving:
        known = KnownHead(2, session.feed.moment())
        session.publish(3, 3)
        assert await read(leaving) == [3]
    assert await read(session.feed.subscribe(KEY, 2, known)) == [3]


async def test_a_reader_who_leaves_having_heard_nothing_costs_nobody_a_query() -> None:
    session = Session()
    session.append(1, 2)
    known = KnownHead(2, session.feed.moment())
    session.feed.subscribe(KEY, 2, known).close()
    assert await read(session.feed.subscribe(KEY, 2, known)) == []
    assert session.log.reads == 0


async def test_a_reader_who_knows_of_more_than_was_told_here_finds_it_and_tells_the_others() -> None:
    session = Session()
    session.append(1, 2)
    async with session.reader() as early:
        assert await read(early) == [1, 2]
        session.append(3, 4)
        late = session.feed.subscribe(KEY, 3, KnownHead(4, session.feed.moment()))
        assert await read(late) == [4]
        assert await read(early) == [3, 4]


async def test_an_old_hint_does_not_call_off_a_look() -> None:
    session = Session()
    session.append(1, 2)
    async with session.reader() as cursor:
        assert await read(cursor) == [1, 2]
        session.append(3, 3)
        session.feed.look_again(KEY)
        session.feed.hint(KEY, 2)
        assert await read(cursor) == [3]


async def test_what_one_reader_holds_is_bounded_in_bytes() -> None:
    session = Session()
    async with session.reader() as cursor:
        assert await read(cursor) == []
        session.publish(1, 20, size=2_500)
        page = await cursor.next(0)
        assert page is not None
        assert [one.sequence for one in page.events] == [1, 2, 3, 4, 5, 6]
        assert await read(cursor) == list(range(7, 21))
