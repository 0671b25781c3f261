"""Refuses what the real API refuses: a history whose tool calls and results do not pair kills a session for good."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})
_TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class RefusedRequestError(Exception):
    """A request the API answers with 400; `param` is the path of what is wrong."""

    def __init__(self, message: str, param: str) -> None:
        super().__init__(message)
        self.message = message
        self.param = param

    def body(self) -> dict[str, object]:
        """The error in OpenAI's shape."""
        error = {"message": self.message, "type": "invalid_request_error", "param": self.param, "code": None}
        return {"error": error}


def check_request(body: object) -> Mapping[str, object]:
    """The request, if the API would take it; raises RefusedRequestError otherwise."""
    if not isinstance(body, Mapping):
        raise RefusedRequestError("We could not parse the JSON body of your request.", "")
    if not isinstance(body.get("model"), str) or not body["model"]:
        raise RefusedRequestError("you must provide a model parameter", "model")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise RefusedRequestError("[] is too short - 'messages'", "messages")
    _check_tools(body.get("tools"))
    _check_history(messages)
    return body


def _check_tools(tools: object) -> None:
    if tools is None:
        return
    if not isinstance(tools, list) or not tools:
        raise RefusedRequestError("[] is too short - 'tools'", "tools")
    for n, tool in enumerate(tools):
        function = tool.get("function") if isinstance(tool, Mapping) else None
        if not isinstance(function, Mapping):
            raise RefusedRequestError("Missing required parameter", f"tools[{n}].function")
        _check_tool_name(function.get("name"), f"tools[{n}].function.name")
        if not isinstance(function.get("parameters", {}), Mapping):
            raise RefusedRequestError("Invalid type: expected an object", f"tools[{n}].function.parameters")


def _check_history(messages: Sequence[object]) -> None:
    seen: set[str] = set()
    open_ids: list[str] = []
    for n, message in enumerate(messages):
        where = f"messages.[{n}]"
        if not isinstance(message, Mapping) or message.get("role") not in _ROLES:
            raise RefusedRequestError(f"Invalid value: '{where}.role'", f"{where}.role")
        if message["role"] == "tool":
            _check_content(message, where)
            call_id = message.get("tool_call_id")
            if call_id not in open_ids:
                raise RefusedRequestError(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceding message "
                    f"with 'tool_calls' that has not been answered; got {call_id!r}.",
                    f"{where}.tool_call_id",
                )
            open_ids.remove(call_id)
            continue
        _check_nothing_open(open_ids, where)
        if message["role"] == "assistant":
            open_ids = _check_assistant(message, where, seen)
        else:
            _check_content(message, where)
    _check_nothing_open(open_ids, "messages")


def _check_nothing_open(open_ids: Sequence[str], where: str) -> None:
    if open_ids:
        raise RefusedRequestError(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(open_ids)}",
            where,
        )


def _check_assistant(message: Mapping[str, object], where: str, seen: set[str]) -> list[str]:
    calls = message.get("tool_calls")
    if calls is None:
        _check_content(message, where)
        return []
    if not isinstance(calls, list) or not calls:
        raise RefusedRequestError(f"[] is too short - '{where}.tool_calls'", f"{where}.tool_calls")
    if message.get("content") is not None:
        _check_content(message, where)
    ids = []
    for n, call in enumerate(calls):
        path = f"{where}.tool_calls[{n}]"
        function = call.get("function") if isinstance(call, Mapping) and call.get("type") == "function" else None
        if not isinstance(function, Mapping):
            raise RefusedRequestError("Missing required parameter: a function call", path)
        if not isinstance(function.get("arguments"), str):
            raise RefusedRequestError("Invalid type: expected a string", f"{path}.function.arguments")
        _check_tool_name(function.get("name"), f"{path}.function.name")
        call_id = call.get("id")
        if not isinstance(call_id, str) or not call_id or call_id in seen:
            raise RefusedRequestError(f"Duplicate or missing tool call id: {call_id!r}", f"{path}.id")
        seen.add(call_id)
        ids.append(call_id)
    return ids


def _check_tool_name(name: object, path: str) -> None:
    if not isinstance(name, str) or not _TOOL_NAME.fullmatch(name):
        raise RefusedRequestError("Invalid value: expected a string that matches ^[a-zA-Z0-9_-]{1,64}$", path)


def _check_content(message: Mapping[str, object], where: str) -> None:
    content = message.get("content")
    if isinstance(content, str):
        return
    if isinstance(content, list) and content and all(isinstance(p, Mapping) and "type" in p for p in content):
        return
    raise RefusedRequestError("Invalid type: expected a string or an array of content parts", f"{where}.content")
