"""What the rest of this adapter sees of a database: a place to run a synchronous unit on a connection.

A unit is a plain function over a SQLAlchemy `Connection`. PostgreSQL runs it on an asyncpg connection, SQLite in its
writer thread; the unit is the same, so there is one SQL implementation. A unit awaits nothing but the database.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from sqlalchemy import Connection

T = TypeVar("T")

Unit = Callable[[Connection], T]


class UnknownOutcomeError(Exception):
    """A COMMIT was sent and its reply was lost: only a unit that may safely run again can find out."""


class Database(Protocol):
    """One database. All methods may be called concurrently; a cancelled caller waits until its unit has ended."""

    @property
    def dialect(self) -> str:
        """`postgresql` or `sqlite`."""

    async def read(self, unit: Unit[T]) -> T:
        """Runs statements that each see the latest committed state."""

    async def read_snapshot(self, unit: Unit[T]) -> T:
        """Runs statements that all see the same committed state."""

    async def write(self, unit: Unit[T], *, repeatable: bool) -> T:
        """Runs the unit in one transaction, again from the start when the database asks for it.

        When the reply to COMMIT is lost, a `repeatable` unit is run again; for others DatabaseUnavailableError is
        raised. A unit may run several times, so it must keep what it learns inside. Raises DatabaseUnavailableError,
        StorageFullError, or what the unit raises (then everything was rolled back).
        """

    async def write_statement(self, unit: Unit[T]) -> T:
        """Runs a repeatable unit whose only write is one statement: a transaction without the round trips of one.

        For what keeps the process alive: it does not queue behind callers.
        """

    async def migrate(self, unit: Unit[T]) -> T:
        """Runs a unit that changes the schema in one transaction, however long its statements take."""

    async def close(self) -> None:
        """Waits for units under way and gives all connections back."""
