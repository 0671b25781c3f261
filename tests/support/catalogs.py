"""Small stand-ins for the catalogs of tools and agents, and for the schema check: enough for every fate of a call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from services.application.turns.call_policy import CallPolicy
from services.domain.agent import AgentDefinition, ClientToolAccess
from services.domain.errors import AgentNotFoundError
from services.domain.policies.approval_rules import ApprovalRule
from services.domain.policies.file_rules import FileRules, WriteAccess
from services.domain.tool import (
    ASK_FOLLOWUP_QUESTION,
    ATTEMPT_COMPLETION,
    SWITCH_MODE,
    Tool,
    ToolExecutor,
)

_TYPES: Mapping[str, type] = {"string": str, "integer": int, "boolean": bool, "array": list, "object": dict}


class Schemas:
    """A `SchemaValidator` that knows `required` and the types of members, and nothing else."""

    def flaw_of(self, schema: Mapping[str, object]) -> str | None:
        return None if schema.get("type") == "object" else "must be the schema of an object"

    def violation(self, schema: Mapping[str, object], arguments: Mapping[str, object]) -> str | None:
        properties, required = schema.get("properties"), schema.get("required")
        assert isinstance(properties, dict)
        for name in required if isinstance(required, list) else ():
            if name not in arguments:
                return f"{name} is required"
        for name, value in arguments.items():
            if name not in properties:
                return f"{name} is not an argument of this tool"
            if not isinstance(value, _TYPES[properties[name]["type"]]):
                return f"{name} must be of type {properties[name]['type']}"
        return None


class Tools:
    """A `ToolCatalog` of the six tools that clients run and the three of the runtime."""

    def __init__(self) -> None:
        self._tools = {tool.name: tool for tool in _TOOLS}

    def get(self, name: str) -> Tool | None:
        return self._tools.get(name)

    def all(self) -> Sequence[Tool]:
        return sorted(self._tools.values(), key=lambda tool: tool.name)


class Agents:
    """An `AgentCatalog` of the agents there usually are, without their prompts."""

    initial_agent = "orchestrator"

    def __init__(self) -> None:
        self.agents = {agent.name: agent for agent in _AGENTS}

    def get(self, name: str) -> AgentDefinition:
        if name not in self.agents:
            raise AgentNotFoundError(f"no agent {name}")
        return self.agents[name]

    def all(self) -> Sequence[AgentDefinition]:
        return sorted(self.agents.values(), key=lambda agent: agent.name)

    def routable(self) -> Sequence[AgentDefinition]:
        return [agent for agent in self.all() if agent.routable]


def a_policy(*rules: ApprovalRule, agents: Agents | None = None) -> CallPolicy:
    """The judge of calls, with the operator's rules."""
    return CallPolicy(Tools(), Schemas(), agents or Agents(), rules)


def _tool(
    name: str, *required: str, executor: ToolExecutor = ToolExecutor.CLIENT, read_only: bool = False, **optional: str
) -> Tool:
    types = dict.fromkeys(required, "string") | optional
    properties = {argument: {"type": kind} for argument, kind in types.items()}
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return Tool(name, f"Does {name}.", schema, executor, read_only)


_TOOLS = (
    _tool("read_file", "path", read_only=True),
    _tool("write_file", "path", "content"),
    _tool("list_files", read_only=True, path="string"),
    _tool("search_in_code", "query", read_only=True, path="string"),
    _tool("create_directory", "path"),
    _tool("execute_command", "command", cwd="string", timeout="integer"),
    _tool(SWITCH_MODE, "mode", executor=ToolExecutor.RUNTIME, reason="string"),
    _tool(ATTEMPT_COMPLETION, "result", executor=ToolExecutor.RUNTIME),
    _tool(ASK_FOLLOWUP_QUESTION, "question", executor=ToolExecutor.RUNTIME, suggestions="array"),
)
_READS = ("read_file", "list_files", "search_in_code")
_TALKS = (ATTEMPT_COMPLETION, ASK_FOLLOWUP_QUESTION)
_EVERYTHING = (*_READS, "write_file", "create_directory", "execute_command", SWITCH_MODE, *_TALKS)
_READER = AgentDefinition(
    "",
    "",
    "1",
    "",
    tools=(*_READS, SWITCH_MODE, *_TALKS),
    client_tools=ClientToolAccess.READ_ONLY,
    routable=True,
)
_CODER = replace(
    _READER,
    tools=_EVERYTHING,
    client_tools=ClientToolAccess.ALL,
    file_rules=FileRules(WriteAccess.ALL),
)
_AGENTS = (
    replace(_READER, name="orchestrator", tools=(), client_tools=ClientToolAccess.NONE, routable=False, routes=True),
    replace(_CODER, name="coder"),
    replace(
        _READER,
        name="architect",
        tools=(*_READER.tools, "write_file"),
        file_rules=FileRules(WriteAccess.MATCHING, ("**/*.md",)),
    ),
    replace(_READER, name="debug", tools=(*_READER.tools, "execute_command")),
    replace(_READER, name="ask"),
    replace(_CODER, name="universal", routable=False),
)
