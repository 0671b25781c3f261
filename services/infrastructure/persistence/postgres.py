"""PostgreSQL through asyncpg: a bounded pool, short timeouts, units retried when the server asks for it."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

import asyncpg
from sqlalchemy import URL, event, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, InvalidatePoolError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.util import await_only, greenlet_spawn

from services.application.uninterrupted import uninterrupted
from services.domain.errors import DatabaseUnavailableError, RuntimeServiceError, StorageFullError
from services.infrastructure.persistence.database import T, Unit, UnknownOutcomeError

_BEGIN = "BEGIN"
_RESERVED_CONNECTIONS = 2
_MAX_RUNS = 5
_MOST_ENDING = 100  # connections of one pool that end together
_RETRY_DELAY = 0.02
_RETRY_WINDOW = 2.0  # seconds; a caller waits no longer than one slow run beyond it
_SERIALIZATION_FAILURES = frozenset({"40001", "40P01"})  # serialization_failure, deadlock_detected
_FULL = frozenset({"53100", "53200"})  # disk_full, out_of_memory
# What a server says that is going away, coming up, read-only after a failover, out of connections, or that does not
# let us in any more.
_AWAY = frozenset({"25006", "53300", "57P01", "57P02", "57P03", "57014", "55P03", "3D000", "28P01", "28000"})


class PostgresDatabase:
    """A `Database` on one PostgreSQL: `pool_size` connections for callers and two more for `write_statement`.

    Who finds all connections busy waits up to two seconds.
    """

    dialect = "postgresql"

    def __init__(self, url: str, *, pool_size: int = 10, pooled: bool = False) -> None:
        """`pooled` says that a pooler in transaction mode stands in front: then nothing outlives a transaction."""
        self._url = url
        self._pooled = pooled
        self._engine = _new_engine(url, pool_size, pooled=pooled)
        # The log writer and the lease never queue behind callers: a lease lost to a flood would stop every turn.
        self._reserved = _new_engine(url, _RESERVED_CONNECTIONS, pooled=pooled)
        # A pooler keeps a connection together for a transaction only; without one, reads do without the round trips.
        self._alone = _BEGIN if pooled else None

    async def read(self, unit: Unit[T]) -> T:
        return await self._read(self._engine, unit, self._alone)

    async def write_statement(self, unit: Unit[T]) -> T:
        return await self._read(self._reserved, unit, self._alone)

    async def read_snapshot(self, unit: Unit[T]) -> T:
        return await self._read(self._engine, unit, "BEGIN ISOLATION LEVEL REPEATABLE READ")

    async def write(self, unit: Unit[T], *, repeatable: bool) -> T:
        return await uninterrupted(self._write(unit, repeatable=repeatable))

    async def migrate(self, unit: Unit[T]) -> T:
        engine = _new_engine(self._url, 1, pooled=self._pooled, patient=True)
        try:
            return await greenlet_spawn(_run, engine, unit, _BEGIN)
        except Exception as error:
            raise_translated(error)
        finally:
            await engine.dispose()

    async def close(self) -> None:
        await self._engine.dispose()
        await self._reserved.dispose()

    async def _read(self, engine: AsyncEngine, unit: Unit[T], begin: str | None) -> T:
        async def run() -> T:
            try:
                return await _run_on_living(engine, unit, begin)
            except Exception as error:
                if _is_lost(error):  # a pooled connection that died while idle; reading again is harmless
                    return await _run_on_living(engine, unit, begin)
                raise

        try:
            return await uninterrupted(run())
        except Exception as error:
            raise_translated(error)

    async def _write(self, unit: Unit[T], *, repeatable: bool) -> T:
        give_up = asyncio.get_running_loop().time() + _RETRY_WINDOW
        run = 1
        while True:
            last = run == _MAX_RUNS or asyncio.get_running_loop().time() > give_up
            try:
                return await _run_on_living(self._engine, unit, _BEGIN)
            except UnknownOutcomeError as error:
                if last or not repeatable:
                    raise DatabaseUnavailableError("the database connection was lost", retry_after=1.0) from error
            except Exception as error:
                if last or not (_is_lost(error) or _sqlstate(error) in _SERIALIZATION_FAILURES):
                    raise_translated(error)
            await asyncio.sleep(_RETRY_DELAY * run * (1 + random.random()))
            run += 1


async def _run_on_living(engine: AsyncEngine, unit: Unit[T], begin: str | None) -> T:
    """`_run`, on a connection that is not about to end: each such one is thrown away, and they do so together."""
    for _ in range(_MOST_ENDING):
        try:
            return await greenlet_spawn(_run, engine, unit, begin)
        except Exception as error:
            if not _is_ending(error):
                raise
    return await greenlet_spawn(_run, engine, unit, begin)


def _run(engine: AsyncEngine, unit: Unit[T], begin: str | None) -> T:
    """One unit on one connection, within a greenlet; without `begin` each of its statements stands alone."""
    with engine.sync_engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        try:
            return unit(connection) if begin is None else _transaction(driver, begin, lambda: unit(connection))
        except Exception as error:
            if _is_ending(error):
                driver.terminate()
            raise
        finally:
            if driver.is_closed() or driver.is_in_transaction():
                connection.invalidate()  # nobody must get it again


def _transaction(driver: Any, begin: str, work: Callable[[], T]) -> T:
    await_only(driver.execute(begin))
    try:
        result = work()
    except BaseException:
        with suppress(Exception):  # what cannot even roll back is thrown away
            await_only(driver.execute("ROLLBACK"))
        raise
    try:
        await_only(driver.execute("COMMIT"))
    except Exception as error:
        # A COMMIT that the server refused was rolled back; one whose connection failed may have committed. The driver
        # gives a lost connection a sqlstate too, so that alone says nothing.
        if _sqlstate(error) and not _is_lost(error):
            raise
        raise UnknownOutcomeError from error
    return result


def _new_engine(url: str, pool_size: int, *, pooled: bool, patient: bool = False) -> AsyncEngine:
    """`patient` leaves statements the time they need, for changes of the schema."""
    server_settings = {"application_name": "agent-runtime", "timezone": "UTC"}
    connect_args: dict[str, Any] = {"timeout": 3, "command_timeout": None if patient else 5}
    if pooled:
        # The next transaction may be on another server connection, which has not seen what this one prepared. Poolers
        # refuse settings they do not know, so the timeouts must be set for the role; see docs/operators.md.
        connect_args |= {
            "statement_cache_size": 0,
            "prepared_statement_cache_size": 0,
            "prepared_statement_name_func": lambda: f"agent_runtime_{uuid.uuid4().hex}",
        }
    elif not patient:
        server_settings |= {
            "statement_timeout": "5000",
            "lock_timeout": "2000",
            "idle_in_transaction_session_timeout": "10000",
        }
    engine = create_async_engine(
        _driver_url(url),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=2,
        isolation_level="AUTOCOMMIT",  # transactions are begun and ended here, where the outcome of a COMMIT is judged
        hide_parameters=True,  # errors are logged, and parameters hold what people wrote
        connect_args=connect_args | {"server_settings": server_settings},
    )
    event.listen(engine.sync_engine, "checkout", _refuse_the_dead)
    if pooled:
        # SQLAlchemy asks a new connection some things; they, too, need one transaction around them.
        event.listen(engine.sync_engine, "connect", _begin, insert=True)
        event.listen(engine.sync_engine, "connect", _end)
    return engine


def _begin(connection: Any, *_: object) -> None:
    await_only(connection.driver_connection.execute(_BEGIN))


def _end(connection: Any, *_: object) -> None:
    await_only(connection.driver_connection.execute("ROLLBACK"))


def _refuse_the_dead(connection: Any, *_: object) -> None:
    """Connections that died while nobody used them, mostly all at once, are all replaced before one is handed out."""
    if connection.driver_connection.is_closed():
        raise InvalidatePoolError


def _driver_url(url: str) -> URL:
    """The address in the driver's words: what libpq calls `sslmode` is `ssl` there."""
    parsed = make_url(url).set(drivername="postgresql+asyncpg")
    if "sslmode" not in parsed.query:
        return parsed
    return parsed.difference_update_query(["sslmode"]).update_query_dict({"ssl": parsed.query["sslmode"]})


