"""Reading the durable log, a stretch at a time."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, bindparam, select

from services.application.ports import LogPage
from services.domain.errors import SessionNotFoundError
from services.infrastructure.persistence.database import Database
from services.infrastructure.persistence.query import Query
from services.infrastructure.persistence.rows import event_from
from services.infrastructure.persistence.tables import session_events, session_heads, sessions

# A stretch stays in memory until its reader has taken it, and there may be hundreds of slow ones.
_MAX_EVENTS = 200
_MAX_BYTES = 64 * 1024


class SqlEventLog:
    """The `EventLog` of both databases."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, session_key: int, after: int) -> LogPage:
        return await self._database.read(lambda connection: read_log(connection, session_key, after))


_FOUND = (
    select(session_events)
    .where(session_events.c.session_key == bindparam("key"), session_events.c.sequence > bindparam("after"))
    .order_by(session_events.c.sequence)
    .limit(_MAX_EVENTS + 1)
    .subquery("e")
)

# One statement, so head and events are of one moment: what is missing below the head is a hole, not a late commit.
_STRETCH = Query(
    select(sessions.c.session_id, session_heads.c.last_sequence, session_heads.c.cleared_through, _FOUND)
    .select_from(session_heads)
    .join(sessions, sessions.c.session_key == session_heads.c.session_key)
    .outerjoin(_FOUND, _FOUND.c.session_key == session_heads.c.session_key)
    .where(session_heads.c.session_key == bindparam("key"))
    .order_by(_FOUND.c.sequence)
)


def read_log(connection: Connection, session_key: int, after: int) -> LogPage:
    """The next stretch of a session's log; see `EventLog.read`."""
    rows = _STRETCH.all(connection, key=session_key, after=after)
    if not rows:
        raise SessionNotFoundError
    head, cleared_through = rows[0].last_sequence, rows[0].cleared_through
    if rows[0].sequence is None:
        return LogPage((), max(after, head), head, cleared_through)
    size = 0
    taken: list[Any] = []
    for row in rows[:_MAX_EVENTS]:
        size += len(row.payload)
        if taken and size > _MAX_BYTES:
            break
        taken.append(row)
    complete = len(taken) == len(rows)
    events = tuple(event_from(row, row.session_id) for row in taken)
    return LogPage(events, head if complete else events[-1].sequence, head, cleared_through)
