"""Agents on the wire, as their definitions state them."""

from __future__ import annotations

from collections.abc import Mapping

from agent_runtime.v1 import agent_pb2
from server.converters.tool import to_tool_spec
from services.application.ports import ToolCatalog
from services.domain.agent import AgentDefinition, AgentOrigin, ClientToolAccess
from services.domain.policies.file_rules import WriteAccess

CLIENT_TOOL_ACCESS: Mapping[ClientToolAccess, agent_pb2.ClientToolAccess.ValueType] = {
    ClientToolAccess.ALL: agent_pb2.CLIENT_TOOL_ACCESS_ALL,
    ClientToolAccess.READ_ONLY: agent_pb2.CLIENT_TOOL_ACCESS_READ_ONLY,
    ClientToolAccess.NONE: agent_pb2.CLIENT_TOOL_ACCESS_NONE,
}

WRITE_ACCESS: Mapping[WriteAccess, agent_pb2.WriteAccess.ValueType] = {
    WriteAccess.NONE: agent_pb2.WRITE_ACCESS_NONE,
    WriteAccess.MATCHING: agent_pb2.WRITE_ACCESS_MATCHING,
    WriteAccess.ALL: agent_pb2.WRITE_ACCESS_ALL,
}

ORIGINS: Mapping[AgentOrigin, agent_pb2.AgentOrigin.ValueType] = {
    AgentOrigin.BUILT_IN: agent_pb2.AGENT_ORIGIN_BUILT_IN,
    AgentOrigin.DEFINITION_FILE: agent_pb2.AGENT_ORIGIN_DEFINITION_FILE,
    AgentOrigin.PLUGIN: agent_pb2.AGENT_ORIGIN_PLUGIN,
}


def to_agent(agent: AgentDefinition, tools: ToolCatalog) -> agent_pb2.Agent:
    """The definition without its prompt, with whole tools for the names it gives them."""
    known = (tools.get(name) for name in agent.tools)
    return agent_pb2.Agent(
        name=agent.name,
        description=agent.description,
        version=agent.version,
        tools=[to_tool_spec(tool) for tool in known if tool is not None],
        client_tool_access=CLIENT_TOOL_ACCESS[agent.client_tools],
        file_rules=agent_pb2.FileRules(
            write_access=WRITE_ACCESS[agent.file_rules.write_access], write_patterns=agent.file_rules.patterns
        ),
        model=agent.model or "",
        origin=ORIGINS[agent.origin],
        routable=agent.routable,
    )
