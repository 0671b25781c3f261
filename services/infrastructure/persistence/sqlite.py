"""Embedded SQLite: one file, one writer connection in one thread, a few readers, the same promises on one machine."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from services.application.uninterrupted import uninterrupted
from services.domain.errors import DatabaseUnavailableError, RuntimeServiceError, StorageFullError
from services.infrastructure.persistence.database import T, Unit

_READERS = 4
_BUSY_TIMEOUT_MS = 5000
# Below this SQLite can corrupt a WAL file when several connections write or checkpoint; here only the writer does
# either.
_FIRST_SAFE_VERSION = (3, 51, 3)

R = TypeVar("R")


class SqliteDatabase:
    """A `Database` on one file, which it creates. The caller holds the file's lock (see `lock_file`).

    Durability: WAL with `synchronous=FULL`, so a commit is on the disk when it returns.
    """

    dialect = "sqlite"

    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600)  # conversations are nobody else's business; SQLite's other files follow this one
        self._writer = _engine(path, readers=0)
        self._readers = _engine(path, readers=_READERS)
        self._writer_thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite-writer")
        self._thread = threading.local()
        self._open_readers: list[Connection] = []
        self._reader_threads = ThreadPoolExecutor(_READERS, thread_name_prefix="sqlite-reader")

    async def read(self, unit: Unit[T]) -> T:
        return await self._run(self._reader_threads, lambda: self._read(unit, snapshot=False))

    async def read_snapshot(self, unit: Unit[T]) -> T:
        return await self._run(self._reader_threads, lambda: self._read(unit, snapshot=True))

    async def write(self, unit: Unit[T], *, repeatable: bool) -> T:
        # The outcome of a local COMMIT is always known, so nothing is ever run twice here.
        return await self._run(self._writer_thread, lambda: self._write(unit))

    async def write_statement(self, unit: Unit[T]) -> T:
        return await self.write(unit, repeatable=True)

    async def migrate(self, unit: Unit[T]) -> T:
        return await self.write(unit, repeatable=True)

    async def close(self) -> None:
        await asyncio.to_thread(self._reader_threads.shutdown)
        for reader in self._open_readers:
            reader.close()
        self._readers.dispose()
        await asyncio.to_thread(self._writer_thread.shutdown)
        self._writer.dispose()

    async def _run(self, threads: ThreadPoolExecutor, call: Callable[[], R]) -> R:
        return await uninterrupted(asyncio.get_running_loop().run_in_executor(threads, call))

    def _write(self, unit: Unit[T]) -> T:
        try:
            with self._writer.begin() as connection:
                return unit(connection)
        except (DBAPIError, sqlite3.Error) as error:
            raise_translated(error)

    def _read(self, unit: Unit[T], *, snapshot: bool) -> T:
        try:
            connection = self._reader()
            try:
                if snapshot:
                    connection.exec_driver_sql("BEGIN")
                return unit(connection)
            finally:
                if connection.in_transaction():
                    connection.rollback()  # which ends the snapshot
        except (DBAPIError, sqlite3.Error) as error:
            raise_translated(error)

    def _reader(self) -> Connection:
        """This thread's own: to take one from a pool and give it back would cost as much as most reads."""
        connection: Connection | None = getattr(self._thread, "connection", None)
        if connection is None:
            connection = self._thread.connection = self._readers.connect()
            self._open_readers.append(connection)
        return connection


def sqlite_has_wal_bug() -> bool:
    """Whether this SQLite is older than the fix of its WAL-reset bug; worth a line in the log at start."""
    return sqlite3.sqlite_version_info < _FIRST_SAFE_VERSION


def raise_translated(error: Exception) -> NoReturn:
    """Raises the domain's word for what SQLite says; anything unexpected as it is."""
    translated = _translated(error)
    if translated is None:
        raise error
    raise translated from error


def _translated(error: Exception) -> RuntimeServiceError | None:
    cause = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF  # the primary code of an extended one
    if code == sqlite3.SQLITE_FULL:
        return StorageFullError("the storage is full; reads still work, writes do again once there is room")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN):
        return DatabaseUnavailableError("the database is not available", retry_after=1.0)
    return None


def _engine(path: Path, *, readers: int) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        poolclass=QueuePool,
        pool_size=readers or 1,
        max_overflow=0,
        hide_parameters=True,  # errors are logged, and parameters hold what people wrote
        # The driver's own transaction handling starts none before a SELECT and so loses updates; ours is explicit.
        connect_args={"isolation_level": None, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")
        if readers:
            connection.execute("PRAGMA wal_autocheckpoint=0")
            connection.execute("PRAGMA query_only=ON")

    if not readers:

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
