"""Turns on the wire."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from agent_runtime.v1 import turn_pb2
from server.converters.error_reason import ERROR_REASONS
from server.converters.times import fill_timestamp, to_duration, to_timestamp
from server.converters.usage import to_usage
from services.domain.model_exchange import FinishReason
from services.domain.turn import CallerLimits, CancelCause, Turn, TurnFailure, TurnState, Wait, WaitingFor

TURN_STATES: Mapping[TurnState, turn_pb2.TurnState.ValueType] = {
    TurnState.RUNNING: turn_pb2.TURN_STATE_RUNNING,
    TurnState.PAUSED: turn_pb2.TURN_STATE_PAUSED,
    TurnState.COMPLETED: turn_pb2.TURN_STATE_COMPLETED,
    TurnState.FAILED: turn_pb2.TURN_STATE_FAILED,
    TurnState.CANCELLED: turn_pb2.TURN_STATE_CANCELLED,
}
STATES_BY_WIRE: Mapping[int, TurnState] = {wire: state for state, wire in TURN_STATES.items()}

WAIT_REASONS: Mapping[WaitingFor, turn_pb2.WaitReason.ValueType] = {
    WaitingFor.TOOL_RESULTS: turn_pb2.WAIT_REASON_TOOL_RESULTS,
    WaitingFor.APPROVAL: turn_pb2.WAIT_REASON_APPROVAL,
    WaitingFor.FOLLOWUP: turn_pb2.WAIT_REASON_FOLLOWUP,
    WaitingFor.BUDGET: turn_pb2.WAIT_REASON_BUDGET,
}

FINISH_REASONS: Mapping[FinishReason, turn_pb2.FinishReason.ValueType] = {
    FinishReason.STOP: turn_pb2.FINISH_REASON_STOP,
    FinishReason.ATTEMPT_COMPLETION: turn_pb2.FINISH_REASON_ATTEMPT_COMPLETION,
    FinishReason.LENGTH: turn_pb2.FINISH_REASON_LENGTH,
    FinishReason.UNKNOWN: turn_pb2.FINISH_REASON_UNKNOWN,
    # The provider announced calls and made none: its answer is whole, its reason says nothing.
    FinishReason.TOOL_CALLS: turn_pb2.FINISH_REASON_UNKNOWN,
    # CONTENT_FILTER is missing on purpose: such a turn has failed.
}

CANCEL_CAUSES: Mapping[CancelCause, turn_pb2.TurnCancellationCause.ValueType] = {
    CancelCause.USER: turn_pb2.TURN_CANCELLATION_CAUSE_USER,
    CancelCause.INTERRUPTED: turn_pb2.TURN_CANCELLATION_CAUSE_INTERRUPTED,
    CancelCause.SUPERSEDED: turn_pb2.TURN_CANCELLATION_CAUSE_SUPERSEDED,
    CancelCause.SESSION_DELETED: turn_pb2.TURN_CANCELLATION_CAUSE_SESSION_DELETED,
}


def to_turn(session_id: str, turn: Turn) -> turn_pb2.Turn:
    """The turn of that session, with all it waits for."""
    wire = turn_pb2.Turn(
        id=turn.id,
        session_id=session_id,
        state=TURN_STATES[turn.state],
        agent=turn.agent,
        input_id=turn.input_id,
        usage=to_usage(turn.usage),
        model_calls=turn.model_calls,
        tool_calls=turn.tool_calls,
        agent_switches=turn.agent_switches,
        running_time=to_duration(turn.running_time),
        result_text=turn.result_text,
        final_message_id=turn.final_message_id or "",
        create_time=to_timestamp(turn.create_time),
    )
    if turn.wait is not None:
        _fill_wait(wire, turn.wait)
    if turn.limits is not None:
        wire.limits.CopyFrom(_to_limits(turn.limits))
    if turn.finish_reason is not None:
        wire.finish_reason = FINISH_REASONS[turn.finish_reason]
    if turn.failure is not None:
        wire.failure.CopyFrom(_to_failure(turn.failure))
    if turn.cancel_cause is not None:
        wire.cancellation.cause = CANCEL_CAUSES[turn.cancel_cause]
        wire.cancellation.cancelled_by = turn.cancelled_by
    if turn.end_time is not None:
        fill_timestamp(wire.end_time, turn.end_time)
    return wire


def to_wait_reasons(waiting_for: Iterable[WaitingFor]) -> list[turn_pb2.WaitReason.ValueType]:
    """In the order of the enum."""
    return sorted(WAIT_REASONS[reason] for reason in waiting_for)


def _fill_wait(wire: turn_pb2.Turn, wait: Wait) -> None:
    wire.waiting_for.extend(to_wait_reasons(wait.reasons))
    wire.open_tool_call_ids.extend(wait.open_tool_call_ids)
    wire.pending_approval_ids.extend(wait.pending_approval_ids)
    if wait.followup is not None:
        wire.followup_id = wait.followup.id
    if wait.expire_time is not None:
        fill_timestamp(wire.expire_time, wait.expire_time)


def _to_limits(limits: CallerLimits) -> turn_pb2.TurnLimits:
    wire = turn_pb2.TurnLimits(
        max_model_calls=limits.model_calls,
        max_tool_calls=limits.tool_calls,
        max_agent_switches=limits.agent_switches,
        max_tokens=limits.tokens,
    )
    if limits.running_time is not None:
        wire.max_running_time.CopyFrom(to_duration(limits.running_time))
    return wire


def _to_failure(failure: TurnFailure) -> turn_pb2.TurnFailure:
    wire = turn_pb2.TurnFailure(
        reason=ERROR_REASONS[failure.reason], message=failure.message, resumable=failure.resumable
    )
    if failure.retry_delay is not None:
        wire.retry_delay.CopyFrom(to_duration(failure.retry_delay))
    return wire
