"""Events about tool calls, approvals and questions on the wire."""

from __future__ import annotations

from collections.abc import Mapping

from agent_runtime.v1 import tool_event_pb2
from agent_runtime.v1.session_event_pb2 import SessionEvent as WireEvent
from server.converters.approval import APPROVAL_STATES, to_approval
from server.converters.times import to_timestamp
from server.converters.tool import to_tool_call
from services.domain import session_events as log
from services.domain.tool_call import ToolResultSource
from services.domain.turn import Followup

EXECUTION_MODES: Mapping[log.ExecutionMode, tool_event_pb2.ToolExecutionMode.ValueType] = {
    log.ExecutionMode.PARALLEL: tool_event_pb2.TOOL_EXECUTION_MODE_PARALLEL,
    log.ExecutionMode.SEQUENTIAL: tool_event_pb2.TOOL_EXECUTION_MODE_SEQUENTIAL,
}

RESULT_SOURCES: Mapping[ToolResultSource, tool_event_pb2.ToolResultSource.ValueType] = {
    ToolResultSource.CLIENT: tool_event_pb2.TOOL_RESULT_SOURCE_CLIENT,
    ToolResultSource.CACHE: tool_event_pb2.TOOL_RESULT_SOURCE_CACHE,
    ToolResultSource.RUNTIME: tool_event_pb2.TOOL_RESULT_SOURCE_RUNTIME,
    ToolResultSource.SETTLED: tool_event_pb2.TOOL_RESULT_SOURCE_SETTLED,
}


def fill_tool_calls_requested(event: WireEvent, payload: log.ToolCallsRequested) -> None:
    """The order."""
    wire = event.tool_calls_requested
    wire.batch_id = payload.batch_id
    wire.execution_mode = EXECUTION_MODES[payload.execution_mode]
    wire.calls.extend(to_tool_call(call) for call in payload.calls)


def fill_tool_result_recorded(event: WireEvent, payload: log.ToolResultRecorded) -> None:
    """Whose result it is, and where it comes from."""
    wire = event.tool_result_recorded
    wire.tool_call_id = payload.tool_call_id
    wire.is_error = payload.is_error
    wire.source = RESULT_SOURCES[payload.source]


def fill_approval_requested(event: WireEvent, payload: log.ApprovalRequested) -> None:
    """The whole approval, in the session of the event."""
    event.approval_requested.approval.CopyFrom(to_approval(event.session_id, payload.approval))


def fill_approval_resolved(event: WireEvent, payload: log.ApprovalResolved) -> None:
    """How it ended, and whether the call runs."""
    wire = event.approval_resolved
    wire.approval_id = payload.approval_id
    wire.tool_call_id = payload.tool_call_id
    wire.outcome = APPROVAL_STATES[payload.outcome]
    wire.released = payload.released
    wire.decided_by = payload.decided_by
    wire.automatic = payload.automatic
    wire.rule_id = payload.rule_id


def fill_followup_asked(event: WireEvent, payload: log.FollowupAsked) -> None:
    """The question."""
    event.followup_asked.CopyFrom(to_followup(payload.followup))


def to_followup(followup: Followup) -> tool_event_pb2.FollowupAsked:
    """The question, as the event says it and a snapshot repeats it while it is open."""
    return tool_event_pb2.FollowupAsked(
        followup_id=followup.id,
        tool_call_id=followup.tool_call_id or "",
        question=followup.question,
        options=[
            tool_event_pb2.FollowupOption(id=option.id, label=option.label, description=option.description)
            for option in followup.options
        ],
        free_text_allowed=followup.free_text_allowed,
        expire_time=to_timestamp(followup.expire_time),
    )
