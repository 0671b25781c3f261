"""Waiting for what announces itself by no event: looked at again and again, for a bounded time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def eventually(condition: Callable[[], bool], within: float = 10.0) -> None:
    """Returns once the condition holds. Raises TimeoutError when it does not within so many seconds."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - nothing to await
            await asyncio.sleep(0)
