"""How often somebody may do something: so many calls in any sixty seconds."""

from __future__ import annotations

from typing import NamedTuple, Protocol

WINDOW_SECONDS = 60.0


class RateAnswer(NamedTuple):
    """What became of one call. `limit` is what counts now and here, `remaining` how many more calls may follow at once.

    `free_in` are the seconds until the oldest call that counts leaves the window: for a call that was refused, until
    one may pass.
    """

    admitted: bool
    limit: int
    remaining: int
    free_in: float


class RateWindows(Protocol):
    """Sliding windows by name. A call that is refused takes no place: asking again in vain costs nothing later."""

    async def admit(self, name: str, limit: int) -> RateAnswer:
        """Counts one call, unless `limit` calls of that name count already. Never fails, and waits for nobody long."""
