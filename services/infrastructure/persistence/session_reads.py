"""Reading sessions: one, a page of them, where one's log is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, func, select, tuple_

from services.application.ports import Page, PageKey, SessionFilter, SessionLocation, SessionView
from services.domain.errors import InputNotFoundError, SessionNotFoundError
from services.domain.input import Input, in_turn
from services.infrastructure.persistence import codec
from services.infrastructure.persistence.paging import page_of
from services.infrastructure.persistence.query import Query
from services.infrastructure.persistence.rows import client_tools_from, context_from, context_with_work, session_from
from services.infrastructure.persistence.session_load import IS_ACTIVE, read_pending_inputs
from services.infrastructure.persistence.tables import (
    agent_contexts,
    client_tools,
    inputs,
    session_heads,
    sessions,
    turns,
)


def _views() -> Select[Any]:
    return (
        select(
            sessions,
            agent_contexts.c.current_agent,
            agent_contexts.c.switch_count,
            agent_contexts.c.last_switch,
            session_heads.c.last_sequence,
            turns.c.turn_id.label("active_turn_id"),
        )
        .join(agent_contexts, agent_contexts.c.session_key == sessions.c.session_key)
        .join(session_heads, session_heads.c.session_key == sessions.c.session_key)
        .outerjoin(turns, (turns.c.session_key == sessions.c.session_key) & IS_ACTIVE)
        .where(sessions.c.delete_time.is_(None))
    )


_ITS_OWNERS = (sessions.c.owner_id == bindparam("owner"), sessions.c.session_id == bindparam("session"))

_SESSION = Query(
    _views()
    .add_columns(agent_contexts.c.work, client_tools.c.body.label("client_tools"))
    .join(client_tools, client_tools.c.session_key == sessions.c.session_key)
    .where(*_ITS_OWNERS)
)

_LOCATION = Query(
    select(session_heads.c.session_key, session_heads.c.last_sequence)
    .join(sessions, sessions.c.session_key == session_heads.c.session_key)
    .where(*_ITS_OWNERS, sessions.c.delete_time.is_(None))
)


def read_session(connection: Connection, owner_id: str, session_id: str) -> SessionView:
    """The owner's session of that id, whole. Raises SessionNotFoundError."""
    row = _SESSION.first(connection, owner=owner_id, session=session_id)
    if row is None:
        raise SessionNotFoundError
    return replace(_view_from(row), context=context_with_work(row), client_tools=client_tools_from(row.client_tools))


def read_input(connection: Connection, owner_id: str, session_id: str, input_id: str) -> Input:
    """One accepted input. Raises SessionNotFoundError, InputNotFoundError."""
    location = locate(connection, owner_id, session_id)
    statement = select(inputs.c.body).where(inputs.c.session_key == location.session_key, inputs.c.input_id == input_id)
    body = connection.scalar(statement)
    if body is None:
        raise InputNotFoundError("no such input was accepted in this session")
    return codec.decode(body, Input)


def read_pending(connection: Connection, owner_id: str, session_id: str) -> list[Input]:
    """The messages that wait in the owner's session, in the order they will be taken. Raises SessionNotFoundError."""
    return in_turn(read_pending_inputs(connection, locate(connection, owner_id, session_id).session_key))


def read_sessions(
    connection: Connection, owner_id: str, where: SessionFilter, limit: int, after: PageKey | None
) -> Page[SessionView]:
    """Most recently active first, in one statement whatever the number of sessions."""
    statement = _views().where(sessions.c.owner_id == owner_id, *_conditions(connection, where))
    if after is not None:
        activity, last_id = after
        last_activity = codec.from_microseconds(int(activity))
        statement = statement.where(
            tuple_(sessions.c.last_activity_time, sessions.c.session_id) < tuple_(last_activity, str(last_id))
        )
    order = sessions.c.last_activity_time.desc(), sessions.c.session_id.desc()
    rows = connection.execute(statement.order_by(*order).limit(limit + 1)).all()
    return page_of(
        rows,
        limit,
        item=_view_from,
        key=lambda row: (codec.to_microseconds(row.last_activity_time), row.session_id),
        size=lambda row: len(row.title) + len(row.description) + len(row.labels),
    )


def locate(connection: Connection, owner_id: str, session_id: str) -> SessionLocation:
    """Where the session's log is and how long. Raises SessionNotFoundError."""
    row = _LOCATION.first(connection, owner=owner_id, session=session_id)
    if row is None:
        raise SessionNotFoundError
    return SessionLocation(row.session_key, row.last_sequence)


def _view_from(row: Row[Any]) -> SessionView:
    return SessionView(session_from(row), context_from(row), row.last_sequence, row.active_turn_id)


def _conditions(connection: Connection, where: SessionFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if where.states:
        conditions.append(sessions.c.state.in_(where.states))
    if where.current_agent is not None:
        conditions.append(agent_contexts.c.current_agent == where.current_agent)
    if where.active_since is not None:
        conditions.append(sessions.c.last_activity_time >= where.active_since)
    if where.active_before is not None:
        conditions.append(sessions.c.last_activity_time < where.active_before)
    # Label names hold no quotes or backslashes, so the encoded pair occurs in the stored text only where it is a pair.
    find = func.strpos if connection.dialect.name == "postgresql" else func.instr
    for name, value in where.labels:
        pair = codec.encode({name: value})[1:-1]
        conditions.append(find(sessions.c.labels, pair) > 0)
    return conditions
