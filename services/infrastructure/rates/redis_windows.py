"""Sliding windows that replicas share in Redis, by its clock: what their own clocks say does not matter."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from services.application.ports.rates import WINDOW_SECONDS, RateAnswer

logger = logging.getLogger(__name__)

# Times are whole microseconds, the oldest first; what has left the window is dropped, so the rest is what counts. What
# is yet to come is dropped, too: the clock was set back, and would lock everybody out until it is there again.
_SCRIPT = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local limit, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local oldest = redis.call('LINDEX', KEYS[1], 0)
while oldest and (tonumber(oldest) <= now - window or tonumber(oldest) > now) do
    redis.call('LPOP', KEYS[1])
    oldest = redis.call('LINDEX', KEYS[1], 0)
end
local count = redis.call('LLEN', KEYS[1])
if count >= limit then
    return {0, 0, redis.call('LINDEX', KEYS[1], count - limit) + window - now}
end
redis.call('RPUSH', KEYS[1], string.format('%.0f', now))
redis.call('PEXPIRE', KEYS[1], window / 1000)
return {1, limit - count - 1, (oldest or now) + window - now}
"""
_PREFIX = "agent-runtime:rate:"
_WINDOW_MICROSECONDS = int(WINDOW_SECONDS * 1_000_000)
# How long a call may wait for Redis, once: from then on none waits until it is back.
_PATIENCE = 0.5
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 5.0
_TOGETHER = 200

_Asked = tuple[str, int, "asyncio.Future[RateAnswer | None]"]


class RedisWindows:
    """Asks one Redis, over one connection, about all calls that wait at the moment together. `run` must be running."""

    def __init__(self, url: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._redis = Redis.from_url(
            url, socket_connect_timeout=_PATIENCE, socket_timeout=_PATIENCE, retry=Retry(NoBackoff(), 0)
        )
        self._monotonic = monotonic
        self._asked: list[_Asked] = []
        self._something_asked = asyncio.Event()
        self._was_away = False
        self._back_at: float | None = None
        self.there = False

    @property
    def may_have_forgotten(self) -> bool:
        """Whether it has been away within the last minute, so that calls of that minute may be missing from it."""
        return self._back_at is not None and self._monotonic() - self._back_at < WINDOW_SECONDS

    async def admit(self, name: str, limit: int) -> RateAnswer | None:
        """What Redis says to one call (see `RateWindows`); None, at once or after half a second, when it is away."""
        if not self.there:
            return None
        answer: asyncio.Future[RateAnswer | None] = asyncio.get_running_loop().create_future()
        self._asked.append((name, limit, answer))
        self._something_asked.set()
        return await answer

    async def run(self) -> None:
        """Asks for ever, and looks for Redis whenever it is away."""
        async with self._redis:
            pause = _FIRST_PAUSE
            while True:
                try:
                    script = await self._redis.script_load(_SCRIPT)
                    self._is_there()
                    pause = _FIRST_PAUSE
                    await self._ask_for_ever(script)
                except (OSError, TimeoutError, RedisError) as error:
                    if self.there or not self._was_away:
                        logger.warning("rate limits are each replica's own share for now: %s", type(error).__name__)
                    self._was_away = True
                finally:
                    self.there = False
                    self._tell(self._take(len(self._asked)), None)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)

    def _is_there(self) -> None:
        if self._was_away:
            logger.info("rate limits are shared by the replicas again")
            self._back_at = self._monotonic()
        self._was_away = False
        self.there = True

    async def _ask_for_ever(self, script: str) -> None:
        while True:
            await self._something_asked.wait()
            asked = self._take(_TOGETHER)
            answers: Sequence[RateAnswer] | None = None
            try:
                answers = await self._answers(script, asked)
            finally:
                self._tell(asked, answers)

    async def _answers(self, script: str, asked: Sequence[_Asked]) -> Sequence[RateAnswer]:
        pipeline = self._redis.pipeline(transaction=False)
        for name, limit, _ in asked:
            pipeline.evalsha(script, 1, _PREFIX + name, limit, _WINDOW_MICROSECONDS)
        return [
            RateAnswer(admitted == 1, limit, remaining, microseconds / 1_000_000)
            for (admitted, remaining, microseconds), (_, limit, _) in zip(await pipeline.execute(), asked, strict=True)
        ]

    def _take(self, most: int) -> Sequence[_Asked]:
        taken, self._asked = self._asked[:most], self._asked[most:]
        if not self._asked:
            self._something_asked.clear()
        return taken

    @staticmethod
    def _tell(asked: Sequence[_Asked], answers: Sequence[RateAnswer] | None) -> None:
        for position, (_, _, waiting) in enumerate(asked):
            if not waiting.done():  # whoever asked may have left
                waiting.set_result(None if answers is None else answers[position])
