"""Reading a log from any number gives the rest of it, in stretches of bounded size."""

from __future__ import annotations

import pytest

from services.application.event_stream import EventStream, StreamSettings
from services.domain.errors import SessionNotFoundError
from services.domain.session_change import SessionChange
from services.domain.session_events import SessionEvent, SessionUpdated
from tests.support.storage import Storage, note, sequences


async def with_notes(storage: Storage, count: int, title: str = "noted") -> int:
    """A session whose log holds so many events."""
    key = (await storage.new_session()).session.key

    def decide(change: SessionChange) -> None:
        for _ in range(count):
            note(change, title)

    await storage.change(decide)
    return key


async def test_every_number_continues_with_exactly_the_rest(storage: Storage) -> None:
    running = await storage.start_in_new_session()
    for word in ("a", "b", "c"):
        await storage.say(running, word)
        await storage.published.until_said(running.claim, word)
        await storage.change(note)
    await storage.answer(running, "abc")
    key = running.claim.session_key
    everything = await storage.events(key)
    assert sequences(everything) == list(range(1, len(everything) + 1))
    for after in range(len(everything) + 1):
        assert await storage.events(key, after) == everything[after:]


async def test_a_stream_over_the_log_gives_the_same_from_every_number(storage: Storage) -> None:
    key = await with_notes(storage, 7)
    everything = await storage.events(key)
    for after in range(8):
        stream = EventStream(
            storage.feed,
            key,
            after,
            clock=storage.clock,
            settings=StreamSettings(),
            ends_with=lambda _: False,
            through=7,
        )
        items = [item async for batch in stream.items() for item in batch]
        assert items == list(everything[after:])


async def test_a_page_at_the_head_is_empty_and_says_where_the_head_is(storage: Storage) -> None:
    key = await with_notes(storage, 3)
    page = await storage.log.read(key, 3)
    assert (page.events, page.through, page.head, page.cleared_through) == ((), 3, 3, 0)


async def test_an_empty_log_has_an_empty_page(storage: Storage) -> None:
    key = await with_notes(storage, 0)
    page = await storage.log.read(key, 0)
    assert (page.events, page.through, page.head) == ((), 0, 0)


async def test_a_page_is_bounded_in_events_and_speaks_for_no_more_than_it_holds(storage: Storage) -> None:
    key = await with_notes(storage, 1200)
    first = await storage.log.read(key, 0)
    assert 0 < len(first.events) < 1200
    assert first.through == first.events[-1].sequence
    assert first.head == 1200
    assert sequences(await storage.events(key)) == list(range(1, 1201))


async def test_a_page_is_bounded_in_bytes_and_holds_at_least_one_event(storage: Storage) -> None:
    key = await with_notes(storage, 5, "x" * 700_000)
    pages = []
    after = 0
    while (page := await storage.log.read(key, after)).through > after:
        pages.append(len(page.events))
        after = page.through
    assert pages == [1, 1, 1, 1, 1]


async def test_an_event_comes_back_as_it_was_written(storage: Storage) -> None:
    title = 'NUL \x00, "quotes", \\ and \u2028, emoji 👩‍👩‍👧, right-to-left שלום'
    key = await with_notes(storage, 1, title)
    [event] = await storage.events(key)
    assert isinstance(event, SessionEvent)
    assert isinstance(event.payload, SessionUpdated)
    assert event.payload.title == title
    assert event == storage.published.by_session[key][0]
    assert event.event_time == storage.clock.now()
    assert event.size > len(title)


async def test_the_log_of_no_session_is_not_found(storage: Storage) -> None:
    with pytest.raises(SessionNotFoundError):
        await storage.log.read(4711, 0)
