"""Messages of the history on the wire."""

from __future__ import annotations

from collections.abc import Mapping

from agent_runtime.v1 import message_pb2
from server.converters.times import to_timestamp
from server.converters.tool import to_tool_call
from services.domain.message import Message, Role

ROLES: Mapping[Role, message_pb2.MessageRole.ValueType] = {
    Role.USER: message_pb2.MESSAGE_ROLE_USER,
    Role.ASSISTANT: message_pb2.MESSAGE_ROLE_ASSISTANT,
    Role.SYSTEM: message_pb2.MESSAGE_ROLE_SYSTEM,
    Role.TOOL: message_pb2.MESSAGE_ROLE_TOOL,
}
ROLES_BY_WIRE: Mapping[int, Role] = {wire: role for role, wire in ROLES.items()}


def to_message(message: Message) -> message_pb2.Message:
    """The message as stored."""
    return message_pb2.Message(
        id=message.id,
        ordinal=message.ordinal,
        role=ROLES[message.role],
        content=message.content,
        reasoning=message.reasoning,
        name=message.name or "",
        tool_call_id=message.tool_call_id or "",
        tool_calls=[to_tool_call(call) for call in message.tool_calls],
        is_error=message.is_error,
        state=message_pb2.MESSAGE_STATE_COMPLETE if message.complete else message_pb2.MESSAGE_STATE_INCOMPLETE,
        agent=message.agent or "",
        turn_id=message.turn_id or "",
        metadata=message.metadata,
        create_time=to_timestamp(message.create_time),
    )
