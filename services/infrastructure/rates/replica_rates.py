"""What one replica lets pass: as much as all together may, if they share a Redis, else its own part of that."""

from __future__ import annotations

from collections.abc import Callable

from services.application.ports.rates import RateAnswer
from services.infrastructure.rates.known_refusals import KnownRefusals
from services.infrastructure.rates.local_windows import LocalWindows
from services.infrastructure.rates.redis_windows import RedisWindows


class LocalShare:
    """The `RateWindows` of a replica that is alone, or knows only how many others there are: limit ÷ replicas, rounded
    up.
    """

    def __init__(self, windows: LocalWindows, replicas: Callable[[], int]) -> None:
        self._windows = windows
        self._replicas = replicas

    async def admit(self, name: str, limit: int) -> RateAnswer:
        """See `RateWindows`."""
        return self._windows.admit(name, self._share(limit))

    def refusal(self, name: str, limit: int) -> RateAnswer | None:
        """The refusal that `admit` would answer with, if it would."""
        return self._windows.refusal(name, self._share(limit))

    def count(self, name: str) -> None:
        """Counts a call that all replicas together have admitted."""
        self._windows.count(name)

    def _share(self, limit: int) -> int:
        return -(-limit // self._replicas())


class SharedRates:
    """The `RateWindows` of replicas that share a Redis; while it is away each enforces its share, so no door is open.

    What this replica admits is counted here, too: when Redis goes, the calls of the last minute are known. When it
    comes back it may have forgotten them, so for a minute both must agree. What Redis has refused is not asked again
    before it can pass.
    """

    def __init__(self, shared: RedisWindows, own: LocalShare, refused: KnownRefusals) -> None:
        self._shared = shared
        self._own = own
        self._refused = refused

    async def admit(self, name: str, limit: int) -> RateAnswer:
        """See `RateWindows`."""
        if (refusal := self._refused.refusal(name, limit)) is not None:
            return refusal
        if self._shared.may_have_forgotten and (refusal := self._own.refusal(name, limit)) is not None:
            return refusal
        answer = await self._shared.admit(name, limit)
        if answer is None:
            return await self._own.admit(name, limit)
        if answer.admitted:
            self._own.count(name)
        else:
            self._refused.remember(name, answer)
        return answer
