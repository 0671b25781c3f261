"""A database whose requests and replies get lost: what a broken connection looks like from above."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto
from itertools import repeat

from services.domain.errors import DatabaseUnavailableError
from services.infrastructure.persistence.database import Database, T, Unit


class Loss(Enum):
    """What happens to a write.

    REQUEST: it never arrives, and the caller is told that the database is away. REPLY: it is committed and nobody
    learns of it, so a repeatable unit is run again. CONNECTION: it is committed and nobody learns of it, and the second
    run does not arrive.
    """

    NOTHING = auto()
    REQUEST = auto()
    REPLY = auto()
    CONNECTION = auto()


class UnreliableDatabase:
    """A `Database` over another one; each write takes its loss from `losses`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.losses: Iterator[Loss] = repeat(Loss.NOTHING)

    def lose(self, *losses: Loss) -> None:
        """The next writes lose these; those after them lose nothing."""

        def then_none() -> Iterator[Loss]:
            yield from losses
            yield from repeat(Loss.NOTHING)

        self.losses = then_none()

    @property
    def dialect(self) -> str:
        return self._database.dialect

    async def read(self, unit: Unit[T]) -> T:
        return await self._database.read(unit)

    async def read_snapshot(self, unit: Unit[T]) -> T:
        return await self._database.read_snapshot(unit)

    async def write(self, unit: Unit[T], *, repeatable: bool) -> T:
        loss = next(self.losses)
        if loss is Loss.REQUEST:
            raise DatabaseUnavailableError("the database is away")
        result = await self._database.write(unit, repeatable=repeatable)
        if loss is Loss.NOTHING:
            return result
        if loss is Loss.REPLY and repeatable:
            return await self._database.write(unit, repeatable=repeatable)
        raise DatabaseUnavailableError("the database connection was lost")

    async def write_statement(self, unit: Unit[T]) -> T:
        loss = next(self.losses)
        if loss is Loss.REQUEST:
            raise DatabaseUnavailableError("the database is away")
        result = await self._database.write_statement(unit)
        if loss is Loss.NOTHING:
            return result
        if loss is Loss.REPLY:
            return await self._database.write_statement(unit)
        raise DatabaseUnavailableError("the database connection was lost")

    async def migrate(self, unit: Unit[T]) -> T:
        return await self._database.migrate(unit)

    async def close(self) -> None:
        await self._database.close()
