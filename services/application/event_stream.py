"""What a client sees of a session's log: events in order, holes declared, signs of life, a clean end.

Every number after the start is either delivered or declared in a gap (G2).
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from services.application.event_feed import EventFeed, KnownHead
from services.application.ports import Clock, LogPage, SessionSnapshot
from services.domain.errors import SessionNotFoundError
from services.domain.message import Role
from services.domain.session_events import (
    TERMINAL,
    AttemptRestarted,
    MessageAdded,
    SessionDeleted,
    SessionEvent,
    TurnStarted,
)


class GapReason(StrEnum):
    """Why numbers are missing."""

    COMPACTED = "COMPACTED"
    CLEARED = "CLEARED"


@dataclass(frozen=True, slots=True)
class Gap:
    """Numbers whose events are gone; `message_ids` are the messages that replace them."""

    from_sequence: int
    to_sequence: int
    reason: GapReason
    message_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A sign of life: the last number delivered or declared a gap on this stream."""

    last_sequence: int


@dataclass(frozen=True, slots=True)
class Drain:
    """The stream ends here by the server's wish; resume after this number, anywhere."""

    resume_after_sequence: int


Item = SessionEvent | Gap | Heartbeat | Drain | SessionSnapshot


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """Seconds of silence before a heartbeat, and the age at which a stream is asked to move elsewhere.

    `age_spread` is the share of that age by which each stream's is shorter, at random up to this: streams that began
    together do not all come back together.
    """

    heartbeat: float = 15.0
    max_age: float = 1500.0
    age_spread: float = 0.0


class EventStream:
    """One client's stream. Iterate `items` once, inside `aclosing`.

    `ends_with` says whether an event or gap is the last one. `through` ends the stream at a number. `opening` comes
    first; `head` spares the first look at the log; `snapshot`, when given, makes the snapshot that follows a cleared
    gap.
    """

    def __init__(
        self,
        feed: EventFeed,
        session_key: int,
        after: int,
        *,
        clock: Clock,
        settings: StreamSettings,
        ends_with: Callable[[SessionEvent | Gap], bool],
        through: int | None = None,
        opening: SessionSnapshot | None = None,
        head: KnownHead | None = None,
        snapshot: Callable[[], Awaitable[SessionSnapshot]] | None = None,
    ) -> None:
        self._feed = feed
        self._session_key = session_key
        self._after = after
        self._clock = clock
        self._settings = settings
        self._ends_with = ends_with
        self._through = through
        self._opening = opening
        self._head = head
        self._snapshot = snapshot

    async def items(self) -> AsyncGenerator[list[Item], None]:
        """Batches of what comes next, until the end; never empty."""
        cursor = self._feed.subscribe(self._session_key, self._after, self._head)
        spread = self._settings.age_spread * random.random()
        ends_at = self._clock.monotonic() + self._settings.max_age * (1 - spread)
        try:
            if self._opening is not None:
                opening, self._opening = self._opening, None
                yield [opening]
                del opening  # it may be large, and the stream long
            while self._through is None or cursor.position < self._through:
                rest = self._rest(ends_at)
                if rest <= 0:
                    yield [Drain(cursor.position)]
                    return
                before = cursor.position
                page = await cursor.next(min(self._settings.heartbeat, rest))
                if page is None:
                    if self._rest(ends_at) > 0:
                        yield [Heartbeat(cursor.position)]
                    continue
                batch, ended = await self._batch(before, _up_to(self._through, page))
                yield batch
                if ended:
                    return
        finally:
            cursor.close()

    def _rest(self, ends_at: float) -> float:
        """Seconds this stream may still live."""
        return 0.0 if self._feed.draining else ends_at - self._clock.monotonic()

    async def _snapshot_after_gap(self) -> list[SessionSnapshot]:
        """What the cleared numbers have left; nothing when the session is deleted, which the log is about to say."""
        try:
            return [await self._snapshot()] if self._snapshot is not None else []
        except SessionNotFoundError:
            return []

    async def _batch(self, before: int, page: LogPage) -> tuple[list[Item], bool]:
        batch: list[Item] = []
        for item in _with_gaps(before, page):
            batch.append(item)
            if isinstance(item, SessionEvent) and isinstance(item.payload, SessionDeleted):
                return batch, True
            if self._ends_with(item):
                return batch, True
            if isinstance(item, Gap) and item.reason is GapReason.CLEARED:
                batch.extend(await self._snapshot_after_gap())
        return batch, False


def _up_to(through: int | None, page: LogPage) -> LogPage:
    """The page without what lies behind the stream's last number."""
    if through is None or page.through <= through:
        return page
    return replace(page, events=tuple(e for e in page.events if e.sequence <= through), through=through)


def _with_gaps(before: int, page: LogPage) -> Iterator[SessionEvent | Gap]:
    """The page's events with a gap for each hole, up to the number the page speaks for."""
    position = before
    for index, event in enumerate(page.events):
        if event.sequence > position + 1:
            answer = _next_answer(page.events[index:])
            yield from _gaps(position + 1, event.sequence - 1, page.cleared_through, replaced_by=answer)
        yield event
        position = event.sequence
    if position < page.through:
        yield from _gaps(position + 1, page.through, page.cleared_through)


def _gaps(first: int, last: int, cleared_through: int, replaced_by: tuple[str, ...] = ()) -> Iterator[Gap]:
    """The hole as typed gaps; `replaced_by` are the messages that hold what its deltas said."""
    if first <= cleared_through:
        yield Gap(first, min(last, cleared_through), GapReason.CLEARED)
    if last > cleared_through:
        yield Gap(max(first, cleared_through + 1), last, GapReason.COMPACTED, replaced_by)


def _next_answer(events: Sequence[SessionEvent]) -> tuple[str, ...]:
    """The id of the answer that deltas before these events belong to; none if it was given up or never finished."""
    for event in events:
        if isinstance(event.payload, (AttemptRestarted, TurnStarted, *TERMINAL)):
            return ()
        if isinstance(event.payload, MessageAdded) and event.payload.message.role is Role.ASSISTANT:
            return (event.payload.message.id,)
    return ()
