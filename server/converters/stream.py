"""Items of a stream on the wire: events, and what streams carry beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agent_runtime.v1 import session_stream_pb2
from agent_runtime.v1.message_service_pb2 import SendMessageResponse
from agent_runtime.v1.session_stream_pb2 import WatchSessionResponse
from server.converters import limits
from server.converters.agent_context import to_agent_context
from server.converters.approval import to_approval
from server.converters.event import fill_event
from server.converters.input import to_pending_input
from server.converters.session import to_session
from server.converters.tool import to_open_tool_call
from server.converters.tool_event import to_followup
from server.converters.turn import to_turn
from services.application.event_stream import Drain, Gap, GapReason, Heartbeat, Item
from services.application.ports import SessionSnapshot
from services.domain.session_events import SessionEvent

GAP_REASONS: Mapping[GapReason, session_stream_pb2.StreamGapReason.ValueType] = {
    GapReason.COMPACTED: session_stream_pb2.STREAM_GAP_REASON_COMPACTED,
    GapReason.CLEARED: session_stream_pb2.STREAM_GAP_REASON_CLEARED,
}


def to_send_message_response(item: Item) -> SendMessageResponse:
    """The item of a SendMessage stream, in which there are no snapshots."""
    response = SendMessageResponse()
    _ITEMS[type(item)](response, item)
    return response


def to_watch_session_response(item: Item) -> WatchSessionResponse:
    """The item of a WatchSession stream."""
    response = WatchSessionResponse()
    _ITEMS[type(item)](response, item)
    return response


def to_snapshot(snapshot: SessionSnapshot) -> session_stream_pb2.SessionSnapshot:
    """All that is open in the session, as of one number."""
    session_id = snapshot.view.session.id
    wire = session_stream_pb2.SessionSnapshot(
        as_of_sequence=snapshot.as_of_sequence,
        session=to_session(snapshot.view),
        agent_context=to_agent_context(snapshot.view),
        open_tool_calls=[to_open_tool_call(call) for call in snapshot.open_calls],
        pending_approvals=[to_approval(session_id, approval) for approval in snapshot.pending_approvals],
    )
    for place, pending in enumerate(snapshot.pending_inputs, 1):
        waiting = to_pending_input(session_id, pending, place, max_bytes=limits.PENDING_INPUT_IN_SNAPSHOT_BYTES)
        wire.pending_inputs.append(waiting)
    if snapshot.turn is not None:
        wire.active_turn.CopyFrom(to_turn(session_id, snapshot.turn))
        if snapshot.turn.wait is not None and snapshot.turn.wait.followup is not None:
            wire.open_followup.CopyFrom(to_followup(snapshot.turn.wait.followup))
    if snapshot.draft_message_id is not None:
        wire.partial_message.message_id = snapshot.draft_message_id
        wire.partial_message.text = snapshot.draft_text
        wire.partial_message.reasoning = snapshot.draft_reasoning
    return wire


Response = SendMessageResponse | WatchSessionResponse


def _event(response: Response, event: SessionEvent) -> None:
    fill_event(response.event, event)


def _gap(response: Response, gap: Gap) -> None:
    wire = response.gap
    wire.from_sequence = gap.from_sequence
    wire.to_sequence = gap.to_sequence
    wire.reason = GAP_REASONS[gap.reason]
    wire.message_ids.extend(gap.message_ids)


def _heartbeat(response: Response, heartbeat: Heartbeat) -> None:
    response.heartbeat.last_sequence = heartbeat.last_sequence


def _drain(response: Response, drain: Drain) -> None:
    response.drain.resume_after_sequence = drain.resume_after_sequence


def _snapshot(response: WatchSessionResponse, snapshot: SessionSnapshot) -> None:
    response.snapshot.CopyFrom(to_snapshot(snapshot))


_ITEMS: Mapping[type[Item], Callable[[Any, Any], None]] = {
    SessionEvent: _event,
    Gap: _gap,
    Heartbeat: _heartbeat,
    Drain: _drain,
    SessionSnapshot: _snapshot,
}
