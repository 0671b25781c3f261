"""A person decides about a call, exactly once and about exactly what was shown."""

from __future__ import annotations

import hmac
from dataclasses import replace

from services.application.turns.batch_order import go_on
from services.application.turns.call_policy import CallPolicy
from services.application.turns.inputs.accepted_input import AcceptedInput, Sender, place_of, record_input
from services.application.turns.releasing import hash_of, is_what_was_shown, release
from services.application.turns.settling import resolve, settle
from services.application.turns.turn_limits import TurnLimits
from services.application.turns.turn_state import active_turn
from services.domain.approval import Approval, ApprovalState, Decision, Remember
from services.domain.audit import AuditAction, facts_of_rule
from services.domain.errors import (
    ApprovalNotFoundError,
    ApprovalOverdueError,
    ApprovalResolvedError,
    ArgumentsHashMismatchError,
    InvalidArgumentError,
)
from services.domain.ids import new_id
from services.domain.input import ApprovalDecision, Disposition, Input, InputKind
from services.domain.policies.approval_rules import ApprovalEffect, ApprovalRule, RuleOrigin, RuleScope
from services.domain.policies.tool_ordering import CallOutcome
from services.domain.session_change import SessionChange
from services.domain.tool_call import ToolCall, ToolResultSource
from services.domain.turn import TurnResumeCause

_STATES = {
    Decision.APPROVE: ApprovalState.APPROVED,
    Decision.APPROVE_WITH_EDITS: ApprovalState.APPROVED_WITH_EDITS,
    Decision.REJECT: ApprovalState.REJECTED,
}
_EDITED = "[A person edited the arguments of this call before it ran.]"


def accept_approval_decision(
    change: SessionChange, content: ApprovalDecision, sender: Sender, policy: CallPolicy, limits: TurnLimits
) -> AcceptedInput:
    """Releases the call, with its own or the edited arguments, or rejects it; makes a rule of it where asked to.

    An identical repeat of the decision that was taken writes nothing and returns that one's input. Raises
    ApprovalNotFoundError, ApprovalResolvedError, ApprovalOverdueError, ArgumentsHashMismatchError, and
    InvalidArgumentError for a call that must not run, or a decision that may not be remembered; then the approval stays
    pending.
    """
    approval = change.loaded.known_approvals.get(content.approval_id)
    if approval is None:
        raise ApprovalNotFoundError("no such approval in this session")
    if approval.state is not ApprovalState.PENDING:
        return _of_earlier(approval, content)
    if approval.expire_time is not None and approval.expire_time <= change.loaded.deadline_now:
        raise ApprovalOverdueError(approval.id)
    call = next(call for call in change.batch if call.id == approval.tool_call_id)
    _check(change, approval, call, content, policy)
    turn = active_turn(change)
    accepted = record_input(change, sender, InputKind.APPROVAL_DECISION, Disposition.CONTINUED, turn.id)
    _resolve(change, approval, content, sender, accepted)
    if content.remember is Remember.SESSION:
        _remember(change, approval, content.decision, sender)
    followup = turn.wait.followup if turn.wait is not None else None
    if content.decision is Decision.REJECT:
        settle(change, call, _rejection(content.feedback), CallOutcome.REJECTED, ToolResultSource.RUNTIME)
    else:
        decided = _as_decided(call, content)
        turn, followup = release(change, turn, decided, followup, limits, note=_note(content))
    go_on(change, turn, limits, followup=followup, cause=TurnResumeCause.APPROVAL)
    return place_of(accepted)


def _of_earlier(approval: Approval, content: ApprovalDecision) -> AcceptedInput:
    """The input that took the same decision; any other one comes too late."""
    is_repeat = (
        approval.state is _STATES[content.decision]
        and approval.arguments_hash == content.arguments_hash
        and approval.edited_arguments_json == content.edited_arguments_json
        and approval.feedback == content.feedback
        and approval.remember is content.remember
    )
    if not is_repeat:
        raise ApprovalResolvedError("the approval is over", metadata={"outcome": approval.state.value})
    return AcceptedInput(approval.input_id, approval.turn_id, approval.accepted_sequence)


def _check(
    change: SessionChange, approval: Approval, call: ToolCall, content: ApprovalDecision, policy: CallPolicy
) -> None:
    """The decision is about what was shown, may be remembered if it is to be, and lets nothing run that must not."""
    is_about_it = hmac.compare_digest(content.arguments_hash.encode(), approval.arguments_hash.encode())
    if not is_about_it or not is_what_was_shown(change, approval, call):
        raise ArgumentsHashMismatchError("the decision is about other arguments than those that were shown")
    if content.remember is Remember.SESSION and not approval.can_remember:
        raise InvalidArgumentError.of("approval_decision.remember", "this decision cannot be remembered")
    if content.decision is Decision.REJECT:
        return
    edits = content.decision is Decision.APPROVE_WITH_EDITS
    loaded = change.loaded
    refusal = policy.refusal_now(
        call, loaded.client_tools, loaded.rules, content.edited_arguments_json if edits else None
    )
    if refusal is not None:
        raise InvalidArgumentError.of(f"approval_decision.{'edited_arguments_json' if edits else 'decision'}", refusal)


def _resolve(
    change: SessionChange, approval: Approval, content: ApprovalDecision, sender: Sender, accepted: Input
) -> None:
    edited = content.edited_arguments_json
    resolved = resolve(
        change,
        approval,
        _STATES[content.decision],
        released=content.decision is not Decision.REJECT,
        decided_by=sender.principal,
        automatic=False,
        edited_hash=hash_of(change, approval, edited) if edited else "",
    )
    change.approvals[approval.id] = replace(
        resolved,
        feedback=content.feedback,
        edited_arguments_json=edited,
        remember=content.remember,
        input_id=accepted.id,
        accepted_sequence=accepted.accepted_sequence,
    )


def _remember(change: SessionChange, approval: Approval, decision: Decision, sender: Sender) -> None:
    """Makes the decision a rule of the session for this very tool, unless it is one already."""
    effect = ApprovalEffect.DENY if decision is Decision.REJECT else ApprovalEffect.ALLOW
    for known in change.loaded.rules:
        if (known.origin, known.tool, known.effect) == (RuleOrigin.REMEMBERED, approval.tool_name, effect):
            return
    rule = ApprovalRule(
        id=new_id("rule"),
        tool=approval.tool_name,
        effect=effect,
        scope=RuleScope.SESSION,
        origin=RuleOrigin.REMEMBERED,
        description="decided for the whole session",
        session_id=change.session.id,
        created_by=sender.principal,
        create_time=change.now,
    )
    change.rules.append(rule)
    change.record(
        AuditAction.RULE_CREATE,
        actor=sender.principal,
        target_id=rule.id,
        details=facts_of_rule(rule) | {"approval_id": approval.id},
    )


def _as_decided(call: ToolCall, content: ApprovalDecision) -> ToolCall:
    if content.decision is not Decision.APPROVE_WITH_EDITS:
        return call
    return replace(call, arguments_json=content.edited_arguments_json, original_arguments_json=call.arguments_json)


def _note(content: ApprovalDecision) -> str:
    notes = [_EDITED] if content.decision is Decision.APPROVE_WITH_EDITS else []
    if content.feedback.strip():
        notes.append(f"[The person who approved it said: {content.feedback.strip()}]")
    return "\n".join(notes)


def _rejection(feedback: str) -> str:
    said = f" They said: {feedback.strip()}" if feedback.strip() else " They gave no reason."
    return f"A person rejected this call; it did not run.{said}"
