"""Reading the durable log, a stretch at a time."""

from __future__ import annotations

from sqlalchemy import BigInteger, Connection, bindparam, func, literal_column, select

from services.application.ports import LogPage
from services.domain.errors import SessionNotFoundError
from services.infrastructure.persistence.database import Database
from services.infrastructure.persistence.query import Query
from services.infrastructure.persistence.rows import event_from
from services.infrastructure.persistence.sizes import size_of
from services.infrastructure.persistence.tables import session_events, session_heads, sessions

# A stretch stays in memory until its reader has taken it, and there may be hundreds of slow ones.
_MAX_EVENTS = 200
_MAX_BYTES = 64 * 1024
_NO_END = literal_column(str(2**63 - 1), BigInteger)


class SqlEventLog:
    """The `EventLog` of both databases."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, session_key: int, after: int) -> LogPage:
        return await self._database.read(lambda connection: read_log(connection, session_key, after))


_EVENT = session_events.c
_AHEAD = (_EVENT.session_key == bindparam("key"), _EVENT.sequence > bindparam("after"))
_SIZED = (
    select(_EVENT.sequence, size_of(_EVENT.payload).label("size"))
    .where(*_AHEAD)
    .order_by(_EVENT.sequence)
    .limit(_MAX_EVENTS + 1)
    .subquery("s")
)
_SUMMED = select(
    _SIZED.c.sequence,
    _SIZED.c.size,
    (func.sum(_SIZED.c.size).over(order_by=_SIZED.c.sequence) - _SIZED.c.size).label("before"),
).subquery("b")
# The first event that a stretch has no room for. It is not read, nor are those behind it: many large ones would fill
# the memory.
_CUT = (
    select(func.min(_SUMMED.c.sequence).label("sequence"))
    .where(_SUMMED.c.before > 0, _SUMMED.c.before + _SUMMED.c.size > _MAX_BYTES)
    .cte("cut")
)
_CUT_AT = select(_CUT.c.sequence).scalar_subquery()

_FOUND = (
    select(session_events)
    .where(*_AHEAD, _EVENT.sequence < func.coalesce(_CUT_AT, _NO_END))
    .order_by(_EVENT.sequence)
    .limit(_MAX_EVENTS + 1)
    .subquery("e")
)

# One statement, so head and events are of one moment: what is missing below the head is a hole, not a late commit.
_STRETCH = Query(
    select(
        sessions.c.session_id,
        session_heads.c.last_sequence,
        session_heads.c.cleared_through,
        _CUT_AT.label("cut_at"),
        _FOUND,
    )
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
    taken = rows[:_MAX_EVENTS]
    complete = rows[0].cut_at is None and len(taken) == len(rows)
    events = tuple(event_from(row, row.session_id) for row in taken)
    return LogPage(events, head if complete else events[-1].sequence, head, cleared_through)
