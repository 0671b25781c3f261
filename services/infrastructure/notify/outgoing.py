"""Hints that wait to be sent: the newest number per session and replica, so that a burst is one message each."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from services.application.ports import Growth
from services.infrastructure.notify.messages import channel_of, written


class Outgoing:
    """Collects; for one event loop."""

    def __init__(self) -> None:
        self._waiting: dict[str, dict[int, int]] = {}
        self._any = asyncio.Event()

    def add(self, incarnations: Sequence[str], growth: Growth) -> None:
        for incarnation in incarnations:
            self._waiting.setdefault(incarnation, {})[growth.session_key] = growth.last_sequence
            self._any.set()

    async def next(self) -> list[tuple[str, str]]:
        """(channel, payload) of everything that waits; comes back when there is something."""
        await self._any.wait()
        self._any.clear()
        waiting, self._waiting = self._waiting, {}
        return [(channel_of(incarnation), written(growths)) for incarnation, growths in waiting.items()]
