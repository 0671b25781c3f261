"""Notices that calls come faster than gRPC hands them over.

gRPC takes in one call of a method at a time, over a few turns of the event loop, and keeps the others in a queue of its
own of which it says nothing. A process with more work than it gets done seems well from the inside, then, while callers
wait for seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from server.fair_share import FairShare

# Of the loop: gRPC takes four from one call that waits to the next. Fewer would see no queue at all, and with more two
# calls that came a little apart look like one.
_TURNS = 6
# How long a queue is not let in once it was too long; each call that is refused for it lengthens that by a little, so
# that it lasts for as long as there are more than fifty a second.
_STRICT_SECONDS = 10.0
_LONGER = 0.02


class AcceptQueue:
    """The calls of one method that have arrived and are not taken in. Used on one event loop, by many calls at once.

    A queue that has stood for `patience` seconds means that more is asked for than is done. It is not let in any more,
    then, until there has been none for some seconds: each call with another right behind it is one too many. Only the
    first of each owner in a second is let in even so, or whoever calls without end would keep everybody out.
    """

    def __init__(self, method: str, patience: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._method = method
        self._patience = patience
        self._monotonic = monotonic
        self._share = FairShare(monotonic)
        self._taken = 0
        self._stands_since: float | None = None
        self._strict_until = 0.0

    def taken(self, method: str) -> None:
        """A call was taken in; to be told of each."""
        if method == self._method:
            self._taken += 1

    async def is_too_long(self, owner_id: str) -> bool:
        """Whether the call that asks, which was taken in just now for this owner, is one too many."""
        before = self._taken
        for _ in range(_TURNS):
            await asyncio.sleep(0)
            if self._taken != before:
                break
        if self._judge(another_behind=self._taken != before):
            return not self._share.takes(owner_id)
        self._share.count()
        return False

    def _judge(self, *, another_behind: bool) -> bool:
        if not another_behind:
            self._stands_since = None
            return False
        now = self._monotonic()
        if self._stands_since is None:
            self._stands_since = now
        if now - self._stands_since > self._patience:
            self._strict_until = now + _STRICT_SECONDS
        if now >= self._strict_until:
            return False
        self._strict_until = min(self._strict_until + _LONGER, now + _STRICT_SECONDS)
        return True
