"""What health says follows the database, also one that neither answers nor fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from server.health import ServiceHealth
from server.health_watch import HealthWatch
from services.domain.errors import DatabaseUnavailableError

_ROUND = 0.02


class ScriptedDatabase:
    """Answers, fails, or is silent, and cannot be interrupted while it is."""

    def __init__(self) -> None:
        self.away = False
        self.answers = asyncio.Event()
        self.answers.set()
        self.asked = 0

    async def ping(self) -> None:
        self.asked += 1
        while not self.answers.is_set():
            with suppress(asyncio.CancelledError):
                await self.answers.wait()
        if self.away:
            raise DatabaseUnavailableError("away")


class Reported(ServiceHealth):
    """Keeps what was reported."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[bool] = []

    def report(self, *, serving: bool, service: str | None = None) -> None:
        self.words.append(serving)


@asynccontextmanager
async def watched(database: ScriptedDatabase) -> AsyncIterator[list[bool]]:
    health = Reported()
    task = asyncio.create_task(HealthWatch(health, database.ping, interval=_ROUND).run())
    try:
        yield health.words
    finally:
        database.answers.set()
        task.cancel()
        await asyncio.wait({task})


async def said(words: list[bool], *expected: bool) -> None:
    async with asyncio.timeout(5):
        while words != list(expected):  # noqa: ASYNC110
            await asyncio.sleep(_ROUND / 4)


async def test_a_change_is_reported_once() -> None:
    database = ScriptedDatabase()
    async with watched(database) as words:
        await said(words, True)
        database.away = True
        await said(words, True, False)
        database.away = False
        await said(words, True, False, True)


async def test_a_database_that_is_silent_is_away_and_is_asked_no_second_time() -> None:
    database = ScriptedDatabase()
    async with watched(database) as words:
        await said(words, True)
        database.answers.clear()
        await said(words, True, False)
        asked = database.asked
        await asyncio.sleep(5 * _ROUND)
        assert database.asked == asked
        database.answers.set()
        await said(words, True, False, True)
