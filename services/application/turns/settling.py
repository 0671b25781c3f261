"""Giving calls their one result and approvals their one end (G6): the only code that does either."""

from __future__ import annotations

from dataclasses import replace

from services.domain.approval import Approval, ApprovalState
from services.domain.audit import AuditAction
from services.domain.ids import new_id
from services.domain.message import Message, Role
from services.domain.policies.tool_ordering import CallOutcome
from services.domain.session_change import SessionChange
from services.domain.session_events import ApprovalResolved, ToolResultRecorded
from services.domain.tool_call import ToolCall, ToolCallState, ToolResultSource
from services.domain.turn import Turn

_ACTIONS = {
    ApprovalState.EXPIRED: AuditAction.APPROVAL_EXPIRE,
    ApprovalState.SUPERSEDED: AuditAction.APPROVAL_WITHDRAW,
    ApprovalState.CANCELLED: AuditAction.APPROVAL_WITHDRAW,
}


def settle(change: SessionChange, call: ToolCall, content: str, outcome: CallOutcome, source: ToolResultSource) -> None:
    """Records the result of a call as the tool message the model will read."""
    is_error = outcome is not CallOutcome.SUCCEEDED
    change.tool_calls[call.id] = replace(call, state=ToolCallState.SETTLED, outcome=outcome, expire_time=None)
    if is_error:
        change.usage = change.usage.with_failed_call(call.name)
    change.append(ToolResultRecorded(call.id, is_error, source), turn_id=call.turn_id)
    change.add_message(
        Message(
            id=new_id("msg"),
            role=Role.TOOL,
            content=f"{call.note}\n{content}" if call.note else content,
            create_time=change.now,
            turn_id=call.turn_id,
            name=call.name,
            tool_call_id=call.id,
            is_error=is_error,
        )
    )


def resolve(
    change: SessionChange,
    approval: Approval,
    state: ApprovalState,
    *,
    released: bool = False,
    decided_by: str = "",
    automatic: bool = True,
    edited_hash: str = "",
) -> Approval:
    """Ends a pending approval, in log and audit; returns it as staged, for the caller to add to.

    `edited_hash` is that of the arguments a person wrote instead.
    """
    resolved = replace(
        approval,
        state=state,
        released=released,
        decided_by=decided_by,
        automatic=automatic,
        resolve_time=change.now,
    )
    change.approvals[approval.id] = resolved
    event = ApprovalResolved(
        approval.id, approval.tool_call_id, approval.tool_name, state, released, decided_by, automatic, approval.rule_id
    )
    change.append(event, turn_id=approval.turn_id)
    change.record(
        _ACTIONS.get(state, AuditAction.APPROVAL_DECIDE),
        actor=decided_by,
        target_id=approval.id,
        outcome=state,
        details=_facts_of(approval)
        | {
            "edited_arguments_hash": edited_hash,
            "released": str(released).lower(),
            "automatic": str(automatic).lower(),
        },
    )
    return resolved


def _facts_of(approval: Approval) -> dict[str, str]:
    """What the audit says of an approval, whatever became of it."""
    return {
        "tool_name": approval.tool_name,
        "tool_call_id": approval.tool_call_id,
        "turn_id": approval.turn_id,
        "agent": approval.agent,
        "arguments_hash": approval.arguments_hash,
        "rule_id": approval.rule_id,
        "policy_version": approval.policy_version,
    }


def withdraw_approval(change: SessionChange, call: ToolCall, state: ApprovalState = ApprovalState.CANCELLED) -> None:
    """Ends the approval a call waits for, if it does: the call will not run whatever anybody decides."""
    for approval in change.pending_approvals:
        if approval.tool_call_id == call.id:
            resolve(change, approval, state)


def settle_all(
    change: SessionChange, turn: Turn, why: str, approvals_end: ApprovalState = ApprovalState.CANCELLED
) -> None:
    """Gives every call that still waits the result that it did not run; the turn is about to end (G7)."""
    for call in change.batch:
        if call.turn_id == turn.id and call.state is not ToolCallState.SETTLED:
            withdraw_approval(change, call, approvals_end)
            settle(change, call, why, CallOutcome.NOT_RUN, ToolResultSource.SETTLED)
