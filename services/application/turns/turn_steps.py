"""What a turn does next: plain functions of its stored state and what just happened.

Each function stages its outcome on a `SessionChange`; none performs input or output, so the property tests and the
crash tests exercise exactly what production runs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.domain.errors import ErrorReason
from services.domain.ids import new_id
from services.domain.input import Disposition, Input, InputKind
from services.domain.message import Message, MessageToolCall, Role
from services.domain.model_exchange import FinishReason, ModelAnswer, ModelError
from services.domain.session_change import HeadMove, SessionChange
from services.domain.session_events import (
    AttemptRestarted,
    AttemptRestartReason,
    InputAccepted,
    ToolResultRecorded,
    TurnCancelled,
    TurnCompleted,
    TurnFailed,
    TurnStarted,
    UsageReported,
)
from services.domain.tool_call import ToolCall, ToolCallState, ToolResultSource
from services.domain.turn import Attempt, CancelCause, Turn, TurnFailure, TurnStartCause, TurnState

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_-]")
_MAX_CALL_ID = 128  # characters; a longer one fits neither our storage nor any provider's rules


@dataclass(frozen=True, slots=True)
class TurnCaps:
    """What one turn may use at most; the operator's, so reaching one ends the turn BUDGET_EXHAUSTED."""

    model_calls: int = 50


def start_turn(change: SessionChange, *, text: str, request_id: str, principal: str) -> Input:
    """Accepts a user message: it enters the history and a turn starts, owned by the process that commits this.

    Raises SessionInactiveError, SessionMessageLimitError or TurnInProgressError.
    """
    change.check_idle()
    change.session.check_can_take_message()
    turn = Turn(
        id=new_id("turn"),
        input_id=new_id("input"),
        agent=change.context.current_agent,
        state=TurnState.RUNNING,
        create_time=change.now,
        correlation_id=change.correlation_id,
    )
    accepted = InputAccepted(turn.input_id, request_id, turn.id, Disposition.STARTED)
    accepted_input = Input(
        id=turn.input_id,
        request_id=request_id,
        kind=InputKind.USER_MESSAGE,
        turn_id=turn.id,
        disposition=Disposition.STARTED,
        principal=principal,
        accepted_sequence=change.append(accepted, turn_id=turn.id),
        create_time=change.now,
    )
    change.inputs.append(accepted_input)
    change.add_message(Message(id=new_id("msg"), role=Role.USER, content=text, create_time=change.now, turn_id=turn.id))
    change.append(TurnStarted(turn.agent, TurnStartCause.USER_MESSAGE, turn.input_id), turn_id=turn.id)
    change.turn = _with_next_attempt(turn)
    change.head_move = HeadMove.CLAIM
    return accepted_input


