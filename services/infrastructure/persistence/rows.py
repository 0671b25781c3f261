"""Rows to entities and back, for what is stored in columns; what is stored whole goes through `codec`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Row

from services.domain.agent_context import AgentContext, AgentSwitch, SwitchSource
from services.domain.agent_work import AgentWork
from services.domain.approval import Approval
from services.domain.audit import AuditRecord
from services.domain.context_summary import ContextSummary
from services.domain.message import Message
from services.domain.policies.approval_rules import (
    ApprovalEffect,
    ApprovalRule,
    Condition,
    ConditionOperator,
    RuleOrigin,
    RuleScope,
)
from services.domain.policies.arguments import canonical_json
from services.domain.session import Session, SessionState
from services.domain.session_events import NewEvent, SessionEvent
from services.domain.session_usage import SessionUsage
from services.domain.tool import ClientTool
from services.domain.tool_call import ToolCall
from services.domain.turn import Turn
from services.infrastructure.persistence import codec

Values = dict[str, Any]

CALLS_PER_MESSAGE = 1000
"""More calls than any message has."""


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
        history_bytes=row.history_bytes,
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
        "history_bytes": session.history_bytes,
        "message_limit": session.message_limit,
        "last_ordinal": session.last_ordinal,
        "version": session.version,
        "update_time": session.update_time,
        "last_activity_time": session.last_activity_time,
    }


def usage_text(usage: SessionUsage) -> str:
    return codec.encode(usage)


def summary_values(session_key: int, summary: ContextSummary) -> Values:
    first_kept, last_kept = (*summary.kept, 0, 0)[:2]
    return {
        "session_key": session_key,
        "through": summary.through,
        "first_kept": first_kept,
        "last_kept": last_kept,
        "body": codec.encode(summary),
    }


def labels_text(labels: Mapping[str, str]) -> str:
    return codec.encode(dict(labels))


def context_from(row: Row[Any]) -> AgentContext:
    """Without the work, which lists leave out."""
    return AgentContext(current_agent=row.current_agent, switch_count=row.switch_count, last_switch=row.last_switch)


def context_with_work(row: Row[Any]) -> AgentContext:
    return replace(context_from(row), work=codec.decode(row.work, AgentWork))


def context_values(context: AgentContext) -> Values:
    return {
        "current_agent": context.current_agent,
        "switch_count": context.switch_count,
        "last_switch": context.last_switch,
        "work": codec.encode(context.work),
    }


def client_tools_from(body: str) -> tuple[ClientTool, ...]:
    return codec.decode(body, tuple[ClientTool, ...])


def client_tools_values(tools: tuple[ClientTool, ...]) -> Values:
    return {"body": codec.encode(tools)}


def approval_values(session_key: int, approval: Approval) -> Values:
    return {
        "session_key": session_key,
        "approval_id": approval.id,
        "turn_id": approval.turn_id,
        "tool_call_id": approval.tool_call_id,
        "state": approval.state,
        "create_time": approval.create_time,
        "body": codec.encode(approval),
    }


def rule_values(owner_id: str, session_key: int | None, rule: ApprovalRule) -> Values:
    """`owner_id` is empty for a rule of everybody, `session_key` None for one of no session alone."""
    conditions = [[each.argument, each.op, each.value] for each in rule.conditions]
    return {
        "rule_id": rule.id,
        "owner_id": owner_id,
        "session_key": session_key,
        "session_id": rule.session_id,
        "scope": rule.scope,
        "tool": rule.tool,
        "conditions": canonical_json(conditions),  # exact, whatever numbers are in it
        "effect": rule.effect,
        "priority": rule.priority,
        "description": rule.description,
        "origin": rule.origin,
        "created_by": rule.created_by,
        "create_time": rule.create_time,
    }


def rule_from(row: Row[Any]) -> ApprovalRule:
    conditions = json.loads(row.conditions)
    return ApprovalRule(
        id=row.rule_id,
        tool=row.tool,
        effect=ApprovalEffect(row.effect),
        scope=RuleScope(row.scope),
        origin=RuleOrigin(row.origin),
        conditions=tuple(Condition(argument, ConditionOperator(op), value) for argument, op, value in conditions),
        priority=row.priority,
        description=row.description,
        session_id=row.session_id,
        created_by=row.created_by,
        create_time=row.create_time,
    )


def audit_values(record: AuditRecord) -> Values:
    return {
        "audit_id": record.id,
        "create_time": record.create_time,
        "actor": record.actor,
        "owner_id": record.owner_id,
        "session_id": record.session_id,
        "action": record.action,
        "target_id": record.target_id,
        "outcome": record.outcome,
        "details": codec.encode(dict(record.details)),
        "correlation_id": record.correlation_id,
    }


def switch_values(session_key: int, switch: AgentSwitch) -> Values:
    return {
        "session_key": session_key,
        "ordinal": switch.ordinal,
        "from_agent": switch.from_agent,
        "to_agent": switch.to_agent,
        "reason": switch.reason,
        "confidence": switch.confidence,
        "source": switch.source,
        "requested_by": switch.requested_by,
        "time": switch.time,
    }


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
        "size": len(body.encode()),
        "body": body,
    }


def turn_values(turn: Turn) -> Values:
    return {
        "state": turn.state,
        "agent": turn.agent,
        "create_time": turn.create_time,
        "expires_at": turn.wait.expire_time.timestamp() if turn.wait and turn.wait.expire_time else None,
        "compactable_since": turn.end_time.timestamp() if turn.end_time else None,
        "result_text": turn.result_text,
        "body": codec.encode(replace(turn, result_text="")),
    }


def share_values(session_key: int, turn: Turn, agent: str) -> Values:
    share = turn.shares[agent]
    return {
        "session_key": session_key,
        "turn_id": turn.id,
        "agent": agent,
        "create_time": turn.create_time,
        "model_calls": share.model_calls,
        "tool_calls": share.tool_calls,
        "prompt_tokens": share.usage.prompt_tokens,
        "completion_tokens": share.usage.completion_tokens,
        "cached_tokens": share.usage.cached_tokens,
        "reasoning_tokens": share.usage.reasoning_tokens,
        "estimated": share.usage.estimated,
    }


def turn_from(body: str, result_text: str) -> Turn:
    return replace(codec.decode(body, Turn), result_text=result_text)


def tool_call_values(session_key: int, call: ToolCall) -> Values:
    return {
        "session_key": session_key,
        "tool_call_id": call.id,
        "turn_id": call.turn_id,
        "number": call_number(call.message_ordinal, call.position),
        "state": call.state,
        "edited": call.original_arguments_json is not None,
        "body": codec.encode(call),
    }


def call_number(message_ordinal: int, position: int) -> int:
    """Orders the calls of a session as the model made them."""
    return message_ordinal * CALLS_PER_MESSAGE + position


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
