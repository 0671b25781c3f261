"""What happened, for subscribers inside the runtime: written with the change itself, delivered after its commit.

They carry ids and counts, never the text of a message: what a subscriber may log or export must be harmless.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.domain.message import Role
from services.domain.session import SessionState
from services.domain.session_events import (
    MessageAdded,
    NewEvent,
    SessionStateChanged,
    TurnCancelled,
    TurnCompleted,
    TurnFailed,
    TurnStarted,
)


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


Fact = SessionCreated | AgentAssigned | MessageReceived | TaskStarted | TaskCompleted | TaskFailed | SessionDeactivated


@dataclass(frozen=True, slots=True)
class DomainEvent:
    """A fact with its envelope; `aggregate_id` is the session's id and `version` that of the fact's fields."""

    event_id: str
    occurred_at: datetime
    aggregate_id: str
    fact: Fact
    version: int = 1


def fact_of(event: NewEvent) -> Fact | None:
    """The domain fact that an event of the log stands for, if any."""
    match event.payload:
        case MessageAdded(message) if message.role is Role.USER:
            return MessageReceived(message.id, message.turn_id)
        case TurnStarted(agent=agent):
            return TaskStarted(event.turn_id, agent)
        case TurnCompleted(usage=usage):
            return TaskCompleted(event.turn_id, usage.prompt_tokens + usage.completion_tokens)
        case TurnFailed(reason=reason):
            return TaskFailed(event.turn_id, reason)
        case TurnCancelled(cause=cause):
            return TaskFailed(event.turn_id, f"CANCELLED_{cause}")
        case SessionStateChanged(state=SessionState.INACTIVE, reason=reason):
            return SessionDeactivated(reason)
        case _:
            return None
