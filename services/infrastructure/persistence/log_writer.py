"""The one writer of deltas of a process: group commit for all its sessions, at once after silence, adaptively under
load.

The next flush starts when the last one ended, but not within the minimum interval of its start. A session has one
append path: a step takes the session's waiting deltas out of the writer and commits them with its own events.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from services.application.ports import Claim, Clock, FencedError, Growth
from services.domain.errors import RuntimeServiceError
from services.domain.session_events import MAX_DELTA_BYTES, NewEvent, ReasoningDelta, SessionEvent, TextDelta
from services.infrastructure.persistence.database import Database
from services.infrastructure.persistence.flush import Batch, Fenced, Locked, Outcome, Written, flush
from services.infrastructure.persistence.rows import numbered
from services.infrastructure.persistence.spreading import Publish, Tell, tell_nobody

logger = logging.getLogger(__name__)

_MAX_FLUSH_BYTES = 4 * 1024 * 1024
_MAX_WAITING_BYTES = 1024 * 1024
_RETRY_DELAY = 0.25


@dataclass(slots=True, eq=False)
class _Stream:
    """One session's end of the writer. `batch` is what is being sent; it is sent unchanged until its outcome is
    known.
    """

    claim: Claim
    flushed: int = 0
    waiting: list[NewEvent] = field(default_factory=list)
    waiting_bytes: int = 0
    batch: Batch | None = None
    held: bool = False
    failure: Exception | None = None
    settled: asyncio.Event = field(default_factory=asyncio.Event)

    def check(self) -> None:
        if self.failure is not None:
            raise self.failure

    def put_back(self, events: Sequence[NewEvent]) -> None:
        self.waiting[:0] = events
        self.waiting_bytes += sum(_size(event) for event in events)

    def fail(self, failure: Exception) -> None:
        self.failure = failure
        self.batch = None
        self.waiting.clear()
        self.settled.set()


class Held:
    """A session's waiting deltas, taken out of the writer by a step until it has ended."""

    def __init__(self, stream: _Stream) -> None:
        self._stream = stream
        self.flushed = stream.flushed
        self.waiting = tuple(stream.waiting)
        self._done = False
        stream.waiting = []
        stream.waiting_bytes = 0

    def committed(self, events: int) -> None:
        """The step is durable and has written that many events, the waiting ones among them."""
        self._stream.flushed += events
        self._done = True

    def _end(self) -> None:
        if not self._done:
            self._stream.put_back(self.waiting)


