"""Secrets that all replicas share and nobody has to configure: made once, kept in the database."""

from __future__ import annotations

import secrets

from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from services.infrastructure.persistence.database import Database
from services.infrastructure.persistence.tables import signing_keys


async def signing_key(database: Database, name: str) -> bytes:
    """The 32 random bytes of that name; the first replica that asks makes them. Raises DatabaseUnavailableError."""

    def unit(connection: Connection) -> bytes:
        insert = postgresql_insert if connection.dialect.name == "postgresql" else sqlite_insert
        fresh = insert(signing_keys).values(name=name, secret=secrets.token_bytes(32)).on_conflict_do_nothing()
        connection.execute(fresh)
        return bytes(connection.execute(select(signing_keys.c.secret).where(signing_keys.c.name == name)).scalar_one())

    return await database.write(unit, repeatable=True)
