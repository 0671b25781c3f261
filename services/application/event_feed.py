"""The newest events of watched sessions, shared by all their readers, so that a live stream costs no query.

A subscription is a cursor, not a queue: whoever reads slowly falls out of the cache and pages from the durable log.
Nothing here is the truth; a missed hint costs time, never an event.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from services.application.ports import EventLog, LogPage
from services.domain.session_events import MessagesCleared, SessionDeleted, SessionEvent

# What one reader holds while it writes: events that have left the cache live on in it.
_MAX_BATCH = 256
_MAX_BATCH_BYTES = 16 * 1024
_TICKS = 30  # of a reader's patience; see _patient_until
_EVENT_OVERHEAD = 400  # bytes an event object costs beside its text, roughly


@dataclass(slots=True, eq=False)
class _Watched:
    """One watched session: a contiguous stretch of its newest events, and the highest number known to exist.

    `head` is None when only the log knows; `news` counts what was heard, so that a reader of the log can tell whether
    something came while it read.
    """

    events: list[SessionEvent] = field(default_factory=list)
    size: int = 0
    head: int | None = None
    news: int = 0
    cursors: int = 0
    waiters: set[asyncio.Future[bool]] = field(default_factory=set)

    def read(self, head: int, news: int) -> None:
        """The log had this head, some time after that much news was heard."""
        if self.head is None and self.news != news:
            return  # that must be looked at again
        if head > (self.head or 0):
            self.head = head
            self.wake()  # the others, who might wait for a hint that is none any more
        elif self.news == news:
            self.head = head

    def wake(self) -> None:
        self.news += 1
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(True)
        self.waiters.clear()


@dataclass(frozen=True, slots=True)
class KnownHead:
    """A session's last number, read from the log at or after a `moment` of the feed."""

    last_sequence: int
    moment: int


class EventFeed:
    """The cache and its cursors, for one event loop. `max_bytes` bounds all cached events of the process."""

    def __init__(self, log: EventLog, *, max_bytes: int = 64 * 1024 * 1024) -> None:
        self._log = log
        self._max_bytes = max_bytes
        self._size = 0
        self._watched: OrderedDict[int, _Watched] = OrderedDict()
        self._unheard = 0
        self.draining = False

    def moment(self) -> int:
        """Stays the same for as long as no news comes of a session that nobody reads here any more; see KnownHead."""
        return self._unheard

    def publish(self, session_key: int, events: Sequence[SessionEvent]) -> None:
        """Takes committed events of one session, in order. Stretches may arrive late or out of order."""
        watched = self._watched.get(session_key)
        if watched is None:
            self._unheard += 1
        if watched is None or not events:
            return
        self._watched.move_to_end(session_key)
        if isinstance(events[-1].payload, MessagesCleared | SessionDeleted):
            self._forget(watched)  # what was removed from the log must not be read from here either
        elif watched.events and events[0].sequence > watched.events[-1].sequence + 1:
            self._forget(watched)  # what lies between is in the log
        if not watched.events or events[0].sequence == watched.events[-1].sequence + 1:
            added = sum(event.size + _EVENT_OVERHEAD for event in events)
            watched.events.extend(events)
            watched.size += added
            self._size += added
            self._trim()
        watched.head = max(watched.head or 0, events[-1].sequence)
        watched.wake()

    def hint(self, session_key: int, head: int) -> None:
        """Somebody else appended: the log goes at least up to this number.

        What is cached may be gone from the log by now, so it is not used any more.
        """
        watched = self._watched.get(session_key)
        if watched is None:
            self._unheard += 1
        elif watched.head is None or head > watched.head:
            self._forget(watched)
            if watched.head is not None:  # what is to be looked at stays so: the hint may be older than that
                watched.head = head
            watched.wake()

    def look_again(self, session_key: int) -> None:
        """Something may have been committed that nobody was told of: readers look at the log."""
        watched = self._watched.get(session_key)
        if watched is None:
            self._unheard += 1
        else:
            watched.head = None
            watched.wake()

    def watched(self) -> set[int]:
        """The keys of the sessions that somebody reads here."""
        return set(self._watched)

    def subscribe(self, session_key: int, after: int, head: KnownHead | None = None) -> Cursor:
        """A cursor whose first event is the one after that number; close it when done.

        With a `head` the log is not read again for it, unless news has come meanwhile that nobody here knows any more,
        or that head is news here: then this reader finds it, and the others with it.
        """
        watched = self._watched.get(session_key)
        if watched is None:
            watched = self._watched[session_key] = _Watched()
            if head is not None and head.moment == self._unheard:
                watched.head = head.last_sequence
        watched.cursors += 1
        return Cursor(self, self._log, session_key, watched, after, head.last_sequence if head is not None else 0)

    def drain(self) -> None:
        """Tells every reader that this process is about to stop."""
        self.draining = True
        for watched in self._watched.values():
            watched.wake()

    def _closed(self, session_key: int, watched: _Watched) -> None:
        watched.cursors -= 1
        if watched.cursors == 0 and self._watched.get(session_key) is watched:
            del self._watched[session_key]
            self._forget(watched)
            if watched.news:
                self._unheard += 1  # who heard it is gone

    def _forget(self, watched: _Watched) -> None:
        self._size -= watched.size
        watched.events = []
        watched.size = 0

    def _trim(self) -> None:
        """Drops the older half of the least recently active sessions until the cache fits."""
        while self._size > self._max_bytes:
            watched = next(w for w in self._watched.values() if w.events)
            keep = len(watched.events) // 2
            dropped = watched.events[: len(watched.events) - keep]
            watched.events = watched.events[len(watched.events) - keep :]
            freed = sum(event.size + _EVENT_OVERHEAD for event in dropped)
            watched.size -= freed
            self._size -= freed


