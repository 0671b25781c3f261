"""Loading a session for a change: lock its head first, then read everything else, so that what is read is not stale.

Two statements, because PostgreSQL re-reads only the locked row after waiting for a lock: anything joined to it would
still be what it was before the wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, and_, select

from services.domain.errors import SessionNotFoundError
from services.domain.session_change import SessionAggregate
from services.domain.session_events import TextDelta
from services.domain.tool_call import ToolCall, ToolCallState
from services.domain.turn import Turn, TurnState
from services.infrastructure.persistence import codec
from services.infrastructure.persistence.database_clock import database_seconds
from services.infrastructure.persistence.rows import context_from, session_from
from services.infrastructure.persistence.tables import (
    agent_contexts,
    replicas,
    session_events,
    session_heads,
    sessions,
    tool_calls,
    turns,
)

ACTIVE = (TurnState.RUNNING, TurnState.PAUSED)


@dataclass(frozen=True, slots=True)
class Head:
    """The locked head row: the sequencer and the fence."""

    session_key: int
    epoch: int
    owner: str | None
    flushed: int
    last_sequence: int


def lock_head(connection: Connection, owner_id: str, session_id: str) -> Head:
    """Locks the session's head row until the transaction ends. Raises SessionNotFoundError."""
    statement = (
        select(session_heads)
        .join(sessions, sessions.c.session_key == session_heads.c.session_key)
        .where(sessions.c.owner_id == owner_id, sessions.c.session_id == session_id)
        .with_for_update(of=session_heads)
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise SessionNotFoundError
    return Head(row.session_key, row.epoch, row.owner, row.flushed, row.last_sequence)


def load(
    connection: Connection, head: Head, *, with_draft_text: bool = False, call_ids: Sequence[str] = ()
) -> SessionAggregate:
    """The session behind a locked head. Raises SessionNotFoundError when it was deleted while the lock was awaited."""
    alive = and_(replicas.c.incarnation == head.owner, replicas.c.expires_at > database_seconds())
    active = and_(turns.c.session_key == sessions.c.session_key, turns.c.state.in_(ACTIVE))
    statement = (
        select(
            sessions,
            agent_contexts.c.current_agent,
            agent_contexts.c.switch_count,
            turns.c.body.label("turn_body"),
            replicas.c.incarnation.label("living_owner"),
        )
        .join(agent_contexts, agent_contexts.c.session_key == sessions.c.session_key)
        .outerjoin(turns, active)
        .outerjoin(replicas, alive)
        .where(sessions.c.session_key == head.session_key, sessions.c.delete_time.is_(None))
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise SessionNotFoundError
    turn = codec.decode(row.turn_body, Turn) if row.turn_body is not None else None  # an active turn has no result yet
    return SessionAggregate(
        session=session_from(row),
        context=context_from(row),
        last_sequence=head.last_sequence,
        turn=turn,
        orphaned=head.owner is not None and row.living_owner is None,
        open_calls=_open_calls(connection, head.session_key) if turn is not None and turn.tool_calls else (),
        draft_text=draft_text(connection, head.session_key, turn)[0] if with_draft_text and turn is not None else "",
        taken_call_ids=_taken(connection, head.session_key, call_ids) if call_ids else frozenset(),
    )


def draft_text(connection: Connection, session_key: int, turn: Turn) -> tuple[str, str]:
    """The text and the reasoning that the running attempt of a turn has in the log so far."""
    if turn.attempt is None:
        return "", ""
    statement = (
        select(session_events.c.kind, session_events.c.payload)
        .where(
            session_events.c.session_key == session_key,
            session_events.c.turn_id == turn.id,
            session_events.c.kind.in_(("text_delta", "reasoning_delta")),
        )
        .order_by(session_events.c.sequence)
    )
    pieces: dict[str, list[str]] = {"text_delta": [], "reasoning_delta": []}
    for row in connection.execute(statement):
        delta = codec.decode(row.payload, TextDelta)  # both kinds have the same fields
        if delta.message_id == turn.attempt.message_id:
            pieces[row.kind].append(delta.text)
    return "".join(pieces["text_delta"]), "".join(pieces["reasoning_delta"])


def _open_calls(connection: Connection, session_key: int) -> tuple[ToolCall, ...]:
    statement = (
        select(tool_calls.c.body)
        .where(tool_calls.c.session_key == session_key, tool_calls.c.state == ToolCallState.OPEN)
        .order_by(tool_calls.c.number)
    )
    return tuple(codec.decode(body, ToolCall) for body in connection.scalars(statement))


def _taken(connection: Connection, session_key: int, call_ids: Sequence[str]) -> frozenset[str]:
    statement = select(tool_calls.c.tool_call_id).where(
        tool_calls.c.session_key == session_key, tool_calls.c.tool_call_id.in_(call_ids)
    )
    return frozenset(connection.scalars(statement))
