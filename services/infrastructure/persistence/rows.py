"""Rows to entities and back, for what is stored in columns; what is stored whole goes through `codec`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Row

from services.domain.agent_context import AgentContext, AgentSwitch, SwitchSource
from services.domain.message import Message
from services.domain.session import Session, SessionState
from services.domain.session_events import NewEvent, SessionEvent
from services.domain.tool_call import ToolCall
from services.domain.turn import Turn
from services.infrastructure.persistence import codec

Values = dict[str, Any]


def session_from(row: Row[Any]) -> Session:
    return Session(
        key=row.session_key,
        id=row.session_id,
        owner_id=row.owner_id,
        title=row.title,
        description=row.description,
        state=SessionState(row.state),
        create_time=row.create_time,
        update_time=row.update_time,
        last_activity_time=row.last_activity_time,
        labels=codec.decode(row.labels, dict[str, str]),
        deactivation_reason=row.deactivation_reason,
        message_limit=row.message_limit,
        message_count=row.message_count,
        last_ordinal=row.last_ordinal,
        version=row.version,
    )


def session_values(session: Session) -> Values:
    """What may change of a session; its identity and creation time are written once."""
    return {
        "title": session.title,
        "description": session.description,
        "labels": labels_text(session.labels),
        "state": session.state,
        "deactivation_reason": session.deactivation_reason,
        "message_count": session.message_count,
        "message_limit": session.message_limit,
        "last_ordinal": session.last_ordinal,
        "version": session.version,
        "update_time": session.update_time,
        "last_activity_time": session.last_activity_time,
    }


def labels_text(labels: Mapping[str, str]) -> str:
    return codec.encode(dict(labels))


def context_from(row: Row[Any]) -> AgentContext:
    return AgentContext(current_agent=row.current_agent, switch_count=row.switch_count)


def context_values(context: AgentContext) -> Values:
    return {"current_agent": context.current_agent, "switch_count": context.switch_count}


def switch_from(row: Row[Any]) -> AgentSwitch:
    return AgentSwitch(
        ordinal=row.ordinal,
        from_agent=row.from_agent,
        to_agent=row.to_agent,
        reason=row.reason,
        confidence=row.confidence,
        source=SwitchSource(row.source),
        requested_by=row.requested_by,
        time=row.time,
    )


def message_values(session_key: int, message: Message) -> Values:
    body = codec.encode(message)
    return {
        "session_key": session_key,
        "ordinal": message.ordinal,
        "message_id": message.id,
        "turn_id": message.turn_id,
        "role": message.role,
        "agent": message.agent,
        "size": len(body),
        "body": body,
    }


def turn_values(turn: Turn) -> Values:
    return {
        "state": turn.state,
        "agent": turn.agent,
        "model_calls": turn.model_calls,
        "tool_calls": turn.tool_calls,
        "prompt_tokens": turn.usage.prompt_tokens,
        "completion_tokens": turn.usage.completion_tokens,
        "cached_tokens": turn.usage.cached_tokens,
        "reasoning_tokens": turn.usage.reasoning_tokens,
        "create_time": turn.create_time,
        "result_text": turn.result_text,
        "body": codec.encode(replace(turn, result_text="")),
    }


def turn_from(body: str, result_text: str) -> Turn:
    return replace(codec.decode(body, Turn), result_text=result_text)


def tool_call_values(session_key: int, call: ToolCall, message_ordinal: int) -> Values:
    return {
        "session_key": session_key,
        "tool_call_id": call.id,
        "turn_id": call.turn_id,
        "number": message_ordinal * 1000 + call.position,
        "state": call.state,
        "body": codec.encode(call),
    }


def event_from(row: Row[Any], session_id: str) -> SessionEvent:
    return SessionEvent(
        session_id=session_id,
        sequence=row.sequence,
        payload=codec.decode_payload(row.kind, row.payload),
        event_time=codec.from_microseconds(row.event_time),
        correlation_id=row.correlation_id,
        turn_id=row.turn_id,
        size=len(row.payload),
    )


def numbered(event: NewEvent, session_id: str, sequence: int, size: int) -> SessionEvent:
    """The event as committed under that number."""
    return SessionEvent(
        session_id, sequence, event.payload, event.event_time, event.correlation_id, event.turn_id, size
    )
