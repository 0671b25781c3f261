"""Reading what a session has cost."""

from __future__ import annotations

from sqlalchemy import Connection, select

from services.domain.errors import SessionNotFoundError
from services.domain.session_usage import SessionUsage
from services.domain.turn import Turn
from services.infrastructure.persistence import codec
from services.infrastructure.persistence.session_load import IS_ACTIVE
from services.infrastructure.persistence.tables import sessions, turns


def read_session_usage(connection: Connection, owner_id: str, session_id: str) -> SessionUsage:
    """See `ReadModel.session_usage`."""
    statement = (
        select(sessions.c.usage, turns.c.body)
        .select_from(sessions)
        .outerjoin(turns, (turns.c.session_key == sessions.c.session_key) & IS_ACTIVE)
        .where(sessions.c.owner_id == owner_id, sessions.c.session_id == session_id, sessions.c.delete_time.is_(None))
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise SessionNotFoundError
    usage = codec.decode(row.usage, SessionUsage)
    return usage if row.body is None else usage.with_work_of(codec.decode(row.body, Turn))
