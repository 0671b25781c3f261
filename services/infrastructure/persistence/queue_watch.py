"""How long callers wait until a database takes up what they want of it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial, wraps
from itertools import count

from sqlalchemy import Connection

from services.domain.errors import DatabaseBusyError, DatabaseUnavailableError
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
        return now - first if self._serves() else 0.0

    async def read(self, unit: Unit[T]) -> T:
        """See `Database`."""
        return await self._queued(unit, self._database.read)

    async def read_snapshot(self, unit: Unit[T]) -> T:
        """See `Database`."""
        return await self._queued(unit, self._database.read_snapshot)

    async def write(self, unit: Unit[T], *, repeatable: bool) -> T:
        """See `Database`."""
        return await self._queued(unit, partial(self._database.write, repeatable=repeatable))

    async def write_statement(self, unit: Unit[T]) -> T:
        """See `Database`."""
        return await self._database.write_statement(unit)

    async def migrate(self, unit: Unit[T]) -> T:
        """See `Database`."""
        return await self._database.migrate(unit)

    async def close(self) -> None:
        """See `Database`."""
        await self._database.close()

    async def _queued(self, unit: Unit[T], run: Callable[[Unit[T]], Awaitable[T]]) -> T:
        """Raises DatabaseBusyError for who has waited in vain while others were served."""
        number = next(self._numbers)
        self._waiting[number] = self._monotonic()

        @wraps(unit, assigned=("__module__", "__qualname__"), updated=())
        def begin(connection: Connection) -> T:
            # Perhaps in another thread.
            if self._waiting.pop(number, None) is not None:
                self._served = self._monotonic()
            return unit(connection)

        try:
            return await run(begin)
        except DatabaseUnavailableError as error:
            if number in self._waiting and self._serves():
                raise DatabaseBusyError(error.message, retry_after=error.retry_after) from error
            raise
        finally:
            self._waiting.pop(number, None)

    def _serves(self) -> bool:
        return self._monotonic() - self._served < _SERVED_WITHIN
