"""When a question is asked again, after what wait, and how often all questions of a process together may be."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from services.infrastructure.llm.failures import UpstreamError
from services.infrastructure.llm.settings import RetrySettings

T = TypeVar("T")

_WINDOW = 60.0
_RETRY_AFTER_JITTER = 0.5


class RetryBudget:
    """Bounds the retries of a process, so that a provider in trouble does not get several times its usual load."""

    def __init__(self, settings: RetrySettings, monotonic: Callable[[], float]) -> None:
        self._settings = settings
        self._monotonic = monotonic
        self._questions: deque[float] = deque()
        self._retries: deque[float] = deque()

    def count_question(self) -> None:
        """A new question is about to be asked."""
        self._questions.append(self._monotonic())
        self._forget(self._questions)

    def take(self) -> bool:
        """Whether one more retry may be made; it is counted if so."""
        self._forget(self._questions)
        self._forget(self._retries)
        allowed = max(self._settings.budget_floor, int(len(self._questions) * self._settings.budget_share))
        if len(self._retries) >= allowed:
            return False
        self._retries.append(self._monotonic())
        return True

    def _forget(self, times: deque[float]) -> None:
        horizon = self._monotonic() - _WINDOW
        while times and times[0] <= horizon:
            times.popleft()


class Retries:
    """The one place where the model is asked again; one per process, for any number of questions at once."""

    def __init__(
        self,
        settings: RetrySettings,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._settings = settings
        self._sleep = sleep
        self._uniform = uniform
        self._budget = RetryBudget(settings, monotonic)

    async def run(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """The result of the first attempt that has one.

        Raises the last attempt's UpstreamError: once it is not worth another attempt, once there were enough of them,
        or once the budget is spent. If waiting may help, it says how long.
        """
        self._budget.count_question()
        # One for each question: tenacity keeps what it does next in the object, by thread and not by task.
        retrying = AsyncRetrying(
            retry=retry_if_exception(_worth_another_attempt),
            wait=self.wait,
            stop=self._enough,
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return await retrying(attempt)
        except UpstreamError as error:
            if error.transient and error.retry_after is None:
                error.retry_after = self._settings.max_wait
            raise

    def wait(self, state: RetryCallState) -> float:
        """Seconds until the next attempt: what the provider asked for, else at random between bounds that grow."""
        error = state.outcome.exception() if state.outcome is not None else None
        if isinstance(error, UpstreamError) and error.retry_after is not None:
            return error.retry_after + self._uniform(0.0, _RETRY_AFTER_JITTER)
        low, high = self._settings.min_wait, self._settings.max_wait
        return self._uniform(low, min(high, low * 2**state.attempt_number))

    def _enough(self, state: RetryCallState) -> bool:
        return state.attempt_number >= self._settings.attempts or not self._budget.take()


def _worth_another_attempt(error: BaseException) -> bool:
    return isinstance(error, UpstreamError) and error.transient
