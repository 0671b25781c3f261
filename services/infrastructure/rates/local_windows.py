"""Sliding windows in the memory of this process, exact and bounded."""

from __future__ import annotations

import time
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable

from services.application.ports.rates import WINDOW_SECONDS, RateAnswer

_CAPACITY = 65_536


class LocalWindows:
    """The calls of the last minute by name, eight bytes each. Used on one event loop; nothing waits.

    At most `capacity` names are known. Beyond that the one is forgotten that has called least recently: whoever is at a
    limit and goes on trying is never that one.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic, *, capacity: int = _CAPACITY) -> None:
        self._monotonic = monotonic
        self._capacity = capacity
        # The least recent first; each with the times of its calls, the oldest first.
        self._calls: OrderedDict[str, array[float]] = OrderedDict()

    def __len__(self) -> int:
        """How many names are known."""
        return len(self._calls)

    def admit(self, name: str, limit: int) -> RateAnswer:
        """Counts one call if fewer than `limit` count; see `RateWindows`."""
        calls, now = self._counted(name)
        if len(calls) >= limit:
            return _refusal(calls, limit, now)
        calls.append(now)
        return RateAnswer(True, limit, limit - len(calls), calls[0] + WINDOW_SECONDS - now)

    def refusal(self, name: str, limit: int) -> RateAnswer | None:
        """What `admit` would say if it would refuse, else None; counts nothing."""
        calls, now = self._counted(name)
        return _refusal(calls, limit, now) if len(calls) >= limit else None

    def count(self, name: str) -> None:
        """Counts a call that somebody else has admitted."""
        calls, now = self._counted(name)
        calls.append(now)

    def _counted(self, name: str) -> tuple[array[float], float]:
        """The calls that count now, and the time it is."""
        now = self._monotonic()
        edge = now - WINDOW_SECONDS
        calls = self._calls.get(name)
        if calls is None:
            self._forget(edge)
            calls = self._calls[name] = array("d")
            return calls, now
        self._calls.move_to_end(name)
        if calls and calls[0] <= edge:
            del calls[: bisect_right(calls, edge)]
        return calls, now

    def _forget(self, edge: float) -> None:
        """Makes room for a name: two that have not called for a minute go for each that comes."""
        for _ in range(2):
            if not self._calls:
                return
            oldest = next(iter(self._calls))
            calls = self._calls[oldest]
            if len(self._calls) < self._capacity and calls and calls[-1] > edge:
                return
            del self._calls[oldest]


def _refusal(calls: array[float], limit: int, now: float) -> RateAnswer:
    # The limit may have been higher when these calls were counted.
    return RateAnswer(False, limit, 0, calls[len(calls) - limit] + WINDOW_SECONDS - now)
