"""Which calls a stop has to wait for: those that a handler has been given, until all of their answer is sent."""

from __future__ import annotations

import asyncio


class CallsInWork:
    """Counts calls, not messages. A call whose request has not come yet is not in work: nothing was done for it.

    For one event loop.
    """

    def __init__(self) -> None:
        self._number = 0
        self._begun = 0
        self._none = asyncio.Event()
        self._none.set()

    def begin(self) -> None:
        """The call of this task is in work from now on until the task ends."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("not in the task of a call")
        self._number += 1
        self._begun += 1
        self._none.clear()
        # Not at the end of the handler: gRPC sends its answer after that, in this task, as fast as the caller takes it.
        task.add_done_callback(self._ended)

    async def none_for(self, seconds: float) -> None:
        """Returns once no call has been in work for so long."""
        while True:
            await self._none.wait()
            begun = self._begun
            await asyncio.sleep(seconds)
            if self._begun == begun:
                return

    def _ended(self, _: asyncio.Task[object]) -> None:
        self._number -= 1
        if not self._number:
            self._none.set()
