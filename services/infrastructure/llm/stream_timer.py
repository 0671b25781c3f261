"""The time limits of one streamed answer, kept by a single timer: one per chunk would cost more than the chunk."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from services.infrastructure.llm.failures import UpstreamError, out_of_time, stalled
from services.infrastructure.llm.settings import OpenAiSettings

T = TypeVar("T")


class StreamTimer:
    """Interrupts a wait for the provider when a limit has passed; time spent outside `wait` is the reader's own.

    The timer is armed for the next limit and looks again when it rings, so a chunk costs no timer of its own.
    Used by one task at a time; `close` when the answer is over.
    """

    def __init__(self, settings: OpenAiSettings) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport_timeout = settings.transport_timeout
        self._progress_timeout = settings.progress_timeout
        self._total_at = self._loop.time() + settings.total_timeout
        self._bytes_at = self._loop.time()
        self._progress_by = self._loop.time() + settings.first_token_timeout
        self._begun = False
        self._handle: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[object] | None = None
        self._cancels_before = 0
        self._expired: UpstreamError | None = None

    async def wait(self, awaitable: Awaitable[T]) -> T:
        """The result of the awaitable, which is cancelled when a limit passes; raises UpstreamError then."""
        task = self._task = asyncio.current_task()
        assert task is not None
        self._cancels_before = task.cancelling()
        self._bytes_at = self._loop.time()
        if self._handle is None:
            self._handle = self._loop.call_at(self._due(), self._ring)
        try:
            return await awaitable
        except BaseException as error:
            # Somebody else may cancel at the same moment; theirs must not be lost.
            if self._expired is None or task.uncancel() > self._cancels_before:
                raise
            raise self._expired from error
        finally:
            self._task = None

    def progressed(self) -> None:
        """The model has said something: the wait for the next thing begins now."""
        self._progress_by = self._loop.time() + self._progress_timeout
        if not self._begun:
            # The limit may be nearer than the one for the first token, which the timer is armed for.
            self._begun = True
            self.close()

    def close(self) -> None:
        """Forgets the timer."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _due(self) -> float:
        return min(self._bytes_at + self._transport_timeout, self._progress_by, self._total_at)

    def _ring(self) -> None:
        self._handle = None
        if self._task is None:
            return
        if self._loop.time() < self._due():
            self._handle = self._loop.call_at(self._due(), self._ring)
            return
        self._expired = out_of_time() if self._due() == self._total_at else stalled()
        self._task.cancel()
