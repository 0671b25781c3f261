"""Sessions on the wire."""

from __future__ import annotations

from collections.abc import Mapping

from agent_runtime.v1 import session_pb2
from server.converters.times import to_duration, to_timestamp
from server.converters.tool import to_client_tool
from services.application.ports import SessionView
from services.domain.session import SessionState

SESSION_STATES: Mapping[SessionState, session_pb2.SessionState.ValueType] = {
    SessionState.ACTIVE: session_pb2.SESSION_STATE_ACTIVE,
    SessionState.INACTIVE: session_pb2.SESSION_STATE_INACTIVE,
}
STATES_BY_WIRE: Mapping[int, SessionState] = {wire: state for state, wire in SESSION_STATES.items()}


def to_session(view: SessionView) -> session_pb2.Session:
    """The session with its place in the log, its active turn, its agent, and its tools unless it is one of a list."""
    session = view.session
    return session_pb2.Session(
        id=session.id,
        owner_id=session.owner_id,
        title=session.title,
        description=session.description,
        labels=session.labels,
        state=SESSION_STATES[session.state],
        deactivation_reason=session.deactivation_reason,
        version=session.version,
        current_agent=view.context.current_agent,
        message_count=session.message_count,
        message_limit=session.message_limit,
        client_tools=[to_client_tool(tool) for tool in view.client_tools],
        active_turn_id=view.active_turn_id or "",
        last_sequence=view.last_sequence,
        create_time=to_timestamp(session.create_time),
        update_time=to_timestamp(session.update_time),
        last_activity_time=to_timestamp(session.last_activity_time),
        duration=to_duration(session.duration),
    )
