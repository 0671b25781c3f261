"""Writing a change: every row it staged, in one go, after the head has been moved."""

from __future__ import annotations

from sqlalchemy import Connection, Table, Update, delete, update

from services.domain.input import Input
from services.domain.session_change import HeadMove, Removal, SessionChange
from services.domain.session_events import SessionEvent
from services.domain.turn import Turn
from services.infrastructure.persistence import codec
from services.infrastructure.persistence.log_rows import add_events
from services.infrastructure.persistence.rows import (
    Values,
    approval_values,
    client_tools_values,
    context_values,
    message_values,
    session_values,
    share_values,
    switch_values,
    tool_call_values,
    turn_values,
)
from services.infrastructure.persistence.session_load import Head
from services.infrastructure.persistence.statement_batch import StatementBatch
from services.infrastructure.persistence.tables import (
    agent_contexts,
    agent_switches,
    approvals,
    client_tools,
    idempotency,
    inputs,
    messages,
    session_events,
    session_heads,
    session_watches,
    sessions,
    tool_calls,
    turn_agents,
    turns,
)

# What a deleted or cleared session loses. The log goes too; the events written by the change itself come after.
_HISTORY = (messages, tool_calls, approvals, inputs)
_EVERYTHING = (
    *_HISTORY,
    turns,
    turn_agents,
    agent_switches,
    agent_contexts,
    client_tools,
    session_watches,
    idempotency,
)


def write(
    connection: Connection, head: Head, change: SessionChange, *, incarnation: str, is_step: bool
) -> tuple[SessionEvent, ...]:
    """Writes what the change staged; returns its events with their numbers. The head row is locked by the caller."""
    if change.removal is not Removal.NOTHING:
        _remove(connection, head, change.removal)
    if change.ended_turn is not None:
        # Before everything else: the turn that follows it is active too, and a session has one such turn at a time.
        _update_turn(connection, head, change.ended_turn)
    batch = StatementBatch()
    batch.update(_of(session_heads, head).values(_head_values(head, change, incarnation=incarnation, is_step=is_step)))
    events = add_events(
        batch,
        session_key=head.session_key,
        session_id=change.session.id,
        base=head.last_sequence,
        events=change.events,
        writer=(head.epoch, head.flushed + 1) if is_step else None,
    )
    if change.removal is Removal.SESSION:
        batch.update(_of(sessions, head).values(_tombstone_values(change)))
    else:
        _add_state(batch, head, change)
    batch.execute(connection)
    return events


def _of(table: Table, head: Head) -> Update:
    return update(table).where(table.c.session_key == head.session_key)


def _head_values(head: Head, change: SessionChange, *, incarnation: str, is_step: bool) -> Values:
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
    return values


def _add_state(batch: StatementBatch, head: Head, change: SessionChange) -> None:
    """Adds what the change did to the session and the things in it."""
    batch.insert(messages, [message_values(head.session_key, message) for message in change.messages])
    if change.session != change.loaded.session:
        batch.update(_of(sessions, head).values(session_values(change.session)))
    if change.context != change.loaded.context:
        batch.update(_of(agent_contexts, head).values(context_values(change.context)))
    if change.turn is not None and change.turn != change.loaded.turn:
        _add_turn(batch, head, change, change.turn)
    _add_shares(batch, head, change)
    _add_tool_calls(batch, head, change)
    _add_approvals(batch, head, change)
    batch.insert(agent_switches, [switch_values(head.session_key, switch) for switch in change.switches])
    if change.client_tools is not None:
        batch.update(_of(client_tools, head).values(client_tools_values(change.client_tools)))
    _add_inputs(batch, head, change)


def _add_turn(batch: StatementBatch, head: Head, change: SessionChange, turn: Turn) -> None:
    if change.loaded.turn is not None and change.loaded.turn.id == turn.id:
        batch.update(_of(turns, head).where(turns.c.turn_id == turn.id).values(turn_values(turn)))
    else:
        number = change.inputs[turn.input_id].taken_sequence
        row = {"session_key": head.session_key, "turn_id": turn.id, "number": number} | turn_values(turn)
        batch.insert(turns, [row])


def _update_turn(connection: Connection, head: Head, turn: Turn) -> None:
    connection.execute(_of(turns, head).where(turns.c.turn_id == turn.id).values(turn_values(turn)))


def _add_shares(batch: StatementBatch, head: Head, change: SessionChange) -> None:
    """What agents did in the turns that this change touched."""
    before = change.loaded.turn
    new: list[Values] = []
    for turn in (change.ended_turn, change.turn):
        if turn is None or turn == before:
            continue
        known = before.shares if before is not None and before.id == turn.id else {}
        for agent, share in turn.shares.items():
            values = share_values(head.session_key, turn, agent)
            if agent not in known:
                new.append(values)
            elif known[agent] != share:
                mine = _of(turn_agents, head).where(turn_agents.c.turn_id == turn.id, turn_agents.c.agent == agent)
                batch.update(mine.values(values))
    batch.insert(turn_agents, new)


def _add_inputs(batch: StatementBatch, head: Head, change: SessionChange) -> None:
    known = {waiting.id for waiting in change.loaded.pending_inputs}
    batch.insert(inputs, [_input_values(head, each) for each in change.inputs.values() if each.id not in known])
    for each in change.inputs.values():
        if each.id in known:
            batch.update(_of(inputs, head).where(inputs.c.input_id == each.id).values(_input_values(head, each)))


def _add_tool_calls(batch: StatementBatch, head: Head, change: SessionChange) -> None:
    known = {call.id for call in change.loaded.batch}
    new = [call for call in change.tool_calls.values() if call.id not in known]
    batch.insert(tool_calls, [tool_call_values(head.session_key, call) for call in new])
    for call in change.tool_calls.values():
        if call.id in known:
            values = tool_call_values(head.session_key, call)
            batch.update(_of(tool_calls, head).where(tool_calls.c.tool_call_id == call.id).values(values))


def _add_approvals(batch: StatementBatch, head: Head, change: SessionChange) -> None:
    known = {approval.id for approval in change.loaded.approvals} | set(change.loaded.known_approvals)
    new = [approval for approval in change.approvals.values() if approval.id not in known]
    batch.insert(approvals, [approval_values(head.session_key, approval) for approval in new])
    for approval in change.approvals.values():
        if approval.id in known:
            values = approval_values(head.session_key, approval)
            batch.update(_of(approvals, head).where(approvals.c.approval_id == approval.id).values(values))


def _input_values(head: Head, accepted: Input) -> Values:
    return {
        "session_key": head.session_key,
        "input_id": accepted.id,
        "turn_id": accepted.turn_id,
        "kind": accepted.kind,
        "disposition": accepted.disposition,
        "accepted_sequence": accepted.accepted_sequence,
        "state": accepted.state,
        "taken_sequence": accepted.taken_sequence,
        "body": codec.encode(accepted),
    }


def _remove(connection: Connection, head: Head, removal: Removal) -> None:
    connection.execute(delete(session_events).where(session_events.c.session_key == head.session_key))
    for table in _EVERYTHING if removal is Removal.SESSION else _HISTORY:
        connection.execute(delete(table).where(table.c.session_key == head.session_key))
    if removal is Removal.MESSAGES:
        # What the turns cost is kept: it was spent.
        connection.execute(update(turns).where(turns.c.session_key == head.session_key).values(result_text=""))


def _tombstone_values(change: SessionChange) -> Values:
    return session_values(change.session) | {
        "title": "",
        "description": "",
        "labels": "{}",
        "deactivation_reason": "",
        "delete_time": change.now,
    }
