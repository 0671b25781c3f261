"""A process that is about to stop takes no new streams: they would only be cut, and another replica can serve them."""

from __future__ import annotations

from typing import Any

from server.drain_signal import DrainSignal
from server.interceptors.rpc import Proceed, Rpc
from services.domain.errors import DrainingError

# By then a balancer has noticed, or the next process listens.
_RETRY_AFTER_SECONDS = 1.0


class DrainGate:
    """Refuses streams once the signal is given; unary calls are short and still served."""

    def __init__(self, drain: DrainSignal) -> None:
        self._drain = drain

    async def __call__(self, rpc: Rpc, proceed: Proceed) -> Any:
        """Raises DrainingError."""
        if rpc.streaming and self._drain.draining:
            raise DrainingError("this replica is stopping", retry_after=_RETRY_AFTER_SECONDS)
        return await proceed()
