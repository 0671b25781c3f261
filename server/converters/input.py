"""The inputs of SendMessage as what they say, once they are found right: read, check by check, into domain objects."""

from __future__ import annotations

from collections.abc import Mapping

from agent_runtime.v1 import input_pb2, turn_pb2
from server.converters import limits
from server.converters.approval import DECISIONS_BY_WIRE, REMEMBERS_BY_WIRE
from server.converters.checks import Checks
from server.converters.times import to_timestamp
from services.domain.approval import Decision, Remember
from services.domain.input import (
    ApprovalDecision,
    BusyPolicy,
    FollowupAnswer,
    Input,
    ToolResult,
    ToolResults,
    UserMessage,
)
from services.domain.turn import CallerLimits

_POLICIES_ON_WIRE: Mapping[BusyPolicy, input_pb2.BusyPolicy.ValueType] = {
    BusyPolicy.REJECT: input_pb2.BUSY_POLICY_REJECT,
    BusyPolicy.QUEUE: input_pb2.BUSY_POLICY_QUEUE,
    BusyPolicy.STEER: input_pb2.BUSY_POLICY_STEER,
    BusyPolicy.INTERRUPT: input_pb2.BUSY_POLICY_INTERRUPT,
}


def from_user_message(checks: Checks, wire: input_pb2.UserMessage, *, max_text_bytes: int) -> UserMessage:
    """What it returns counts once `checks.done` has passed, as with every function of this module."""
    checks.words("user_message.text", wire.text, size=max_text_bytes)
    agent = wire.agent if wire.HasField("agent") else None
    if agent == "":
        checks.wrong("user_message.agent", "is no agent's name; leave it out to speak to the current agent")
    elif agent is not None:
        checks.agent("user_message.agent", agent)
    checks.later("user_message.workspace_revision", used=wire.HasField("workspace_revision"))
    return UserMessage(wire.text, agent)


def from_turn_limits(checks: Checks, field: str, wire: turn_pb2.TurnLimits) -> CallerLimits:
    """The caller's limits; those that are not set do not limit."""

    given = {descriptor.name: value for descriptor, value in wire.ListFields()}

    def number(name: str, lowest: int) -> int | None:
        value: int | None = given.get(name)
        if value is not None:
            checks.between(f"{field}.{name}", value, lowest)
        return value

    return CallerLimits(
        model_calls=number("max_model_calls", 1),
        tool_calls=number("max_tool_calls", 1),
        agent_switches=number("max_agent_switches", 0),
        tokens=number("max_tokens", 1),
        running_time=checks.duration(wire, f"{field}.max_running_time", "max_running_time"),
    )


def from_tool_results(checks: Checks, wire: input_pb2.ToolResults) -> ToolResults:
    """The results in their order. How large each may be is for whoever records it to say, one by one."""
    field = "tool_results.results"
    if not 1 <= len(wire.results) <= limits.TOOL_RESULTS:
        checks.wrong(field, f"must have 1 to {limits.TOOL_RESULTS} entries")
        return ToolResults(())
    results = [_from_tool_result(checks, f"{field}[{number}]", result) for number, result in enumerate(wire.results)]
    seen: set[str] = set()
    for number, result in enumerate(results):
        if result.tool_call_id in seen:
            checks.wrong(f"{field}[{number}].tool_call_id", "has a result already in this input")
        if result.tool_call_id:
            seen.add(result.tool_call_id)
    return ToolResults(tuple(results))


def _from_tool_result(checks: Checks, field: str, wire: input_pb2.ToolResult) -> ToolResult:
    checks.runtime_id(f"{field}.tool_call_id", wire.tool_call_id, required=True)
    kind = wire.WhichOneof("content")
    content = f"{field}.{kind or 'content'}"
    if kind == "json":
        checks.json(content, wire.json)
    elif kind == "text":
        checks.text(content, wire.text)
    else:
        checks.wrong(content, "exactly one of text and json is required")
    is_json = kind == "json"
    return ToolResult(wire.tool_call_id, wire.json if is_json else wire.text, is_json, wire.is_error)


def from_approval_decision(
    checks: Checks, wire: input_pb2.ApprovalDecision, *, field: str = "approval_decision"
) -> ApprovalDecision:
    """The decision in that field of the request."""
    checks.runtime_id(f"{field}.approval_id", wire.approval_id, required=True)
    checks.runtime_id(f"{field}.arguments_hash", wire.arguments_hash, required=True)
    decision = checks.choice(f"{field}.decision", wire.decision, DECISIONS_BY_WIRE)
    edited, feedback = f"{field}.edited_arguments_json", f"{field}.feedback"
    if decision is Decision.APPROVE_WITH_EDITS:
        checks.json(edited, wire.edited_arguments_json, is_object=True, size=limits.EDITED_ARGUMENTS_BYTES)
    elif wire.edited_arguments_json:
        checks.wrong(edited, "goes with DECISION_APPROVE_WITH_EDITS alone")
    checks.text(feedback, wire.feedback, characters=limits.FEEDBACK_CHARACTERS)
    remember = checks.choice(f"{field}.remember", wire.remember, REMEMBERS_BY_WIRE) or Remember.NONE
    if remember is Remember.SESSION and decision is Decision.APPROVE_WITH_EDITS:
        checks.wrong(f"{field}.remember", "does not go with edits")
    return ApprovalDecision(
        approval_id=wire.approval_id,
        arguments_hash=wire.arguments_hash,
        decision=decision or Decision.REJECT,
        edited_arguments_json=wire.edited_arguments_json,
        feedback=wire.feedback,
        remember=remember,
    )


def from_followup_answer(checks: Checks, wire: input_pb2.FollowupAnswer, *, max_text_bytes: int) -> FollowupAnswer:
    """One of the offered options, or the person's own words."""
    checks.runtime_id("followup_answer.followup_id", wire.followup_id, required=True)
    kind = wire.WhichOneof("answer")
    if kind == "option_id":
        checks.runtime_id("followup_answer.option_id", wire.option_id, required=True)
        return FollowupAnswer(wire.followup_id, option_id=wire.option_id)
    if kind == "text":
        checks.words("followup_answer.text", wire.text, size=max_text_bytes)
    else:
        checks.wrong("followup_answer.answer", "exactly one of option_id and text is required")
    return FollowupAnswer(wire.followup_id, text=wire.text)


def to_pending_input(
    session_id: str, pending: Input, place: int, *, max_bytes: int | None = None
) -> input_pb2.PendingInput:
    """A message that waits, at that place of the queue; its text cut to so many bytes of UTF-8."""
    message = pending.message or UserMessage("")
    text = message.text if max_bytes is None else message.text.encode()[:max_bytes].decode(errors="ignore")
    wire = input_pb2.PendingInput(
        id=pending.id,
        session_id=session_id,
        user_message=input_pb2.UserMessage(text=text),
        busy_policy=_POLICIES_ON_WIRE[message.busy_policy],
        queue_position=place,
        request_id=pending.request_id,
        submitted_by=pending.principal,
        create_time=to_timestamp(pending.create_time),
    )
    if message.agent is not None:
        wire.user_message.agent = message.agent
    return wire
