"""Approvals on the wire."""

from __future__ import annotations

from collections.abc import Mapping

from agent_runtime.v1 import approval_pb2
from server.converters.times import fill_timestamp, to_timestamp
from services.domain.approval import Approval, ApprovalState, Decision, Remember

APPROVAL_STATES: Mapping[ApprovalState, approval_pb2.ApprovalState.ValueType] = {
    ApprovalState.PENDING: approval_pb2.APPROVAL_STATE_PENDING,
    ApprovalState.APPROVED: approval_pb2.APPROVAL_STATE_APPROVED,
    ApprovalState.APPROVED_WITH_EDITS: approval_pb2.APPROVAL_STATE_APPROVED_WITH_EDITS,
    ApprovalState.REJECTED: approval_pb2.APPROVAL_STATE_REJECTED,
    ApprovalState.EXPIRED: approval_pb2.APPROVAL_STATE_EXPIRED,
    ApprovalState.SUPERSEDED: approval_pb2.APPROVAL_STATE_SUPERSEDED,
    ApprovalState.CANCELLED: approval_pb2.APPROVAL_STATE_CANCELLED,
}
STATES_BY_WIRE: Mapping[int, ApprovalState] = {wire: state for state, wire in APPROVAL_STATES.items()}

DECISIONS: Mapping[Decision, approval_pb2.Decision.ValueType] = {
    Decision.APPROVE: approval_pb2.DECISION_APPROVE,
    Decision.APPROVE_WITH_EDITS: approval_pb2.DECISION_APPROVE_WITH_EDITS,
    Decision.REJECT: approval_pb2.DECISION_REJECT,
}
DECISIONS_BY_WIRE: Mapping[int, Decision] = {wire: decision for decision, wire in DECISIONS.items()}

REMEMBERS_BY_WIRE: Mapping[int, Remember] = {
    approval_pb2.REMEMBER_UNSPECIFIED: Remember.NONE,
    approval_pb2.REMEMBER_NONE: Remember.NONE,
    approval_pb2.REMEMBER_SESSION: Remember.SESSION,
}


def to_approval(session_id: str, approval: Approval) -> approval_pb2.Approval:
    """The approval in that session."""
    wire = approval_pb2.Approval(
        id=approval.id,
        session_id=session_id,
        turn_id=approval.turn_id,
        agent=approval.agent,
        tool_call_id=approval.tool_call_id,
        tool_name=approval.tool_name,
        arguments_json=approval.arguments_json,
        arguments_hash=approval.arguments_hash,
        display=approval.display,
        has_hidden_characters=approval.has_hidden_characters,
        reason=approval.reason,
        rule_id=approval.rule_id,
        available_decisions=[DECISIONS[decision] for decision in approval.available_decisions],
        can_remember=approval.can_remember,
        state=APPROVAL_STATES[approval.state],
        released=approval.released,
        decided_by=approval.decided_by,
        automatic=approval.automatic,
        feedback=approval.feedback,
        edited_arguments_json=approval.edited_arguments_json,
        create_time=to_timestamp(approval.create_time),
    )
    if approval.expire_time is not None:
        fill_timestamp(wire.expire_time, approval.expire_time)
    if approval.resolve_time is not None:
        fill_timestamp(wire.resolve_time, approval.resolve_time)
    return wire
