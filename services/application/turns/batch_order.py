"""What becomes of the calls of one answer next: which are ordered now, which cannot run any more, and whether the turn
waits, goes on or is done.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from services.application.turns.budget import may_call_model, may_order_calls
from services.application.turns.runtime_tools import storable
from services.application.turns.settling import settle, settle_all, withdraw_approval
from services.application.turns.turn_flow import call_model_again, end_turn
from services.application.turns.turn_limits import TurnLimits
from services.application.turns.turn_state import pause_turn
from services.domain.model_exchange import FinishReason
from services.domain.policies.tool_ordering import CallKind, CallOutcome, CallPlan, order_calls, plan_call
from services.domain.session_change import SessionChange
from services.domain.session_events import (
    ExecutionMode,
    RequestedToolCall,
    ToolCallsRequested,
    TurnCompleted,
    TurnResumed,
)
from services.domain.tool import ASK_FOLLOWUP_QUESTION, ATTEMPT_COMPLETION
from services.domain.tool_call import ToolCall, ToolCallState, ToolResultSource
from services.domain.turn import Followup, Turn, TurnResumeCause, TurnState, Wait, WaitingFor

_REASONS = {
    ToolCallState.OPEN: WaitingFor.TOOL_RESULTS,
    ToolCallState.HELD: WaitingFor.APPROVAL,
    ToolCallState.ASKING: WaitingFor.FOLLOWUP,
}


def go_on(
    change: SessionChange,
    turn: Turn,
    limits: TurnLimits,
    *,
    followup: Followup | None = None,
    cause: TurnResumeCause | None = None,
) -> None:
    """Takes the turn as far as its calls allow: orders, pauses, completes, or has the model called again.

    `followup` is the question that is open, `cause` what ended the pause of a turn that was waiting. Where one of the
    caller's limits is reached it pauses before the next call.
    """
    blocked = not may_order_calls(turn) and any(_is_to_be_ordered(call) for call in change.batch)
    if not blocked:
        _order(change, limits)
    if blocked or any(call.state in _REASONS for call in change.batch):
        pause_turn(change, turn, _wait(change, followup, for_budget=blocked))
    elif not _complete(change, turn):
        if may_call_model(change, turn):
            _call_model_again(change, turn, limits, cause)
        else:
            pause_turn(change, turn, _wait(change, None, for_budget=True))


def _order(change: SessionChange, limits: TurnLimits) -> None:
    """Orders every call that nothing holds back any more, in one event, and gives up those that lost their ground."""
    calls = [call for call in change.batch if call.name != ATTEMPT_COMPLETION]
    plans = [_plan_of(call) for call in calls]
    order = order_calls(plans, {call.id: outcome for call in calls if (outcome := _outcome_of(call)) is not None})
    by_id = {call.id: call for call in calls}
    for given_up in order.not_run:
        call, missing = by_id[given_up.id], by_id[given_up.because_of]
        withdraw_approval(change, call)
        why = f"not run: it builds on the {missing.name} before it, which did not happen"
        settle(change, call, why, CallOutcome.NOT_RUN, ToolResultSource.SETTLED)
    ready = [by_id[call_id] for call_id in order.ready if by_id[call_id].state is ToolCallState.WAITING]
    if not ready:
        return
    expire_time = change.loaded.deadline_now + timedelta(seconds=limits.tool_result_wait)
    for call in ready:
        change.tool_calls[call.id] = replace(call, state=ToolCallState.OPEN, expire_time=expire_time)
    change.append(_requested(ready), turn_id=ready[0].turn_id)


def _requested(calls: Sequence[ToolCall]) -> ToolCallsRequested:
    requested = tuple(
        RequestedToolCall(call.id, call.name, call.arguments_json, call.original_arguments_json is not None)
        for call in calls
    )
    # A command may touch anything, so nothing of the same order runs beside it.
    has_command = any(_plan_of(call).kind is CallKind.COMMAND for call in calls)
    mode = ExecutionMode.SEQUENTIAL if has_command and len(calls) > 1 else ExecutionMode.PARALLEL
    return ToolCallsRequested(calls[0].batch_id, requested, mode)


def _plan_of(call: ToolCall) -> CallPlan:
    try:
        arguments = json.loads(call.arguments_json)
    except (ValueError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict):
        # Refused for what it says; it still is a write that did not happen, at a place nobody can know.
        return replace(plan_call(call.id, call.name, {}), paths=(call.id,))
    return plan_call(call.id, call.name, arguments)


def _outcome_of(call: ToolCall) -> CallOutcome | None:
    return CallOutcome.OPEN if call.state in (ToolCallState.OPEN, ToolCallState.ASKING) else call.outcome


def _is_to_be_ordered(call: ToolCall) -> bool:
    return call.state is ToolCallState.WAITING and call.name != ATTEMPT_COMPLETION


def _wait(change: SessionChange, followup: Followup | None, *, for_budget: bool) -> Wait:
    waiting = [call for call in change.batch if call.state in _REASONS]
    approvals = change.pending_approvals
    reasons = {_REASONS[call.state] for call in waiting} | ({WaitingFor.BUDGET} if for_budget else set())
    ends: list[datetime | None] = [call.expire_time for call in waiting]
    ends += [approval.expire_time for approval in approvals]
    ends.append(followup.expire_time if followup else None)
    return Wait(
        reasons=tuple(reason for reason in WaitingFor if reason in reasons),
        open_tool_call_ids=tuple(call.id for call in waiting if call.state is ToolCallState.OPEN),
        pending_approval_ids=tuple(approval.id for approval in approvals),
        followup=followup,
        expire_time=min((end for end in ends if end is not None), default=None),
    )


def _complete(change: SessionChange, turn: Turn) -> bool:
    """Ends the turn if the agent declared its task done and everything it asked for beside that went well."""
    declared = next((call for call in change.batch if call.name == ATTEMPT_COMPLETION and _is_waiting(call)), None)
    if declared is None:
        return False
    others = [call for call in change.batch if call.id != declared.id]
    if any(call.outcome is not CallOutcome.SUCCEEDED or call.name == ASK_FOLLOWUP_QUESTION for call in others):
        why = "not taken: look at the other results of your answer first, then declare completion by itself"
        settle(change, declared, why, CallOutcome.NOT_RUN, ToolResultSource.RUNTIME)
        return False
    result = storable(json.loads(declared.arguments_json)["result"])
    settle(change, declared, "the result was shown to the user", CallOutcome.SUCCEEDED, ToolResultSource.RUNTIME)
    change.append(
        TurnCompleted(FinishReason.ATTEMPT_COMPLETION, result, declared.message_id, turn.usage), turn_id=turn.id
    )
    completed = replace(
        turn,
        state=TurnState.COMPLETED,
        finish_reason=FinishReason.ATTEMPT_COMPLETION,
        result_text=result,
        final_message_id=declared.message_id,
    )
    end_turn(change, completed)
    return True


def _is_waiting(call: ToolCall) -> bool:
    return call.state is ToolCallState.WAITING


def _call_model_again(change: SessionChange, turn: Turn, limits: TurnLimits, cause: TurnResumeCause | None) -> None:
    settle_all(change, turn, "not run")  # nothing waits any more; a guard, so that no answer can leave a pair open
    if call_model_again(change, turn, limits) and cause is not None and change.turn is not None:
        change.append(TurnResumed(change.turn.agent, cause), turn_id=turn.id)
