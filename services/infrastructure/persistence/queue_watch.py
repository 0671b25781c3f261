"""How long callers wait until a database takes up what they want of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from itertools import count

from sqlalchemy import Connection

from services.infrastructure.persistence.database import Database, T, Unit

_SERVED_WITHIN = 0.5


class QueueWatch:
    """A `Database` over another one that knows who waits for it.

    What does not queue behind callers, `write_statement` and `migrate`, is not looked at.
    """

    def __init__(self, database: Database, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._monotonic = monotonic
        self._numbers = count()
        self._waiting: dict[int, float] = {}
        self._served = float("-inf")

    @property
    def dialect(self) -> str:
        """See `Database`."""
        return self._database.dialect

    def longest_wait(self) -> float:
        """For how many seconds the first in the queue has been waiting; 0 when nobody has been served for a while.

        Then the database is away, which is another matter than having too much to do.
        """
        now = self._monotonic()
        # As a tuple, since threads that begin a unit take from it meanwhile.
        first = min(tuple(self._waiting.values()), default=now)
        return now - first if now - self._served < _SERVED_WITHIN else 0.0

    async def read(self, unit: Unit[T]) -> T:
        """See `Database`."""
        number, noted = self._noted(unit)
        try:
            return await self._database.read(noted)
        finally:
            self._waiting.pop(number, None)

    async def read_snapshot(self, unit: Unit[T]) -> T:
        """See `Database`."""
        number, noted = self._noted(unit)
        try:
            return await self._database.read_snapshot(noted)
        finally:
            self._waiting.pop(number, None)

    async def write(self, unit: Unit[T], *, repeatable: bool) -> T:
        """See `Database`."""
        number, noted = self._noted(unit)
        try:
            return await self._database.write(noted, repeatable=repeatable)
        finally:
            self._waiting.pop(number, None)

    async def write_statement(self, unit: Unit[T]) -> T:
        """See `Database`."""
        return await self._database.write_statement(unit)

    async def migrate(self, unit: Unit[T]) -> T:
        """See `Database`."""
        return await self._database.migrate(unit)

    async def close(self) -> None:
        """See `Database`."""
        await self._database.close()

    def _noted(self, unit: Unit[T]) -> tuple[int, Unit[T]]:
        """The unit, noting when it begins, which may be in another thread."""
        number = next(self._numbers)
        self._waiting[number] = self._monotonic()

        @wraps(unit)
        def begin(connection: Connection) -> T:
            if self._waiting.pop(number, None) is not None:
                self._served = self._monotonic()
            return unit(connection)

        return number, begin
