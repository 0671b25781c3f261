"""What the operator asks of the process by signals: to stop, and then to hurry."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_EXIT_CODE_OF_A_HANG = 3


class StopSignals:
    """SIGTERM and SIGINT: the first asks to stop, the second to hurry, more change nothing. None is taken back.

    `asked` and `hurried` are set on the running loop. From the first signal on the process has `patience` seconds; then
    something hangs, and it ends with code 3.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._received = 0
        self.asked = asyncio.Event()
        self.hurried = asyncio.Event()

    def listen(self) -> None:
        """Takes the signals, for the rest of the process's life; from its main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            # Not by the loop: what it takes it has not taken while it stands still, and forgets when it is closed.
            signal.signal(number, self._received_one)

    async def unless_asked(self, work: Coroutine[Any, Any, T]) -> T | None:
        """What the work returns or raises; None when the process is to stop before. The work is cancelled then."""
        working, asked = asyncio.create_task(work), asyncio.create_task(self.asked.wait())
        try:
            await asyncio.wait({working, asked}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            working.cancel()
            await asyncio.wait({working})  # whatever comes of it, nobody wants it any more
            return None
        finally:
            asked.cancel()

    def _received_one(self, *_: object) -> None:
        self._received += 1
        if self._received == 1:
            watchdog = threading.Timer(self._patience, _give_up, args=(self._patience,))
            watchdog.daemon = True
            watchdog.start()
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe((self.asked if self._received == 1 else self.hurried).set)


def _give_up(patience: float) -> None:
    print(f"agent-runtime: not stopped {patience:g} s after the signal, giving up", file=sys.stderr, flush=True)
    os._exit(_EXIT_CODE_OF_A_HANG)
