"""The keyboard belongs to the main thread, where line editing and Ctrl-C work; the conversation runs beside it.

Reading a line blocks and only the main thread of a process sees Ctrl-C, while the event loop has streams to serve. So
the loop runs on a thread of its own, and asks here for lines.
"""

from __future__ import annotations

import asyncio
import queue
import signal
import threading
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import TypeVar

from client.chat.line_editing import forget_typed_ahead, read_line
from client.chat.person import InterruptedByPersonError

Result = TypeVar("Result")


class Keyboard:
    """Lines from a person, for one event loop.

    `on_interrupt` is called on the loop when Ctrl-C comes while nothing is being asked.
    """

    def __init__(self) -> None:
        self.on_interrupt: Callable[[], None] = lambda: None
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._asking = False

    async def ask(self, prompt: str, *, prefill: str = "", fresh: bool = False) -> str:
        """One line, without its end. `fresh` forgets what was typed before the question was seen.

        Raises EOFError for Ctrl-D and InterruptedByPersonError for Ctrl-C.
        """

        def read() -> str:
            if fresh:
                forget_typed_ahead()
            return read_line(prompt, prefill)

        return await self.in_foreground(read)

    async def in_foreground(self, work: Callable[[], Result]) -> Result:
        """Runs blocking work that needs the terminal, such as an editor. Raises what it raises, and as `ask`."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Result] = loop.create_future()

        def job() -> None:
            try:
                self._asking = True
                try:
                    result = work()
                finally:
                    self._asking = False
            except KeyboardInterrupt:
                loop.call_soon_threadsafe(_settle, done, None, InterruptedByPersonError())
            except BaseException as error:
                loop.call_soon_threadsafe(_settle, done, None, error)
            else:
                loop.call_soon_threadsafe(_settle, done, result, None)

        self._jobs.put(job)
        return await done

    def run(self, main: Callable[[], Coroutine[None, None, int]]) -> int:
        """Runs the conversation on a loop of its own until it ends; returns what it returns, raises what it raises."""
        outcome: list[int | BaseException] = []

        async def body() -> int:
            self._loop = asyncio.get_running_loop()
            return await main()

        def beside() -> None:
            try:
                outcome.append(asyncio.run(body()))
            except BaseException as error:
                outcome.append(error)
            finally:
                self._jobs.put(None)

        thread = threading.Thread(target=beside, name="conversation")
        before = signal.signal(signal.SIGINT, self._interrupted)
        try:
            thread.start()
            while (job := self._jobs.get()) is not None:
                job()
            thread.join()
        finally:
            signal.signal(signal.SIGINT, before)
        (result,) = outcome
        if isinstance(result, BaseException):
            raise result
        return result

    def _interrupted(self, _number: int, _frame: FrameType | None) -> None:
        if self._asking:
            raise KeyboardInterrupt
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.on_interrupt)


def _settle(future: asyncio.Future[Result], result: Result | None, error: BaseException | None) -> None:
    if future.cancelled():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)  # type: ignore[arg-type]
