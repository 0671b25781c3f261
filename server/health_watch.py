"""Reports what health says from what the runtime needs: its database, and an event loop that runs."""

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
        self._asking: asyncio.Future[None] | None = None
        self._loop_is_well = True
        self._reported: bool | None = None
        self.database_answers = True

    async def run(self) -> None:
        """Reports until cancelled."""
        while True:
            self.database_answers = await self._answers()
            self._report()
            await asyncio.sleep(self._interval)

    def hear_of_loop(self, well: bool) -> None:
        """Takes in, and reports at once, whether the event loop runs as it should."""
        self._loop_is_well = well
        self._report()

    def _report(self) -> None:
        serving = self.database_answers and self._loop_is_well
        if serving is not self._reported:
            _log.info("health changed", serving=serving)
            self._health.report(serving=serving)
            self._reported = serving

    async def _answers(self) -> bool:
        """Whether the answer came in time. Who is asked cannot be interrupted; the next round waits for the same."""
        self._asking = self._asking or asyncio.ensure_future(self._ping())
        answered, _ = await asyncio.wait({self._asking}, timeout=self._interval)
        if not answered:
            return False
        asked, self._asking = self._asking, None
        try:
            asked.result()
        except (RuntimeServiceError, TimeoutError):
            return False
        except Exception:
            # Whatever it is, nobody is served; a watch that ended here would leave the last word SERVING.
            _log.exception("the database cannot be asked")
            return False
        return True
