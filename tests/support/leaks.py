"""What a test has left behind: connections that a server still holds, and tasks that still run."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Sized
from contextlib import asynccontextmanager

import psutil

_PATIENCE = 5.0
# Connections to the database and the model, and threads, that a server keeps for the next call.
_POOLED = 40


@asynccontextmanager
async def nothing_left(pid: int, address: str) -> AsyncIterator[None]:
    """Fails when, after the block, the process holds more connections at this address than before, or far more open
    files or threads: pools may have filled in between, but not once for every call.
    """
    process, port = psutil.Process(pid), int(address.rpartition(":")[2])

    def connections() -> set[object]:
        held = process.net_connections("tcp")
        return {each.raddr for each in held if each.laddr.port == port and each.status == psutil.CONN_ESTABLISHED}

    before, files, threads = connections(), process.num_fds(), process.num_threads()
    yield
    gc.collect()  # what an error's traceback still held
    await _gone(lambda: connections() - before, "connections")
    assert process.num_fds() <= files + _POOLED
    assert process.num_threads() <= threads + _POOLED


@asynccontextmanager
async def no_task_left() -> AsyncIterator[None]:
    """Fails when tasks that were begun in the block outlive it."""
    before = asyncio.all_tasks()
    yield
    await _gone(lambda: [task for task in asyncio.all_tasks() - before if not task.done()], "tasks")


async def _gone(left: Callable[[], Sized], what: str) -> None:
    try:
        async with asyncio.timeout(_PATIENCE):
            while left():  # noqa: ASYNC110 - nothing to await
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"{what} were left: {left()}") from None
