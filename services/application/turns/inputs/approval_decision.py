"""A person decides about a call, exactly once and about exactly what was shown."""

from __future__ import annotations

import hmac
from dataclasses import replace

from services.application.turns.batch_order import go_on
from services.application.turns.call_policy import CallPolicy
from services.application.turns.inputs.accepted_input import AcceptedInput, Sender, place_of, record_input
from services.application.turns.runtime_tools import ask_question, switch_mode
from services.application.turns.settling import resolve, settle
from services.application.turns.turn_limits import TurnLimits
from services.application.turns.turn_state import active_turn
from services.domain.approval import Approval, ApprovalState, Decision
from services.domain.errors import (
    AgentNotFoundError,
    ApprovalNotFoundError,
    ApprovalResolvedError,
    ArgumentsHashMismatchError,
    InvalidArgumentError,
)
from services.domain.input import ApprovalDecision, Disposition, Input, InputKind
from services.domain.message import MessageToolCall
from services.domain.policies.arguments import parse_arguments
from services.domain.policies.tool_ordering import CallOutcome
from services.domain.session_change import SessionChange
from services.domain.tool import ASK_FOLLOWUP_QUESTION, SWITCH_MODE
from services.domain.tool_call import ToolCall, ToolCallState, ToolResultSource
from services.domain.turn import Followup, Turn, TurnResumeCause

_STATES = {
    Decision.APPROVE: ApprovalState.APPROVED,
    Decision.APPROVE_WITH_EDITS: ApprovalState.APPROVED_WITH_EDITS,
    Decision.REJECT: ApprovalState.REJECTED,
}
_EDITED = "[A person edited the arguments of this call before it ran.]"


def accept_approval_decision(
    change: SessionChange, content: ApprovalDecision, sender: Sender, policy: CallPolicy, limits: TurnLimits
) -> AcceptedInput:
    """Releases the call, with its own or the edited arguments, or rejects it.

    An identical repeat of the decision that was taken writes nothing and returns that one's input. Raises
    ApprovalNotFoundError, ApprovalResolvedError, ArgumentsHashMismatchError, and InvalidArgumentError for edits that
    must not run; then the approval stays pending.
    """
    approval = change.loaded.known_approvals.get(content.approval_id)
    if approval is None:
        raise ApprovalNotFoundError("no such approval in this session")
    if approval.state is not ApprovalState.PENDING:
        return _of_earlier(approval, content)
    if not hmac.compare_digest(content.arguments_hash.encode(), approval.arguments_hash.encode()):
        raise ArgumentsHashMismatchError("the decision is about other arguments than those that were shown")
    call = next(call for call in change.batch if call.id == approval.tool_call_id)
    if content.decision is Decision.APPROVE_WITH_EDITS:
        _check_edits(change, call, content.edited_arguments_json, policy)
    turn = active_turn(change)
    accepted = record_input(change, sender, InputKind.APPROVAL_DECISION, Disposition.CONTINUED, turn.id)
    _resolve(change, approval, content, sender, accepted)
    if content.decision is Decision.REJECT:
        settle(change, call, _rejection(content.feedback), CallOutcome.REJECTED, ToolResultSource.RUNTIME)
        followup = turn.wait.followup if turn.wait is not None else None
    else:
        turn, followup = _release(change, turn, _released(call, content), limits)
    go_on(change, turn, limits, followup=followup, cause=TurnResumeCause.APPROVAL)
    return place_of(accepted)


def _of_earlier(approval: Approval, content: ApprovalDecision) -> AcceptedInput:
    """The input that took the same decision; any other one comes too late."""
    is_repeat = (
        approval.state is _STATES[content.decision]
        and approval.arguments_hash == content.arguments_hash
        and approval.edited_arguments_json == content.edited_arguments_json
        and approval.feedback == content.feedback
    )
    if not is_repeat:
        raise ApprovalResolvedError("the approval is over", metadata={"outcome": approval.state.value})
    return AcceptedInput(approval.input_id, approval.turn_id, approval.accepted_sequence)


def _check_edits(change: SessionChange, call: ToolCall, edited: str, policy: CallPolicy) -> None:
    """Edited arguments pass the same checks as the model's own, with the rights of the agent that made the call."""
    try:
        refusal = policy.refusal_of_edits(
            MessageToolCall(call.id, call.name, edited), call.agent, change.loaded.client_tools
        )
    except AgentNotFoundError:
        refusal = "the agent that made the call is no longer defined"
    if refusal is not None:
        raise InvalidArgumentError.of("approval_decision.edited_arguments_json", refusal)


def _resolve(
    change: SessionChange, approval: Approval, content: ApprovalDecision, sender: Sender, accepted: Input
) -> None:
    resolved = resolve(
        change,
        approval,
        _STATES[content.decision],
        released=content.decision is not Decision.REJECT,
        decided_by=sender.principal,
        automatic=False,
    )
    change.approvals[approval.id] = replace(
        resolved,
        feedback=content.feedback,
        edited_arguments_json=content.edited_arguments_json,
        input_id=accepted.id,
        accepted_sequence=accepted.accepted_sequence,
    )


def _released(call: ToolCall, content: ApprovalDecision) -> ToolCall:
    notes = []
    if content.decision is Decision.APPROVE_WITH_EDITS:
        notes.append(_EDITED)
        call = replace(call, arguments_json=content.edited_arguments_json, original_arguments_json=call.arguments_json)
    if content.feedback.strip():
        notes.append(f"[The person who approved it said: {content.feedback.strip()}]")
    return replace(call, state=ToolCallState.WAITING, note="\n".join(notes))


def _release(change: SessionChange, turn: Turn, call: ToolCall, limits: TurnLimits) -> tuple[Turn, Followup | None]:
    """Lets the call run: by the runtime at once, by the client when its turn in the batch comes."""
    followup = turn.wait.followup if turn.wait is not None else None
    change.tool_calls[call.id] = call
    if call.name == SWITCH_MODE:
        turn = switch_mode(change, turn, call, parse_arguments(call.arguments_json))
    elif call.name == ASK_FOLLOWUP_QUESTION:
        followup = ask_question(change, call, parse_arguments(call.arguments_json), followup, limits)
    return turn, followup


def _rejection(feedback: str) -> str:
    said = f" They said: {feedback.strip()}" if feedback.strip() else " They gave no reason."
    return f"A person rejected this call; it did not run.{said}"
