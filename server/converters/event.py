"""Events of the log on the wire; every delta of every stream passes here, so each is written right into its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agent_runtime.v1 import answer_event_pb2
from agent_runtime.v1.session_event_pb2 import SessionEvent as WireEvent
from server.converters.agent_context import CONFIDENCES, SWITCH_SOURCES
from server.converters.message import to_message
from server.converters.session import SESSION_STATES
from server.converters.times import fill_timestamp
from server.converters.tool_event import (
    fill_approval_requested,
    fill_approval_resolved,
    fill_followup_asked,
    fill_tool_calls_requested,
    fill_tool_result_recorded,
)
from server.converters.turn_event import (
    fill_input_accepted,
    fill_input_withdrawn,
    fill_turn_cancelled,
    fill_turn_completed,
    fill_turn_failed,
    fill_turn_paused,
    fill_turn_resumed,
    fill_turn_started,
)
from server.converters.usage import to_usage
from services.domain import session_events as log

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


def _agent_switched(event: WireEvent, payload: log.AgentSwitched) -> None:
    wire = event.agent_switched
    wire.from_agent = payload.from_agent
    wire.to_agent = payload.to_agent
    wire.reason = payload.reason
    wire.confidence = CONFIDENCES[payload.confidence]
    wire.source = SWITCH_SOURCES[payload.source]


def _attempt_restarted(event: WireEvent, payload: log.AttemptRestarted) -> None:
    wire = event.attempt_restarted
    wire.discarded_message_id = payload.discarded_message_id
    wire.attempt = payload.attempt
    wire.reason = RESTART_REASONS[payload.reason]


def _usage_reported(event: WireEvent, payload: log.UsageReported) -> None:
    wire = event.usage_reported
    wire.usage.CopyFrom(to_usage(payload.usage))
    wire.model = payload.model


def _context_compacted(event: WireEvent, payload: log.ContextCompacted) -> None:
    wire = event.context_compacted
    wire.tokens_before = payload.tokens_before
    wire.tokens_after = payload.tokens_after
    wire.first_message_id = payload.first_message_id
    wire.last_message_id = payload.last_message_id


def _session_updated(event: WireEvent, payload: log.SessionUpdated) -> None:
    wire = event.session_updated
    wire.title = payload.title
    wire.description = payload.description
    wire.labels.update(payload.labels)
    wire.message_limit = payload.message_limit
    wire.version = payload.version


def _session_forked(event: WireEvent, payload: log.SessionForked) -> None:
    wire = event.session_forked
    wire.source_session_id = payload.source_session_id
    wire.source_message_id = payload.source_message_id
    wire.message_count = payload.message_count


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
    log.InputAccepted: fill_input_accepted,
    log.TurnStarted: fill_turn_started,
    log.TurnResumed: fill_turn_resumed,
    log.InputWithdrawn: fill_input_withdrawn,
    log.TurnPaused: fill_turn_paused,
    log.TurnCompleted: fill_turn_completed,
    log.TurnFailed: fill_turn_failed,
    log.TurnCancelled: fill_turn_cancelled,
    log.AgentSwitched: _agent_switched,
    log.ToolCallsRequested: fill_tool_calls_requested,
    log.ToolResultRecorded: fill_tool_result_recorded,
    log.ApprovalRequested: fill_approval_requested,
    log.ApprovalResolved: fill_approval_resolved,
    log.FollowupAsked: fill_followup_asked,
    log.AttemptRestarted: _attempt_restarted,
    log.UsageReported: _usage_reported,
    log.ContextCompacted: _context_compacted,
    log.SessionUpdated: _session_updated,
    log.SessionStateChanged: _session_state_changed,
    log.SessionForked: _session_forked,
    log.MessagesCleared: _messages_cleared,
    log.SessionDeleted: _session_deleted,
}
