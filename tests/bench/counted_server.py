"""The real server with a counter before its database: a line for each unit of work, in a file, for the bench to read.

`python -m tests.bench.counted_server FILE`, with the server's usual settings.
"""

from __future__ import annotations

import sys
import time
from functools import partial
from io import TextIOWrapper
from pathlib import Path

import msgspec
import uvloop
from sqlalchemy import Connection

from server.bootstrap import run
from server.config import load_settings
from services.infrastructure.persistence.database import Database, T, Unit
from tests.support.statements import every_statement

_STATEMENTS = "statements"


class UnitOfWork(msgspec.Struct, frozen=True):
    """What one unit did: `at` is the system's monotonic time of its beginning, `name` says where in the code it is."""

    at: float
    name: str
    method: str
    statements: int

    @property
    def round_trips(self) -> int:
        """What a database at the other end of a wire sees; a transaction begins and ends with one of its own."""
        return self.statements + 2 * (self.method in ("write", "read_snapshot"))


class CountedDatabase:
    """A `Database` over another one, which writes a line for each unit that ran."""

    def __init__(self, record: TextIOWrapper, database: Database) -> None:
        self._record = record
        self._database = database

    @property
    def dialect(self) -> str:
        return self._database.dialect

    async def read(self, unit: Unit[T]) -> T:
        return await self._database.read(self._counted("read", unit))

    async def read_snapshot(self, unit: Unit[T]) -> T:
        return await self._database.read_snapshot(self._counted("read_snapshot", unit))

    async def write(self, unit: Unit[T], *, repeatable: bool) -> T:
        return await self._database.write(self._counted("write", unit), repeatable=repeatable)

    async def write_statement(self, unit: Unit[T]) -> T:
        return await self._database.write_statement(self._counted("write_statement", unit))

    async def migrate(self, unit: Unit[T]) -> T:
        return await self._database.migrate(unit)

    async def close(self) -> None:
        await self._database.close()

    def _counted(self, method: str, unit: Unit[T]) -> Unit[T]:
        def run_counted(connection: Connection) -> T:
            began = time.monotonic()
            connection.info[_STATEMENTS] = 0
            try:
                return unit(connection)
            finally:
                module = unit.__module__.rpartition(".")[2]
                name = f"{module}.{unit.__qualname__.partition('.<locals>')[0]}"
                line = msgspec.json.encode(UnitOfWork(began, name, method, connection.info[_STATEMENTS]))
                self._record.write(line.decode() + "\n")

        return run_counted


def _count(connection: Connection, _statement: str) -> None:
    connection.info[_STATEMENTS] = connection.info.get(_STATEMENTS, 0) + 1


def main() -> None:
    with Path(sys.argv[1]).open("w", buffering=1, encoding="utf-8") as record, every_statement(_count):
        uvloop.run(
            run(load_settings(), partial(print, flush=True), through=partial(CountedDatabase, record)),
        )


if __name__ == "__main__":
    main()
