"""Loading a session for a change: lock its head first, then read everything else, so that what is read is not stale.

Two statements, because PostgreSQL re-reads only the locked row after waiting for a lock: anything joined to it would
still be what it was before the wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, and_, exists, select

from services.application.ports.store import NOTHING_MORE
from services.domain.approval import Approval, ApprovalState
from services.domain.errors import SessionNotFoundError
from services.domain.input import Input, InputState
from services.domain.session_change import Lookup, SessionAggregate
from services.domain.session_events import TextDelta
from services.domain.tool import ClientTool
from services.domain.tool_call import ToolCall
from services.domain.turn import Turn, TurnState
from services.infrastructure.persistence import codec
from services.infrastructure.persistence.database_clock import database_seconds
from services.infrastructure.persistence.rows import (
    CALLS_PER_MESSAGE,
    call_number,
    client_tools_from,
    context_with_work,
    session_from,
)
from services.infrastructure.persistence.tables import (
    agent_contexts,
    approvals,
    client_tools,
    inputs,
    replicas,
    session_events,
    session_heads,
    sessions,
    tool_calls,
    turns,
)
from services.infrastructure.persistence.watches import watchers_of

ACTIVE = (TurnState.RUNNING, TurnState.PAUSED)
_IS_PENDING = inputs.c.state == InputState.PENDING


@dataclass(frozen=True, slots=True)
class Head:
    """The locked head row: the sequencer and the fence. `locked_at` is the database's clock, `watchers` are the
    other incarnations that watch the session.
    """

    session_key: int
    epoch: int
    owner: str | None
    flushed: int
    last_sequence: int
    locked_at: datetime
    watchers: tuple[str, ...] = ()


def lock_head(connection: Connection, owner_id: str, session_id: str, incarnation: str) -> Head:
    """Locks the session's head row until the transaction ends. Raises SessionNotFoundError."""
    statement = (
        select(
            session_heads,
            database_seconds().label("now"),
            watchers_of(connection, incarnation).label("watchers"),
        )
        .join(sessions, sessions.c.session_key == session_heads.c.session_key)
        .where(sessions.c.owner_id == owner_id, sessions.c.session_id == session_id)
        .with_for_update(of=session_heads)
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise SessionNotFoundError
    return Head(
        session_key=row.session_key,
        epoch=row.epoch,
        owner=row.owner,
        flushed=row.flushed,
        last_sequence=row.last_sequence,
        locked_at=datetime.fromtimestamp(row.now, UTC),
        watchers=tuple(row.watchers.split(",")) if row.watchers else (),
    )


def load(connection: Connection, head: Head, lookup: Lookup = NOTHING_MORE) -> SessionAggregate:
    """The session behind a locked head, with what the lookup asks for.

    Raises SessionNotFoundError when it was deleted while the lock was awaited.
    """
    alive = and_(replicas.c.incarnation == head.owner, replicas.c.expires_at > database_seconds())
    active = and_(turns.c.session_key == sessions.c.session_key, turns.c.state.in_(ACTIVE))
    statement = (
        select(
            sessions,
            agent_contexts.c.current_agent,
            agent_contexts.c.switch_count,
            agent_contexts.c.last_switch,
            agent_contexts.c.work,
            turns.c.body.label("turn_body"),
            exists().where(inputs.c.session_key == sessions.c.session_key, _IS_PENDING).label("has_pending"),
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
    key, waits = head.session_key, turn is not None and turn.wait is not None
    return SessionAggregate(
        session=session_from(row),
        context=context_with_work(row),
        last_sequence=head.last_sequence,
        deadline_now=head.locked_at,
        turn=turn,
        orphaned=head.owner is not None and row.living_owner is None,
        batch=_batch(connection, key, turn) if turn is not None and waits else (),
        approvals=read_pending_approvals(connection, key) if turn is not None and waits else (),
        draft_text=draft_text(connection, key, turn)[0] if lookup.draft_text and turn is not None else "",
        known_calls=_known_calls(connection, key, lookup.call_ids) if lookup.call_ids else {},
        known_approvals=_known_approvals(connection, key, lookup.approval_ids) if lookup.approval_ids else {},
        client_tools=read_client_tools(connection, key) if lookup.client_tools else (),
        last_turn=_last_turn(connection, key) if lookup.last_turn else None,
        pending_inputs=read_pending_inputs(connection, key) if row.has_pending else (),
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


def read_pending_approvals(connection: Connection, session_key: int) -> tuple[Approval, ...]:
    """The approvals of a session that wait for a decision, in the order they were asked for."""
    statement = (
        select(approvals.c.body)
        .join(
            tool_calls,
            and_(
                tool_calls.c.session_key == approvals.c.session_key,
                tool_calls.c.tool_call_id == approvals.c.tool_call_id,
            ),
        )
        .where(approvals.c.session_key == session_key, approvals.c.state == ApprovalState.PENDING)
        .order_by(tool_calls.c.number)
    )
    return tuple(codec.decode(body, Approval) for body in connection.scalars(statement))


def read_pending_inputs(connection: Connection, session_key: int) -> tuple[Input, ...]:
    """The messages of a session that wait, in the order they came."""
    statement = (
        select(inputs.c.body)
        .where(inputs.c.session_key == session_key, _IS_PENDING)
        .order_by(inputs.c.accepted_sequence)
    )
    return tuple(codec.decode(body, Input) for body in connection.scalars(statement))


def _last_turn(connection: Connection, session_key: int) -> Turn | None:
    newest = select(turns.c.body).where(turns.c.session_key == session_key).order_by(turns.c.number.desc()).limit(1)
    body = connection.scalar(newest)
    return codec.decode(body, Turn) if body is not None else None


def read_client_tools(connection: Connection, session_key: int) -> tuple[ClientTool, ...]:
    """The tools the client of a session declared."""
    body = connection.scalar(select(client_tools.c.body).where(client_tools.c.session_key == session_key))
    return client_tools_from(body) if body is not None else ()


def _batch(connection: Connection, session_key: int, turn: Turn) -> tuple[ToolCall, ...]:
    first = call_number(turn.batch_ordinal or 0, 0)
    statement = (
        select(tool_calls.c.body)
        .where(
            tool_calls.c.session_key == session_key,
            tool_calls.c.number >= first,
            tool_calls.c.number < first + CALLS_PER_MESSAGE,
        )
        .order_by(tool_calls.c.number)
    )
    return tuple(codec.decode(body, ToolCall) for body in connection.scalars(statement))


def _known_calls(connection: Connection, session_key: int, call_ids: Sequence[str]) -> dict[str, ToolCall]:
    statement = select(tool_calls.c.body).where(
        tool_calls.c.session_key == session_key, tool_calls.c.tool_call_id.in_(call_ids)
    )
    calls = (codec.decode(body, ToolCall) for body in connection.scalars(statement))
    return {call.id: call for call in calls}


def _known_approvals(connection: Connection, session_key: int, approval_ids: Sequence[str]) -> dict[str, Approval]:
    statement = select(approvals.c.body).where(
        approvals.c.session_key == session_key, approvals.c.approval_id.in_(approval_ids)
    )
    found = (codec.decode(body, Approval) for body in connection.scalars(statement))
    return {approval.id: approval for approval in found}
