"""An input: what a client sent, accepted once, and the turn it belongs to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from services.domain.approval import Decision, Remember
from services.domain.errors import ErrorReason
from services.domain.turn import CallerLimits


class InputKind(StrEnum):
    """What kind of thing the client sent."""

    USER_MESSAGE = "USER_MESSAGE"
    TOOL_RESULTS = "TOOL_RESULTS"
    APPROVAL_DECISION = "APPROVAL_DECISION"
    FOLLOWUP_ANSWER = "FOLLOWUP_ANSWER"
    RESUME = "RESUME"


class BusyPolicy(StrEnum):
    """What a user message does while a turn is active that it does not answer."""

    REJECT = "REJECT"
    QUEUE = "QUEUE"
    STEER = "STEER"
    INTERRUPT = "INTERRUPT"


class InputState(StrEnum):
    """PENDING inputs wait and have not entered the history; the others are final."""

    PENDING = "PENDING"
    TAKEN = "TAKEN"
    WITHDRAWN = "WITHDRAWN"


class Disposition(StrEnum):
    """What became of an input when it was accepted."""

    STARTED = "STARTED"
    CONTINUED = "CONTINUED"
    QUEUED = "QUEUED"
    STEERED = "STEERED"


@dataclass(frozen=True, slots=True)
class UserMessage:
    """A person speaks; `agent`, if given, becomes the session's agent first, `limits` are of the turn it starts."""

    text: str
    agent: str | None = None
    busy_policy: BusyPolicy = BusyPolicy.REJECT
    limits: CallerLimits | None = None


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
    remember: Remember = Remember.NONE


@dataclass(frozen=True, slots=True)
class FollowupAnswer:
    """The answer to a question: one of its options, or the person's own words; exactly one is given."""

    followup_id: str
    option_id: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Resume:
    """Go on with a turn that one of the caller's limits has paused, or with the work of one that failed resumably.

    Without `limits` the same ones count anew.
    """

    limits: CallerLimits | None = None


InputContent = UserMessage | ToolResults | ApprovalDecision | FollowupAnswer | Resume


@dataclass(frozen=True, slots=True)
class RejectedToolResult:
    """A result that was not recorded, and why."""

    tool_call_id: str
    reason: ErrorReason
    message: str


@dataclass(frozen=True, slots=True)
class Input:
    """One accepted input. `accepted_sequence` is the number of its InputAccepted event.

    `turn_id` is the turn it belongs to; while it is PENDING that is empty for one that waits for a turn of its own.
    `message` is what a PENDING one will say. `taken_sequence` is where the log says that it was taken or withdrawn.
    `traceparent` is that of the call it came with, in the format of W3C.
    """

    id: str
    request_id: str
    kind: InputKind
    turn_id: str
    disposition: Disposition
    principal: str
    accepted_sequence: int
    create_time: datetime
    state: InputState = InputState.TAKEN
    message: UserMessage | None = None
    taken_sequence: int = 0
    correlation_id: str = ""
    traceparent: str | None = None

    @property
    def steers(self) -> bool:
        """Whether it waits for the next model call rather than for a turn of its own."""
        return self.message is not None and self.message.busy_policy is BusyPolicy.STEER


def in_turn(pending: Iterable[Input]) -> list[Input]:
    """Messages that wait, in the order they will be taken: those that steer first."""
    return sorted(pending, key=lambda waiting: (not waiting.steers, waiting.accepted_sequence))
