"""Keeps local watchers up with sessions that other replicas append to."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from services.application.event_feed import EventFeed
from services.application.ports import Growth, Incarnation, Watches
from services.domain.errors import RuntimeServiceError

logger = logging.getLogger(__name__)

_ROUND = 1.0  # seconds between two looks
_FRESH_ROUNDS = 10  # a session is looked at in every round at first: an append may have missed its registration
_ROUNDS_PER_SWEEP = 30  # a quiet session is looked at once in so many rounds
_ROUNDS_PER_CLEANING = 600


class RemoteWatches:
    """One look per second at what is new or runs elsewhere, one in thirty at what is quiet: the bound on how late a
    watcher can be when no hint arrives. `run` must be running where several replicas share a database.
    """

    def __init__(self, watches: Watches, feed: EventFeed, incarnation: Incarnation) -> None:
        self._watches = watches
        self._feed = feed
        self._incarnation = incarnation
        self._registered_as = ""
        self._registered: set[int] = set()
        # There may be ten thousand, nearly all quiet: a round must not go through them one by one.
        self._watched: set[int] = set()
        self._fresh: dict[int, int] = {}  # the rounds that have seen it
        self._by_turn: list[set[int]] = [set() for _ in range(_ROUNDS_PER_SWEEP)]
        self._again: set[int] = set()
        self._round = 0
        self._look_at_all = False
        self._look_now = asyncio.Event()

    def hear(self, growths: Sequence[Growth] | None) -> None:
        """Takes a hint from another replica; None says that something was missed."""
        for growth in growths or ():
            self._feed.hint(growth.session_key, growth.last_sequence)
        if growths is None:
            self._look_at_all = True
            self._look_now.set()

    async def run(self) -> None:
        """Looks for ever; what the database refuses now is looked at later."""
        while True:
            try:
                await self.look()
            except RuntimeServiceError as error:
                logger.warning("watched sessions could not be looked at: %s", error.reason)
            try:
                async with asyncio.timeout(_ROUND):
                    await self._look_now.wait()
            except TimeoutError:
                pass
            self._look_now.clear()

    async def look(self) -> None:
        """One round: registers who has stayed, looks at what may have grown, wakes whoever waits for it."""
        self._round += 1
        self._notice()
        await self._register()
        growths = await self._grown()
        for growth in growths:
            self._feed.hint(growth.session_key, growth.last_sequence)
        # What runs elsewhere is looked at once more when it does not any more: its end may have come with no hint.
        self._again = {growth.session_key for growth in growths if growth.runs_elsewhere}
        if self._round % _ROUNDS_PER_CLEANING == 1:
            await self._watches.forget_the_dead()

    def _notice(self) -> None:
        """Takes in who is watched now."""
        watched = self._feed.watched()
        for key in self._watched - watched:
            self._by_turn[key % _ROUNDS_PER_SWEEP].discard(key)
            self._fresh.pop(key, None)
        for key in watched - self._watched:
            self._by_turn[key % _ROUNDS_PER_SWEEP].add(key)
            self._fresh[key] = 0
        self._fresh = {key: rounds + 1 for key, rounds in self._fresh.items() if rounds < _FRESH_ROUNDS}
        self._watched = watched

    async def _grown(self) -> list[Growth]:
        due, everything = self._due(), self._look_at_all
        self._look_at_all = False  # what is missed from here on is for the next look
        try:
            return await self._watches.grown(self._registered_as, due)
        except RuntimeServiceError:
            self._look_at_all |= everything
            raise

    async def _register(self) -> None:
        if self._incarnation.name != self._registered_as:
            self._registered_as, self._registered = self._incarnation.name, set()
        first_seen = {key for key, rounds in self._fresh.items() if rounds == 1}
        stayed = self._watched - first_seen  # short streams are not worth a row
        added, removed = stayed - self._registered, self._registered - stayed
        if added or removed:
            await self._watches.change(self._registered_as, added=added, removed=removed)
            self._registered = stayed

    def _due(self) -> set[int]:
        if self._look_at_all:
            return self._watched
        return self._by_turn[self._round % _ROUNDS_PER_SWEEP] | self._fresh.keys() | (self._again & self._watched)
