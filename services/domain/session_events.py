"""Everything a session's event log can say: one class per event, in the past tense, immutable.

A number exists only once the event is committed; `SessionEvent` is an event with its number. Field names are the
stored format, so they only grow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from services.domain.agent_context import SwitchSource
from services.domain.approval import Approval, ApprovalState
from services.domain.errors import ErrorReason
from services.domain.input import Disposition, RejectedToolResult
from services.domain.message import Message
from services.domain.model_exchange import FinishReason, Usage
from services.domain.session import SessionState
from services.domain.tool_call import ToolResultSource
from services.domain.turn import CancelCause, Followup, TurnResumeCause, TurnStartCause, WaitingFor


class AttemptRestartReason(StrEnum):
    """Why a model call was made again."""

    RECOVERY = "RECOVERY"


@dataclass(frozen=True, slots=True)
class InputAccepted:
    """Always the first event of an input; `turn_id` is the turn it belongs to."""

    input_id: str
    request_id: str
    turn_id: str
    disposition: Disposition
    rejected_results: tuple[RejectedToolResult, ...] = ()
    queue_position: int = 0


@dataclass(frozen=True, slots=True)
class InputWithdrawn:
    """A pending input was taken back; it never entered the history."""

    input_id: str


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """A turn began; from here on the session has an active turn."""

    agent: str
    cause: TurnStartCause
    input_id: str
    resumed_turn_id: str = ""


@dataclass(frozen=True, slots=True)
class TurnResumed:
    """A paused turn goes on."""

    agent: str
    cause: TurnResumeCause


@dataclass(frozen=True, slots=True)
class AgentSwitched:
    """The session talks to another agent from the next model call on."""

    from_agent: str
    to_agent: str
    reason: str
    confidence: str
    source: SwitchSource


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of an answer's text."""

    message_id: str
    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """The next piece of the model's reasoning."""

    message_id: str
    text: str


@dataclass(frozen=True, slots=True)
class MessageAdded:
    """A message entered the history; it replaces the deltas of the same message id."""

    message: Message


@dataclass(frozen=True, slots=True)
class RequestedToolCall:
    """One call of a batch that the client is asked to run, with the arguments it runs with."""

    id: str
    name: str
    arguments_json: str
    arguments_edited: bool = False


class ExecutionMode(StrEnum):
    """How the calls of one order may be run: all at the same time, or one after the other."""

    PARALLEL = "PARALLEL"
    SEQUENTIAL = "SEQUENTIAL"


@dataclass(frozen=True, slots=True)
class ToolCallsRequested:
    """These calls may run now, at the client; `batch_id` names the answer they come from."""

    batch_id: str
    calls: tuple[RequestedToolCall, ...]
    execution_mode: ExecutionMode = ExecutionMode.SEQUENTIAL


@dataclass(frozen=True, slots=True)
class ApprovalRequested:
    """A person is asked; holds all that is needed to show the call and to decide."""

    approval: Approval


@dataclass(frozen=True, slots=True)
class ApprovalResolved:
    """An approval is over; `released` alone says whether the call runs."""

    approval_id: str
    tool_call_id: str
    tool_name: str
    outcome: ApprovalState
    released: bool
    decided_by: str = ""
    automatic: bool = False
    rule_id: str = ""


@dataclass(frozen=True, slots=True)
class FollowupAsked:
    """The user is asked something."""

    followup: Followup


@dataclass(frozen=True, slots=True)
class ToolResultRecorded:
    """A call has its one result."""

    tool_call_id: str
    is_error: bool
    source: ToolResultSource


@dataclass(frozen=True, slots=True)
class AttemptRestarted:
    """The deltas of `discarded_message_id` are void, nothing else; `attempt` is the number of the new one."""

    discarded_message_id: str
    attempt: int
    reason: AttemptRestartReason


@dataclass(frozen=True, slots=True)
class UsageReported:
    """What one model call cost."""

    usage: Usage
    model: str


@dataclass(frozen=True, slots=True)
class ContextCompacted:
    """The model sees the messages from the first to the last one named, but for what the user said, by a summary."""

    tokens_before: int
    tokens_after: int
    first_message_id: str
    last_message_id: str


@dataclass(frozen=True, slots=True)
class TurnPaused:
    """The turn waits; it costs nothing meanwhile."""

    waiting_for: tuple[WaitingFor, ...]
    open_tool_call_ids: tuple[str, ...] = ()
    pending_approval_ids: tuple[str, ...] = ()
    followup_id: str | None = None
    expire_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class TurnCompleted:
    """The turn ended well."""

    finish_reason: FinishReason
    result_text: str
    final_message_id: str | None
    usage: Usage


@dataclass(frozen=True, slots=True)
class TurnFailed:
    """The turn ended without an answer; `retry_delay` in seconds."""

    reason: ErrorReason
    message: str
    retry_delay: float | None
    resumable: bool


@dataclass(frozen=True, slots=True)
class TurnCancelled:
    """The turn was ended by somebody."""

    cause: CancelCause
    cancelled_by: str


@dataclass(frozen=True, slots=True)
class SessionUpdated:
    """Fields a client can set have changed; holds them as they are now."""

    title: str
    description: str
    labels: Mapping[str, str]
    message_limit: int
    version: int


@dataclass(frozen=True, slots=True)
class SessionStateChanged:
    """The session was activated or deactivated."""

    state: SessionState
    reason: str


@dataclass(frozen=True, slots=True)
class SessionForked:
    """The first event of a session that began as a copy; `source_message_id` is the last message copied, there."""

    source_session_id: str
    source_message_id: str
    message_count: int


@dataclass(frozen=True, slots=True)
class MessagesCleared:
    """The history is empty; every earlier event lost its content."""

    message_count: int


@dataclass(frozen=True, slots=True)
class SessionDeleted:
    """The last event of a session."""


Delta = TextDelta | ReasoningDelta
MAX_DELTA_BYTES = 16 * 1024
"""The longest text of one delta, in bytes of UTF-8."""

Payload = (
    InputAccepted
    | InputWithdrawn
    | TurnStarted
    | TurnResumed
    | AgentSwitched
    | Delta
    | MessageAdded
    | ToolCallsRequested
    | ApprovalRequested
    | ApprovalResolved
    | FollowupAsked
    | ToolResultRecorded
    | AttemptRestarted
    | UsageReported
    | ContextCompacted
    | TurnPaused
    | TurnCompleted
    | TurnFailed
    | TurnCancelled
    | SessionUpdated
    | SessionStateChanged
    | SessionForked
    | MessagesCleared
    | SessionDeleted
)

TERMINAL = (TurnCompleted, TurnFailed, TurnCancelled)


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event that waits for its number."""

    payload: Payload
    event_time: datetime
    correlation_id: str
    turn_id: str | None = None


@dataclass(frozen=True, slots=True)
class SessionEvent:
    """A committed event. `sequence` counts from 1 within the session without gaps; `size` is its stored bytes."""

    session_id: str
    sequence: int
    payload: Payload
    event_time: datetime
    correlation_id: str
    turn_id: str | None = None
    size: int = field(default=0, compare=False)
