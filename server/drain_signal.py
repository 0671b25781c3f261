"""How open streams learn that the process wants to stop, so that they end with a cursor instead of being cut."""

from __future__ import annotations

import asyncio


class DrainSignal:
    """Given once, never taken back. Any number of streams may wait for it."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    @property
    def draining(self) -> bool:
        """Whether streams should end now."""
        return self._event.is_set()

    async def wait(self) -> None:
        """Returns when streams should end."""
        await self._event.wait()

    def give(self) -> None:
        """Asks all streams to end, those open and those to come; from the event loop's thread."""
        self._event.set()
