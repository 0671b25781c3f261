"""Fixtures that every test may ask for: real databases, fresh for each test, and a clock the test owns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis.asyncio

from tests.support.clock import ManualClock
from tests.support.postgres import PostgresServer, running_postgres
from tests.support.redis import running_redis


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for this test process; from a thread, since other fixtures ask for it while their loop runs."""
    running = running_postgres()
    with asyncio.Runner() as runner, ThreadPoolExecutor(1) as thread:
        server: PostgresServer = thread.submit(runner.run, running.__aenter__()).result()
        yield server
        thread.submit(runner.run, running.__aexit__(None, None, None)).result()


@pytest.fixture
async def postgres_url(postgres: PostgresServer) -> AsyncIterator[str]:
    """`postgresql://…` of an empty database of this test's own."""
    async with postgres.database() as name:
        yield postgres.url_of(name)


@pytest.fixture(scope="session")
def redis_server_url() -> Iterator[str]:
    """One server for this test process; tests ask for `redis_url`."""
    with running_redis() as url:
        yield url


@pytest.fixture
async def redis_url(redis_server_url: str) -> str:
    """`redis://…` of an empty database; the next test empties it again."""
    async with redis.asyncio.from_url(redis_server_url) as client:
        await client.flushdb()
    return redis_server_url


@pytest.fixture
def clock() -> ManualClock:
    """Time that moves when the test says so."""
    return ManualClock()
