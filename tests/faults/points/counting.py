"""A process that counts in a SQLite database, writing to it as the server does.

Many tasks raise one number, which is the title of a session, through the store; readers page through the log all the
while. Each acknowledged number is told on standard output, one a line, so that whoever kills this process knows them.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from services.application.ports import SessionFilter
from services.domain.errors import RuntimeServiceError
from services.domain.session_change import SessionChange
from services.domain.session_events import SessionUpdated
from services.infrastructure.persistence.migrate import migrate
from services.infrastructure.persistence.sqlite import SqliteDatabase
from tests.support.clock import ManualClock
from tests.support.storage import OWNER, Storage, running_storage

SESSION = "counter"
TASKS = 20
_READERS = 4
_PAGE = 5


def raise_by_one(change: SessionChange) -> None:
    """Reads the number, adds one, writes it and says so in the log."""
    session = change.session
    number = int(session.title or "0") + 1
    change.session = replace(session, title=str(number), version=session.version + 1)
    change.append(SessionUpdated(str(number), "", {}, session.message_limit, change.session.version))
    change.outcome = str(number)


def main(arguments: Sequence[str]) -> None:
    """`path increments`"""
    asyncio.run(count(Path(arguments[0]), int(arguments[1])))


async def count(path: Path, increments: int) -> None:
    """Raises the number so many times, by 20 tasks at once; the session is made when missing."""
    database = SqliteDatabase(path)
    await migrate(database)
    async with running_storage(database, ManualClock()) as storage:
        if not (await storage.reads.sessions(OWNER, where=SessionFilter(), limit=1, after=None)).items:
            await storage.new_session(SESSION)
        key = (await storage.reads.locate(OWNER, SESSION)).session_key
        readers = [asyncio.create_task(_read_on(storage, key)) for _ in range(_READERS)]
        left = iter(range(increments))
        await asyncio.gather(*(_raise(storage, left) for _ in range(TASKS)))
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
    await database.close()


async def _raise(storage: Storage, left: Iterator[int]) -> None:
    for _ in left:
        try:
            committed = await storage.change(raise_by_one, SESSION)
        except RuntimeServiceError as error:
            os.write(1, f"refused {error.reason}\n".encode())
            continue
        os.write(1, f"{committed.outcome}\n".encode())


async def _read_on(storage: Storage, session_key: int) -> None:
    """Somebody who always reads something: a checkpoint never finds the database without readers."""
    after = 0
    while True:
        after = max((await storage.log.read(session_key, after)).head - _PAGE, 0)
