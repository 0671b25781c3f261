"""Events of the log on the wire; every delta of every stream passes here, so each is written right into its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agent_runtime.v1 import answer_event_pb2, tool_event_pb2, turn_event_pb2
from agent_runtime.v1.session_event_pb2 import SessionEvent as WireEvent
from server.converters.agent import CONFIDENCES, SWITCH_SOURCES
from server.converters.error_reason import ERROR_REASONS
from server.converters.message import to_message
from server.converters.session import SESSION_STATES
from server.converters.times import fill_timestamp, to_duration
from server.converters.turn import CANCEL_CAUSES, FINISH_REASONS, to_wait_reasons
from server.converters.usage import to_usage
from services.domain import session_events as log
from services.domain.input import Disposition
from services.domain.tool_call import ToolResultSource
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

RESULT_SOURCES: Mapping[ToolResultSource, tool_event_pb2.ToolResultSource.ValueType] = {
    ToolResultSource.CLIENT: tool_event_pb2.TOOL_RESULT_SOURCE_CLIENT,
    ToolResultSource.CACHE: tool_event_pb2.TOOL_RESULT_SOURCE_CACHE,
    ToolResultSource.RUNTIME: tool_event_pb2.TOOL_RESULT_SOURCE_RUNTIME,
    ToolResultSource.SETTLED: tool_event_pb2.TOOL_RESULT_SOURCE_SETTLED,
}

RESTART_REASONS: Mapping[log.AttemptRestartReason, answer_event_pb2.AttemptRestartReason.ValueType] = {
    log.AttemptRestartReason.RECOVERY: answer_event_pb2.ATTEMPT_RESTART_REASON_RECOVERY,
}


def fill_event(wire: WireEvent, event: log.SessionEvent) -> None:
    """Writes the event into an empty message, best the one inside a response: nothing is copied then."""
    wire.session_id = event.session_id
    wire.sequence = event.sequence
    if event.turn_id is not None:
        wire.turn_id = event.turn_id
    fill_timestamp(wire.event_time, event.event_time)
    wire.correlation_id = event.correlation_id
    PAYLOADS[type(event.payload)](wire, event.payload)


def _text_delta(event: WireEvent, payload: log.TextDelta) -> None:
    wire = event.text_delta
    wire.message_id = payload.message_id
    wire.text = payload.text


def _reasoning_delta(event: WireEvent, payload: log.ReasoningDelta) -> None:
    wire = event.reasoning_delta
    wire.message_id = payload.message_id
    wire.text = payload.text


def _message_added(event: WireEvent, payload: log.MessageAdded) -> None:
    event.message_added.message.CopyFrom(to_message(payload.message))


def _input_accepted(event: WireEvent, payload: log.InputAccepted) -> None:
    wire = event.input_accepted
    wire.input_id = payload.input_id
    wire.request_id = payload.request_id
    wire.turn_id = payload.turn_id
    wire.disposition = DISPOSITIONS[payload.disposition]


def _turn_started(event: WireEvent, payload: log.TurnStarted) -> None:
    wire = event.turn_started
    wire.agent = payload.agent
    wire.cause = START_CAUSES[payload.cause]
    wire.input_id = payload.input_id


def _turn_resumed(event: WireEvent, payload: log.TurnResumed) -> None:
    wire = event.turn_resumed
    wire.agent = payload.agent
    wire.cause = RESUME_CAUSES[payload.cause]


def _turn_paused(event: WireEvent, payload: log.TurnPaused) -> None:
    wire = event.turn_paused
    wire.SetInParent()
    wire.waiting_for.extend(to_wait_reasons(payload.waiting_for))
    wire.open_tool_call_ids.extend(payload.open_tool_call_ids)
    wire.pending_approval_ids.extend(payload.pending_approval_ids)
    wire.followup_id = payload.followup_id or ""
    if payload.expire_time is not None:
        fill_timestamp(wire.expire_time, payload.expire_time)


def _turn_completed(event: WireEvent, payload: log.TurnCompleted) -> None:
    wire = event.turn_completed
    wire.finish_reason = FINISH_REASONS[payload.finish_reason]
    wire.result_text = payload.result_text
    wire.final_message_id = payload.final_message_id or ""
    wire.usage.CopyFrom(to_usage(payload.usage))


def _turn_failed(event: WireEvent, payload: log.TurnFailed) -> None:
    wire = event.turn_failed
    wire.reason = ERROR_REASONS[payload.reason]
    wire.message = payload.message
    wire.resumable = payload.resumable
    if payload.retry_delay is not None:
        wire.retry_delay.CopyFrom(to_duration(payload.retry_delay))


def _turn_cancelled(event: WireEvent, payload: log.TurnCancelled) -> None:
    wire = event.turn_cancelled
    wire.cause = CANCEL_CAUSES[payload.cause]
    wire.cancelled_by = payload.cancelled_by


def _agent_switched(event: WireEvent, payload: log.AgentSwitched) -> None:
    wire = event.agent_switched
    wire.from_agent = payload.from_agent
    wire.to_agent = payload.to_agent
    wire.reason = payload.reason
    wire.confidence = CONFIDENCES[payload.confidence]
    wire.source = SWITCH_SOURCES[payload.source]


def _tool_calls_requested(event: WireEvent, payload: log.ToolCallsRequested) -> None:
    wire = event.tool_calls_requested
    wire.batch_id = payload.batch_id
    # The log does not say which calls may run together; one after the other is always right.
    wire.execution_mode = tool_event_pb2.TOOL_EXECUTION_MODE_SEQUENTIAL
    for call in payload.calls:
        wire.calls.add(id=call.id, name=call.name, arguments_json=call.arguments_json)


def _tool_result_recorded(event: WireEvent, payload: log.ToolResultRecorded) -> None:
    wire = event.tool_result_recorded
    wire.tool_call_id = payload.tool_call_id
    wire.is_error = payload.is_error
    wire.source = RESULT_SOURCES[payload.source]


def _attempt_restarted(event: WireEvent, payload: log.AttemptRestarted) -> None:
    wire = event.attempt_restarted
    wire.discarded_message_id = payload.discarded_message_id
    wire.attempt = payload.attempt
    wire.reason = RESTART_REASONS[payload.reason]


def _usage_reported(event: WireEvent, payload: log.UsageReported) -> None:
    wire = event.usage_reported
    wire.usage.CopyFrom(to_usage(payload.usage))
    wire.model = payload.model


def _session_updated(event: WireEvent, payload: log.SessionUpdated) -> None:
    wire = event.session_updated
    wire.title = payload.title
    wire.description = payload.description
    wire.labels.update(payload.labels)
    wire.message_limit = payload.message_limit
    wire.version = payload.version


def _session_state_changed(event: WireEvent, payload: log.SessionStateChanged) -> None:
    wire = event.session_state_changed
    wire.state = SESSION_STATES[payload.state]
    wire.reason = payload.reason


def _messages_cleared(event: WireEvent, payload: log.MessagesCleared) -> None:
    event.messages_cleared.message_count = payload.message_count


def _session_deleted(event: WireEvent, _: log.SessionDeleted) -> None:
    event.session_deleted.SetInParent()


PAYLOADS: Mapping[type[log.Payload], Callable[[WireEvent, Any], None]] = {
    log.TextDelta: _text_delta,
    log.ReasoningDelta: _reasoning_delta,
    log.MessageAdded: _message_added,
    log.InputAccepted: _input_accepted,
    log.TurnStarted: _turn_started,
    log.TurnResumed: _turn_resumed,
    log.TurnPaused: _turn_paused,
    log.TurnCompleted: _turn_completed,
    log.TurnFailed: _turn_failed,
    log.TurnCancelled: _turn_cancelled,
    log.AgentSwitched: _agent_switched,
    log.ToolCallsRequested: _tool_calls_requested,
    log.ToolResultRecorded: _tool_result_recorded,
    log.AttemptRestarted: _attempt_restarted,
    log.UsageReported: _usage_reported,
    log.SessionUpdated: _session_updated,
    log.SessionStateChanged: _session_state_changed,
    log.MessagesCleared: _messages_cleared,
    log.SessionDeleted: _session_deleted,
}
