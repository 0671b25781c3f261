"""What would begin new work is refused while the process has more than it gets done, and what has begun goes on."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from server.accept_queue import AcceptQueue
from server.interceptors.needs import needs_of
from server.interceptors.rpc import Proceed, Rpc
from services.application.ports.circuits import Need
from services.domain.errors import RateLimitedError

_RETRY_AFTER_SECONDS = (1.0, 3.0)  # at random, so that those who were refused together do not come back together


class OverloadGate:
    """Refuses new turns while there is more to do than gets done.

    That is when what all turns need is more than `limit` seconds late, the event loop or the database, or when more of
    them come than are taken in. Results, decisions, cancels and reads pass: they let what was accepted come to its end.
    """

    def __init__(self, lateness: Callable[[], float], limit: float, accept_queue: AcceptQueue) -> None:
        self._lateness = lateness
        self._limit = limit
        self.accept_queue = accept_queue

    async def __call__(self, rpc: Rpc, proceed: Proceed) -> Any:
        """Raises RateLimitedError."""
        if Need.MODEL in needs_of(rpc.method, rpc.request) and (
            self._lateness() > self._limit or await self.accept_queue.is_too_long(_owner_of(rpc))
        ):
            raise RateLimitedError(
                "this replica has more work than it gets done",
                retry_after=random.uniform(*_RETRY_AFTER_SECONDS),
                quota=("process:work", "more turns than the replica gets done"),
            )
        return await proceed()


def _owner_of(rpc: Rpc) -> str:
    return rpc.principal.owner_id if rpc.principal is not None else ""
