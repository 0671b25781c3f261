"""Who is let in while there are too many: everybody once in a while, so that nobody who floods keeps the others out."""

from __future__ import annotations

from collections.abc import Callable
from math import floor

_SHARE = 0.5  # of what was let in before; the rest of the time goes to those who find no queue, and to refusals
_FADES = 0.9  # in each second in which less is let in


class FairShare:
    """One call of each owner in a second, and no more of them than half of what was let in before there were too many.

    Used on one event loop. Remembers the owners of the running second only.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._second = 0
        self._let_in = 0
        self._usual = 0.0
        self._too_many = False
        self._owners: set[str] = set()

    def count(self) -> None:
        """Counts a call that was let in because there were not too many."""
        self._turn_to(self._monotonic())
        self._let_in += 1

    def takes(self, owner_id: str) -> bool:
        """Whether a call is let in of which there are too many; it counts as let in, then."""
        now = self._monotonic()
        self._turn_to(now)
        self._too_many = True
        # Spread over the second: all at once they would make the others wait.
        due = max(self._usual, self._let_in) * _SHARE * (now - self._second)
        if owner_id in self._owners or len(self._owners) > due:
            return False
        self._owners.add(owner_id)
        return True

    def _turn_to(self, now: float) -> None:
        second = floor(now)
        if second == self._second:
            return
        self._usual = max(self._let_in, self._usual if self._too_many else self._usual * _FADES)
        self._second, self._let_in, self._too_many = second, 0, False
        self._owners.clear()
