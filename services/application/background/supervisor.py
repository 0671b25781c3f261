"""Keeps background tasks alive: named, restarted when they fail, awaited at the end, visible to operators."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType

logger = logging.getLogger(__name__)

_FIRST_DELAY = 0.1
_LONGEST_DELAY = 10.0


@dataclass(frozen=True, slots=True)
class TaskState:
    """One background task: how often it failed since the start and whether it runs right now."""

    name: str
    failures: int
    running: bool


class Supervisor:
    """Runs endless tasks for as long as its context lasts; leaving it cancels and awaits them all."""

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._monotonic = monotonic
        self._pause = pause
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._failures: dict[str, int] = {}
        self._waiting: set[str] = set()

    def start(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Runs `work` now, and again after a pause whenever it raises, which grows as long as it raises soon."""
        self._failures[name] = 0
        self._tasks[name] = asyncio.create_task(self._keep_running(name, work), name=name)

    def states(self) -> list[TaskState]:
        """All tasks, by name."""
        return [
            TaskState(name, self._failures[name], not task.done() and name not in self._waiting)
            for name, task in sorted(self._tasks.items())
        ]

    async def __aenter__(self) -> Supervisor:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _keep_running(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        delay = _FIRST_DELAY
        while True:
            began = self._monotonic()
            try:
                await work()
                return
            except Exception:
                self._failures[name] += 1
                logger.exception("background task %s failed, starting it again", name)
            if self._monotonic() - began > _LONGEST_DELAY:
                delay = _FIRST_DELAY  # it was well for a while; a lease does not last through a long pause
            self._waiting.add(name)
            await self._pause(delay)
            self._waiting.discard(name)
            delay = min(delay * 2, _LONGEST_DELAY)
