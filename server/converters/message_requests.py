"""Requests of MessageService as the keywords of its use cases, once they are found right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypedDict

from agent_runtime.v1 import input_pb2, message_service_pb2, session_stream_pb2
from server.converters.checks import Checks
from server.converters.input import (
    from_approval_decision,
    from_followup_answer,
    from_tool_results,
    from_turn_limits,
    from_user_message,
)
from server.converters.turn import STATES_BY_WIRE
from services.domain.input import BusyPolicy, InputContent, Resume, UserMessage
from services.domain.turn import TurnState

_FOR_MESSAGES = "goes with user_message alone"
_POLICIES: Mapping[int, BusyPolicy] = {
    input_pb2.BUSY_POLICY_UNSPECIFIED: BusyPolicy.REJECT,
    input_pb2.BUSY_POLICY_REJECT: BusyPolicy.REJECT,
    input_pb2.BUSY_POLICY_QUEUE: BusyPolicy.QUEUE,
    input_pb2.BUSY_POLICY_STEER: BusyPolicy.STEER,
    input_pb2.BUSY_POLICY_INTERRUPT: BusyPolicy.INTERRUPT,
}


class SendMessageFields(TypedDict):
    session_id: str
    request_id: str
    content: InputContent
    expected_turn_id: str
    after_sequence: int | None
    detach: bool


class WatchSessionFields(TypedDict):
    session_id: str
    after_sequence: int | None
    snapshot: bool
    stop_at_head: bool


class CancelTurnFields(TypedDict):
    session_id: str
    turn_id: str
    withdraw_pending: bool
    request_id: str


class WithdrawInputFields(TypedDict):
    session_id: str
    input_id: str
    request_id: str


class GetTurnFields(TypedDict):
    session_id: str
    turn_id: str


class ListTurnsFields(TypedDict):
    session_id: str
    states: tuple[TurnState, ...]
    limit: int


class OnePageOfSession(TypedDict):
    session_id: str
    limit: int


def from_send_message(request: message_service_pb2.SendMessageRequest, *, max_text_bytes: int) -> SendMessageFields:
    """Raises InvalidArgumentError or NotImplementedYetError, as every function of this module does."""
    checks = Checks()
    checks.session_id(request.session_id)
    checks.request_id(request.request_id)
    after = request.after_sequence if request.HasField("after_sequence") else None
    if after is not None:
        checks.between("after_sequence", after, 0)
        if not request.request_id:
            checks.wrong("request_id", "is required with after_sequence")
    _check_policy(checks, request)
    checks.runtime_id("expected_turn_id", request.expected_turn_id)
    content = _content(checks, request, max_text_bytes)
    checks.done()
    return {
        "session_id": request.session_id,
        "request_id": request.request_id,
        "content": content,
        "expected_turn_id": request.expected_turn_id,
        "after_sequence": after,
        "detach": request.detach,
    }


def from_watch_session(request: session_stream_pb2.WatchSessionRequest) -> WatchSessionFields:
    """Where to begin and when to stop; without a number it begins now."""
    checks = Checks()
    checks.session_id(request.session_id)
    after = request.after_sequence if request.HasField("after_sequence") else None
    if after is not None:
        checks.between("after_sequence", after, 0)
    checks.done()
    return {
        "session_id": request.session_id,
        "after_sequence": after,
        "snapshot": request.snapshot,
        "stop_at_head": request.stop_at_head,
    }


def from_cancel_turn(request: message_service_pb2.CancelTurnRequest) -> CancelTurnFields:
    """An empty turn id means whichever turn is active."""
    checks = Checks()
    checks.session_id(request.session_id)
    checks.runtime_id("turn_id", request.turn_id)
    checks.request_id(request.request_id)
    checks.done()
    return {
        "session_id": request.session_id,
        "turn_id": request.turn_id,
        "withdraw_pending": request.withdraw_pending,
        "request_id": request.request_id,
    }


def from_withdraw_input(request: message_service_pb2.WithdrawInputRequest) -> WithdrawInputFields:
    """The input, in its session."""
    checks = Checks()
    checks.session_id(request.session_id)
    checks.runtime_id("input_id", request.input_id, required=True)
    checks.request_id(request.request_id)
    checks.done()
    return {"session_id": request.session_id, "input_id": request.input_id, "request_id": request.request_id}


def from_get_turn(request: message_service_pb2.GetTurnRequest) -> GetTurnFields:
    """The turn, in its session."""
    checks = Checks()
    checks.session_id(request.session_id)
    checks.runtime_id("turn_id", request.turn_id, required=True)
    checks.done()
    return {"session_id": request.session_id, "turn_id": request.turn_id}


def from_list_turns(request: message_service_pb2.ListTurnsRequest) -> ListTurnsFields:
    """The filter and the size of the page."""
    checks = Checks()
    checks.session_id(request.session_id)
    limit = checks.page_size(request.page_size)
    states = checks.choices("states", request.states, STATES_BY_WIRE)
    checks.done()
    return {"session_id": request.session_id, "states": states, "limit": limit}


def from_list_of_session(
    request: message_service_pb2.ListOpenToolCallsRequest | message_service_pb2.ListPendingInputsRequest,
) -> OnePageOfSession:
    """The session and the size of the page."""
    checks = Checks()
    checks.session_id(request.session_id)
    limit = checks.page_size(request.page_size)
    checks.done()
    return {"session_id": request.session_id, "limit": limit}


def _check_policy(checks: Checks, request: message_service_pb2.SendMessageRequest) -> None:
    """What only a user message may have: a policy, and limits of the turn that it starts."""
    is_message = request.WhichOneof("input") in ("user_message", None)
    policy = request.busy_policy
    if policy not in _POLICIES:
        checks.wrong("busy_policy", "is not a value this server knows")
    elif policy and not is_message:
        checks.wrong("busy_policy", _FOR_MESSAGES)
    if request.HasField("limits") and not is_message:
        checks.wrong("limits", _FOR_MESSAGES)


def _content(checks: Checks, request: message_service_pb2.SendMessageRequest, max_text_bytes: int) -> InputContent:
    match request.WhichOneof("input"):
        case "user_message":
            message = from_user_message(checks, request.user_message, max_text_bytes=max_text_bytes)
            limits = from_turn_limits(checks, "limits", request.limits) if request.HasField("limits") else None
            policy = _POLICIES.get(request.busy_policy, BusyPolicy.REJECT)
            return replace(message, busy_policy=policy, limits=limits)
        case "tool_results":
            return from_tool_results(checks, request.tool_results)
        case "approval_decision":
            return from_approval_decision(checks, request.approval_decision)
        case "followup_answer":
            return from_followup_answer(checks, request.followup_answer, max_text_bytes=max_text_bytes)
        case "resume":
            wanted = request.resume
            has_limits = wanted.HasField("limits")
            return Resume(from_turn_limits(checks, "resume.limits", wanted.limits) if has_limits else None)
        case _:
            checks.wrong("input", "exactly one input is required")
    return UserMessage("")
