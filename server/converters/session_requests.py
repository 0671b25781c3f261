"""Requests of SessionService as the keywords of its use cases, once they are found right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

from agent_runtime.v1 import session_history_pb2, session_service_pb2
from server.converters import limits
from server.converters.checks import Checks
from server.converters.client_tools import from_client_tools
from server.converters.message import ROLES_BY_WIRE
from server.converters.session import STATES_BY_WIRE
from services.application.ports import SessionFilter
from services.domain.ids import SESSION_ID_RULE, is_session_id
from services.domain.message import Role
from services.domain.tool import ClientTool


class CreateSessionFields(TypedDict):
    session_id: str
    title: str
    description: str
    labels: Mapping[str, str]
    agent: str
    message_limit: int
    client_tools: tuple[ClientTool, ...]
    allow_existing: bool
    request_id: str


class UpdateSessionFields(TypedDict):
    session_id: str
    title: str | None
    description: str | None
    labels: Mapping[str, str] | None
    message_limit: int | None
    client_tools: tuple[ClientTool, ...] | None
    expected_version: int | None
    request_id: str


class DeactivateSessionFields(TypedDict):
    session_id: str
    reason: str
    request_id: str


class ForkSessionFields(TypedDict):
    session_id: str
    new_session_id: str
    until_message_id: str
    title: str | None
    request_id: str


class OneSession(TypedDict):
    session_id: str


class OneSessionChange(TypedDict):
    session_id: str
    request_id: str


class ListSessionsFields(TypedDict):
    where: SessionFilter
    limit: int


class ListMessagesFields(TypedDict):
    session_id: str
    roles: tuple[Role, ...]
    turn_id: str | None
    newest_first: bool
    limit: int


def from_create_session(request: session_service_pb2.CreateSessionRequest) -> CreateSessionFields:
    """Raises InvalidArgumentError or NotImplementedYetError, as every function of this module does."""
    checks = Checks()
    checks.session_id(request.session_id, required=False)
    if request.allow_existing and not request.session_id:
        checks.wrong("session_id", "is required with allow_existing")
    checks.text("title", request.title, characters=limits.TITLE_CHARACTERS)
    checks.text("description", request.description, characters=limits.DESCRIPTION_CHARACTERS)
    checks.labels("labels", request.labels)
    checks.agent("agent", request.agent)
    checks.between("message_limit", request.message_limit, 0, limits.MAX_MESSAGE_LIMIT)
    checks.request_id(request.request_id)
    client_tools = from_client_tools(checks, "client_tools", request.client_tools)
    checks.later("tool_call_deltas", used=request.tool_call_deltas)
    checks.done()
    return {
        "session_id": request.session_id,
        "title": request.title,
        "description": request.description,
        "labels": dict(request.labels),
        "agent": request.agent,
        "message_limit": request.message_limit,
        "client_tools": client_tools,
        "allow_existing": request.allow_existing,
        "request_id": request.request_id,
    }


def from_update_session(request: session_service_pb2.UpdateSessionRequest) -> UpdateSessionFields:
    """A field that is not set becomes None."""
    checks = Checks()
    checks.session_id(request.session_id)
    checks.text("title", request.title, characters=limits.TITLE_CHARACTERS)
    checks.text("description", request.description, characters=limits.DESCRIPTION_CHARACTERS)
    checks.labels("labels.labels", request.labels.labels)
    if request.HasField("message_limit"):
        checks.between("message_limit", request.message_limit, 1, limits.MAX_MESSAGE_LIMIT)
    if request.HasField("expected_version"):
        checks.between("expected_version", request.expected_version, 1)
    checks.request_id(request.request_id)
    client_tools = from_client_tools(checks, "client_tools.tools", request.client_tools.tools)
    checks.later("tool_call_deltas", used=request.tool_call_deltas)
    checks.done()
    return {
        "session_id": request.session_id,
        "title": request.title if request.HasField("title") else None,
        "description": request.description if request.HasField("description") else None,
        "labels": dict(request.labels.labels) if request.HasField("labels") else None,
        "message_limit": request.message_limit if request.HasField("message_limit") else None,
        "client_tools": client_tools if request.HasField("client_tools") else None,
        "expected_version": request.expected_version if request.HasField("expected_version") else None,
        "request_id": request.request_id,
    }


def from_deactivate_session(request: session_service_pb2.DeactivateSessionRequest) -> DeactivateSessionFields:
    """The session, and why."""
    checks = Checks()
    checks.session_id(request.session_id)
    checks.text("reason", request.reason, characters=limits.REASON_CHARACTERS)
    checks.request_id(request.request_id)
    checks.done()
    return {"session_id": request.session_id, "reason": request.reason, "request_id": request.request_id}


def from_get_session(
    request: session_service_pb2.GetSessionRequest | session_service_pb2.GetSessionUsageRequest,
) -> OneSession:
    """The session."""
    checks = Checks()
    checks.session_id(request.session_id)
    checks.done()
    return {"session_id": request.session_id}


def from_session_change(
    request: session_service_pb2.ActivateSessionRequest
    | session_service_pb2.DeleteSessionRequest
    | session_history_pb2.ClearMessagesRequest,
) -> OneSessionChange:
    """The session of a change that needs to know nothing else."""
    checks = Checks()
    checks.session_id(request.session_id)
    checks.request_id(request.request_id)
    checks.done()
    return {"session_id": request.session_id, "request_id": request.request_id}


def from_list_sessions(request: session_service_pb2.ListSessionsRequest) -> ListSessionsFields:
    """The filter and the size of the page; where it begins is the page token's."""
    checks = Checks()
    limit = checks.page_size(request.page_size)
    states = checks.choices("states", request.states, STATES_BY_WIRE)
    checks.labels("labels", request.labels)
    checks.agent("current_agent", request.current_agent)
    where = SessionFilter(
        states=states,
        labels=tuple(sorted(request.labels.items())),
        current_agent=request.current_agent or None,
        active_since=checks.time(request, "active_since"),
        active_before=checks.time(request, "active_before"),
    )
    checks.done()
    return {"where": where, "limit": limit}


def from_list_messages(request: session_history_pb2.ListMessagesRequest) -> ListMessagesFields:
    """The filter, the direction and the size of the page."""
    checks = Checks()
    checks.session_id(request.session_id)
    limit = checks.page_size(request.page_size)
    roles = checks.choices("roles", request.roles, ROLES_BY_WIRE)
    checks.runtime_id("turn_id", request.turn_id)
    checks.done()
    return {
        "session_id": request.session_id,
        "roles": roles,
        "turn_id": request.turn_id or None,
        "newest_first": request.newest_first,
        "limit": limit,
    }


def from_fork_session(request: session_history_pb2.ForkSessionRequest) -> ForkSessionFields:
    """The source, and what to call and how far to make the copy."""
    checks = Checks()
    checks.session_id(request.session_id)
    if request.new_session_id and not is_session_id(request.new_session_id):
        checks.wrong("new_session_id", SESSION_ID_RULE)
    checks.runtime_id("until_message_id", request.until_message_id)
    checks.text("title", request.title, characters=limits.TITLE_CHARACTERS)
    checks.request_id(request.request_id)
    checks.done()
    return {
        "session_id": request.session_id,
        "new_session_id": request.new_session_id,
        "until_message_id": request.until_message_id,
        "title": request.title if request.HasField("title") else None,
        "request_id": request.request_id,
    }
