"""The small moves every turn function is made of: looking at the turn, pausing it, keeping what it has said."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from services.domain.message import Message, Role
from services.domain.session_change import SessionChange
from services.domain.session_events import TurnPaused
from services.domain.turn import Attempt, Turn, TurnState, Wait


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


def pause_turn(change: SessionChange, turn: Turn, wait: Wait) -> None:
    """Only a client or a person can take the turn further: nobody runs it, and waiting costs nothing."""
    change.turn = replace(stopped(turn, change.now), state=TurnState.PAUSED, wait=wait)
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


def stopped(turn: Turn, now: datetime) -> Turn:
    """The turn as nobody works on it any more."""
    return replace(turn, attempt=None, running_time=running_time(turn, now), work_start_time=None)


def running_time(turn: Turn, now: datetime) -> float:
    """Seconds of work so far; waiting does not count."""
    working = (now - turn.work_start_time).total_seconds() if turn.work_start_time is not None else 0.0
    return turn.running_time + max(working, 0.0)
