"""Finding waits that have run out."""

from __future__ import annotations

from sqlalchemy import Connection, select

from services.application.ports import DueSession
from services.domain.turn import TurnState
from services.infrastructure.persistence.database import Database
from services.infrastructure.persistence.database_clock import database_seconds
from services.infrastructure.persistence.tables import sessions, turns


class SqlWaits:
    """The `Waits` of both databases."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def due(self, limit: int) -> list[DueSession]:
        def unit(connection: Connection) -> list[DueSession]:
            statement = (
                select(sessions.c.owner_id, sessions.c.session_id)
                .join(turns, turns.c.session_key == sessions.c.session_key)
                .where(turns.c.state == TurnState.PAUSED, turns.c.expires_at <= database_seconds())
                .order_by(turns.c.expires_at)
                .limit(limit)
            )
            return [DueSession(row.owner_id, row.session_id) for row in connection.execute(statement)]

        return await self._database.read(unit)