class GroupLogWriter:
    """The `LogWriter` of both databases. `run` must be running; everything else is called from the same event loop."""

    def __init__(
        self,
        database: Database,
        publish: Publish,
        clock: Clock,
        *,
        min_interval: float = 0.005,
        incarnation: Callable[[], str] = str,
        tell: Tell = tell_nobody,
    ) -> None:
        self._database = database
        self._publish = publish
        self._clock = clock
        self._min_interval = min_interval
        self._incarnation = incarnation
        self._tell = tell
        self._streams: dict[int, _Stream] = {}
        self._wake = asyncio.Event()
        self.flushes = 0

    def open(self, claim: Claim) -> None:
        older = self._streams.get(claim.session_key)
        if older is not None:
            older.fail(FencedError())  # nobody would ever tell those who wait for its batch
        self._streams[claim.session_key] = _Stream(claim)

    def close(self, claim: Claim) -> None:
        stream = self._streams.get(claim.session_key)
        if stream is not None and stream.claim == claim:
            del self._streams[claim.session_key]
            stream.fail(FencedError())

    async def write(self, claim: Claim, delta: NewEvent) -> None:
        stream = self._of(claim)
        size = _size(delta)
        joined = _join(stream.waiting[-1], delta) if stream.waiting and not stream.held else None
        if joined is not None:
            stream.waiting[-1] = joined
        else:
            stream.waiting.append(delta)
        stream.waiting_bytes += size
        self._wake.set()
        while stream.waiting_bytes > _MAX_WAITING_BYTES:
            stream.settled.clear()
            await stream.settled.wait()
            stream.check()

    @asynccontextmanager
    async def hold(self, claim: Claim) -> AsyncIterator[Held]:
        """Takes the session out of the writer for one step, after a flush that is under way has ended.

        Raises FencedError when the claim is void.
        """
        stream = self._of(claim)
        while stream.batch is not None:
            stream.settled.clear()
            await stream.settled.wait()
            stream.check()
        held = Held(stream)
        stream.held = True
        try:
            yield held
        except FencedError as error:
            stream.fail(error)
            raise
        finally:
            held._end()
            stream.held = False
            self._wake.set()

    async def run(self) -> None:
        """Flushes for ever. The loop survives what the database does; it ends when it is cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            streams = self._ready()
            if not streams:
                continue
            started = self._clock.monotonic()
            delay = self._min_interval
            if not await self._flush(streams):
                delay = _RETRY_DELAY
                self._wake.set()
            rest = started + delay - self._clock.monotonic()
            if rest > 0:
                await asyncio.sleep(rest)

    def _of(self, claim: Claim) -> _Stream:
        stream = self._streams.get(claim.session_key)
        if stream is None or stream.claim != claim:
            raise FencedError
        stream.check()
        return stream

    def _ready(self) -> list[_Stream]:
        ready: list[_Stream] = []
        size = 0
        for stream in self._streams.values():
            if stream.batch is None and stream.waiting and not stream.held:
                size += stream.waiting_bytes
                if ready and size > _MAX_FLUSH_BYTES:
                    self._wake.set()  # the rest goes with the next flush
                    continue
                stream.batch = Batch.of(stream.claim, stream.flushed, stream.waiting)
                stream.waiting = []
                stream.waiting_bytes = 0
            if stream.batch is not None:
                ready.append(stream)
        return ready

    async def _flush(self, streams: Sequence[_Stream]) -> bool:
        """Sends what is ready; False when the database could not take it and all of it has to be sent again."""
        try:
            await self._send(streams)
        except RuntimeServiceError as error:
            logger.warning("the event log could not be written, will try again: %s", error.reason)
            return False
        except Exception:
            # One session's events are not acceptable: the others must not suffer, so each goes alone.
            logger.exception("a flush of %d sessions failed", len(streams))
            return await self._flush_one_by_one(streams)
        return True

    async def _flush_one_by_one(self, streams: Sequence[_Stream]) -> bool:
        for stream in streams:
            try:
                await self._send([stream])
            except RuntimeServiceError:
                return False
            except Exception as error:
                stream.fail(error)
        return True

    async def _send(self, streams: Sequence[_Stream]) -> None:
        sent = [(stream, stream.batch) for stream in streams if stream.batch is not None]
        batches = [batch for _, batch in sent]
        name = self._incarnation()
        outcomes = await self._database.write_statement(lambda connection: flush(connection, batches, name))
        self.flushes += 1
        for (stream, batch), outcome in zip(sent, outcomes, strict=True):
            self._settle(stream, batch, outcome)

    def _settle(self, stream: _Stream, batch: Batch, outcome: Outcome) -> None:
        match outcome:
            case Written(base, watchers=watchers):
                stream.batch = None
                stream.flushed = batch.flushed + len(batch.events)
                self._publish(batch.claim.session_key, _numbered(batch, base))
                self._tell(watchers, Growth(batch.claim.session_key, base + len(batch.events)))
                if stream.waiting:
                    self._wake.set()  # written while the batch was sent again; nobody else would ask for it
            case Locked():
                # Nothing was written now, but perhaps by an earlier send whose reply was lost: it must not change yet.
                self._wake.set()
            case Fenced():
                stream.fail(FencedError())
        stream.settled.set()


def _size(event: NewEvent) -> int:
    """Bytes of a delta's text. Raises TypeError for what is no delta: anything else is a step and never waits."""
    if not isinstance(event.payload, TextDelta | ReasoningDelta):
        raise TypeError("only deltas may wait")
    return len(event.payload.text.encode())


def _join(last: NewEvent, delta: NewEvent) -> NewEvent | None:
    """Two deltas of one message that wait for the same flush become one, up to the size limit of a delta."""
    first, second = last.payload, delta.payload
    if isinstance(first, TextDelta) and isinstance(second, TextDelta):
        joined: TextDelta | ReasoningDelta = TextDelta(first.message_id, first.text + second.text)
    elif isinstance(first, ReasoningDelta) and isinstance(second, ReasoningDelta):
        joined = ReasoningDelta(first.message_id, first.text + second.text)
    else:
        return None
    if first.message_id != second.message_id or len(joined.text.encode()) > MAX_DELTA_BYTES:
        return None
    return NewEvent(joined, last.event_time, last.correlation_id, last.turn_id)


def _numbered(batch: Batch, base: int) -> tuple[SessionEvent, ...]:
    return tuple(
        numbered(event, batch.claim.session_id, base + k, len(payload))
        for k, (event, payload) in enumerate(zip(batch.events, batch.payloads, strict=True), 1)
    )
