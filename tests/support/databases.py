"""Both databases, for fixtures that put one of their own under a server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.postgres import PostgresServer

DATABASES = ("sqlite", "postgresql")


@asynccontextmanager
async def empty_database(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """The URL of an empty database of the kind that is the parameter of the requesting fixture, of whatever scope."""
    if request.param == "sqlite":
        directories: pytest.TempPathFactory = request.getfixturevalue("tmp_path_factory")
        yield f"sqlite:///{directories.mktemp('database') / 'runtime.db'}"
    else:
        postgres: PostgresServer = request.getfixturevalue("postgres")
        async with postgres.database() as name:
            yield postgres.url_of(name)
