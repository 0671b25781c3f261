"""What a turn does when its history is longer than the model can read; every model call it takes is counted first."""

from __future__ import annotations

from dataclasses import replace

from services.application.turns.context_planner import Compacted
from services.application.turns.session_limits import exceeded_session_limit
from services.application.turns.turn_flow import exceeded_limit, fail_turn
from services.application.turns.turn_limits import TurnLimits
from services.application.turns.turn_state import attempt_of, running_turn
from services.domain.errors import ErrorReason
from services.domain.model_exchange import ModelAnswer
from services.domain.session_change import SessionChange
from services.domain.session_events import UsageReported
from services.domain.turn import Turn, TurnFailure

CONTEXT_FULL = TurnFailure(
    ErrorReason.CONTEXT_FULL,
    "the conversation no longer fits what the model can read, however shortened;"
    " fork the session at an earlier message, clear it, or send a shorter message",
)


def fail_before_call(change: SessionChange, failure: TurnFailure) -> None:
    """The turn fails before the model call that it has counted, which is therefore not counted any more."""
    turn = running_turn(change)
    fail_turn(change, turn.having_used(turn.agent, model_calls=-1), failure)


def begin_summary(change: SessionChange, limits: TurnLimits) -> None:
    """The model is about to be asked for a summary, before the call that is counted already."""
    turn = running_turn(change)
    exceeded = _exceeded(change, turn, limits)
    if exceeded is not None:
        fail_before_call(change, exceeded)
        return
    attempt = attempt_of(turn)
    change.turn = replace(_with_call(turn), attempt=replace(attempt, compactions=attempt.compactions + 1))


def take_summary(change: SessionChange, answer: ModelAnswer, compacted: Compacted | None) -> None:
    """The model has summarised; without `compacted` nothing was gained by it, but it has its cost."""
    turn = running_turn(change).having_answer(answer)
    change.append(UsageReported(answer.usage, answer.model), turn_id=turn.id)
    if compacted is not None:
        change.summary = compacted.summary
        change.append(compacted.event, turn_id=turn.id)
    change.turn = turn


def ask_shorter(change: SessionChange, room: int, limits: TurnLimits) -> None:
    """The model cannot read the question: it is asked once more, with no more than so many estimated tokens."""
    turn = running_turn(change)
    exceeded = _exceeded(change, turn, limits)
    if exceeded is not None:
        fail_turn(change, turn, exceeded)
        return
    change.turn = replace(_with_call(turn), attempt=replace(attempt_of(turn), room=room))


def _exceeded(change: SessionChange, turn: Turn, limits: TurnLimits) -> TurnFailure | None:
    message = exceeded_limit(change, turn, limits) or exceeded_session_limit(change.usage, _with_call(turn), limits)
    return TurnFailure(ErrorReason.BUDGET_EXHAUSTED, message) if message is not None else None


def _with_call(turn: Turn) -> Turn:
    """The turn with one more call counted, but not for the caller's own limit, which is not about such calls."""
    base = replace(turn.counted_from, model_calls=turn.counted_from.model_calls + 1)
    return replace(turn.having_used(turn.agent, model_calls=1), counted_from=base)
