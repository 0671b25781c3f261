"""Which incarnation watches which session, and where the logs of watched sessions stand."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    Text,
    any_,
    bindparam,
    delete,
    literal,
    select,
    union,
)
from sqlalchemy.dialects.postgresql import insert

from services.application.ports import Growth
from services.infrastructure.persistence.database import Database
from services.infrastructure.persistence.database_clock import database_seconds
from services.infrastructure.persistence.query import with_commas
from services.infrastructure.persistence.tables import replicas, session_heads, session_watches, sessions

_LONG_OVER = 3600.0  # seconds


class SqlWatches:
    """The `Watches` of replicas on one PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def change(self, incarnation: str, *, added: Collection[int], removed: Collection[int]) -> None:
        def unit(connection: Connection) -> None:
            if removed:
                mine = session_watches.c.incarnation == incarnation
                connection.execute(
                    delete(session_watches).where(mine, session_watches.c.session_key == _any_of(removed))
                )
            if added:
                # Only sessions that are still there: one may have been deleted since somebody began to watch it.
                there = select(sessions.c.session_key, literal(incarnation)).where(
                    sessions.c.session_key == _any_of(added)
                )
                rows = insert(session_watches).from_select(["session_key", "incarnation"], there)
                connection.execute(rows.on_conflict_do_nothing())

        await self._database.write(unit, repeatable=True)

    async def grown(self, incarnation: str, looked_at: Collection[int]) -> list[Growth]:
        columns = session_heads.c.session_key, session_heads.c.last_sequence
        named = select(*columns, literal(False).label("elsewhere"))
        running = select(*columns, literal(True).label("elsewhere"))
        elsewhere = running.join(session_watches, session_watches.c.session_key == session_heads.c.session_key).where(
            session_watches.c.incarnation == incarnation,
            session_heads.c.owner.is_not(None),
            session_heads.c.owner != incarnation,
        )
        statement = union(named.where(session_heads.c.session_key == _any_of(looked_at)), elsewhere)

        def unit(connection: Connection) -> list[Growth]:
            return [Growth(row.session_key, row.last_sequence, row.elsewhere) for row in connection.execute(statement)]

        return await self._database.read(unit)

    async def forget_the_dead(self) -> None:
        def unit(connection: Connection) -> None:
            connection.execute(delete(replicas).where(replicas.c.expires_at < database_seconds() - _LONG_OVER))
            known = select(replicas.c.incarnation)
            connection.execute(delete(session_watches).where(session_watches.c.incarnation.not_in(known)))

        await self._database.write(unit, repeatable=True)


def watchers_of() -> ColumnElement[str | None]:
    """Who else than `:incarnation` watches the session of a selected head, as a column: names with commas between.

    Read with every append, before its commit; who registers at that very moment looks by itself.
    """
    others = select(with_commas(session_watches.c.incarnation)).where(
        session_watches.c.session_key == session_heads.c.session_key,
        session_watches.c.incarnation != bindparam("incarnation", type_=Text),
    )
    return others.scalar_subquery()


def _any_of(keys: Collection[int]) -> Any:
    """One parameter, however many keys."""
    return any_(literal(list(keys), ARRAY(BigInteger)))
