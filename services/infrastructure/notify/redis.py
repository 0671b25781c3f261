"""Hints over Redis, for installations that have one."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.application.ports import Growth, Incarnation
from services.infrastructure.notify.messages import channel_of, read
from services.infrastructure.notify.outgoing import Outgoing

logger = logging.getLogger(__name__)

_FIRST_DELAY = 0.5
_LONGEST_DELAY = 10.0
_NAME_CHECK = 1.0

Hear = Callable[[Sequence[Growth] | None], None]


class RedisWakeUps:
    """The `WakeUps` of replicas that share a Redis. `run` must be running; `hear` gets what the others tell.

    Without Redis nothing is lost but time: watchers find out by looking.
    """

    def __init__(self, url: str, incarnation: Incarnation, hear: Hear) -> None:
        self._redis = Redis.from_url(url, socket_connect_timeout=2, socket_timeout=5)
        self._incarnation = incarnation
        self._hear = hear
        self._outgoing = Outgoing()

    def tell(self, incarnations: Sequence[str], growth: Growth) -> None:
        self._outgoing.add(incarnations, growth)

    async def run(self) -> None:
        """Sends and listens for ever, anew whenever Redis was away."""
        async with self._redis:
            delay = _FIRST_DELAY
            while True:
                began = time.monotonic()
                try:
                    async with asyncio.TaskGroup() as tasks:
                        tasks.create_task(self._listen())
                        tasks.create_task(self._send())
                except* (OSError, TimeoutError, RedisError) as group:
                    logger.warning("replicas cannot wake each other: %s", type(group.exceptions[0]).__name__)
                if time.monotonic() - began > _LONGEST_DELAY:
                    delay = _FIRST_DELAY  # it was there for a while
                await asyncio.sleep(delay)
                delay = min(delay * 2, _LONGEST_DELAY)

    async def _listen(self) -> None:
        async with self._redis.pubsub(ignore_subscribe_messages=True) as subscription:
            heard_as = ""
            while True:
                if heard_as != self._incarnation.name:
                    heard_as = self._incarnation.name
                    await subscription.subscribe(channel_of(heard_as))
                    self._hear(None)
                message = await subscription.get_message(timeout=_NAME_CHECK)
                if message is not None:
                    self._hear(read(message["data"].decode(errors="replace")))

    async def _send(self) -> None:
        while True:
            for channel, payload in await self._outgoing.next():
                await self._redis.publish(channel, payload)
