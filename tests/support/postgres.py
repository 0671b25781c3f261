"""A real PostgreSQL for tests: the one named by `TEST_POSTGRES_URL`, else one started from a package."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from devtools.local_postgres import local_postgres


class PostgresServer:
    """A server with the right to make databases in it. Safe to use from many tests at once."""

    def __init__(self, admin_url: str) -> None:
        self._admin_url = admin_url

    def url_of(self, database: str) -> str:
        """`postgresql://…` for one database; asyncpg takes it as it is, SQLAlchemy as `postgresql+asyncpg://…`."""
        return urlunsplit(urlsplit(self._admin_url)._replace(path=f"/{database}"))

    @asynccontextmanager
    async def database(self, template: str = "template1") -> AsyncIterator[str]:
        """The name of a new database, a copy of `template` (which nobody may be connected to); dropped at the end.

        Dropping closes connections a test left open, so that one leaking test does not fail the next.
        """
        name = f"test_{secrets.token_hex(8)}"
        await self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        try:
            yield name
        finally:
            await self._execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self._admin_url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


@asynccontextmanager
async def running_postgres() -> AsyncIterator[PostgresServer]:
    """The server for a whole test session; one we started is stopped and its data removed at the end."""
    given = os.environ.get("TEST_POSTGRES_URL")
    if given:
        yield PostgresServer(given)
        return
    async with local_postgres() as server:
        yield PostgresServer(server.url)
