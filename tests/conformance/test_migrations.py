"""Migrations bring an empty database to exactly the schema the code believes in, once, whoever starts first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect

from services.infrastructure.persistence.database import Database
from services.infrastructure.persistence.migrate import is_current, migrate
from services.infrastructure.persistence.open import open_database
from services.infrastructure.persistence.signing_keys import signing_key
from services.infrastructure.persistence.tables import metadata
from tests.support.databases import DATABASES
from tests.support.postgres import PostgresServer


@pytest.fixture
async def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'made' / 'on the way' / 'runtime.db'}"


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest) -> str:
    """An empty database of this test's own."""
    found: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return found


@pytest.fixture
async def empty(url: str) -> AsyncIterator[Database]:
    async with open_database(url) as database:
        yield database


def differences(connection: Connection) -> list[object]:
    # SQLite numbers rows by itself, without the identity that the code names for PostgreSQL: no defaults to compare.
    options = {"compare_type": True, "compare_server_default": connection.dialect.name == "postgresql"}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


async def test_the_migrated_schema_is_the_one_in_the_code(empty: Database) -> None:
    await migrate(empty)
    assert await empty.read(differences) == []
    tables = await empty.read(lambda connection: set(inspect(connection).get_table_names()))
    assert tables == {*metadata.tables, "alembic_version"}


async def test_an_empty_database_is_not_current_and_a_migrated_one_is(empty: Database) -> None:
    assert not await is_current(empty)
    await migrate(empty)
    assert await is_current(empty)


async def test_migrating_again_changes_nothing(empty: Database) -> None:
    await migrate(empty)
    kept = await signing_key(empty, "kept")
    await migrate(empty)
    assert await empty.read(differences) == []
    assert await signing_key(empty, "kept") == kept


async def test_migrating_at_once_migrates_once(empty: Database) -> None:
    await asyncio.gather(*(migrate(empty) for _ in range(4)))
    assert await is_current(empty)
    assert await empty.read(differences) == []


async def test_replicas_that_ask_at_once_agree_on_a_secret(empty: Database) -> None:
    await migrate(empty)
    keys = await asyncio.gather(*(signing_key(empty, "page_tokens") for _ in range(6)))
    assert len(set(keys)) == 1
    assert len(keys[0]) == 32
    assert await signing_key(empty, "something else") != keys[0]


async def test_replicas_that_start_at_once_migrate_once(postgres: PostgresServer) -> None:
    """PostgreSQL alone: on SQLite the lock file allows one process at a time."""
    async with postgres.database() as name, AsyncExitStack() as stack:
        replicas = [await stack.enter_async_context(open_database(postgres.url_of(name))) for _ in range(3)]
        await asyncio.gather(*(migrate(replica) for replica in replicas))
        assert await is_current(replicas[0])
