"""What sessions wait for, and until when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class DueSession:
    """A session whose paused turn has waited long enough for something, or whose waiting message finds a place."""

    owner_id: str
    session_id: str


class Waits(Protocol):
    """Waits that are over, by the database's clock. Any number of replicas may look at once."""

    async def due(self, limit: int) -> list[DueSession]:
        """Sessions with a wait that is over, the longest overdue first; so many at most of each kind of wait."""
