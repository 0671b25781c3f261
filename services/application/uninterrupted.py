"""Work that must not be cut in the middle by a caller who hangs up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def uninterrupted(work: Awaitable[T]) -> T:
    """Lets the work end even when the caller is cancelled, then passes the cancel on.

    A cancel in mid-query would cost the connection, one in mid-COMMIT the knowledge of what happened, and one between a
    commit and what must follow it would leave a turn that nobody runs.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if task.cancelled():
                raise
            cancelled = error
        except Exception:
            break
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # the caller is gone; what the work raised has nobody to go to
        raise cancelled
    return task.result()
