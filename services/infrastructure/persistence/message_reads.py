"""Reading the history of a session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, FromClause, Select, bindparam, case, func, select

from services.application.ports import Page, PageKey
from services.domain.message import Message, Role
from services.domain.tool_call import ToolCall
from services.infrastructure.persistence import codec
from services.infrastructure.persistence.paging import MAX_PAGE_BYTES, page_of
from services.infrastructure.persistence.query import Query
from services.infrastructure.persistence.session_reads import locate
from services.infrastructure.persistence.tables import messages, tool_calls

_HISTORY = Query(select(messages.c.body).where(messages.c.session_key == bindparam("key")).order_by(messages.c.ordinal))
_EDITED = Query(select(tool_calls.c.body).where(tool_calls.c.session_key == bindparam("key"), tool_calls.c.edited))


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
    statement = select(columns.ordinal, columns.size).where(columns.session_key == location.session_key)
    if roles:
        statement = statement.where(columns.role.in_(roles))
    if turn_id is not None:
        statement = statement.where(columns.turn_id == turn_id)
    if after is not None:
        last = int(after[0])
        statement = statement.where(columns.ordinal < last if newest_first else columns.ordinal > last)
    order = columns.ordinal.desc() if newest_first else columns.ordinal.asc()
    found = statement.order_by(order).limit(limit + 1).subquery()
    rows = connection.execute(_with_bodies_of_a_page(found, location.session_key, newest_first)).all()
    page = page_of(
        rows,
        limit,
        item=lambda row: codec.decode(row.body, Message),
        key=lambda row: (row.ordinal,),
        size=lambda row: int(row.size),
    )
    return replace(page, items=tuple(as_run(connection, location.session_key, page.items)))


def _with_bodies_of_a_page(found: FromClause, session_key: int, newest_first: bool) -> Select[Any]:
    """The found messages, and the bodies of those alone that fit into a page: of all, they could fill the memory."""
    place, size = (found.c.ordinal.desc() if newest_first else found.c.ordinal), found.c.size
    before = func.sum(size).over(order_by=place) - size
    sized = select(found.c.ordinal, size, before.label("before")).subquery()
    body = select(messages.c.body).where(messages.c.session_key == session_key, messages.c.ordinal == sized.c.ordinal)
    fits = (sized.c.before == 0) | (sized.c.before + sized.c.size <= MAX_PAGE_BYTES)
    return select(sized.c.ordinal, sized.c.size, case((fits, body.scalar_subquery())).label("body")).order_by(
        sized.c.ordinal.desc() if newest_first else sized.c.ordinal
    )


def read_history(connection: Connection, session_key: int) -> list[Message]:
    """All messages of a session, in order."""
    history = [codec.decode(row.body, Message) for row in _HISTORY.all(connection, key=session_key)]
    return as_run(connection, session_key, history)


def as_run(connection: Connection, session_key: int, history: Sequence[Message]) -> list[Message]:
    """The messages with the arguments their calls ran with, where a person edited them."""
    if not any(message.tool_calls for message in history):
        return list(history)
    records = (codec.decode(row.body, ToolCall) for row in _EDITED.all(connection, key=session_key))
    edited = {record.id: record.arguments_json for record in records}
    return [_with_edits(message, edited) for message in history] if edited else list(history)


def _with_edits(message: Message, edited: Mapping[str, str]) -> Message:
    if not any(call.id in edited for call in message.tool_calls):
        return message
    calls = (
        replace(call, arguments_json=edited[call.id], arguments_edited=True) if call.id in edited else call
        for call in message.tool_calls
    )
    return replace(message, tool_calls=tuple(calls))
