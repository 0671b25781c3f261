"""The servers behind the fixtures are real, and give each test a place of its own."""

from __future__ import annotations

from datetime import timedelta

import asyncpg
import pytest
import redis.asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.support.clock import ManualClock
from tests.support.postgres import PostgresServer


@pytest.mark.parametrize("_again", [1, 2])
async def test_each_test_gets_an_empty_database(postgres_url: str, _again: int) -> None:
    connection = await asyncpg.connect(postgres_url)
    try:
        await connection.execute("CREATE TABLE seen (id int)")
        assert await connection.fetchval("SHOW synchronous_commit") == "on"
    finally:
        await connection.close()


async def test_sqlalchemy_takes_the_url_with_its_driver_named(postgres_url: str) -> None:
    engine = create_async_engine(postgres_url.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT current_database()"))).scalar_one().startswith("test_")
    await engine.dispose()


async def test_a_database_can_be_copied_from_a_prepared_one(postgres: PostgresServer) -> None:
    async with postgres.database() as prepared:
        connection = await asyncpg.connect(postgres.url_of(prepared))
        await connection.execute("CREATE TABLE migrated (id int)")
        await connection.close()
        async with postgres.database(template=prepared) as copy:
            connection = await asyncpg.connect(postgres.url_of(copy))
            assert await connection.fetchval("SELECT count(*) FROM migrated") == 0
            await connection.close()


async def test_a_database_is_dropped_though_a_connection_is_still_open(postgres: PostgresServer) -> None:
    async with postgres.database() as name:
        leaked = await asyncpg.connect(postgres.url_of(name))
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
        await leaked.fetchval("SELECT 1")
    leaked.terminate()


@pytest.mark.parametrize("_again", [1, 2])
async def test_each_test_gets_an_empty_redis(redis_url: str, _again: int) -> None:
    async with redis.asyncio.from_url(redis_url) as client:
        assert await client.dbsize() == 0
        await client.set("seen", "yes")


def test_the_clock_moves_only_when_told(clock: ManualClock) -> None:
    before, started = clock.monotonic(), clock.now()
    clock.advance(1.5)
    assert clock.monotonic() - before == 1.5
    assert clock.now() - started == timedelta(seconds=1.5)
    with pytest.raises(ValueError, match="back"):
        clock.advance(-1)
