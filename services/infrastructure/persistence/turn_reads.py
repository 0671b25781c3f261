"""Reading turns and the calls they wait for."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from services.application.ports import Page, PageKey
from services.domain.errors import TurnNotFoundError
from services.domain.tool_call import ToolCall, ToolCallState
from services.domain.turn import Turn, TurnState
from services.infrastructure.persistence import codec
from services.infrastructure.persistence.paging import page_of
from services.infrastructure.persistence.rows import turn_from
from services.infrastructure.persistence.session_reads import locate
from services.infrastructure.persistence.tables import session_events, session_heads, tool_calls, turns

_ENDS_OR_PAUSES = ("turn_paused", "turn_completed", "turn_failed", "turn_cancelled")


def read_turn(connection: Connection, owner_id: str, session_id: str, turn_id: str) -> Turn:
    """One turn. Raises SessionNotFoundError, TurnNotFoundError."""
    location = locate(connection, owner_id, session_id)
    statement = select(turns.c.body, turns.c.result_text).where(
        turns.c.session_key == location.session_key, turns.c.turn_id == turn_id
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise TurnNotFoundError
    return turn_from(row.body, row.result_text)


def read_turns(
    connection: Connection,
    owner_id: str,
    session_id: str,
    *,
    states: Sequence[TurnState],
    limit: int,
    after: PageKey | None,
) -> Page[Turn]:
    """One page of turns, newest first; see `ReadModel.turns`."""
    location = locate(connection, owner_id, session_id)
    statement = select(turns.c.number, turns.c.body, turns.c.result_text).where(
        turns.c.session_key == location.session_key
    )
    if states:
        statement = statement.where(turns.c.state.in_(states))
    if after is not None:
        statement = statement.where(turns.c.number < int(after[0]))
    rows = connection.execute(statement.order_by(turns.c.number.desc()).limit(limit + 1)).all()
    return page_of(
        rows,
        limit,
        item=lambda row: turn_from(row.body, row.result_text),
        key=lambda row: (row.number,),
        size=lambda row: len(row.body) + len(row.result_text),
    )


def read_open_tool_calls(
    connection: Connection, owner_id: str, session_id: str, *, limit: int, after: PageKey | None
) -> Page[ToolCall]:
    """One page of open calls, in the order the model made them."""
    location = locate(connection, owner_id, session_id)
    statement = select(tool_calls.c.number, tool_calls.c.body).where(
        tool_calls.c.session_key == location.session_key, tool_calls.c.state == ToolCallState.OPEN
    )
    if after is not None:
        statement = statement.where(tool_calls.c.number > int(after[0]))
    rows = connection.execute(statement.order_by(tool_calls.c.number).limit(limit + 1)).all()
    return page_of(
        rows,
        limit,
        item=lambda row: codec.decode(row.body, ToolCall),
        key=lambda row: (row.number,),
        size=lambda row: len(row.body),
    )


def open_calls(connection: Connection, session_key: int) -> tuple[ToolCall, ...]:
    """The open calls of a session; only an active turn has any."""
    statement = (
        select(tool_calls.c.body)
        .where(tool_calls.c.session_key == session_key, tool_calls.c.state == ToolCallState.OPEN)
        .order_by(tool_calls.c.number)
    )
    return tuple(codec.decode(body, ToolCall) for body in connection.scalars(statement))


def read_turn_end(connection: Connection, session_key: int, turn_id: str, after: int) -> int | None:
    """Where the turn paused or ended behind a number; see `ReadModel.turn_end`."""
    ends = (
        select(session_events.c.sequence)
        .where(
            session_events.c.session_key == session_key,
            session_events.c.sequence > after,
            session_events.c.turn_id == turn_id,
            session_events.c.kind.in_(_ENDS_OR_PAUSES),
        )
        .order_by(session_events.c.sequence)
        .limit(1)
    )
    found = connection.scalar(ends)
    if found is not None:
        return int(found)
    cleared = connection.scalar(
        select(session_heads.c.cleared_through).where(session_heads.c.session_key == session_key)
    )
    return int(cleared) if cleared is not None and cleared >= after else None
