"""How many calls the process has in work at once, by class, so that a fill of one class never starves another."""

from __future__ import annotations

from typing import Any

from server.interceptors.authentication import OPERATOR_SERVICES
from server.interceptors.rpc import Proceed, Rpc
from server.setting_groups import ConcurrencySettings
from services.domain.errors import RateLimitedError, TooManyStreamsError

CANCEL_TURN = "/agent_runtime.v1.MessageService/CancelTurn"

# Streams end one by one, and another replica may have room; unary calls are short.
_RETRY_AFTER_SECONDS = 1.0


class Concurrency:
    """Lets so many streams be open, and so many unary calls be in work, of all callers together.

    Whoever wants to stop something, and operators, find a reserve when the unary places are taken. Health does not pass
    here. A unary call whose caller has left keeps its place until its handler has ended.
    """

    def __init__(self, limits: ConcurrencySettings) -> None:
        self._limits = limits
        self._streams = 0
        self._calls = 0

    async def __call__(self, rpc: Rpc, proceed: Proceed) -> Any:
        """Raises TooManyStreamsError, RateLimitedError."""
        if not rpc.streaming:
            return await self._unary(rpc, proceed)
        if self._streams >= self._limits.streams:
            raise TooManyStreamsError(
                f"{self._limits.streams} streams are open at this replica",
                retry_after=_RETRY_AFTER_SECONDS,
                quota=("process:streams", f"{self._limits.streams} open streams"),
                metadata={"limit": str(self._limits.streams)},
            )
        self._streams += 1
        try:
            return await proceed()
        finally:
            self._streams -= 1

    async def _unary(self, rpc: Rpc, proceed: Proceed) -> Any:
        reserved = rpc.method == CANCEL_TURN or rpc.service in OPERATOR_SERVICES
        places = self._limits.calls + (self._limits.reserve if reserved else 0)
        if self._calls >= places:
            raise RateLimitedError(
                f"{places} calls are in work at this replica",
                retry_after=_RETRY_AFTER_SECONDS,
                quota=("process:calls", f"{places} calls in work"),
                metadata={"limit": str(places)},
            )
        self._calls += 1
        try:
            return await proceed()
        finally:
            rpc.when_over(self._leave)

    def _leave(self) -> None:
        self._calls -= 1
