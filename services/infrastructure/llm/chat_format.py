"""Messages in the OpenAI chat format and back: ids, argument strings and order survive to the letter."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from services.domain.errors import InvalidArgumentError
from services.domain.message import Message, MessageToolCall, Role
from services.domain.model_exchange import AnswerSchema, ModelRequest, ToolSpec
from services.infrastructure.llm.profiles import RequestShape


def message_to_chat(message: Message, *, echo_reasoning: bool = False) -> dict[str, object]:
    """The message as a provider expects it. Agent, metadata and bookkeeping stay here, and reasoning unless echoed."""
    # Providers want null, not an empty string, beside tool calls.
    entry: dict[str, object] = {"role": message.role.value, "content": message.content or None}
    if message.name is not None:
        entry["name"] = message.name
    if message.tool_call_id is not None:
        entry["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        entry["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments_json}}
            for call in message.tool_calls
        ]
        if echo_reasoning:
            entry["reasoning_content"] = message.reasoning
    return entry


class _Function(msgspec.Struct):
    name: str
    arguments: str


class _ToolCall(msgspec.Struct):
    id: str
    function: _Function


class _Entry(msgspec.Struct):
    role: Role
    content: str | None = None
    name: str | None = None
    tool_call_id: str | None = None
    tool_calls: list[_ToolCall] | None = None


def message_from_chat(entry: Mapping[str, object], *, message_id: str, create_time: datetime) -> Message:
    """The message of a chat entry; raises InvalidArgumentError for one that is no valid message."""
    try:
        read = msgspec.convert(entry, _Entry)
    except msgspec.ValidationError as error:
        raise InvalidArgumentError.of("message", "must be an entry of the OpenAI chat format") from error
    calls = (MessageToolCall(call.id, call.function.name, call.function.arguments) for call in read.tool_calls or ())
    return Message(
        id=message_id,
        role=read.role,
        content=read.content or "",
        create_time=create_time,
        name=read.name,
        tool_call_id=read.tool_call_id,
        tool_calls=tuple(calls),
    )


def request_body(request: ModelRequest, model: str, shape: RequestShape) -> bytes:
    """The JSON body of one streamed completion by this model, whatever model the request names."""
    messages = [message_to_chat(message, echo_reasoning=shape.echo_reasoning) for message in request.messages]
    if request.system_prompt:
        messages.insert(0, {"role": Role.SYSTEM.value, "content": request.system_prompt})
    body: dict[str, object] = {
        "model": model,
        "messages": messages,
        "stream": True,
    }
    if shape.usage_option:
        body["stream_options"] = {"include_usage": True}
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
    if request.temperature is not None and shape.temperature:
        body["temperature"] = request.temperature
    if request.max_tokens is not None:
        body[shape.token_limit] = request.max_tokens
    if request.answer_schema is not None and shape.json_schema:
        body["response_format"] = {"type": "json_schema", "json_schema": _answer_schema(request.answer_schema)}
    return msgspec.json.encode(body)


def _answer_schema(answer: AnswerSchema) -> dict[str, object]:
    return {"name": answer.name, "strict": True, "schema": dict(answer.schema)}


def _tool(tool: ToolSpec) -> dict[str, object]:
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}
