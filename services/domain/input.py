"""An input: what a client sent, accepted once, and the turn it belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from services.domain.approval import Decision
from services.domain.errors import ErrorReason


class InputKind(StrEnum):
    """What kind of thing the client sent."""

    USER_MESSAGE = "USER_MESSAGE"
    TOOL_RESULTS = "TOOL_RESULTS"
    APPROVAL_DECISION = "APPROVAL_DECISION"
    FOLLOWUP_ANSWER = "FOLLOWUP_ANSWER"
    RESUME = "RESUME"


class Disposition(StrEnum):
    """What became of an input when it was accepted."""

    STARTED = "STARTED"
    CONTINUED = "CONTINUED"
    QUEUED = "QUEUED"
    STEERED = "STEERED"


@dataclass(frozen=True, slots=True)
class UserMessage:
    """A person speaks; `agent`, if given, becomes the session's agent first."""

    text: str
    agent: str | None = None


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The result of one call: plain text, or one JSON value as text when `is_json`. Empty results are results."""

    tool_call_id: str
    content: str
    is_json: bool = False
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class ToolResults:
    """What the client's tools gave; the results are judged one by one."""

    results: tuple[ToolResult, ...]


@dataclass(frozen=True, slots=True)
class ApprovalDecision:
    """A person has decided; `arguments_hash` proves on what."""

    approval_id: str
    arguments_hash: str
    decision: Decision
    edited_arguments_json: str = ""
    feedback: str = ""


@dataclass(frozen=True, slots=True)
class FollowupAnswer:
    """The answer to a question: one of its options, or the person's own words; exactly one is given."""

    followup_id: str
    option_id: str | None = None
    text: str | None = None


InputContent = UserMessage | ToolResults | ApprovalDecision | FollowupAnswer


@dataclass(frozen=True, slots=True)
class RejectedToolResult:
    """A result that was not recorded, and why."""

    tool_call_id: str
    reason: ErrorReason
    message: str


@dataclass(frozen=True, slots=True)
class Input:
    """One accepted input. `accepted_sequence` is the number of its InputAccepted event."""

    id: str
    request_id: str
    kind: InputKind
    turn_id: str
    disposition: Disposition
    principal: str
    accepted_sequence: int
    create_time: datetime
