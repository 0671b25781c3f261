"""Copying a session: its history up to a boundary, with everything the copy needs to go on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, insert, select

from services.application.ports import IdempotencyKey, SessionView
from services.domain.agent_context import AgentContext
from services.domain.errors import InvalidArgumentError, RequestIdReusedError, SessionNotFoundError
from services.domain.ids import new_id
from services.domain.message import Message
from services.domain.policies.boundaries import is_boundary
from services.domain.session import SessionState
from services.domain.session_change import Lookup, SessionChange
from services.domain.session_events import NewEvent, SessionForked
from services.domain.tool_call import ToolCall, ToolCallState
from services.infrastructure.persistence import codec
from services.infrastructure.persistence.idempotency import recall, remember
from services.infrastructure.persistence.log_rows import add_events
from services.infrastructure.persistence.message_reads import read_history
from services.infrastructure.persistence.model_view_reads import read_summary
from services.infrastructure.persistence.rows import message_values, summary_values, tool_call_values
from services.infrastructure.persistence.session_create import create
from services.infrastructure.persistence.session_load import lock
from services.infrastructure.persistence.session_reads import read_session
from services.infrastructure.persistence.statement_batch import StatementBatch
from services.infrastructure.persistence.tables import messages, session_heads, summaries, tool_calls


def fork(
    connection: Connection,
    owner_id: str,
    source_id: str,
    fork_id: str,
    *,
    title: str | None,
    until_message_id: str,
    correlation_id: str,
    now: datetime,
    key: IdempotencyKey | None,
    most: int | None,
) -> tuple[SessionView, int]:
    """Writes the copy in the caller's transaction; see `SessionStore.fork`."""
    head, source = lock(connection, owner_id, source_id, "", Lookup(client_tools=True))
    # Behind the lock, so that a copy of this very request on another replica is seen.
    if key and (outcome := recall(connection, key)) is not None:
        earlier_id, count = json.loads(outcome)
        return read_session(connection, owner_id, earlier_id), count
    if source is None:
        raise SessionNotFoundError
    SessionChange(source, now=now, correlation_id=correlation_id).check_idle()
    history = _until(read_history(connection, head.session_key), until_message_id)
    session = replace(
        source.session,
        id=fork_id,
        title=source.session.title if title is None else title,
        state=SessionState.ACTIVE,
        deactivation_reason="",
        create_time=now,
        update_time=now,
        last_activity_time=now,
        message_count=len(history),
        history_bytes=sum(message.size for message in history),
        last_ordinal=len(history),
        version=1,
    )
    context = AgentContext(source.context.current_agent, work=source.context.work)
    view, _ = create(connection, session, context, source.client_tools, allow_existing=False, key=None, most=most)
    copies = _copy(connection, head.session_key, view.session.key, history)
    _copy_summary(connection, head.session_key, view.session.key, history, copies)
    _announce(connection, view, NewEvent(_forked(source_id, history), now, correlation_id))
    if key and not remember(connection, key, view.session.key, json.dumps([fork_id, len(history)]), now):
        raise RequestIdReusedError
    return read_session(connection, owner_id, fork_id), len(history)


def _until(history: Sequence[Message], message_id: str) -> Sequence[Message]:
    if not message_id:
        return history
    position = next((position for position, message in enumerate(history) if message.id == message_id), None)
    if position is None:
        raise InvalidArgumentError.of("until_message_id", "names no message of the session")
    kept = history[: position + 1]
    if not is_boundary(kept):
        raise InvalidArgumentError.of("until_message_id", "lies between a tool call and its result")
    return kept


def _copy(connection: Connection, source_key: int, fork_key: int, history: Sequence[Message]) -> list[Message]:
    """The messages under new ids, counted from 1, and the records of their calls, so that no call id is used twice."""
    copies = [
        replace(message, id=new_id("msg"), ordinal=ordinal, turn_id=None)
        for ordinal, message in enumerate(history, start=1)
    ]
    records = {
        record.id: record
        for body in connection.scalars(select(tool_calls.c.body).where(tool_calls.c.session_key == source_key))
        for record in (codec.decode(body, ToolCall),)
    }
    calls = [
        replace(
            records[call.id],
            turn_id="",
            message_id=message.id,
            message_ordinal=message.ordinal,
            arguments_json=call.arguments_json,
            original_arguments_json=None,
            state=ToolCallState.SETTLED,
            input_id="",
            result_digest="",
        )
        for message in copies
        for call in message.tool_calls
        if call.id in records
    ]
    batch = StatementBatch()
    batch.insert(messages, [message_values(fork_key, message) for message in copies])
    batch.insert(tool_calls, [tool_call_values(fork_key, call) for call in calls])
    batch.execute(connection)
    return copies


def _copy_summary(
    connection: Connection, source_key: int, fork_key: int, history: Sequence[Message], copies: Sequence[Message]
) -> None:
    """What the model reads instead of the older messages, unless it tells of more than was copied."""
    summary = read_summary(connection, source_key)
    copy_of = {message.ordinal: copy for message, copy in zip(history, copies, strict=True)}
    if summary is None or not copies or summary.through > history[-1].ordinal:
        return
    copied = replace(
        summary,
        through=copy_of[summary.through].ordinal,
        kept=tuple(copy_of[ordinal].ordinal for ordinal in summary.kept),
        first_ordinal=copy_of[summary.first_ordinal].ordinal,
        first_message_id=copy_of[summary.first_ordinal].id,
        last_message_id=copy_of[summary.through].id,
    )
    connection.execute(insert(summaries).values(summary_values(fork_key, copied)))


def _announce(connection: Connection, view: SessionView, event: NewEvent) -> None:
    key = view.session.key
    batch = StatementBatch()
    add_events(batch, session_key=key, session_id=view.session.id, base=0, events=[event], writer=None)
    batch.update(session_heads, [{"session_key": key, "last_sequence": 1}])
    batch.execute(connection)


def _forked(source_id: str, history: Sequence[Message]) -> SessionForked:
    return SessionForked(source_id, history[-1].id if history else "", len(history))
