"""What would begin new work is refused while the process has more than it gets done, and what has begun goes on."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from server.interceptors.needs import needs_of
from server.interceptors.rpc import Proceed, Rpc
from services.application.ports.circuits import Need
from services.domain.errors import RateLimitedError

_RETRY_AFTER_SECONDS = (1.0, 3.0)  # at random, so that those who were refused together do not come back together


class OverloadGate:
    """Refuses new turns while what all turns need is more than `limit` seconds late, the event loop or the database.

    Results, decisions, cancels and reads pass: they let what was accepted come to its end.
    """

    def __init__(self, lateness: Callable[[], float], limit: float) -> None:
        self._lateness = lateness
        self._limit = limit

    async def __call__(self, rpc: Rpc, proceed: Proceed) -> Any:
        """Raises RateLimitedError."""
        if self._lateness() > self._limit and Need.MODEL in needs_of(rpc.method, rpc.request):
            raise RateLimitedError(
                "this replica has more work than it gets done",
                retry_after=random.uniform(*_RETRY_AFTER_SECONDS),
                quota=("process:work", "more turns than the replica gets done"),
            )
        return await proceed()
