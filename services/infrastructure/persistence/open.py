"""Opening the configured database, whichever of the two it is."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from alembic.util import CommandError
from sqlalchemy import make_url, select, text
from sqlalchemy.exc import DBAPIError

from services.domain.errors import RuntimeServiceError
from services.infrastructure.persistence.database import Database
from services.infrastructure.persistence.lock_file import DatabaseInUseError, LockFile
from services.infrastructure.persistence.migrate import migrate
from services.infrastructure.persistence.postgres import PostgresDatabase
from services.infrastructure.persistence.sqlite import SqliteDatabase, sqlite_has_wal_bug
from services.infrastructure.persistence.tables import replicas

logger = logging.getLogger(__name__)


class DatabaseUnusableError(Exception):
    """Why the configured database cannot be used, as one line for the operator; holds no secret."""


@dataclass(frozen=True, slots=True)
class PostgresOptions:
    """What an operator may choose about a PostgreSQL; see the settings of the same names."""

    pool_size: int = 10
    pooled: bool = False
    allow_asynchronous_commit: bool = False


@asynccontextmanager
async def current_database(url: str, options: PostgresOptions | None = None) -> AsyncIterator[Database]:
    """`open_database`, brought to the schema of this release. Raises DatabaseUnusableError."""
    async with AsyncExitStack() as stack:
        try:
            options = options or PostgresOptions()
            database = await stack.enter_async_context(open_database(url, options))
            await _check_durability(database, options)
            await migrate(database)
        except DatabaseInUseError as error:
            raise DatabaseUnusableError(str(error)) from None
        except (RuntimeServiceError, DBAPIError, asyncpg.PostgresError, CommandError, OSError) as error:
            raise DatabaseUnusableError(f"the database cannot be used: {_cause_of(error)}") from error
        yield database


@asynccontextmanager
async def open_database(url: str, options: PostgresOptions | None = None) -> AsyncIterator[Database]:
    """The database behind `sqlite:///…` or `postgresql://…`, closed at the end.

    A SQLite file is made when missing and locked for this process. Raises DatabaseInUseError.
    """
    parsed, options = make_url(url), options or PostgresOptions()
    with ExitStack() as stack:
        database: Database
        if parsed.get_backend_name() == "sqlite":
            path = Path(parsed.database or "")
            stack.enter_context(LockFile(path))
            if sqlite_has_wal_bug():
                logger.warning("this SQLite can corrupt its log under rare conditions; 3.51.3 and later cannot")
            database = SqliteDatabase(path)
        else:
            database = PostgresDatabase(url, pool_size=options.pool_size, pooled=options.pooled)
        try:
            yield database
        finally:
            await database.close()


async def _check_durability(database: Database, options: PostgresOptions) -> None:
    """A commit that can be lost would break the promise that what a client has seen is durable (G1)."""
    if database.dialect != "postgresql" or options.allow_asynchronous_commit:
        return
    setting = await database.read(lambda connection: connection.execute(text("SHOW synchronous_commit")).scalar_one())
    if setting == "off":
        raise DatabaseUnusableError(
            "the database runs with synchronous_commit=off and would lose what clients have seen;"
            " turn it on, or allow it with AGENT_RUNTIME__DATABASE_ALLOW_ASYNCHRONOUS_COMMIT"
        )


async def ping(database: Database) -> None:
    """Returns when the database answers from one of its tables. Raises DatabaseUnavailableError."""
    await database.read(lambda connection: connection.execute(select(replicas.c.incarnation).limit(1)).all())


def _cause_of(error: BaseException) -> str:
    """What the driver or the operating system said, on one line; neither repeats a password."""
    if isinstance(error, RuntimeServiceError) and error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, DBAPIError) and error.orig is not None:
        error = error.orig
    return " ".join(str(error).split()) or type(error).__name__
