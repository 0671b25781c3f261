"""Reports what health says from what the runtime needs: without its database it cannot serve."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from server.health import ServiceHealth
from services.domain.errors import RuntimeServiceError

_log = structlog.stdlib.get_logger("server.health")


class HealthWatch:
    """Asks the database every `interval` seconds and reports a change at once; `run` never ends."""

    def __init__(self, health: ServiceHealth, ping: Callable[[], Awaitable[None]], *, interval: float = 1.0) -> None:
        self._health = health
        self._ping = ping
        self._interval = interval

    async def run(self) -> None:
        """Reports until cancelled."""
        reported: bool | None = None
        while True:
            serving = await self._answers()
            if serving is not reported:
                _log.info("health changed", serving=serving)
                await self._health.report(serving=serving)
                reported = serving
            await asyncio.sleep(self._interval)

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(self._interval):
                await self._ping()
        except (RuntimeServiceError, TimeoutError):
            return False
        except Exception:
            # Whatever it is, nobody is served; a watch that ended here would leave the last word SERVING.
            _log.exception("the database cannot be asked")
            return False
        return True
