"""The tools that a client declares, once their shape is found right; what their schemas mean is not for here to say."""

from __future__ import annotations

from collections.abc import Sequence

from agent_runtime.v1 import tool_pb2
from server.converters import limits
from server.converters.checks import Checks
from services.domain.policies.arguments import ArgumentsError, parse_arguments
from services.domain.tool import ClientTool


def from_client_tools(checks: Checks, field: str, wires: Sequence[tool_pb2.ClientTool]) -> tuple[ClientTool, ...]:
    """The tools in that field of the request, in their order; they count once `checks.done` has passed."""
    if len(wires) > limits.CLIENT_TOOLS:
        checks.wrong(field, f"must have at most {limits.CLIENT_TOOLS} entries")
        return ()
    tools = tuple(_from_client_tool(checks, f"{field}[{number}]", wire) for number, wire in enumerate(wires))
    names = [tool.name for tool in tools]
    for number, name in enumerate(names):
        if name and name in names[:number]:
            checks.wrong(f"{field}[{number}].name", "is the name of another tool too")
    if sum(_size_of(tool) for tool in tools) > limits.CLIENT_TOOLS_BYTES:
        checks.wrong(field, f"must have at most {limits.CLIENT_TOOLS_BYTES} bytes of UTF-8 in all")
    checks.later("client_tools.speculative", used=any(tool.speculative for tool in tools))
    return tools


def _from_client_tool(checks: Checks, field: str, wire: tool_pb2.ClientTool) -> ClientTool:
    if limits.TOOL_NAME.fullmatch(wire.name) is None:
        checks.wrong(f"{field}.name", limits.TOOL_NAME_RULE)
    checks.words(f"{field}.description", wire.description, characters=limits.TOOL_DESCRIPTION_CHARACTERS)
    if wire.parameters_json:
        _check_parameters(checks, f"{field}.parameters_json", wire.parameters_json)
    return ClientTool(wire.name, wire.description, wire.parameters_json, wire.read_only, wire.speculative)


def _check_parameters(checks: Checks, field: str, text: str) -> None:
    size = limits.TOOL_PARAMETERS_BYTES
    if checks.json(field, text, is_object=True, size=size):
        try:
            parse_arguments(text, max_bytes=size)
        except ArgumentsError as error:  # a schema that two readers could read differently
            checks.wrong(field, str(error))


def _size_of(tool: ClientTool) -> int:
    return sum(len(text.encode(errors="replace")) for text in (tool.name, tool.description, tool.parameters_json))
