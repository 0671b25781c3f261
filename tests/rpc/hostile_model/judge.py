"""What must hold of a session whatever its model said, read from its log and decided without our code."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from agent_runtime.v1 import agent_service_pb2, approval_pb2, error_reason_pb2
from tests.support.runtime_client import Event, RuntimeClient

_ASKS = frozenset({"write_file", "create_directory", "execute_command", "delete_file", "move_file"})
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PATHS = ("path", "cwd", "source", "destination", "pattern", "file_pattern")


async def tools_by_agent(client: RuntimeClient) -> dict[str, set[str]]:
    """What each agent may call, as clients are told."""
    listed = await client.agents.ListAgents(agent_service_pb2.ListAgentsRequest(), metadata=client.metadata)
    return {agent.name: {tool.name for tool in agent.tools} for agent in listed.agents}


def wrongs(log: list[Event], tools: Mapping[str, set[str]]) -> list[str]:
    """All that must not be in a log; empty if nothing is."""
    wrong: list[str] = []
    authors: dict[str, str] = {}
    decided: set[str] = set()
    ordered: set[str] = set()
    for event in log:
        if event.HasField("message_added"):
            message = event.message_added.message
            authors |= {call.id: message.agent for call in message.tool_calls}
            wrong += [f"a call without a usable id: {call.id!a}" for call in message.tool_calls if not call.id]
        if event.HasField("approval_resolved") and event.approval_resolved.released:
            resolved = event.approval_resolved
            if resolved.decided_by and resolved.outcome == approval_pb2.APPROVAL_STATE_APPROVED:
                decided.add(resolved.tool_call_id)
        if event.HasField("tool_calls_requested"):
            for call in event.tool_calls_requested.calls:
                wrong += _wrong_order(call, tools.get(authors.get(call.id, ""), set()), decided)
                wrong += [f"{call.id} is ordered twice"] * (call.id in ordered)
                ordered.add(call.id)
        if event.HasField("turn_failed") and event.turn_failed.reason == error_reason_pb2.ERROR_REASON_INTERNAL:
            wrong.append("the turn failed for a fault of ours")
    return wrong


def _wrong_order(call: Any, offered: set[str], decided: set[str]) -> list[str]:
    wrong = []
    if call.name not in offered or not _NAME.fullmatch(call.name):
        wrong.append(f"{call.name!a} was ordered, which its agent does not have")
    if call.name in _ASKS and call.id not in decided:
        wrong.append(f"{call.name} was ordered and nobody had approved")
    try:
        arguments = json.loads(call.arguments_json, object_pairs_hook=_unambiguous, parse_constant=_no_number)
        paths = [str(arguments[name]) for name in _PATHS if name in arguments]
    except (ValueError, TypeError, KeyError) as error:
        return [*wrong, f"{call.name} was ordered with arguments that are no object, or an ambiguous one: {error}"]
    wrong += [f"{path!a} leads out of the workspace" for path in paths if not _inside(path)]
    return wrong


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key occurs twice")
    return dict(pairs)


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _inside(path: str) -> bool:
    depth = 0
    for name in re.split(r"[/\\]", path):
        depth += {"..": -1, ".": 0, "": 0}.get(name, 1)
        if depth < 0:
            return False
    return path.isprintable() and not re.match(r"[/\\~]|[A-Za-z]:", path)
