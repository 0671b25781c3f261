"""The small moves every turn function is made of: the next model call, a pause, an end."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from services.application.turns.turn_limits import TurnLimits
from services.domain.errors import ErrorReason
from services.domain.ids import new_id
from services.domain.message import Message, Role
from services.domain.session_change import HeadMove, SessionChange
from services.domain.session_events import TurnFailed, TurnPaused
from services.domain.turn import Attempt, Turn, TurnFailure, TurnState, Wait


def active_turn(change: SessionChange) -> Turn:
    """The active turn; that there is one was checked before."""
    if change.turn is None or not change.turn.state.is_active:
        raise AssertionError("the caller checks that a turn is active")
    return change.turn


def running_turn(change: SessionChange) -> Turn:
    """The running turn; only its owner takes steps."""
    if change.turn is None or change.turn.state is not TurnState.RUNNING:
        raise AssertionError("only a running turn takes steps; the fence should have stopped this one")
    return change.turn


def attempt_of(turn: Turn) -> Attempt:
    """The model call a running turn is in."""
    if turn.attempt is None:
        raise AssertionError("a running turn always has an attempt")
    return turn.attempt


def reserve_model_call(change: SessionChange, turn: Turn, limits: TurnLimits) -> bool:
    """Makes the turn RUNNING with its next model call, counted before it is made and by whoever is the session's agent.

    Fails the turn instead, and returns False, when a limit does not allow it.
    """
    exceeded = _exceeded(turn, limits, change.now)
    if exceeded is not None:
        fail_turn(change, turn, TurnFailure(ErrorReason.BUDGET_EXHAUSTED, exceeded))
        return False
    change.turn = replace(
        turn,
        state=TurnState.RUNNING,
        agent=change.context.current_agent,
        attempt=Attempt(1, new_id("msg")),
        model_calls=turn.model_calls + 1,
        wait=None,
        work_start_time=turn.work_start_time or change.now,
    )
    return True


def pause_turn(change: SessionChange, turn: Turn, wait: Wait) -> None:
    """Only a client or a person can take the turn further: nobody runs it, and waiting costs nothing."""
    change.turn = replace(_stopped(turn, change.now), state=TurnState.PAUSED, wait=wait)
    change.append(
        TurnPaused(
            waiting_for=wait.reasons,
            open_tool_call_ids=wait.open_tool_call_ids,
            pending_approval_ids=wait.pending_approval_ids,
            followup_id=wait.followup.id if wait.followup else None,
            expire_time=wait.expire_time,
        ),
        turn_id=turn.id,
    )
    change.head_move = HeadMove.RELEASE


def end_turn(change: SessionChange, turn: Turn) -> None:
    """The turn is over, in the state it is given with; its terminal event is already appended."""
    change.turn = replace(_stopped(turn, change.now), end_time=change.now, wait=None)
    change.head_move = HeadMove.RELEASE


def fail_turn(change: SessionChange, turn: Turn, failure: TurnFailure) -> None:
    """The turn ends without an answer; its open calls are settled already."""
    change.append(TurnFailed(failure.reason, failure.message, failure.retry_delay, failure.resumable), turn_id=turn.id)
    end_turn(change, replace(turn, state=TurnState.FAILED, failure=failure))


def keep_partial_text(change: SessionChange, turn: Turn, text: str) -> None:
    """Text that was already shown of an answer that is cut off stays in the history, marked incomplete."""
    if turn.state is TurnState.RUNNING and text.strip():
        change.add_message(
            Message(
                id=attempt_of(turn).message_id,
                role=Role.ASSISTANT,
                content=text,
                create_time=change.now,
                turn_id=turn.id,
                agent=turn.agent,
                complete=False,
            )
        )


def _stopped(turn: Turn, now: datetime) -> Turn:
    return replace(turn, attempt=None, running_time=_running_time(turn, now), work_start_time=None)


def _running_time(turn: Turn, now: datetime) -> float:
    working = (now - turn.work_start_time).total_seconds() if turn.work_start_time is not None else 0.0
    return turn.running_time + max(working, 0.0)


def _exceeded(turn: Turn, limits: TurnLimits, now: datetime) -> str | None:
    if turn.model_calls >= limits.model_calls:
        return f"the turn reached its limit of {limits.model_calls} model calls"
    if _running_time(turn, now) >= limits.running_time:
        return f"the turn reached its limit of {limits.running_time:g} s of running time"
    return None