def raise_translated(error: Exception) -> NoReturn:
    """Raises the domain's word for what PostgreSQL or its driver says; anything unexpected as it is."""
    translated = _translated(error)
    if translated is None:
        raise error
    raise translated from error


def _translated(error: Exception) -> RuntimeServiceError | None:
    state = _sqlstate(error)
    if state in _FULL:
        return StorageFullError("the storage is full; reads still work, writes do again once there is room")
    waited_in_vain = isinstance(error, PoolTimeoutError | TimeoutError)
    if state in _AWAY or state in _SERIALIZATION_FAILURES or waited_in_vain or _is_lost(error):
        return DatabaseUnavailableError("the database is not available", retry_after=1.0)
    return None


def _sqlstate(error: BaseException) -> str:
    """The five-character code, or nothing when the server did not speak."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return str(getattr(cause, "sqlstate", None) or "")


def _is_lost(error: BaseException) -> bool:
    """Whether the connection failed, rather than the statement."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    if isinstance(error, TimeoutError):
        return False
    if isinstance(error, InterfaceError | OSError | asyncpg.InterfaceError | UnknownOutcomeError) or _is_ending(error):
        return True
    return _sqlstate(error).startswith(("08", "57P"))


def _is_ending(error: BaseException) -> bool:
    """Whether the server had said that it ends the connection, at rest; the driver takes nothing for it any more."""
    cause = error.orig.__cause__ if isinstance(error, DBAPIError) and error.orig is not None else error
    return type(cause) is asyncpg.InternalClientError
