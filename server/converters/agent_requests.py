"""Requests of AgentService as the keywords of its use cases, once they are found right."""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict

from agent_runtime.v1 import agent_service_pb2
from server.converters import limits
from server.converters.checks import Checks


class ListAgentsFields(TypedDict):
    limit: int


class GetAgentFields(TypedDict):
    agent: str


class GetAgentContextFields(TypedDict):
    session_id: str


class SwitchAgentFields(TypedDict):
    session_id: str
    agent: str
    reason: str
    request_id: str


class ResetAgentFields(TypedDict):
    session_id: str
    request_id: str


class ListAgentSwitchesFields(TypedDict):
    session_id: str
    newest_first: bool
    limit: int


class GetAgentUsageStatsFields(TypedDict):
    session_id: str | None
    since: datetime | None
    before: datetime | None


def from_list_agents(request: agent_service_pb2.ListAgentsRequest) -> ListAgentsFields:
    """Raises InvalidArgumentError, as every function of this module does."""
    checks = Checks()
    limit = checks.page_size(request.page_size)
    checks.done()
    return {"limit": limit}


def from_get_agent(request: agent_service_pb2.GetAgentRequest) -> GetAgentFields:
    """The agent's name."""
    checks = Checks()
    checks.agent("agent", request.agent, required=True)
    checks.done()
    return {"agent": request.agent}


def from_get_agent_context(request: agent_service_pb2.GetAgentContextRequest) -> GetAgentContextFields:
    """The session."""
    checks = Checks()
    checks.session_id(request.session_id)
    checks.done()
    return {"session_id": request.session_id}


def from_switch_agent(request: agent_service_pb2.SwitchAgentRequest) -> SwitchAgentFields:
    """Who takes over, and why."""
    checks = Checks()
    checks.session_id(request.session_id)
    checks.agent("agent", request.agent, required=True)
    checks.text("reason", request.reason, characters=limits.REASON_CHARACTERS)
    checks.request_id(request.request_id)
    checks.done()
    return {
        "session_id": request.session_id,
        "agent": request.agent,
        "reason": request.reason,
        "request_id": request.request_id,
    }


def from_reset_agent(request: agent_service_pb2.ResetAgentRequest) -> ResetAgentFields:
    """The session."""
    checks = Checks()
    checks.session_id(request.session_id)
    checks.request_id(request.request_id)
    checks.done()
    return {"session_id": request.session_id, "request_id": request.request_id}


def from_list_agent_switches(request: agent_service_pb2.ListAgentSwitchesRequest) -> ListAgentSwitchesFields:
    """The direction and the size of the page."""
    checks = Checks()
    checks.session_id(request.session_id)
    limit = checks.page_size(request.page_size)
    checks.done()
    return {"session_id": request.session_id, "newest_first": request.newest_first, "limit": limit}


def from_get_agent_usage_stats(request: agent_service_pb2.GetAgentUsageStatsRequest) -> GetAgentUsageStatsFields:
    """The filter; no session means all of the caller's."""
    checks = Checks()
    checks.session_id(request.session_id, required=False)
    since = checks.time(request, "start_time")
    before = checks.time(request, "end_time")
    checks.done()
    return {"session_id": request.session_id or None, "since": since, "before": before}
