"""How replicas learn that a session they watch has grown elsewhere: hints that may be lost, and the look that finds
out.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Growth:
    """A session's log goes at least up to this number; `runs_elsewhere` says that another incarnation owns it."""

    session_key: int
    last_sequence: int
    runs_elsewhere: bool = False


class WakeUps(Protocol):
    """Tells other replicas. A hint, never the truth: whoever is not told finds out by looking."""

    def tell(self, incarnations: Sequence[str], growth: Growth) -> None:
        """Lets these incarnations know, soon and without waiting; to nobody, nothing is sent."""


class Watches(Protocol):
    """Which incarnation watches which sessions, so that whoever appends knows whom to tell."""

    async def change(self, incarnation: str, *, added: Collection[int], removed: Collection[int]) -> None:
        """Records what this incarnation has begun and ceased to watch."""

    async def grown(self, incarnation: str, looked_at: Collection[int]) -> list[Growth]:
        """Where the logs stand of these sessions, and of those this incarnation has on record as watched that run
        elsewhere.
        """

    async def forget_the_dead(self) -> None:
        """Removes what incarnations have on record whose lease is long over."""
