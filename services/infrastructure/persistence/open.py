"""Opening the configured database, whichever of the two it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from sqlalchemy import make_url

from services.infrastructure.persistence.database import Database
from services.infrastructure.persistence.lock_file import LockFile
from services.infrastructure.persistence.postgres import PostgresDatabase
from services.infrastructure.persistence.sqlite import SqliteDatabase


@asynccontextmanager
async def open_database(url: str) -> AsyncIterator[Database]:
    """The database behind `sqlite:///…` or `postgresql://…`, closed at the end.

    A SQLite file is made when missing and locked for this process. Raises DatabaseInUseError.
    """
    parsed = make_url(url)
    with ExitStack() as stack:
        database: Database
        if parsed.get_backend_name() == "sqlite":
            path = Path(parsed.database or "")
            stack.enter_context(LockFile(path))
            database = SqliteDatabase(path)
        else:
            database = PostgresDatabase(url)
        try:
            yield database
        finally:
            await database.close()


async def ping(database: Database) -> None:
    """Returns when the database answers. Raises DatabaseUnavailableError."""
    await database.read(lambda connection: connection.exec_driver_sql("SELECT 1").scalar_one())
