"""Writing a change: every row it staged, in one go, after the head has been moved."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, Table, delete, update

from services.domain.input import Input
from services.domain.session_change import HeadMove, Removal, SessionChange
from services.domain.session_events import SessionEvent
from services.domain.session_usage import SessionUsage
from services.domain.turn import Turn
from services.infrastructure.persistence import codec
from services.infrastructure.persistence.log_rows import add_events
from services.infrastructure.persistence.rows import (
    Values,
    approval_values,
    audit_values,
    client_tools_values,
    context_values,
    message_values,
    rule_values,
    session_values,
    share_values,
    summary_values,
    switch_values,
    tool_call_values,
    turn_values,
    usage_text,
)
from services.infrastructure.persistence.session_load import Head
from services.infrastructure.persistence.statement_batch import StatementBatch
from services.infrastructure.persistence.tables import (
    agent_contexts,
    agent_switches,
    approval_rules,
    approvals,
    audit_records,
    client_tools,
    idempotency,
    inputs,
    messages,
    session_events,
    session_heads,
    session_watches,
    sessions,
    summaries,
    tool_calls,
    turn_agents,
    turns,
)

# What a deleted or cleared session loses. The log goes too; the events written by the change itself come after.
_HISTORY = (messages, summaries, tool_calls, approvals, inputs)
_EVERYTHING = (
    *_HISTORY,
    turns,
    turn_agents,
    agent_switches,
    agent_contexts,
    client_tools,
    approval_rules,
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
        first = StatementBatch()
        first.update(turns, [_turn_values(head, change.ended_turn)])
        first.execute(connection)
    batch = StatementBatch()
    batch.update(session_heads, [_head_values(head, change, incarnation=incarnation, is_step=is_step)])
    events = add_events(
        batch,
        session_key=head.session_key,
        session_id=change.session.id,
        base=head.last_sequence,
        events=change.events,
        writer=(head.epoch, head.flushed + 1) if is_step else None,
    )
    batch.insert(audit_records, [audit_values(record) for record in change.audit])
    if change.removal is Removal.SESSION:
        batch.update(sessions, [_tombstone_values(head, change)])
    else:
        _add_state(batch, head, change)
    batch.execute(connection)
    return events


def _head_values(head: Head, change: SessionChange, *, incarnation: str, is_step: bool) -> Values:
    """The whole row, from what it was when it was locked."""
    count = len(change.events)
    values: Values = {
        "session_key": head.session_key,
        "epoch": head.epoch,
        "owner": head.owner,
        "flushed": head.flushed + count if is_step else head.flushed,
        "control": head.control if is_step and count else head.control + 1,
        "last_sequence": head.last_sequence + count,
        "cleared_through": head.cleared_through if change.removal is Removal.NOTHING else head.last_sequence,
    }
    match change.head_move:
        case HeadMove.CLAIM:
            values |= {"epoch": head.epoch + 1, "flushed": 0, "owner": incarnation}
        case HeadMove.FENCE:
            values |= {"epoch": head.epoch + 1, "flushed": 0, "owner": None}
        case HeadMove.RELEASE:
            values["owner"] = None
    return values


def _add_state(batch: StatementBatch, head: Head, change: SessionChange) -> None:
    """Adds what the change did to the session and the things in it."""
    batch.insert(messages, [message_values(head.session_key, message) for message in change.messages])
    if change.usage != change.loaded.usage:
        spent = {"usage": usage_text(change.usage)}
        batch.update(sessions, [{"session_key": head.session_key} | session_values(change.session) | spent])
    elif change.session != change.loaded.session:
        batch.update(sessions, [{"session_key": head.session_key} | session_values(change.session)])
    if change.summary is not None:
        batch.insert(summaries, [summary_values(head.session_key, change.summary)])
    if change.context != change.loaded.context:
        batch.update(agent_contexts, [{"session_key": head.session_key} | context_values(change.context)])
    if change.turn is not None and change.turn != change.loaded.turn:
        _add_turn(batch, head, change, change.turn)
    _add_shares(batch, head, change)
    _add_tool_calls(batch, head, change)
    _add_approvals(batch, head, change)
    batch.insert(agent_switches, [switch_values(head.session_key, switch) for switch in change.switches])
    if change.client_tools is not None:
        batch.update(client_tools, [{"session_key": head.session_key} | client_tools_values(change.client_tools)])
    owner_id = change.session.owner_id
    batch.insert(approval_rules, [rule_values(owner_id, head.session_key, rule) for rule in change.rules])
    _add_inputs(batch, head, change)


def _add_turn(batch: StatementBatch, head: Head, change: SessionChange, turn: Turn) -> None:
    if change.loaded.turn is not None and change.loaded.turn.id == turn.id:
        batch.update(turns, [_turn_values(head, turn)])
    else:
        fixed = {
            "number": change.inputs[turn.input_id].taken_sequence,
            "owner_id": change.session.owner_id,
        }
        batch.insert(turns, [fixed | _turn_values(head, turn)])


def _turn_values(head: Head, turn: Turn) -> Values:
    return {"session_key": head.session_key, "turn_id": turn.id} | turn_values(turn)


def _add_shares(batch: StatementBatch, head: Head, change: SessionChange) -> None:
    """What agents did in the turns that this change touched."""
    before = change.loaded.turn
    new: list[Values] = []
    changed: list[Values] = []
    for turn in (change.ended_turn, change.turn):
        if turn is None or turn == before:
            continue
        known = before.shares if before is not None and before.id == turn.id else {}
        for agent, share in turn.shares.items():
            values = share_values(head.session_key, turn, agent)
            if agent not in known:
                new.append(values)
            elif known[agent] != share:
                changed.append(values)
    batch.insert(turn_agents, new)
    batch.update(turn_agents, changed)


def _add_inputs(batch: StatementBatch, head: Head, change: SessionChange) -> None:
    known = {waiting.id for waiting in change.loaded.pending_inputs}
    _add(batch, inputs, known, {each.id: _input_values(head, each) for each in change.inputs.values()})


def _add_tool_calls(batch: StatementBatch, head: Head, change: SessionChange) -> None:
    known = {call.id for call in change.loaded.batch}
    rows = {call.id: tool_call_values(head.session_key, call) for call in change.tool_calls.values()}
    _add(batch, tool_calls, known, rows)


def _add_approvals(batch: StatementBatch, head: Head, change: SessionChange) -> None:
    known = {approval.id for approval in change.loaded.approvals} | set(change.loaded.known_approvals)
    rows = {approval.id: approval_values(head.session_key, approval) for approval in change.approvals.values()}
    _add(batch, approvals, known, rows)


def _add(batch: StatementBatch, table: Table, known: Collection[str], rows: Mapping[str, Values]) -> None:
    """Adds rows by their ids: those that are known are changed, the others are new."""
    batch.insert(table, [row for row_id, row in rows.items() if row_id not in known])
    batch.update(table, [row for row_id, row in rows.items() if row_id in known])


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


def _tombstone_values(head: Head, change: SessionChange) -> Values:
    return session_values(change.session) | {
        "session_key": head.session_key,
        "title": "",
        "description": "",
        "labels": "{}",
        "deactivation_reason": "",
        "usage": usage_text(SessionUsage()),
        "delete_time": change.now,
    }
