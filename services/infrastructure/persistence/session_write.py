"""Writing a change: every row it staged, in one go, after the head has been moved."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, update

from services.domain.input import Input
from services.domain.session_change import HeadMove, Removal, SessionChange
from services.domain.session_events import SessionEvent
from services.domain.turn import Turn
from services.infrastructure.persistence import codec
from services.infrastructure.persistence.log_rows import insert_events
from services.infrastructure.persistence.rows import (
    Values,
    message_values,
    session_values,
    tool_call_values,
    turn_values,
)
from services.infrastructure.persistence.session_load import Head
from services.infrastructure.persistence.tables import (
    agent_contexts,
    agent_switches,
    approvals,
    idempotency,
    inputs,
    messages,
    session_events,
    session_heads,
    session_watches,
    sessions,
    tool_calls,
    turns,
)

# What a deleted or cleared session loses. The log goes too; the events written by the change itself come after.
_HISTORY = (messages, tool_calls, approvals, inputs)
_EVERYTHING = (*_HISTORY, turns, agent_switches, agent_contexts, session_watches, idempotency)


def write(
    connection: Connection, head: Head, change: SessionChange, *, incarnation: str, is_step: bool
) -> tuple[SessionEvent, ...]:
    """Writes what the change staged; returns its events with their numbers. The head row is locked by the caller."""
    session = change.session
    if change.removal is not Removal.NOTHING:
        _remove(connection, head, change.removal)
    _move_head(connection, head, change, incarnation=incarnation, is_step=is_step)
    events = insert_events(
        connection,
        session_key=head.session_key,
        session_id=session.id,
        base=head.last_sequence,
        events=change.events,
        writer=(head.epoch, head.flushed + 1) if is_step else None,
    )
    if change.removal is Removal.SESSION:
        _leave_tombstone(connection, change)
        return events
    if change.messages:
        connection.execute(insert(messages), [message_values(head.session_key, m) for m in change.messages])
    if session != change.loaded.session:
        connection.execute(
            update(sessions).where(sessions.c.session_key == head.session_key).values(session_values(session))
        )
    if change.context != change.loaded.context:
        context = {"current_agent": change.context.current_agent, "switch_count": change.context.switch_count}
        connection.execute(
            update(agent_contexts).where(agent_contexts.c.session_key == head.session_key).values(context)
        )
    if change.turn is not None and change.turn != change.loaded.turn:
        _write_turn(connection, head, change, change.turn)
    if change.tool_calls:
        _write_tool_calls(connection, head, change)
    if change.inputs:
        connection.execute(insert(inputs), [_input_values(head, i) for i in change.inputs])
    return events


def _move_head(connection: Connection, head: Head, change: SessionChange, *, incarnation: str, is_step: bool) -> None:
    count = len(change.events)
    values: Values = {"last_sequence": session_heads.c.last_sequence + count}
    if is_step:
        values["flushed"] = session_heads.c.flushed + count
    else:
        values["control"] = session_heads.c.control + 1
    match change.head_move:
        case HeadMove.CLAIM:
            values |= {"epoch": session_heads.c.epoch + 1, "flushed": 0, "owner": incarnation}
        case HeadMove.FENCE:
            values |= {"epoch": session_heads.c.epoch + 1, "flushed": 0, "owner": None}
        case HeadMove.RELEASE:
            values["owner"] = None
    if change.removal is not Removal.NOTHING:
        values["cleared_through"] = head.last_sequence
    connection.execute(update(session_heads).where(session_heads.c.session_key == head.session_key).values(values))


def _write_turn(connection: Connection, head: Head, change: SessionChange, turn: Turn) -> None:
    if change.loaded.turn is not None and change.loaded.turn.id == turn.id:
        connection.execute(
            update(turns)
            .where(turns.c.session_key == head.session_key, turns.c.turn_id == turn.id)
            .values(turn_values(turn))
        )
    else:
        number = change.inputs[-1].accepted_sequence
        row = {"session_key": head.session_key, "turn_id": turn.id, "number": number} | turn_values(turn)
        connection.execute(insert(turns), row)


def _write_tool_calls(connection: Connection, head: Head, change: SessionChange) -> None:
    known = {call.id for call in change.loaded.open_calls}
    ordinals = {message.id: message.ordinal for message in change.messages}
    new = [
        tool_call_values(head.session_key, call, ordinals[call.message_id])
        for call in change.tool_calls.values()
        if call.id not in known
    ]
    if new:
        connection.execute(insert(tool_calls), new)
    for call in change.tool_calls.values():
        if call.id in known:
            connection.execute(
                update(tool_calls)
                .where(tool_calls.c.session_key == head.session_key, tool_calls.c.tool_call_id == call.id)
                .values(state=call.state, body=codec.encode(call))
            )


def _input_values(head: Head, accepted: Input) -> Values:
    return {
        "session_key": head.session_key,
        "input_id": accepted.id,
        "turn_id": accepted.turn_id,
        "kind": accepted.kind,
        "disposition": accepted.disposition,
        "accepted_sequence": accepted.accepted_sequence,
        "body": codec.encode(accepted),
    }


def _remove(connection: Connection, head: Head, removal: Removal) -> None:
    connection.execute(delete(session_events).where(session_events.c.session_key == head.session_key))
    for table in _EVERYTHING if removal is Removal.SESSION else _HISTORY:
        connection.execute(delete(table).where(table.c.session_key == head.session_key))
    if removal is Removal.MESSAGES:
        # What the turns cost is kept: it was spent.
        connection.execute(update(turns).where(turns.c.session_key == head.session_key).values(result_text=""))


def _leave_tombstone(connection: Connection, change: SessionChange) -> None:
    blank = session_values(change.session) | {
        "title": "",
        "description": "",
        "labels": "{}",
        "deactivation_reason": "",
        "delete_time": change.now,
    }
    connection.execute(update(sessions).where(sessions.c.session_key == change.session.key).values(blank))
