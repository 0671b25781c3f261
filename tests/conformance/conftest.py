"""Fresh storage for each test on each database.

Every test here runs on both. What only one of them can show stands in `test_sqlite_only.py` and
`test_postgresql_only.py`, each test with its reason.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, delete

from services.infrastructure.persistence.database import Database
from services.infrastructure.persistence.migrate import migrate
from services.infrastructure.persistence.postgres import PostgresDatabase
from services.infrastructure.persistence.sqlite import SqliteDatabase
from services.infrastructure.persistence.tables import metadata
from tests.support.clock import ManualClock
from tests.support.databases import DATABASES
from tests.support.pooler import local_pooler
from tests.support.postgres import PostgresServer
from tests.support.storage import Storage, running_storage
from tests.support.unreliable_database import UnreliableDatabase


@pytest.fixture(scope="session")
async def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file at the current schema, to copy: migrating takes longer than a test."""
    path = tmp_path_factory.mktemp("migrated") / "template.db"
    database = SqliteDatabase(path)
    await migrate(database)
    await database.close()
    return path


@pytest.fixture(scope="session")
async def migrated_url(postgres: PostgresServer) -> AsyncIterator[str]:
    """`postgresql://…` of a database at the current schema, for all tests of this process."""
    async with postgres.database() as name:
        database = PostgresDatabase(postgres.url_of(name))
        await migrate(database)
        await database.close()
        yield postgres.url_of(name)


@pytest.fixture(scope="session")
async def way_to_postgresql(migrated_url: str) -> AsyncIterator[tuple[str, bool]]:
    """Its address, and whether a pooler in transaction mode stands before it, as TEST_POSTGRES_POOLED has it."""
    if not os.environ.get("TEST_POSTGRES_POOLED"):
        yield migrated_url, False
        return
    async with local_pooler(migrated_url) as url:
        yield url, True


@pytest.fixture
def sqlite_path(migrated_file: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(migrated_file, tmp_path / "runtime.db"))


@pytest.fixture
async def sqlite_database(sqlite_path: Path) -> AsyncIterator[SqliteDatabase]:
    database = SqliteDatabase(sqlite_path)
    yield database
    await database.close()


@pytest.fixture
async def postgresql_database(way_to_postgresql: tuple[str, bool]) -> AsyncIterator[PostgresDatabase]:
    """Emptied, not copied: making a database takes a hundred times as long as emptying one."""
    url, pooled = way_to_postgresql
    database = PostgresDatabase(url, pooled=pooled)
    await database.write(_empty, repeatable=True)
    yield database
    await database.close()


def _empty(connection: Connection) -> None:
    for table in reversed(metadata.sorted_tables):
        connection.execute(delete(table))


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest) -> Database:
    chosen: Database = request.getfixturevalue(f"{request.param}_database")
    return chosen


@pytest.fixture
async def storage(database: Database, clock: ManualClock) -> AsyncIterator[Storage]:
    async with running_storage(database, clock) as running:
        yield running


@pytest.fixture
def unreliable(database: Database) -> UnreliableDatabase:
    return UnreliableDatabase(database)


@pytest.fixture
async def shaky(unreliable: UnreliableDatabase, clock: ManualClock) -> AsyncIterator[Storage]:
    """Storage on the database whose replies `unreliable` can lose."""
    async with running_storage(unreliable, clock) as running:
        yield running


@pytest.fixture
async def sqlite_storage(sqlite_database: SqliteDatabase, clock: ManualClock) -> AsyncIterator[Storage]:
    async with running_storage(sqlite_database, clock) as running:
        yield running


@pytest.fixture
async def postgresql_storage(postgresql_database: PostgresDatabase, clock: ManualClock) -> AsyncIterator[Storage]:
    async with running_storage(postgresql_database, clock) as running:
        yield running
