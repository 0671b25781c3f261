"""Notices that the process has more to do than it gets done."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

_BEAT = 0.1
_BEATS = 5


class OverloadWatch:
    """How late the event loop is, or something else that all calls need, over the last half second; `run` never ends.

    Each of `others` says how many seconds late it is now.
    """

    def __init__(self, *others: Callable[[], float]) -> None:
        self._others = others
        self._recent = deque([0.0], maxlen=_BEATS)

    def lateness(self) -> float:
        """By how many seconds something was late all the time, at least: a single busy moment is none."""
        return min(self._recent)

    async def run(self) -> None:
        """Watches until cancelled."""
        while True:
            due = time.monotonic() + _BEAT
            await asyncio.sleep(_BEAT)
            self.beat(time.monotonic() - due)

    def beat(self, late: float) -> None:
        """The loop came back to this so many seconds late."""
        self._recent.append(max(late, *(other() for other in self._others), 0.0))
