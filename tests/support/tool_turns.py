"""Words for turns with routing, tools and approvals: what the model says, what the events say, what the model reads."""

from __future__ import annotations

import json
from typing import Any

from agent_runtime.v1 import (
    agent_context_pb2,
    agent_service_pb2,
    approval_pb2,
    input_pb2,
    message_service_pb2,
    tool_pb2,
)
from devtools.scripted_model import Reply, ScriptedModel, When, call, reply, text, tool_calls
from devtools.scripted_model.script import Call
from tests.support.runtime_client import Event, RuntimeClient, kinds, read_until

_RESTS = frozenset({"turn_paused", "turn_completed", "turn_failed", "turn_cancelled"})

CLASSIFYING = When(has_tools=False)
"""The request of the router: the only agent without tools."""


def routed(agent: str, confidence: str = "high", reason: str = "as the test wants it") -> Reply:
    """The classifier's answer."""
    classification = {"agent": agent, "confidence": confidence, "reason": reason}
    return reply(text(json.dumps(classification)), when=CLASSIFYING)


def calls(*made: Call) -> Reply:
    """An answer that is nothing but calls."""
    return reply(tool_calls(*made))


def read(path: str, id: str) -> Call:
    """A call that needs nobody's permission."""
    return call("read_file", {"path": path}, id=id)


def write(path: str, id: str, content: str = "new") -> Call:
    """A call that asks."""
    return call("write_file", {"path": path, "content": content}, id=id)


def command(line: str, id: str) -> Call:
    """A call that always asks."""
    return call("execute_command", {"command": line}, id=id)


def question(words: str, id: str, *suggestions: str) -> Call:
    """A call that waits for the user."""
    return call("ask_followup_question", {"question": words, "suggestions": suggestions or ("yes", "no")}, id=id)


def completion(result: str, id: str) -> Call:
    """A call that ends the turn."""
    return call("attempt_completion", {"result": result}, id=id)


def handover(mode: str, id: str, reason: str = "that is for you") -> Call:
    """A call that makes another agent current."""
    return call("switch_mode", {"mode": mode, "reason": reason}, id=id)


async def begin(
    client: RuntimeClient, model: ScriptedModel, *replies: Reply, agent: str = "coder", **fields: Any
) -> tuple[str, list[Event]]:
    """The id of a new session with this agent, and what comes of its first message when the model answers so."""
    await model.play(*replies)
    session = await client.new_session(agent=agent, **fields)
    return session.id, await client.ask(session.id, "go")


def payloads(events: list[Event], kind: str) -> list[Any]:
    """What the events of one kind say, in order."""
    return [getattr(event, kind) for event in events if event.WhichOneof("payload") == kind]


def only(events: list[Event], kind: str) -> Any:
    """What the one event of this kind says."""
    (payload,) = payloads(events, kind)
    return payload


def ordered(events: list[Event]) -> list[list[str]]:
    """The ids of the calls in each order."""
    return [[each.id for each in payload.calls] for payload in payloads(events, "tool_calls_requested")]


def approvals_in(events: list[Event]) -> dict[str, approval_pb2.Approval]:
    """The approvals asked for, by the id of their call."""
    asked = (payload.approval for payload in payloads(events, "approval_requested"))
    return {approval.tool_call_id: approval for approval in asked}


def at_rest(events: list[Event]) -> bool:
    """Whether the last event pauses or ends a turn."""
    return bool(events) and kinds(events)[-1] in _RESTS


async def follow(client: RuntimeClient, session_id: str, after: int) -> list[Event]:
    """What happens behind a number until a turn pauses or ends."""
    watch = client.watch(session_id, after_sequence=after)
    events = await read_until(watch, at_rest)
    watch.cancel()
    return events


async def decide_here(
    client: RuntimeClient,
    approval: approval_pb2.Approval,
    decision: approval_pb2.Decision.ValueType = approval_pb2.DECISION_APPROVE,
    **fields: Any,
) -> list[Event]:
    """Decides by SendMessage and returns all events of the stream."""
    shown: dict[str, Any] = {
        "approval_id": approval.id,
        "arguments_hash": approval.arguments_hash,
        "decision": decision,
    }
    sent = input_pb2.ApprovalDecision(**(shown | fields))
    return [item.event async for item in client.send_input(approval.session_id, approval_decision=sent)]


async def requests(model: ScriptedModel) -> list[dict[str, Any]]:
    """The bodies of all requests to the model."""
    return [made["body"] for made in await model.calls()]


async def results_read(model: ScriptedModel) -> dict[str, str]:
    """The tool messages of the newest request to the model, by the call they answer."""
    messages = (await requests(model))[-1]["messages"]
    return {message["tool_call_id"]: message["content"] for message in messages if message["role"] == "tool"}


def tools_in(request: dict[str, Any]) -> set[str]:
    """The names of the tools a request offers."""
    return {tool["function"]["name"] for tool in request.get("tools", ())}


def prompt_of(request: dict[str, Any]) -> str:
    """The system prompt of a request."""
    return str(request["messages"][0]["content"])


async def open_calls(client: RuntimeClient, session_id: str, **page: Any) -> list[tool_pb2.OpenToolCall]:
    """The first page of the calls the client is to run."""
    request = message_service_pb2.ListOpenToolCallsRequest(session_id=session_id, **page)
    return list((await client.messages.ListOpenToolCalls(request, metadata=client.metadata)).open_tool_calls)


async def agent_context(client: RuntimeClient, session_id: str) -> agent_context_pb2.AgentContext:
    """What the session knows about its agents."""
    request = agent_service_pb2.GetAgentContextRequest(session_id=session_id)
    return (await client.agents.GetAgentContext(request, metadata=client.metadata)).agent_context


async def switches(client: RuntimeClient, session_id: str, **page: Any) -> agent_service_pb2.ListAgentSwitchesResponse:
    """A page of the session's switches."""
    request = agent_service_pb2.ListAgentSwitchesRequest(session_id=session_id, **page)
    return await client.agents.ListAgentSwitches(request, metadata=client.metadata)
