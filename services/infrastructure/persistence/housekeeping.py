"""Removing what nobody can need any more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, delete, select, update

from services.infrastructure.persistence.database import Database
from services.infrastructure.persistence.database_clock import database_seconds
from services.infrastructure.persistence.tables import audit_records, idempotency, session_events, sessions, turns

_DELTAS = ("text_delta", "reasoning_delta")
_ROWS_AT_ONCE = 1_000


class SqlHousekeeping:
    """The `Housekeeping` of both databases."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def compact(self, *, older_than: float, limit: int) -> int:
        def unit(connection: Connection) -> int:
            due = (
                select(turns.c.session_key, turns.c.turn_id, turns.c.number)
                .where(turns.c.compactable_since <= database_seconds() - older_than)
                .order_by(turns.c.compactable_since)
                .limit(limit)
            )
            rows = connection.execute(due).all()
            for row in rows:
                of_turn = turns.c.session_key == row.session_key, turns.c.turn_id == row.turn_id
                connection.execute(
                    delete(session_events).where(
                        session_events.c.session_key == row.session_key,
                        session_events.c.sequence > row.number,
                        session_events.c.turn_id == row.turn_id,
                        session_events.c.kind.in_(_DELTAS),
                    )
                )
                connection.execute(update(turns).where(*of_turn).values(compactable_since=None))
            return len(rows)

        return await self._database.write(unit, repeatable=True)

    async def forget_requests(self, *, older_than: float) -> int:
        def unit(connection: Connection) -> int:
            old = (
                select(idempotency.c.owner_id, idempotency.c.rpc, idempotency.c.request_id)
                .where(idempotency.c.create_time < _before(connection, older_than))
                .limit(_ROWS_AT_ONCE)
            )
            rows = connection.execute(old).all()
            for row in rows:
                connection.execute(
                    delete(idempotency).where(
                        idempotency.c.owner_id == row.owner_id,
                        idempotency.c.rpc == row.rpc,
                        idempotency.c.request_id == row.request_id,
                    )
                )
            return len(rows)

        return await self._database.write(unit, repeatable=True)

    async def forget_deleted_sessions(self, *, older_than: float) -> int:
        def unit(connection: Connection) -> int:
            old = (
                select(sessions.c.session_key)
                .where(sessions.c.delete_time < _before(connection, older_than))
                .limit(_ROWS_AT_ONCE)
            )
            keys = connection.scalars(old).all()
            for key in keys:  # its head and its last events go with it
                connection.execute(delete(sessions).where(sessions.c.session_key == key))
            return len(keys)

        return await self._database.write(unit, repeatable=True)

    async def forget_audit_records(self, *, older_than: float) -> int:
        def unit(connection: Connection) -> int:
            old = (
                select(audit_records.c.audit_id)
                .where(audit_records.c.create_time < _before(connection, older_than))
                .order_by(audit_records.c.create_time)
                .limit(_ROWS_AT_ONCE)
            )
            ids = connection.scalars(old).all()
            if ids:
                connection.execute(delete(audit_records).where(audit_records.c.audit_id.in_(ids)))
            return len(ids)

        return await self._database.write(unit, repeatable=True)


def _before(connection: Connection, age: float) -> datetime:
    """So long ago by the database's clock."""
    now = connection.scalar(select(database_seconds()))
    if now is None:
        raise AssertionError("a clock always tells the time")
    return datetime.fromtimestamp(now, UTC) - timedelta(seconds=age)