class Cursor:
    """One reader's place in one session's log, which goes at least up to `known`. Not for use by two tasks."""

    def __init__(
        self, feed: EventFeed, log: EventLog, session_key: int, watched: _Watched, position: int, known: int
    ) -> None:
        self._feed = feed
        self._log = log
        self._session_key = session_key
        self._watched = watched
        self._known = known
        self._open = True
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[bool] | None = None
        self._patient_until = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.position = position

    async def next(self, patience: float) -> LogPage | None:
        """The next stretch of the log; None when nothing came for `patience` seconds or the process drains.

        Moves `position` to the end of what it returns.
        """
        while True:
            page = self._cached() or await self._paged()
            if page is not None:
                self.position = page.through
                return page
            if self._feed.draining:
                return None
            # What came while the log was read woke nobody.
            if not self._is_behind() and not await self._changed(patience):
                return None

    def close(self) -> None:
        """Gives the place up; harmless when repeated."""
        if self._open:
            self._open = False
            if self._timer is not None:
                self._timer.cancel()
            self._feed._closed(self._session_key, self._watched)

    def _cached(self) -> LogPage | None:
        events = self._watched.events
        if not events:
            return None
        index = self.position + 1 - events[0].sequence
        if not 0 <= index < len(events):
            return None
        end, size = index + 1, events[index].size
        while end < min(len(events), index + _MAX_BATCH) and (size := size + events[end].size) <= _MAX_BATCH_BYTES:
            end += 1
        batch = tuple(events[index:end])
        return LogPage(batch, batch[-1].sequence, events[-1].sequence, 0)

    def _is_behind(self) -> bool:
        head = self._watched.head
        return head is None or head > self.position or self._known > self.position

    async def _paged(self) -> LogPage | None:
        if not self._is_behind():
            return None
        watched = self._watched
        news = watched.news
        page = await self._log.read(self._session_key, self.position)
        watched.read(page.head, news)
        return page if page.through > self.position else None

    async def _changed(self, patience: float) -> bool:
        """Waits for news of the session; False when none came in time."""
        waiter: asyncio.Future[bool] = self._loop.create_future()
        self._watched.waiters.add(waiter)
        self._waiter, self._patient_until = waiter, _patient_until(self._loop.time(), patience)
        if self._timer is None or self._timer.when() > self._patient_until:
            self._arm()
        try:
            return await waiter
        finally:
            self._waiter = None
            self._watched.waiters.discard(waiter)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._patient_until, self._ring)

    def _ring(self) -> None:
        """One timer for all waits, armed anew when it rings too early: one for each would cost more than an event."""
        self._timer = None
        if self._waiter is None or self._waiter.done():
            return
        if self._loop.time() < self._patient_until:
            self._arm()
        else:
            self._waiter.set_result(False)


def _patient_until(now: float, patience: float) -> float:
    """When a wait is over: at a tick that all waits of this patience share, up to a thirtieth later than asked for.

    Silent streams have something to say at the same moments then, which costs a fraction of doing it one by one.
    """
    tick = patience / _TICKS
    return now + patience if tick <= 0 else math.ceil((now + patience) / tick) * tick
