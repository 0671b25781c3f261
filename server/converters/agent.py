"""Agents, and what a session knows about its own, on the wire."""

from __future__ import annotations

from collections.abc import Mapping

from agent_runtime.v1 import agent_context_pb2, agent_pb2
from server.converters.times import to_timestamp
from services.application.ports import SessionView
from services.domain.agent import AgentDefinition
from services.domain.agent_context import AgentSwitch, SwitchSource

SWITCH_SOURCES: Mapping[SwitchSource, agent_context_pb2.AgentSwitchSource.ValueType] = {
    SwitchSource.USER: agent_context_pb2.AGENT_SWITCH_SOURCE_USER,
    SwitchSource.ROUTER: agent_context_pb2.AGENT_SWITCH_SOURCE_ROUTER,
    SwitchSource.AGENT: agent_context_pb2.AGENT_SWITCH_SOURCE_AGENT,
    SwitchSource.FALLBACK: agent_context_pb2.AGENT_SWITCH_SOURCE_FALLBACK,
    SwitchSource.CACHE: agent_context_pb2.AGENT_SWITCH_SOURCE_CACHE,
}

# Empty: nobody was asked.
CONFIDENCES: Mapping[str, agent_context_pb2.RoutingConfidence.ValueType] = {
    "": agent_context_pb2.ROUTING_CONFIDENCE_UNSPECIFIED,
    "high": agent_context_pb2.ROUTING_CONFIDENCE_HIGH,
    "medium": agent_context_pb2.ROUTING_CONFIDENCE_MEDIUM,
    "low": agent_context_pb2.ROUTING_CONFIDENCE_LOW,
}

_SWITCH_LIMIT = 50


def to_agent(agent: AgentDefinition) -> agent_pb2.Agent:
    """The definition without its prompt. An agent has no tools yet, so it writes nothing and nothing routes to it."""
    return agent_pb2.Agent(
        name=agent.name,
        description=agent.description,
        version=agent.version,
        client_tool_access=agent_pb2.CLIENT_TOOL_ACCESS_NONE,
        file_rules=agent_pb2.FileRules(write_access=agent_pb2.WRITE_ACCESS_NONE),
        model=agent.model or "",
        origin=agent_pb2.AGENT_ORIGIN_BUILT_IN,
    )


def to_agent_context(view: SessionView) -> agent_context_pb2.AgentContext:
    """Who is current in the session."""
    return agent_context_pb2.AgentContext(
        session_id=view.session.id,
        current_agent=view.context.current_agent,
        switch_count=view.context.switch_count,
        switch_limit=_SWITCH_LIMIT,
    )


def to_agent_switch(switch: AgentSwitch) -> agent_context_pb2.AgentSwitch:
    """One entry of the switch history."""
    return agent_context_pb2.AgentSwitch(
        ordinal=switch.ordinal,
        from_agent=switch.from_agent,
        to_agent=switch.to_agent,
        reason=switch.reason,
        confidence=CONFIDENCES[switch.confidence],
        source=SWITCH_SOURCES[switch.source],
        requested_by=switch.requested_by,
        create_time=to_timestamp(switch.time),
    )
