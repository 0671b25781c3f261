"""Delivers domain events to their subscribers after the commit that caused them, at least once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from services.application.ports import Outbox
from services.domain.domain_events import DomainEvent
from services.domain.errors import RuntimeServiceError

logger = logging.getLogger(__name__)

_BATCH = 200

Subscriber = Callable[[DomainEvent], Awaitable[None]]


class OutboxRelay:
    """Reads the outbox every `interval` seconds, oldest first, and removes what every subscriber has taken."""

    def __init__(self, outbox: Outbox, subscribers: Sequence[Subscriber], *, interval: float = 1.0) -> None:
        self._outbox = outbox
        self._subscribers = tuple(subscribers)
        self._interval = interval

    async def run(self) -> None:
        """Relays for ever; what the database refuses now is relayed later."""
        while True:
            try:
                while await self.relay() == _BATCH:
                    pass
            except RuntimeServiceError as error:
                logger.warning("domain events could not be relayed, will try again: %s", error.reason)
            await asyncio.sleep(self._interval)

    async def relay(self) -> int:
        """Relays one batch; returns how many events it took out of the outbox."""
        entries = await self._outbox.oldest(_BATCH)
        for entry in entries:
            for subscriber in self._subscribers:
                await subscriber(entry.event)
        if entries:
            await self._outbox.delivered(entries)
        return len(entries)
