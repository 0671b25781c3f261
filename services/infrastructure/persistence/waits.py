"""Finding waits that are over."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select, func, select

from services.application.ports import DueSession
from services.domain.input import InputState
from services.domain.turn import TurnState
from services.infrastructure.persistence.database import Database
from services.infrastructure.persistence.database_clock import database_seconds
from services.infrastructure.persistence.query import is_one_of
from services.infrastructure.persistence.session_load import IS_ACTIVE
from services.infrastructure.persistence.tables import inputs, sessions, turns


class SqlWaits:
    """The `Waits` of both databases. So many turns as `most_running` may run for one owner; None: any number."""

    def __init__(self, database: Database, most_running: int | None = None) -> None:
        self._database = database
        self._most_running = most_running

    async def due(self, limit: int) -> list[DueSession]:
        def unit(connection: Connection) -> list[DueSession]:
            rows = [*connection.execute(_OVERDUE.limit(limit)), *connection.execute(_placed(self._most_running, limit))]
            return [DueSession(row.owner_id, row.session_id) for row in rows]

        return await self._database.read(unit)


_OVERDUE = (
    select(sessions.c.owner_id, sessions.c.session_id)
    .join(turns, turns.c.session_key == sessions.c.session_key)
    .where(is_one_of(turns.c.state, TurnState.PAUSED), turns.c.expires_at <= database_seconds())
    .order_by(turns.c.expires_at)
)
_WITH_A_MESSAGE = select(inputs.c.session_key).where(is_one_of(inputs.c.state, InputState.PENDING))


def _placed(most_running: int | None, limit: int) -> Select[Any]:
    """Sessions in which messages wait and no turn is active: of each owner so many as there are places."""
    others = turns.alias()
    running = select(func.count()).where(
        others.c.owner_id == sessions.c.owner_id, is_one_of(others.c.state, TurnState.RUNNING)
    )
    in_line = func.row_number().over(partition_by=sessions.c.owner_id, order_by=sessions.c.last_activity_time)
    waiting = (
        select(
            sessions.c.owner_id,
            sessions.c.session_id,
            in_line.label("in_line"),
            running.scalar_subquery().label("running"),
        )
        .where(
            sessions.c.session_key.in_(_WITH_A_MESSAGE),
            ~select(turns.c.turn_id).where(turns.c.session_key == sessions.c.session_key, IS_ACTIVE).exists(),
        )
        .subquery()
    )
    found = select(waiting.c.owner_id, waiting.c.session_id).order_by(waiting.c.in_line).limit(limit)
    return found if most_running is None else found.where(waiting.c.running + waiting.c.in_line <= most_running)
