"""When to come back after a connection broke, and when to give up."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from client.errors import RuntimeCallError

FIRST_DELAY = 0.2
LONGEST_DELAY = 5.0


@dataclass(frozen=True, slots=True)
class Reconnecting:
    """Told to whoever wants to know: the `attempt`th try in a row follows in `delay` seconds. `error` is None after a
    stream that the server ended in order."""

    attempt: int
    delay: float
    error: RuntimeCallError | None


@dataclass(frozen=True, slots=True)
class ReconnectPolicy:
    """How often to try in a row (None: for ever), and who is told of every try."""

    attempts: int | None = 12
    tell: Callable[[Reconnecting], None] = lambda _: None
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class Backoff:
    """The waits between the tries of one call or stream: 0.2 s, doubling to 5 s, with jitter, longer if told so."""

    def __init__(self, policy: ReconnectPolicy) -> None:
        self._policy = policy
        self._failures = 0

    def progressed(self) -> None:
        """Something arrived: the next break is the first one again."""
        self._failures = 0

    async def before_next_try(self, error: RuntimeCallError | None) -> None:
        """Waits for the right moment. Raises `error` if coming back cannot help, or did not often enough."""
        limit = self._policy.attempts
        if error is not None and (not error.passes or (limit is not None and self._failures >= limit)):
            raise error
        # The exponent is bounded because a patient client may fail thousands of times.
        longest = min(FIRST_DELAY * 2 ** min(self._failures, 10), LONGEST_DELAY)
        delay = max(longest * random.uniform(0.5, 1.0), (error.retry_delay or 0.0) if error else 0.0)
        self._failures += 1
        self._policy.tell(Reconnecting(self._failures, delay, error))
        await self._policy.sleep(delay)
