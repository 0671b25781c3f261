"""A person speaks: a turn starts, the question that is open is answered, or the message does what its policy says."""

from __future__ import annotations

from dataclasses import replace

from services.application.turns.inputs.accepted_input import AcceptedInput, Sender, place_of, record_input
from services.application.turns.inputs.followup_answer import answer_question
from services.application.turns.running_turns_limit import check_running_turns
from services.application.turns.settling import settle_all
from services.application.turns.turn_flow import end_turn, start_turn, switch_for
from services.application.turns.turn_limits import TurnLimits
from services.application.turns.turn_state import active_turn, keep_partial_text
from services.domain.approval import ApprovalState
from services.domain.errors import QueueFullError
from services.domain.ids import new_id
from services.domain.input import BusyPolicy, Disposition, InputKind, UserMessage
from services.domain.session_change import SessionChange
from services.domain.session_events import TurnCancelled
from services.domain.turn import CancelCause, TurnStartCause, TurnState, WaitingFor

MAX_PENDING = 8
"""Messages of one session that may wait."""


def accept_user_message(
    change: SessionChange, content: UserMessage, sender: Sender, limits: TurnLimits
) -> AcceptedInput:
    """Starts a turn, owned by the process that commits this, unless one is active or messages wait to begin one.

    While a question is open the message is its answer; a turn that waits for nothing but the caller's limits gives way
    to it. Otherwise `content.busy_policy` decides what it does to the
    active turn. Raises SessionInactiveError, SessionMessageLimitError, SwitchLimitError, and TurnInProgressError (for
    REJECT), QueueFullError or TooManyTurnsError.
    """
    turn = change.turn
    if turn is None and not change.pending_inputs:
        return _start(change, content, sender, limits)
    if turn is not None and turn.wait is not None and turn.wait.followup is not None:
        accepted = record_input(change, sender, InputKind.USER_MESSAGE, Disposition.CONTINUED, turn.id)
        switch_for(change, content.agent, sender.principal)
        answer_question(change, turn.wait.followup, content.text, limits)
        return place_of(accepted)
    if turn is not None and turn.wait is not None and turn.wait.reasons == (WaitingFor.BUDGET,):
        return _replace(change, content, sender, CancelCause.SUPERSEDED, limits)
    match content.busy_policy:
        case BusyPolicy.QUEUE:
            return _wait(change, content, sender, Disposition.QUEUED, limits, turn_id="")
        case BusyPolicy.STEER:
            turn_id = turn.id if turn is not None else ""
            return _wait(change, content, sender, Disposition.STEERED, limits, turn_id)
        case BusyPolicy.INTERRUPT if turn is None:
            return _start(change, content, sender, limits)
        case BusyPolicy.INTERRUPT:
            return _replace(change, content, sender, CancelCause.INTERRUPTED, limits)
        case BusyPolicy.REJECT:
            change.check_idle()
            raise AssertionError("an active turn is not idle, nor is a message that waits")


def _start(change: SessionChange, content: UserMessage, sender: Sender, limits: TurnLimits) -> AcceptedInput:
    change.session.check_can_take_message(limits.history_bytes)
    check_running_turns(change)
    accepted = record_input(change, sender, InputKind.USER_MESSAGE, Disposition.STARTED, new_id("turn"))
    start_turn(change, accepted, content, TurnStartCause.USER_MESSAGE, limits=content.limits)
    return place_of(accepted)


def _wait(
    change: SessionChange,
    content: UserMessage,
    sender: Sender,
    disposition: Disposition,
    limits: TurnLimits,
    turn_id: str,
) -> AcceptedInput:
    change.session.check_can_take_message(limits.history_bytes)
    if len(change.pending_inputs) >= MAX_PENDING:
        raise QueueFullError(
            f"{MAX_PENDING} messages wait already; withdraw one or let a turn end", metadata={"limit": str(MAX_PENDING)}
        )
    return place_of(record_input(change, sender, InputKind.USER_MESSAGE, disposition, turn_id, waiting=content))


def _replace(
    change: SessionChange, content: UserMessage, sender: Sender, cause: CancelCause, limits: TurnLimits
) -> AcceptedInput:
    """Ends the active turn and starts another one with the message, all at once; messages that wait go on waiting."""
    change.session.check_can_take_message(limits.history_bytes)
    turn = active_turn(change)
    check_running_turns(change)
    accepted = record_input(change, sender, InputKind.USER_MESSAGE, Disposition.STARTED, new_id("turn"))
    keep_partial_text(change, turn, change.loaded.draft_text)
    settle_all(change, turn, "not run: superseded", ApprovalState.SUPERSEDED)
    change.append(TurnCancelled(cause, sender.principal), turn_id=turn.id)
    ended = replace(turn, state=TurnState.CANCELLED, cancel_cause=cause, cancelled_by=sender.principal)
    end_turn(change, ended, start_next=False)
    change.ended_turn = change.turn
    start_turn(change, accepted, content, TurnStartCause.USER_MESSAGE, limits=content.limits)
    return place_of(accepted)
