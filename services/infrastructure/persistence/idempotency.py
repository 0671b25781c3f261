"""Requests that had their effect: remembered in the effect's own transaction, so a repeat finds either both or
neither.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, bindparam, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from services.application.ports import IdempotencyKey
from services.domain.errors import RequestIdReusedError
from services.infrastructure.persistence.query import Query
from services.infrastructure.persistence.tables import idempotency

_REMEMBERED = Query(
    select(idempotency.c.fingerprint, idempotency.c.outcome).where(
        idempotency.c.owner_id == bindparam("owner"),
        idempotency.c.rpc == bindparam("rpc"),
        idempotency.c.request_id == bindparam("request"),
    )
)


class LostRaceError(Exception):
    """Another copy of the same request was committed while this one ran; nothing was written."""


def recall(connection: Connection, key: IdempotencyKey) -> str | None:
    """The outcome remembered under the key, or None. Raises RequestIdReusedError when the body was another."""
    row = _REMEMBERED.first(connection, owner=key.owner_id, rpc=key.rpc, request=key.request_id)
    if row is None:
        return None
    if bytes(row.fingerprint) != key.fingerprint:
        raise RequestIdReusedError
    return str(row.outcome)


def remember(connection: Connection, key: IdempotencyKey, session_key: int | None, outcome: str, now: datetime) -> bool:
    """Remembers the outcome, at most as long as the session, if it is about one.

    False when the key is taken, after waiting for the transaction that is taking it.
    """
    insert = postgresql_insert if connection.dialect.name == "postgresql" else sqlite_insert
    statement = (
        insert(idempotency)
        .values(
            owner_id=key.owner_id,
            rpc=key.rpc,
            request_id=key.request_id,
            fingerprint=key.fingerprint,
            session_key=session_key,
            outcome=outcome,
            create_time=now,
        )
        .on_conflict_do_nothing()
        .returning(idempotency.c.request_id)
    )
    return connection.execute(statement).one_or_none() is not None
