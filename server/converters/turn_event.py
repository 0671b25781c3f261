"""Events about inputs and turns on the wire."""

from __future__ import annotations

from collections.abc import Mapping

from agent_runtime.v1 import turn_event_pb2
from agent_runtime.v1.session_event_pb2 import SessionEvent as WireEvent
from server.converters.error_reason import ERROR_REASONS
from server.converters.times import fill_timestamp, to_duration
from server.converters.turn import CANCEL_CAUSES, FINISH_REASONS, to_wait_reasons
from server.converters.usage import to_usage
from services.domain import session_events as log
from services.domain.input import Disposition
from services.domain.turn import TurnResumeCause, TurnStartCause

DISPOSITIONS: Mapping[Disposition, turn_event_pb2.InputDisposition.ValueType] = {
    Disposition.STARTED: turn_event_pb2.INPUT_DISPOSITION_STARTED,
    Disposition.CONTINUED: turn_event_pb2.INPUT_DISPOSITION_CONTINUED,
    Disposition.QUEUED: turn_event_pb2.INPUT_DISPOSITION_QUEUED,
    Disposition.STEERED: turn_event_pb2.INPUT_DISPOSITION_STEERED,
}

START_CAUSES: Mapping[TurnStartCause, turn_event_pb2.TurnStartCause.ValueType] = {
    TurnStartCause.USER_MESSAGE: turn_event_pb2.TURN_START_CAUSE_USER_MESSAGE,
    TurnStartCause.QUEUED_INPUT: turn_event_pb2.TURN_START_CAUSE_QUEUED_INPUT,
    TurnStartCause.STEERED_INPUT: turn_event_pb2.TURN_START_CAUSE_STEERED_INPUT,
    TurnStartCause.RESUME: turn_event_pb2.TURN_START_CAUSE_RESUME,
}

RESUME_CAUSES: Mapping[TurnResumeCause, turn_event_pb2.TurnResumeCause.ValueType] = {
    TurnResumeCause.TOOL_RESULTS: turn_event_pb2.TURN_RESUME_CAUSE_TOOL_RESULTS,
    TurnResumeCause.APPROVAL: turn_event_pb2.TURN_RESUME_CAUSE_APPROVAL,
    TurnResumeCause.FOLLOWUP: turn_event_pb2.TURN_RESUME_CAUSE_FOLLOWUP,
    TurnResumeCause.RESUME: turn_event_pb2.TURN_RESUME_CAUSE_RESUME,
    TurnResumeCause.EXPIRY: turn_event_pb2.TURN_RESUME_CAUSE_EXPIRY,
}


def fill_input_accepted(event: WireEvent, payload: log.InputAccepted) -> None:
    """What became of the input, and of which of its results nothing did."""
    wire = event.input_accepted
    wire.input_id = payload.input_id
    wire.request_id = payload.request_id
    wire.turn_id = payload.turn_id
    wire.disposition = DISPOSITIONS[payload.disposition]
    wire.queue_position = payload.queue_position
    for refused in payload.rejected_results:
        wire.rejected_results.add(
            tool_call_id=refused.tool_call_id, reason=ERROR_REASONS[refused.reason], message=refused.message
        )


def fill_input_withdrawn(event: WireEvent, payload: log.InputWithdrawn) -> None:
    """What will not be said."""
    event.input_withdrawn.input_id = payload.input_id


def fill_turn_started(event: WireEvent, payload: log.TurnStarted) -> None:
    """Who begins, and why."""
    wire = event.turn_started
    wire.agent = payload.agent
    wire.cause = START_CAUSES[payload.cause]
    wire.input_id = payload.input_id
    wire.resumed_turn_id = payload.resumed_turn_id


def fill_turn_resumed(event: WireEvent, payload: log.TurnResumed) -> None:
    """Who goes on, and why."""
    wire = event.turn_resumed
    wire.agent = payload.agent
    wire.cause = RESUME_CAUSES[payload.cause]


def fill_turn_paused(event: WireEvent, payload: log.TurnPaused) -> None:
    """Everything that is open."""
    wire = event.turn_paused
    wire.SetInParent()
    wire.waiting_for.extend(to_wait_reasons(payload.waiting_for))
    wire.open_tool_call_ids.extend(payload.open_tool_call_ids)
    wire.pending_approval_ids.extend(payload.pending_approval_ids)
    wire.followup_id = payload.followup_id or ""
    if payload.expire_time is not None:
        fill_timestamp(wire.expire_time, payload.expire_time)


def fill_turn_completed(event: WireEvent, payload: log.TurnCompleted) -> None:
    """The answer, and what it cost."""
    wire = event.turn_completed
    wire.finish_reason = FINISH_REASONS[payload.finish_reason]
    wire.result_text = payload.result_text
    wire.final_message_id = payload.final_message_id or ""
    wire.usage.CopyFrom(to_usage(payload.usage))


def fill_turn_failed(event: WireEvent, payload: log.TurnFailed) -> None:
    """Why, and whether it can go on."""
    wire = event.turn_failed
    wire.reason = ERROR_REASONS[payload.reason]
    wire.message = payload.message
    wire.resumable = payload.resumable
    if payload.retry_delay is not None:
        wire.retry_delay.CopyFrom(to_duration(payload.retry_delay))


def fill_turn_cancelled(event: WireEvent, payload: log.TurnCancelled) -> None:
    """Why, and by whom."""
    wire = event.turn_cancelled
    wire.cause = CANCEL_CAUSES[payload.cause]
    wire.cancelled_by = payload.cancelled_by
