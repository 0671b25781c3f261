"""Domain objects of every kind for the converters, chosen by hypothesis."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import get_args

from hypothesis import strategies as st

from services.application.ports import SessionSnapshot, SessionView
from services.domain import session_events as log
from services.domain.agent_context import AgentContext
from services.domain.agent_work import AgentWork, CodingWork, DebugWork, DesignWork, ExecutedCommand
from services.domain.approval import Approval
from services.domain.input import BusyPolicy, Input, RejectedToolResult, UserMessage
from services.domain.message import Message, MessageToolCall, Role
from services.domain.model_exchange import FinishReason, Usage
from services.domain.session import Session
from services.domain.tool import ClientTool
from services.domain.tool_call import ToolCall
from services.domain.turn import CallerLimits, Followup, FollowupOption, Turn, TurnFailure, Wait

PAYLOAD_CLASSES: tuple[type[log.Payload], ...] = get_args(log.Payload)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
times = st.datetimes(timezones=st.just(UTC))
numbers = st.integers(0, 2**63 - 1)
counts = st.integers(0, 2**31 - 1)
labels = st.dictionaries(texts, texts, max_size=3)
confidences = st.sampled_from(["", "high", "medium", "low"])
finish_reasons = st.sampled_from([reason for reason in FinishReason if reason is not FinishReason.CONTENT_FILTER])
delays = st.none() | st.integers(0, 10**6).map(lambda milliseconds: milliseconds / 1000)
usages = st.builds(Usage, numbers, numbers, numbers, numbers, st.booleans())
calls = st.builds(MessageToolCall, texts, texts, texts, st.booleans())
caller_limits = st.builds(
    CallerLimits,
    model_calls=st.none() | counts,
    tool_calls=st.none() | counts,
    agent_switches=st.none() | counts,
    tokens=st.none() | numbers,
    running_time=delays,
)
pending_inputs = st.builds(
    Input,
    create_time=times,
    message=st.builds(UserMessage, texts, st.none() | texts, st.sampled_from([BusyPolicy.QUEUE, BusyPolicy.STEER])),
)
failures = st.builds(TurnFailure, message=texts, retry_delay=delays, resumable=...)
tool_calls = st.builds(ToolCall, create_time=times, expire_time=st.none() | times, original_arguments_json=...)
approvals = st.builds(
    Approval,
    create_time=times,
    expire_time=st.none() | times,
    can_remember=...,
    state=...,
    released=...,
    decided_by=...,
    automatic=...,
    feedback=...,
    edited_arguments_json=...,
    resolve_time=st.none() | times,
)
followups = st.builds(
    Followup, options=st.lists(st.builds(FollowupOption, description=...), max_size=3).map(tuple), expire_time=times
)
waits = st.builds(
    Wait,
    open_tool_call_ids=...,
    pending_approval_ids=...,
    followup=st.none() | followups,
    expire_time=st.none() | times,
)
client_tools = st.builds(ClientTool, read_only=..., speculative=...)
commands = st.builds(ExecutedCommand, exit_code=st.none() | st.integers(-(2**31), 2**31 - 1), execute_time=times)
works = st.builds(
    AgentWork,
    st.builds(
        CodingWork,
        files_modified=...,
        files_created=...,
        commands_executed=st.lists(commands, max_size=2).map(tuple),
        last_compilation_state=...,
        active_branch=...,
        pending_tests=...,
    ),
    st.builds(DesignWork, documents_created=..., diagrams_created=..., design_decisions=..., architecture_patterns=...),
    st.builds(DebugWork, errors_investigated=..., logs_analyzed=..., root_causes_found=..., suggested_fixes=...),
)
contexts = st.builds(AgentContext, texts, counts, counts, works)


@st.composite
def messages(draw: st.DrawFn) -> Message:
    """A message that its role allows."""
    role = draw(st.sampled_from(Role))
    return Message(
        id=draw(texts),
        role=role,
        content=draw(texts) + "x",
        create_time=draw(times),
        ordinal=draw(numbers),
        turn_id=draw(st.none() | texts),
        agent=draw(st.none() | texts),
        name=draw(st.none() | texts),
        reasoning=draw(texts),
        tool_call_id=draw(texts) if role is Role.TOOL else None,
        tool_calls=tuple(draw(st.lists(calls, max_size=3))) if role is Role.ASSISTANT else (),
        is_error=draw(st.booleans()),
        complete=draw(st.booleans()),
        metadata=draw(labels),
    )


_SPECIAL: dict[type[log.Payload], st.SearchStrategy[log.Payload]] = {
    log.InputAccepted: st.builds(
        log.InputAccepted, rejected_results=st.lists(st.builds(RejectedToolResult), max_size=3).map(tuple)
    ),
    log.ToolCallsRequested: st.builds(
        log.ToolCallsRequested,
        calls=st.lists(st.builds(log.RequestedToolCall, arguments_edited=...), max_size=3).map(tuple),
        execution_mode=...,
    ),
    log.ApprovalRequested: st.builds(log.ApprovalRequested, approvals),
    log.ApprovalResolved: st.builds(log.ApprovalResolved, decided_by=..., automatic=..., rule_id=...),
    log.FollowupAsked: st.builds(log.FollowupAsked, followups),
    log.AgentSwitched: st.builds(log.AgentSwitched, texts, texts, texts, confidences),
    log.MessageAdded: st.builds(log.MessageAdded, messages()),
    log.AttemptRestarted: st.builds(log.AttemptRestarted, texts, counts),
    log.ContextCompacted: st.builds(log.ContextCompacted, numbers, numbers, texts, texts),
    log.UsageReported: st.builds(log.UsageReported, usages, texts),
    log.TurnPaused: st.builds(
        log.TurnPaused,
        open_tool_call_ids=...,
        pending_approval_ids=...,
        followup_id=...,
        expire_time=st.none() | times,
    ),
    log.TurnCompleted: st.builds(log.TurnCompleted, finish_reasons, texts, st.none() | texts, usages),
    log.TurnFailed: st.builds(log.TurnFailed, message=texts, retry_delay=delays),
    log.SessionUpdated: st.builds(log.SessionUpdated, texts, texts, labels, numbers, numbers),
    log.MessagesCleared: st.builds(log.MessagesCleared, numbers),
    log.SessionForked: st.builds(log.SessionForked, message_count=numbers),
}


def payloads(kind: type[log.Payload]) -> st.SearchStrategy[log.Payload]:
    """Payloads of one class."""
    return _SPECIAL[kind] if kind in _SPECIAL else st.builds(kind)


def events(payload: st.SearchStrategy[log.Payload]) -> st.SearchStrategy[log.SessionEvent]:
    """Committed events with such payloads."""
    return st.builds(log.SessionEvent, texts, numbers, payload, times, texts, st.none() | texts)


def turns() -> st.SearchStrategy[Turn]:
    """Turns in any state, whether or not the state fits the rest."""
    return st.builds(
        Turn,
        create_time=times,
        end_time=st.none() | times,
        wait=st.none() | waits,
        model_calls=counts,
        tool_calls=counts,
        agent_switches=counts,
        limits=st.none() | caller_limits,
        usage=usages,
        finish_reason=st.none() | finish_reasons,
        failure=st.none() | failures,
        result_text=...,
        final_message_id=...,
        cancel_cause=...,
        cancelled_by=...,
    )


def session_views() -> st.SearchStrategy[SessionView]:
    """Sessions as reads show them."""
    moments = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))
    sessions = st.builds(
        Session,
        create_time=moments,
        update_time=moments,
        last_activity_time=moments,
        labels=labels,
        deactivation_reason=...,
        message_limit=numbers,
        message_count=numbers,
        version=numbers,
    )
    tools = st.lists(client_tools, max_size=2).map(tuple)
    return st.builds(SessionView, sessions, contexts, numbers, st.none() | texts, tools)


def snapshots() -> st.SearchStrategy[SessionSnapshot]:
    """Snapshots with a draft and with all that can be open."""
    return st.builds(
        SessionSnapshot,
        view=session_views(),
        turn=st.none() | turns(),
        draft_message_id=texts,
        open_calls=st.lists(tool_calls, max_size=2).map(tuple),
        pending_approvals=st.lists(approvals, max_size=2).map(tuple),
        pending_inputs=st.lists(pending_inputs, max_size=2).map(tuple),
        as_of_sequence=numbers,
    )
