"""A unary call works for a bounded time, and what it has begun it finishes, even when the caller has left."""

from __future__ import annotations

import asyncio
import time
from contextvars import ContextVar
from typing import Any

import structlog

from server.interceptors.rpc import Proceed, Rpc
from services.domain.errors import DeadlineExceededError, RuntimeServiceError

_log = structlog.stdlib.get_logger("server.errors")

_LAST_MOMENT = 0.1  # seconds, enough for all that can be cancelled

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


def current_deadline() -> float | None:
    """When the answer of this unary call must be ready, on the clock of `time.monotonic`; None in streams."""
    return _deadline.get()


class Deadline:
    """Runs each unary handler in a task of its own; streams run in the task of their call and have no deadline.

    A caller that cancels, or whose deadline passes, ends the call but not the handler: a command is not torn out of the
    database half-way. The handler is cancelled at `unary_timeout` seconds, which also caps longer deadlines.
    """

    def __init__(self, unary_timeout: float) -> None:
        self._unary_timeout = unary_timeout
        # asyncio itself keeps only weak references to tasks.
        self._running: set[asyncio.Task[Any]] = set()

    async def __call__(self, rpc: Rpc, proceed: Proceed) -> Any:
        """Raises DeadlineExceededError when the handler was not ready within `unary_timeout`."""
        if rpc.streaming:
            return await proceed()
        time_left = self._unary_timeout if rpc.time_left is None else min(rpc.time_left, self._unary_timeout)
        _deadline.set(rpc.started + time_left)
        handler = rpc.handler = asyncio.create_task(self._bounded(rpc, proceed), name=f"unary {rpc.method}")
        self._running.add(handler)
        handler.add_done_callback(self._running.discard)
        try:
            return await asyncio.shield(handler)
        except asyncio.CancelledError:
            handler.add_done_callback(_log_unexpected)
            raise

    async def finish(self, within: float) -> None:
        """Waits for handlers whose calls have ended, at most `within` seconds, then cancels them; for the stop.

        One that is amid a statement of the database gets to its end first, however long that takes: nobody waits then.
        """
        if not self._running:
            return
        _, late = await asyncio.wait(self._running, timeout=within)
        for handler in late:
            handler.cancel()
        if late:
            await asyncio.wait(late, timeout=_LAST_MOMENT)

    async def _bounded(self, rpc: Rpc, proceed: Proceed) -> Any:
        limit = asyncio.timeout(rpc.started + self._unary_timeout - time.monotonic())
        try:
            async with limit:
                return await proceed()
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise DeadlineExceededError(f"not ready within {self._unary_timeout:g} s; nobody waits longer") from error


def _log_unexpected(handler: asyncio.Task[Any]) -> None:
    """What a handler raises after its caller left reaches nobody else."""
    error = None if handler.cancelled() else handler.exception()
    if error is not None and not isinstance(error, RuntimeServiceError):
        _log.error("unexpected error", method=handler.get_name(), exc_info=error)
