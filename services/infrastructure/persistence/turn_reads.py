"""Reading turns and the calls they wait for."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, select

from services.application.ports import InputProgress, Page, PageKey
from services.domain.errors import TurnNotFoundError
from services.domain.input import InputState
from services.domain.tool_call import ToolCall, ToolCallState
from services.domain.turn import Turn, TurnState
from services.infrastructure.persistence import codec
from services.infrastructure.persistence.paging import page_of
from services.infrastructure.persistence.query import Query
from services.infrastructure.persistence.rows import turn_from
from services.infrastructure.persistence.session_reads import locate
from services.infrastructure.persistence.tables import inputs, session_events, session_heads, tool_calls, turns

_ENDS_OR_PAUSES = ("turn_paused", "turn_completed", "turn_failed", "turn_cancelled")


_TURN = Query(
    select(turns.c.body, turns.c.result_text).where(
        turns.c.session_key == bindparam("key"), turns.c.turn_id == bindparam("turn")
    )
)


def read_turn(connection: Connection, owner_id: str, session_id: str, turn_id: str) -> Turn:
    """One turn. Raises SessionNotFoundError, TurnNotFoundError."""
    location = locate(connection, owner_id, session_id)
    row = _TURN.first(connection, key=location.session_key, turn=turn_id)
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
        size=lambda row: len(row.body.encode()) + len(row.result_text.encode()),
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
        size=lambda row: len(row.body.encode()),
    )


def open_calls(connection: Connection, session_key: int) -> tuple[ToolCall, ...]:
    """The open calls of a session; only an active turn has any."""
    statement = (
        select(tool_calls.c.body)
        .where(tool_calls.c.session_key == session_key, tool_calls.c.state == ToolCallState.OPEN)
        .order_by(tool_calls.c.number)
    )
    return tuple(codec.decode(body, ToolCall) for body in connection.scalars(statement))


def read_input_progress(connection: Connection, session_key: int, input_id: str) -> InputProgress:
    """What has become of an input; see `ReadModel.input_progress`."""
    statement = select(inputs.c.turn_id, inputs.c.state, inputs.c.accepted_sequence, inputs.c.taken_sequence).where(
        inputs.c.session_key == session_key, inputs.c.input_id == input_id
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        # Its record went with the history: only what has ended is cleared.
        return InputProgress(InputState.TAKEN, "", _cleared_through(connection, session_key))
    state = InputState(row.state)
    if state is InputState.WITHDRAWN:
        return InputProgress(state, row.turn_id, row.taken_sequence)
    after = max(row.accepted_sequence, row.taken_sequence)
    ends = ("turn_paused",) if state is InputState.PENDING else _ENDS_OR_PAUSES
    end = _first(connection, session_key, row.turn_id, after, ends) if row.turn_id else None
    return InputProgress(state, row.turn_id, end)


def _cleared_through(connection: Connection, session_key: int) -> int | None:
    return connection.scalar(select(session_heads.c.cleared_through).where(session_heads.c.session_key == session_key))


def _first(connection: Connection, session_key: int, turn_id: str, after: int, kinds: Sequence[str]) -> int | None:
    """The number of the turn's first event of these kinds behind a number."""
    statement = (
        select(session_events.c.sequence)
        .where(
            session_events.c.session_key == session_key,
            session_events.c.sequence > after,
            session_events.c.turn_id == turn_id,
            session_events.c.kind.in_(kinds),
        )
        .order_by(session_events.c.sequence)
        .limit(1)
    )
    return connection.scalar(statement)
