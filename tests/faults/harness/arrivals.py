"""When events of one stream arrive, to compare streams on different replicas."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import grpc

from tests.support.runtime_client import Event, ended

_LONGEST_SILENCE = 45.0


class Arrivals:
    """The events of a stream up to the end of a turn, and when each came, by number."""

    def __init__(self, call: grpc.aio.UnaryStreamCall[Any, Any]) -> None:
        self.events: list[Event] = []
        self._at: dict[int, float] = {}
        self._call = call
        self._began = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def whole(self) -> Arrivals:
        """Itself, once the turn has ended. Raises AssertionError when the stream ends before, TimeoutError."""
        await self._reading
        return self

    async def begun(self) -> Arrivals:
        """Itself, once the first event is there."""
        await self._began.wait()
        return self

    def behind(self, other: Arrivals) -> list[float]:
        """How many seconds later each event came here than there, in the order of the log."""
        return [at - other._at[number] for number, at in sorted(self._at.items()) if number in other._at]

    async def _read(self) -> None:
        try:
            while not ended(self.events):
                async with asyncio.timeout(_LONGEST_SILENCE):
                    item: Any = await self._call.read()
                if item is grpc.aio.EOF:
                    raise AssertionError("the stream ended before its turn")
                if item.HasField("event"):
                    self._at[item.event.sequence] = time.monotonic()
                    self.events.append(item.event)
                    self._began.set()
        finally:
            self._call.cancel()
