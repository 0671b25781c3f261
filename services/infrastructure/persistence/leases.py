"""The process lease in the database, by the database's clock."""

from __future__ import annotations

from sqlalchemy import Connection, and_, delete, func, insert, select, update

from services.application.ports import Claim, OrphanedSession, OwnedHead
from services.infrastructure.persistence.database import Database
from services.infrastructure.persistence.database_clock import database_seconds
from services.infrastructure.persistence.tables import replicas, session_heads, sessions

_FOREVER = 3.2e9
_FORGOTTEN_AFTER = 86_400.0  # seconds after which a dead incarnation's row is dropped


class SqlLeases:
    """The `Leases` of both databases.

    `sole` is for a database that one process holds alone (SQLite behind its lock file): whoever registers knows that
    every earlier incarnation is dead, and its own lease lasts as long as the lock.
    """

    def __init__(self, database: Database, *, sole: bool) -> None:
        self._database = database
        self._sole = sole

    async def register(self, incarnation: str, seconds: float) -> None:
        def unit(connection: Connection) -> None:
            if self._sole:
                connection.execute(delete(replicas))
            else:
                connection.execute(
                    delete(replicas).where(replicas.c.expires_at < database_seconds() - _FORGOTTEN_AFTER)
                )
            expires = database_seconds() + (_FOREVER if self._sole else seconds)
            connection.execute(insert(replicas).values(incarnation=incarnation, expires_at=expires))

        await self._database.write(unit, repeatable=False)

    async def renew(self, incarnation: str, seconds: float) -> list[OwnedHead] | None:
        def renewed(connection: Connection) -> bool:
            statement = (
                update(replicas)
                .where(replicas.c.incarnation == incarnation, replicas.c.expires_at > database_seconds())
                .values(expires_at=database_seconds() + seconds)
            )
            return connection.execute(statement).rowcount == 1

        def unit(connection: Connection) -> list[OwnedHead] | None:
            return _owned(connection, incarnation) if renewed(connection) else None

        if self._sole:
            # A lease that ends with the file's lock needs no renewal, and an idle embedded server should not write.
            return await self._database.read(lambda connection: _owned(connection, incarnation))
        return await self._database.write_statement(unit)

    async def end(self, incarnation: str) -> None:
        def unit(connection: Connection) -> None:
            connection.execute(delete(replicas).where(replicas.c.incarnation == incarnation))

        await self._database.write_statement(unit)

    async def orphans(self, limit: int) -> list[OrphanedSession]:
        def unit(connection: Connection) -> list[OrphanedSession]:
            living = and_(replicas.c.incarnation == session_heads.c.owner, replicas.c.expires_at > database_seconds())
            statement = (
                select(sessions.c.owner_id, sessions.c.session_id)
                .join(session_heads, session_heads.c.session_key == sessions.c.session_key)
                .outerjoin(replicas, living)
                .where(session_heads.c.owner.is_not(None), replicas.c.incarnation.is_(None))
                .limit(limit)
            )
            return [OrphanedSession(row.owner_id, row.session_id) for row in connection.execute(statement)]

        return await self._database.read(unit)

    async def count_living(self) -> int:
        def unit(connection: Connection) -> int:
            statement = select(func.count()).select_from(replicas).where(replicas.c.expires_at > database_seconds())
            return connection.scalar(statement) or 0

        return max(1, await self._database.read(unit))


def _owned(connection: Connection, incarnation: str) -> list[OwnedHead]:
    statement = (
        select(
            sessions.c.session_key,
            sessions.c.session_id,
            sessions.c.owner_id,
            session_heads.c.epoch,
            session_heads.c.control,
        )
        .join(session_heads, session_heads.c.session_key == sessions.c.session_key)
        .where(session_heads.c.owner == incarnation)
    )
    return [
        OwnedHead(Claim(row.session_key, row.session_id, row.owner_id, row.epoch), row.control)
        for row in connection.execute(statement)
    ]
