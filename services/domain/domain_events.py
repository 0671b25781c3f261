"""What happened, for subscribers inside the runtime: written with the change itself, delivered after its commit.

They carry ids and counts, never the text of a message: what a subscriber may log or export must be harmless.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.domain import session_events as log
from services.domain.agent_context import SwitchSource
from services.domain.approval import ApprovalState
from services.domain.message import Role
from services.domain.session import SessionState
from services.domain.tool_call import ToolResultSource


@dataclass(frozen=True, slots=True)
class SessionCreated:
    """A session exists now."""

    owner_id: str


@dataclass(frozen=True, slots=True)
class AgentAssigned:
    """A session got its first agent."""

    agent: str


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """A user's message entered the history."""

    message_id: str
    turn_id: str | None


@dataclass(frozen=True, slots=True)
class TaskStarted:
    """A turn began."""

    turn_id: str | None
    agent: str


@dataclass(frozen=True, slots=True)
class TaskCompleted:
    """A turn ended well."""

    turn_id: str | None
    total_tokens: int


@dataclass(frozen=True, slots=True)
class TaskFailed:
    """A turn ended without an answer; `reason` is an error reason, or CANCELLED and by what."""

    turn_id: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class SessionDeactivated:
    """No message enters the session any more, until it is activated."""

    reason: str


@dataclass(frozen=True, slots=True)
class AgentSwitched:
    """A session got another agent."""

    from_agent: str
    to_agent: str
    source: SwitchSource


@dataclass(frozen=True, slots=True)
class ApprovalRequested:
    """A person is asked about a call."""

    approval_id: str
    tool_name: str


@dataclass(frozen=True, slots=True)
class ApprovalResolved:
    """An approval is over: decided, expired or withdrawn."""

    approval_id: str
    tool_name: str
    outcome: ApprovalState
    automatic: bool


@dataclass(frozen=True, slots=True)
class ToolExecuted:
    """A call has its result, from whomever."""

    tool_call_id: str
    is_error: bool
    source: ToolResultSource


Fact = (
    SessionCreated
    | AgentAssigned
    | MessageReceived
    | TaskStarted
    | TaskCompleted
    | TaskFailed
    | SessionDeactivated
    | AgentSwitched
    | ApprovalRequested
    | ApprovalResolved
    | ToolExecuted
)


@dataclass(frozen=True, slots=True)
class DomainEvent:
    """A fact with its envelope; `aggregate_id` is the session's id and `version` that of the fact's fields."""

    event_id: str
    occurred_at: datetime
    aggregate_id: str
    fact: Fact
    version: int = 1


def fact_of(event: log.NewEvent) -> Fact | None:
    """The domain fact that an event of the log stands for, if any."""
    match event.payload:
        case log.MessageAdded(message) if message.role is Role.USER:
            return MessageReceived(message.id, message.turn_id)
        case log.TurnStarted(agent=agent):
            return TaskStarted(event.turn_id, agent)
        case log.TurnCompleted(usage=usage):
            return TaskCompleted(event.turn_id, usage.prompt_tokens + usage.completion_tokens)
        case log.TurnFailed(reason=reason):
            return TaskFailed(event.turn_id, reason)
        case log.TurnCancelled(cause=cause):
            return TaskFailed(event.turn_id, f"CANCELLED_{cause}")
        case log.SessionStateChanged(state=SessionState.INACTIVE, reason=reason):
            return SessionDeactivated(reason)
        case log.AgentSwitched(from_agent=from_agent, to_agent=to_agent, source=source):
            return AgentSwitched(from_agent, to_agent, source)
        case log.ApprovalRequested(approval):
            return ApprovalRequested(approval.id, approval.tool_name)
        case log.ApprovalResolved(approval_id=approval_id, tool_name=tool, outcome=outcome, automatic=automatic):
            return ApprovalResolved(approval_id, tool, outcome, automatic)
        case log.ToolResultRecorded(tool_call_id=call_id, is_error=is_error, source=source):
            return ToolExecuted(call_id, is_error, source)
        case _:
            return None
