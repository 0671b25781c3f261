"""What Redis has refused, so that whoever goes on asking in vain costs it, and all who wait for it, nothing."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from services.application.ports.rates import WINDOW_SECONDS, RateAnswer

_CAPACITY = 65_536


class KnownRefusals:
    """Until when names are refused. Bounded: beyond `capacity` the one is forgotten that was refused first."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic, *, capacity: int = _CAPACITY) -> None:
        self._monotonic = monotonic
        self._capacity = capacity
        self._until: OrderedDict[tuple[str, int], float] = OrderedDict()

    def __len__(self) -> int:
        """How many names are known."""
        return len(self._until)

    def remember(self, name: str, answer: RateAnswer) -> None:
        """A call was refused: none can pass before the oldest that counts leaves the window."""
        self._until[name, answer.limit] = self._monotonic() + min(answer.free_in, WINDOW_SECONDS)
        if len(self._until) > self._capacity:
            self._until.popitem(last=False)

    def refusal(self, name: str, limit: int) -> RateAnswer | None:
        """The answer to a call that would be refused again, else None."""
        until = self._until.get((name, limit))
        if until is None:
            return None
        free_in = until - self._monotonic()
        if free_in > 0:
            return RateAnswer(False, limit, 0, free_in)
        del self._until[name, limit]
        return None
