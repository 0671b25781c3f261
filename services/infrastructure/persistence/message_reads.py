"""Reading the history of a session."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from services.application.ports import Page, PageKey
from services.domain.message import Message, Role
from services.infrastructure.persistence import codec
from services.infrastructure.persistence.paging import page_of
from services.infrastructure.persistence.session_reads import locate
from services.infrastructure.persistence.tables import messages


def read_messages(
    connection: Connection,
    owner_id: str,
    session_id: str,
    *,
    roles: Sequence[Role],
    turn_id: str | None,
    newest_first: bool,
    limit: int,
    after: PageKey | None,
) -> Page[Message]:
    """One page of messages; see `ReadModel.messages`."""
    location = locate(connection, owner_id, session_id)
    columns = messages.c
    statement = select(columns.ordinal, columns.size, columns.body).where(columns.session_key == location.session_key)
    if roles:
        statement = statement.where(columns.role.in_(roles))
    if turn_id is not None:
        statement = statement.where(columns.turn_id == turn_id)
    if after is not None:
        last = int(after[0])
        statement = statement.where(columns.ordinal < last if newest_first else columns.ordinal > last)
    order = columns.ordinal.desc() if newest_first else columns.ordinal.asc()
    rows = connection.execute(statement.order_by(order).limit(limit + 1)).all()
    return page_of(
        rows,
        limit,
        item=lambda row: codec.decode(row.body, Message),
        key=lambda row: (row.ordinal,),
        size=lambda row: int(row.size),
    )


def read_history(connection: Connection, session_key: int) -> list[Message]:
    """All messages of a session, in order."""
    statement = select(messages.c.body).where(messages.c.session_key == session_key).order_by(messages.c.ordinal)
    return [codec.decode(body, Message) for body in connection.scalars(statement)]