def take_answer(change: SessionChange, answer: ModelAnswer, caps: TurnCaps) -> None:
    """The model has answered: the turn completes, fails, or goes on with another model call."""
    turn = _running(change)
    message_id = _attempt(turn).message_id
    turn = replace(turn, usage=turn.usage + answer.usage)
    calls = _with_own_ids(answer.tool_calls, turn, change.loaded.taken_call_ids)
    if answer.text.strip() or calls:
        change.add_message(
            Message(
                id=message_id,
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
        )
    change.append(UsageReported(answer.usage, answer.model), turn_id=turn.id)
    if answer.finish_reason is FinishReason.CONTENT_FILTER:
        _refuse_calls(change, turn, message_id, calls, "the provider's content filter stopped the answer")
        _fail(
            change, turn, TurnFailure(ErrorReason.CONTENT_FILTERED, "the provider's content filter stopped the answer")
        )
    elif calls:
        _refuse_calls(change, turn, message_id, calls, "this agent has no such tool; answer without it")
        _call_model_again(change, replace(turn, tool_calls=turn.tool_calls + len(calls)), caps)
    elif not answer.text.strip():
        _fail(change, turn, TurnFailure(ErrorReason.LLM_BAD_RESPONSE, "the model gave an empty answer", resumable=True))
    else:
        change.append(
            TurnCompleted(answer.finish_reason, answer.text, message_id, turn.usage),
            turn_id=turn.id,
        )
        completed = replace(
            turn,
            state=TurnState.COMPLETED,
            finish_reason=answer.finish_reason,
            result_text=answer.text,
            final_message_id=message_id,
        )
        _end(change, completed)


def take_model_failure(change: SessionChange, error: ModelError, partial_text: str) -> None:
    """The model gave no usable answer: the turn fails, and text that was already shown is kept, marked incomplete."""
    turn = _running(change)
    _keep_partial_text(change, turn, partial_text)
    failure = TurnFailure(error.reason, error.message, error.retry_after, resumable=error.retryable)
    _fail(change, turn, failure)


def fail_internally(change: SessionChange) -> None:
    """Something of ours went wrong in this turn: it ends with a fixed text, the session stays usable."""
    turn = _running(change)
    _keep_partial_text(change, turn, change.loaded.draft_text)
    _fail(change, turn, TurnFailure(ErrorReason.INTERNAL, "internal error", resumable=True))
    change.head_move = HeadMove.FENCE


def cancel_turn(change: SessionChange, *, cause: CancelCause, cancelled_by: str) -> None:
    """Ends the active turn, whoever runs it: keeps the text so far and locks the running process out."""
    turn = change.turn
    if turn is None or not turn.state.is_active:
        raise AssertionError("the caller checks that a turn is active")
    _keep_partial_text(change, turn, change.loaded.draft_text)
    change.append(TurnCancelled(cause, cancelled_by), turn_id=turn.id)
    _end(change, replace(turn, state=TurnState.CANCELLED, cancel_cause=cause, cancelled_by=cancelled_by))
    change.head_move = HeadMove.FENCE


def recover_turn(change: SessionChange, *, unattended: bool = False) -> None:
    """Nobody runs this turn any more: its unfinished model call is announced as void and made again.

    Stages nothing when another process was faster. `unattended` says that the caller owns the session and knows that it
    does not run the turn.
    """
    if change.turn is None or change.turn.state is not TurnState.RUNNING:
        return
    if not (change.loaded.orphaned or unattended):
        return
    turn, lost = change.turn, _attempt(change.turn)
    change.correlation_id = turn.correlation_id
    again = Attempt(lost.number + 1, new_id("msg"))
    change.append(AttemptRestarted(lost.message_id, again.number, AttemptRestartReason.RECOVERY), turn_id=turn.id)
    change.turn = replace(turn, attempt=again)
    change.head_move = HeadMove.CLAIM


def _running(change: SessionChange) -> Turn:
    if change.turn is None or change.turn.state is not TurnState.RUNNING:
        raise AssertionError("only a running turn takes steps; the fence should have stopped this one")
    return change.turn


def _attempt(turn: Turn) -> Attempt:
    if turn.attempt is None:
        raise AssertionError("a running turn always has an attempt")
    return turn.attempt


def _with_next_attempt(turn: Turn) -> Turn:
    """The turn with its next model call reserved: counted before it is made, under a message id of its own."""
    number = turn.attempt.number + 1 if turn.attempt else 1
    return replace(turn, model_calls=turn.model_calls + 1, attempt=Attempt(number, new_id("msg")))


def _call_model_again(change: SessionChange, turn: Turn, caps: TurnCaps) -> None:
    if turn.model_calls >= caps.model_calls:
        limit = f"the turn reached its limit of {caps.model_calls} model calls"
        _fail(change, turn, TurnFailure(ErrorReason.BUDGET_EXHAUSTED, limit))
    else:
        change.turn = _with_next_attempt(turn)


def _with_own_ids(calls: Sequence[MessageToolCall], turn: Turn, taken: frozenset[str]) -> tuple[MessageToolCall, ...]:
    """The calls as they may enter a history: ids that no other call of the session has, names a provider takes back.

    Models do repeat ids and invent names, and a provider that refuses either would make the session unusable for good.
    """
    used = set(taken)
    result = []
    for position, call in enumerate(calls):
        call_id = call.id
        if not call_id or len(call_id) > _MAX_CALL_ID or call_id in used:
            call_id = f"call_{turn.id}_{_attempt(turn).number}_{position}"
        used.add(call_id)
        result.append(replace(call, id=call_id, name=_NOT_IN_A_NAME.sub("_", call.name)[:64] or "_"))
    return tuple(result)


def _refuse_calls(
    change: SessionChange, turn: Turn, message_id: str, calls: Sequence[MessageToolCall], why: str
) -> None:
    """Answers each call with an error the model can read, so that none is left dangling (G7)."""
    batch_id = new_id("batch")
    for position, call in enumerate(calls):
        change.tool_calls[call.id] = ToolCall(
            id=call.id,
            turn_id=turn.id,
            message_id=message_id,
            batch_id=batch_id,
            position=position,
            name=call.name,
            arguments_json=call.arguments_json,
            agent=turn.agent,
            state=ToolCallState.SETTLED,
            create_time=change.now,
        )
        change.append(ToolResultRecorded(call.id, True, ToolResultSource.RUNTIME), turn_id=turn.id)
        change.add_message(
            Message(
                id=new_id("msg"),
                role=Role.TOOL,
                content=why,
                create_time=change.now,
                turn_id=turn.id,
                name=call.name,
                tool_call_id=call.id,
                is_error=True,
            )
        )


def _keep_partial_text(change: SessionChange, turn: Turn, text: str) -> None:
    if turn.state is TurnState.RUNNING and text.strip():
        change.add_message(
            Message(
                id=_attempt(turn).message_id,
                role=Role.ASSISTANT,
                content=text,
                create_time=change.now,
                turn_id=turn.id,
                agent=turn.agent,
                complete=False,
            )
        )


def _fail(change: SessionChange, turn: Turn, failure: TurnFailure) -> None:
    change.append(TurnFailed(failure.reason, failure.message, failure.retry_delay, failure.resumable), turn_id=turn.id)
    _end(change, replace(turn, state=TurnState.FAILED, failure=failure))


def _end(change: SessionChange, turn: Turn) -> None:
    running_time = max((change.now - turn.create_time).total_seconds(), 0.0)  # no turn pauses yet
    change.turn = replace(turn, end_time=change.now, running_time=running_time, waiting_for=(), attempt=None)
    change.head_move = HeadMove.RELEASE
