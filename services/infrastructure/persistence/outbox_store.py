"""The outbox as the relay sees it: the oldest waiting domain events, and their removal once delivered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, select

from services.application.ports import OutboxEntry
from services.domain.domain_events import DomainEvent
from services.infrastructure.persistence import codec
from services.infrastructure.persistence.database import Database
from services.infrastructure.persistence.tables import outbox


class SqlOutbox:
    """The `Outbox` of both databases."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def oldest(self, limit: int) -> list[OutboxEntry]:
        def unit(connection: Connection) -> list[OutboxEntry]:
            statement = select(outbox).order_by(outbox.c.outbox_id).limit(limit)
            return [_entry(row) for row in connection.execute(statement)]

        return await self._database.read(unit)

    async def delivered(self, entries: Sequence[OutboxEntry]) -> None:
        ids = [entry.id for entry in entries]

        def unit(connection: Connection) -> None:
            connection.execute(delete(outbox).where(outbox.c.outbox_id.in_(ids)))

        await self._database.write_statement(unit)


def _entry(row: Row[Any]) -> OutboxEntry:
    fact = codec.decode_fact(row.kind, row.fact)
    return OutboxEntry(row.outbox_id, DomainEvent(row.event_id, row.occurred_at, row.aggregate_id, fact, row.version))
