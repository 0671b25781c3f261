"""From one turn to the next: starting one, its model calls, its end, and the message that was waiting for that."""

from __future__ import annotations

from dataclasses import replace

from services.application.turns.running_turns_limit import has_place
from services.application.turns.turn_limits import TurnLimits
from services.application.turns.turn_state import running_time, stopped
from services.domain.agent_context import SwitchSource
from services.domain.errors import ErrorReason, SameAgentError, SwitchLimitError
from services.domain.ids import new_id
from services.domain.input import Input, InputState, UserMessage
from services.domain.message import Message, Role
from services.domain.session_change import SessionChange
from services.domain.session_events import TurnFailed, TurnStarted
from services.domain.turn import Attempt, CallerLimits, Turn, TurnFailure, TurnStartCause, TurnState

INPUT_ID = "input_id"
"""Under this key a user message names, in its metadata, the input it came with."""


def start_turn(
    change: SessionChange,
    started_by: Input,
    message: UserMessage | None,
    cause: TurnStartCause,
    *,
    limits: CallerLimits | None = None,
    resumed: Turn | None = None,
) -> Turn:
    """Starts the turn of an input and takes its message, if it has one, into the history; ready for its model call.

    Raises SwitchLimitError when the message names another agent and the session has no switch left.
    """
    turn = Turn(
        id=started_by.turn_id,
        input_id=started_by.id,
        agent=change.context.current_agent,
        state=TurnState.RUNNING,
        create_time=change.now,
        correlation_id=change.correlation_id,
        principal=started_by.principal,
        limits=limits,
        traceparent=started_by.traceparent,
    )
    change.turn = turn
    if message is not None:
        switch_for(change, message.agent, started_by.principal)
        add_user_message(change, turn, started_by, message)
    started = TurnStarted(change.context.current_agent, cause, started_by.id, resumed.id if resumed else "")
    sequence = change.append(started, turn_id=turn.id)
    change.inputs[started_by.id] = replace(
        started_by, state=InputState.TAKEN, message=None, taken_sequence=max(sequence, started_by.taken_sequence)
    )
    begin_model_call(change, turn)
    return turn


def begin_model_call(change: SessionChange, turn: Turn) -> None:
    """Makes the turn RUNNING with its next model call, counted before it is made and by whoever is the session's agent.

    Messages that are to steer the turn enter the history now.
    """
    for waiting in change.pending_inputs:
        if waiting.steers and waiting.message is not None:
            sequence = add_user_message(change, turn, waiting, waiting.message)
            change.inputs[waiting.id] = replace(
                waiting, state=InputState.TAKEN, message=None, turn_id=turn.id, taken_sequence=sequence
            )
    agent = change.context.current_agent
    change.turn = replace(
        turn.having_used(agent, model_calls=1),
        state=TurnState.RUNNING,
        agent=agent,
        attempt=Attempt(1, new_id("msg")),
        wait=None,
        work_start_time=turn.work_start_time or change.now,
    )


def call_model_again(change: SessionChange, turn: Turn, limits: TurnLimits) -> bool:
    """The same for a turn that has made calls before; where a limit says so it fails instead, and False is returned."""
    exceeded = exceeded_limit(change, turn, limits)
    if exceeded is not None:
        fail_turn(change, turn, TurnFailure(ErrorReason.BUDGET_EXHAUSTED, exceeded))
        return False
    begin_model_call(change, turn)
    return True


def fail_turn(change: SessionChange, turn: Turn, failure: TurnFailure) -> None:
    """The turn ends without an answer; its open calls are settled already."""
    change.append(TurnFailed(failure.reason, failure.message, failure.retry_delay, failure.resumable), turn_id=turn.id)
    end_turn(change, replace(turn, state=TurnState.FAILED, failure=failure))


def end_turn(change: SessionChange, turn: Turn, *, start_next: bool = True) -> None:
    """The turn is over, in the state it is given with; its terminal event is already appended.

    In the same transaction the message that waits next starts a turn, if there is a place for it.
    """
    change.turn = replace(stopped(turn, change.now), end_time=change.now, wait=None)
    change.usage = change.usage.with_ended(change.turn)
    if start_next:
        start_waiting(change)


def start_waiting(change: SessionChange) -> None:
    """The message that waits next starts a turn, run by the process that commits this; in a session without one.

    While so many turns run for the owner as may, it goes on waiting, and whoever looks for waits that are over starts
    it.
    """
    pending = change.pending_inputs
    if not pending or not has_place(change):
        return
    change.ended_turn, taken = change.turn, pending[0]
    message = taken.message
    if message is None:
        raise AssertionError("an input that waits has a message")
    cause = TurnStartCause.STEERED_INPUT if taken.steers else TurnStartCause.QUEUED_INPUT
    change.correlation_id = taken.correlation_id or change.correlation_id
    start_turn(
        change,
        replace(taken, turn_id=new_id("turn"), message=None),
        _allowed(change, message),
        cause,
        limits=message.limits,
    )


def add_user_message(change: SessionChange, turn: Turn, given: Input, message: UserMessage) -> int:
    """Takes what a person says into the history; returns the number of its event."""
    change.add_message(
        Message(
            id=new_id("msg"),
            role=Role.USER,
            content=message.text,
            create_time=change.now,
            turn_id=turn.id,
            metadata={INPUT_ID: given.id},
        )
    )
    return change.last_sequence


def switch_for(change: SessionChange, agent: str | None, principal: str) -> None:
    """Makes the agent current that a message is for; naming the current one is no error."""
    if agent is not None and agent != change.context.current_agent:
        change.switch_agent(
            agent, reason="the user's message names it", source=SwitchSource.USER, requested_by=principal
        )


def _allowed(change: SessionChange, message: UserMessage) -> UserMessage:
    """A message that waited is taken whatever has become of the session's switches: by the current agent then."""
    if message.agent is None:
        return message
    try:
        change.context.check_can_switch_to(message.agent)
    except (SameAgentError, SwitchLimitError):
        return replace(message, agent=None)
    return message


def exceeded_limit(change: SessionChange, turn: Turn, limits: TurnLimits) -> str | None:
    """Which of the operator's limits of a turn forbids another model call, in words for people; None if none does."""
    if turn.model_calls >= limits.model_calls:
        return f"the turn reached its limit of {limits.model_calls} model calls"
    if running_time(turn, change.now) >= limits.running_time:
        return f"the turn reached its limit of {limits.running_time:g} s of running time"
    if limits.tokens is not None and turn.usage.tokens >= limits.tokens:
        return f"the turn reached its limit of {limits.tokens} tokens"
    return None
