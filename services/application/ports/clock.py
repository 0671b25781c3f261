"""Time, so that tests own it."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Time, so that tests own it."""

    def now(self) -> datetime:
        """The wall clock, aware, UTC. For people only: nothing is decided by it that another replica must agree on."""

    def monotonic(self) -> float:
        """Seconds that never jump."""
