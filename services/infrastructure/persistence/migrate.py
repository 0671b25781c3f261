"""Brings a database to the current schema, once, however many processes start at the same moment."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from services.infrastructure.persistence.database import Database

_SCRIPTS = Path(__file__).parent / "migrations"
_LOCK = 0x4147_5254  # an arbitrary number that all replicas agree on


async def migrate(database: Database) -> None:
    """Applies what is missing, in one transaction; a second process waits for the first, then finds nothing to do."""
    await database.migrate(_upgrade)


async def is_current(database: Database) -> bool:
    """Whether the database has exactly the schema of this release."""
    return await database.read(lambda connection: _revision(connection) == ScriptDirectory(str(_SCRIPTS)).get_heads())


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        # Held until the transaction ends, so it works through a pooler too.
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _revision(connection: Connection) -> list[str]:
    return list(MigrationContext.configure(connection).get_current_heads())
