"""Tools, those of a client too, and calls of them on the wire."""

from __future__ import annotations

from collections.abc import Mapping

from agent_runtime.v1 import tool_pb2
from server.converters.times import fill_timestamp, to_timestamp
from services.domain.message import MessageToolCall
from services.domain.policies.approval_rules import ALWAYS_ASK
from services.domain.policies.arguments import canonical_json
from services.domain.session_events import RequestedToolCall
from services.domain.tool import ClientTool, Tool, ToolExecutor
from services.domain.tool_call import ToolCall

TOOL_EXECUTORS: Mapping[ToolExecutor, tool_pb2.ToolExecutor.ValueType] = {
    ToolExecutor.CLIENT: tool_pb2.TOOL_EXECUTOR_CLIENT,
    ToolExecutor.RUNTIME: tool_pb2.TOOL_EXECUTOR_RUNTIME,
}


def to_tool_spec(tool: Tool) -> tool_pb2.ToolSpec:
    """The tool as agents offer it to the model."""
    return tool_pb2.ToolSpec(
        name=tool.name,
        description=tool.description,
        parameters_json=canonical_json(tool.parameters),
        executor=TOOL_EXECUTORS[tool.executor],
        read_only=tool.read_only,
        always_ask=tool.name in ALWAYS_ASK,
    )


def to_client_tool(tool: ClientTool) -> tool_pb2.ClientTool:
    """The tool as its client declared it."""
    return tool_pb2.ClientTool(
        name=tool.name,
        description=tool.description,
        parameters_json=tool.parameters_json,
        read_only=tool.read_only,
        speculative=tool.speculative,
    )


def to_tool_call(call: MessageToolCall | RequestedToolCall) -> tool_pb2.ToolCall:
    """A call in a message, or in an order."""
    return tool_pb2.ToolCall(
        id=call.id, name=call.name, arguments_json=call.arguments_json, arguments_edited=call.arguments_edited
    )


def to_open_tool_call(call: ToolCall) -> tool_pb2.OpenToolCall:
    """A call that the client may run now."""
    wire = tool_pb2.OpenToolCall(
        call=tool_pb2.ToolCall(
            id=call.id,
            name=call.name,
            arguments_json=call.arguments_json,
            arguments_edited=call.original_arguments_json is not None,
        ),
        turn_id=call.turn_id,
        batch_id=call.batch_id,
        agent=call.agent,
        create_time=to_timestamp(call.create_time),
    )
    if call.expire_time is not None:
        fill_timestamp(wire.expire_time, call.expire_time)
    return wire
