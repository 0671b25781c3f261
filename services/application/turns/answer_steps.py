"""What follows from a model's answer: the turn completes, fails, waits for others, or has the model called again."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from services.application.turns.batch_order import go_on
from services.application.turns.budget import MAX_REPEATS, with_call
from services.application.turns.call_policy import Judgement
from services.application.turns.runtime_tools import ask_question, switch_mode
from services.application.turns.settling import settle, settle_all
from services.application.turns.turn_flow import end_turn, fail_turn
from services.application.turns.turn_limits import TurnLimits
from services.application.turns.turn_state import attempt_of, keep_partial_text, running_turn
from services.domain.approval import Approval, Decision
from services.domain.audit import AuditAction
from services.domain.errors import ErrorReason
from services.domain.ids import new_id
from services.domain.message import Message, MessageToolCall, Role
from services.domain.model_exchange import FinishReason, ModelAnswer, ModelError
from services.domain.policies.approval_display import display_of
from services.domain.policies.approval_rules import ApprovalRule
from services.domain.policies.arguments import arguments_hash
from services.domain.policies.tool_ordering import CallOutcome
from services.domain.session_change import SessionChange
from services.domain.session_events import ApprovalRequested, TurnCompleted, UsageReported
from services.domain.tool import ASK_FOLLOWUP_QUESTION, SWITCH_MODE
from services.domain.tool_call import ToolCall, ToolCallState, ToolResultSource
from services.domain.turn import Followup, Turn, TurnFailure, TurnState

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_-]")
_MAX_CALL_ID = 128  # characters; a longer one fits neither our storage nor any provider's rules
_IN_VAIN = (
    f"you have made this very call {MAX_REPEATS} times and nothing has changed since; use what it gave you,"
    " or do something else"
)
_FILTERED = "the provider's content filter stopped the answer"


def take_answer(
    change: SessionChange, answer: ModelAnswer, judgements: Sequence[Judgement], limits: TurnLimits
) -> None:
    """The model has answered; `judgements` are those on its calls, in their order."""
    turn = running_turn(change)
    turn = turn.having_answer(answer)
    calls = _with_own_ids(answer.tool_calls, turn, change.loaded.known_calls)
    message_id = attempt_of(turn).message_id
    if answer.text.strip() or calls:
        message = change.add_message(_message_of(change, turn, answer, calls))
        turn = replace(turn, batch_ordinal=message.ordinal if calls else None)
    change.append(UsageReported(answer.usage, answer.model), turn_id=turn.id)
    if answer.finish_reason is FinishReason.CONTENT_FILTER:
        _refuse_all(change, turn, calls, f"not run: {_FILTERED}")
        fail_turn(change, turn, TurnFailure(ErrorReason.CONTENT_FILTERED, _FILTERED))
    elif calls:
        _take_calls(change, turn, calls, judgements, limits)
    elif not answer.text.strip():
        empty = TurnFailure(ErrorReason.LLM_BAD_RESPONSE, "the model gave an empty answer", resumable=True)
        fail_turn(change, turn, empty)
    else:
        change.append(TurnCompleted(answer.finish_reason, answer.text, message_id, turn.usage), turn_id=turn.id)
        completed = replace(
            turn,
            state=TurnState.COMPLETED,
            finish_reason=answer.finish_reason,
            result_text=answer.text,
            final_message_id=message_id,
        )
        end_turn(change, completed)


def take_model_failure(change: SessionChange, error: ModelError, partial_text: str) -> None:
    """The model gave no usable answer: the turn fails, and text that was already shown is kept, marked incomplete."""
    turn = running_turn(change)
    keep_partial_text(change, turn, partial_text)
    fail_turn(change, turn, TurnFailure(error.reason, error.message, error.retry_after, resumable=error.retryable))


def _message_of(change: SessionChange, turn: Turn, answer: ModelAnswer, calls: tuple[MessageToolCall, ...]) -> Message:
    return Message(
        id=attempt_of(turn).message_id,
        role=Role.ASSISTANT,
        content=answer.text,
        create_time=change.now,
        turn_id=turn.id,
        agent=turn.agent,
        reasoning=answer.reasoning,
        tool_calls=calls,
        complete=answer.finish_reason is not FinishReason.CONTENT_FILTER,
        metadata={"refusal": "true"} if answer.refusal else {},
    )


def _with_own_ids(
    calls: Sequence[MessageToolCall], turn: Turn, taken: Mapping[str, ToolCall]
) -> tuple[MessageToolCall, ...]:
    """The calls as they may enter a history: ids that no other call of the session has, names a provider takes back.

    Models do repeat ids and invent names, and a provider that refuses either would make the session unusable for good.
    """
    used = set(taken)
    result = []
    for position, call in enumerate(calls):
        call_id, number = call.id, position
        while not call_id or len(call_id) > _MAX_CALL_ID or call_id in used:
            call_id, number = f"{call_id_prefix(turn)}_{number}", number + 1
        used.add(call_id)
        result.append(replace(call, id=call_id, name=_NOT_IN_A_NAME.sub("_", call.name)[:64] or "_"))
    return tuple(result)


def call_id_prefix(turn: Turn) -> str:
    """What ids made by the runtime begin with: another one for each model call and each attempt at it."""
    return f"call_{turn.id}_{turn.model_calls}_{attempt_of(turn).number}"


def _take_calls(
    change: SessionChange,
    turn: Turn,
    calls: Sequence[MessageToolCall],
    judgements: Sequence[Judgement],
    limits: TurnLimits,
) -> None:
    turn = turn.having_used(turn.agent, tool_calls=len(calls))
    if turn.tool_calls > limits.tool_calls:
        exceeded = f"the turn reached its limit of {limits.tool_calls} tool calls"
        _refuse_all(change, turn, calls, f"not run: {exceeded}")
        fail_turn(change, turn, TurnFailure(ErrorReason.BUDGET_EXHAUSTED, exceeded))
        return
    batch_id = new_id("batch")
    followup: Followup | None = None
    exceeded = ""
    for position, (call, judgement) in enumerate(zip(calls, judgements, strict=True)):
        record = _record(change, turn, call, batch_id, position)
        turn, in_vain = with_call(turn, call.name, judgement.arguments)
        in_vain = in_vain and call.name != SWITCH_MODE  # hand-overs have a limit of their own, which ends the turn
        if judgement.rule is not None and judgement.approval_reason is None:
            _record_ruling(change, record, judgement, judgement.rule)
        if judgement.refusal is not None or in_vain:
            why = judgement.refusal or _IN_VAIN
            settle(change, record, f"not run: {why}", CallOutcome.FAILED, ToolResultSource.RUNTIME)
        elif judgement.approval_reason is not None:
            _hold(change, record, judgement, limits)
        elif call.name == SWITCH_MODE and turn.agent_switches < limits.agent_switches:
            turn = switch_mode(change, turn, record, judgement.arguments)
        elif call.name == SWITCH_MODE:
            exceeded = f"the turn reached its limit of {limits.agent_switches} agent switches"
            change.tool_calls[call.id] = record
        elif call.name == ASK_FOLLOWUP_QUESTION:
            followup = ask_question(change, record, judgement.arguments, followup, limits)
        else:
            change.tool_calls[call.id] = record
    if exceeded:
        settle_all(change, turn, f"not run: {exceeded}")
        fail_turn(change, turn, TurnFailure(ErrorReason.BUDGET_EXHAUSTED, exceeded))
    else:
        go_on(change, turn, limits, followup=followup)


def _record(change: SessionChange, turn: Turn, call: MessageToolCall, batch_id: str, position: int) -> ToolCall:
    change.usage = change.usage.with_tool_call(call.name)
    return ToolCall(
        id=call.id,
        turn_id=turn.id,
        message_id=attempt_of(turn).message_id,
        message_ordinal=turn.batch_ordinal or 0,
        position=position,
        batch_id=batch_id,
        name=call.name,
        arguments_json=call.arguments_json,
        agent=turn.agent,
        state=ToolCallState.WAITING,
        create_time=change.now,
    )


def _refuse_all(change: SessionChange, turn: Turn, calls: Sequence[MessageToolCall], why: str) -> None:
    """Answers each call with an error, so that none is left dangling (G7); the turn is about to fail."""
    batch_id = new_id("batch")
    for position, call in enumerate(calls):
        record = _record(change, turn, call, batch_id, position)
        settle(change, record, why, CallOutcome.NOT_RUN, ToolResultSource.RUNTIME)


def _hold(change: SessionChange, record: ToolCall, judgement: Judgement, limits: TurnLimits) -> None:
    """Asks a person; until the decision the call is nothing a client could run."""
    shown = display_of(record.name, judgement.arguments)
    wait = limits.approval_wait
    approval = Approval(
        id=new_id("approval"),
        turn_id=record.turn_id,
        agent=record.agent,
        tool_call_id=record.id,
        tool_name=record.name,
        arguments_json=record.arguments_json,
        arguments_hash=_hash_of(change, record, judgement),
        display=shown.text,
        has_hidden_characters=shown.has_hidden_characters,
        reason=judgement.approval_reason or "",
        rule_id=judgement.rule.id if judgement.rule is not None else "",
        available_decisions=tuple(Decision),
        # Approvals are listed by time: those of one answer in the order they are asked for.
        create_time=change.now + timedelta(microseconds=len(change.approvals)),
        expire_time=None if wait is None else change.loaded.deadline_now + timedelta(seconds=wait),
        can_remember=judgement.can_remember,
        policy_version=judgement.policy_version,
    )
    change.tool_calls[record.id] = replace(record, state=ToolCallState.HELD)
    change.approvals[approval.id] = approval
    change.append(ApprovalRequested(approval), turn_id=record.turn_id)


def _record_ruling(change: SessionChange, record: ToolCall, judgement: Judgement, rule: ApprovalRule) -> None:
    """A rule decided and no person was asked: the audit says which."""
    change.record(
        AuditAction.CALL_ALLOW if judgement.refusal is None else AuditAction.CALL_DENY,
        actor="",
        target_id=record.id,
        details={
            "tool_name": record.name,
            "turn_id": record.turn_id,
            "agent": record.agent,
            "arguments_hash": _hash_of(change, record, judgement),
            "rule_id": rule.id,
            "policy_version": judgement.policy_version,
        },
    )


def _hash_of(change: SessionChange, record: ToolCall, judgement: Judgement) -> str:
    return arguments_hash(record.name, judgement.arguments, change.session.id, record.id, judgement.policy_version)
