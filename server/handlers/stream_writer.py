"""Hands a stream to its reader, item by item, and lets go of a reader that takes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing

from server.converters.stream import Response
from server.interceptors.rpc_context import RpcContext
from services.application.event_stream import Drain, EventStream, Gap, Heartbeat, Item
from services.application.ports import SessionSnapshot
from services.domain.errors import SlowConsumerError
from services.domain.session_events import SessionEvent


async def write_stream(
    context: RpcContext,
    stream: EventStream,
    to_response: Callable[[Item], Response],
    *,
    after: int | None,
    patience: float,
) -> None:
    """Sends the initial metadata, which say that the call is accepted, then the items; returns at the stream's end.

    `after` is the number the reader asked to go on from, if any. Raises SlowConsumerError when a write is not taken for
    `patience` seconds. A reader that hangs up shows as whatever gRPC raises; it concerns nobody but this task.
    """
    position = after
    async with aclosing(stream.items()) as batches:
        await context.accept()
        with _StallWatch(patience) as watch:
            try:
                async with watch.limit:
                    async for batch in batches:
                        for item in batch:
                            if position is None:
                                position = _start_of(item)
                            response = to_response(item)
                            watch.begin()
                            await context.write(response)
                            watch.end()
                            position = _end_of(item, position)
            except TimeoutError:
                if not watch.limit.expired():
                    raise
                raise SlowConsumerError(
                    f"no message was taken for {patience:g} s; resume the stream",
                    metadata={} if position is None else {"resume_after_sequence": str(position)},
                ) from None


class _StallWatch:
    """Expires `limit` when one write takes too long: with one timer for the stream, since one for each write costs more
    than to make the message."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._began: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.limit = asyncio.timeout(None)

    def __enter__(self) -> _StallWatch:
        self._timer = self._loop.call_later(self._patience, self._look)
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def begin(self) -> None:
        self._began = self._loop.time()

    def end(self) -> None:
        self._began = None

    def _look(self) -> None:
        now = self._loop.time()
        due = (now if self._began is None else self._began) + self._patience
        if due <= now:
            self.limit.reschedule(now)
        else:
            self._timer = self._loop.call_at(due, self._look)


def _start_of(item: Item) -> int:
    """The number a stream that begins with this item started after."""
    match item:
        case SessionEvent(sequence=sequence):
            return sequence - 1
        case Gap(from_sequence=first):
            return first - 1
        case Heartbeat(last_sequence=number) | Drain(resume_after_sequence=number):
            return number
        case SessionSnapshot(as_of_sequence=number):
            return number


def _end_of(item: Item, position: int) -> int:
    """The number up to which a reader knows everything after this item."""
    if isinstance(item, SessionEvent):
        return item.sequence
    if isinstance(item, Gap):
        return item.to_sequence
    return position
