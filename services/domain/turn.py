"""A turn: the durable state machine that one user input starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from services.domain.errors import ErrorReason
from services.domain.model_exchange import FinishReason, ModelAnswer, Usage
from services.domain.usage import ModelUsage, counted_by_model

NO_USAGE = Usage()


class TurnState(StrEnum):
    """RUNNING and PAUSED are active; the others are final."""

    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def is_active(self) -> bool:
        return self in (TurnState.RUNNING, TurnState.PAUSED)


class WaitingFor(StrEnum):
    """What a paused turn waits for; it may be several things at once."""

    TOOL_RESULTS = "TOOL_RESULTS"
    APPROVAL = "APPROVAL"
    FOLLOWUP = "FOLLOWUP"
    BUDGET = "BUDGET"


class TurnStartCause(StrEnum):
    """What made a turn start."""

    USER_MESSAGE = "USER_MESSAGE"
    QUEUED_INPUT = "QUEUED_INPUT"
    STEERED_INPUT = "STEERED_INPUT"
    RESUME = "RESUME"


class TurnResumeCause(StrEnum):
    """What made a paused turn go on."""

    TOOL_RESULTS = "TOOL_RESULTS"
    APPROVAL = "APPROVAL"
    FOLLOWUP = "FOLLOWUP"
    RESUME = "RESUME"
    EXPIRY = "EXPIRY"


class CancelCause(StrEnum):
    """Why a turn was cancelled."""

    USER = "USER"
    INTERRUPTED = "INTERRUPTED"
    SUPERSEDED = "SUPERSEDED"
    SESSION_DELETED = "SESSION_DELETED"


@dataclass(frozen=True, slots=True)
class TurnFailure:
    """How a turn failed, as the client is told. `retry_delay` is in seconds; `resumable`: `resume` may continue it."""

    reason: ErrorReason
    message: str
    retry_delay: float | None = None
    resumable: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """The model call a running turn is in.

    It is stored before the call is made, so that whoever recovers the turn knows which message's deltas are void.
    `compactions` are the summaries that were asked for so that the call may be made; `room` is the number of estimated
    tokens below which it must stay since the model has said that it cannot read more.
    """

    number: int
    message_id: str
    compactions: int = 0
    room: int | None = None


@dataclass(frozen=True, slots=True)
class FollowupOption:
    """An answer to choose; `id` is unique in its question."""

    id: str
    label: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Followup:
    """A question to the user; `tool_call_id` is the agent's call that asks, None if the router asks."""

    id: str
    tool_call_id: str | None
    question: str
    options: tuple[FollowupOption, ...]
    free_text_allowed: bool
    expire_time: datetime


@dataclass(frozen=True, slots=True)
class Wait:
    """What a paused turn waits for: everything that is open. `expire_time` is when the first of it ends by itself."""

    reasons: tuple[WaitingFor, ...]
    open_tool_call_ids: tuple[str, ...] = ()
    pending_approval_ids: tuple[str, ...] = ()
    followup: Followup | None = None
    expire_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class CallerLimits:
    """What the caller allows a turn, counted from its start or its last resume; None is not limited by the caller.

    `running_time` is in seconds. Reaching a limit pauses the turn; it never ends it.
    """

    model_calls: int | None = None
    tool_calls: int | None = None
    agent_switches: int | None = None
    tokens: int | None = None
    running_time: float | None = None


@dataclass(frozen=True, slots=True)
class Spent:
    """What a turn had used at some moment."""

    model_calls: int = 0
    tool_calls: int = 0
    agent_switches: int = 0
    tokens: int = 0
    running_time: float = 0.0


@dataclass(frozen=True, slots=True)
class AgentShare:
    """What one agent did in a turn: the model calls made as it, the calls of tools it asked for, the tokens."""

    model_calls: int = 0
    tool_calls: int = 0
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class Turn:
    """The stored state of one turn; what it does next follows from this and the calls of its last answer alone.

    `principal` is the name of whoever gave the input. `attempt` is set while it is RUNNING, `wait` while it is
    PAUSED. `batch_ordinal` is the ordinal of the message whose calls it waits for, or waited for last. `running_time`
    is in seconds up to its last end or pause; it has been working since `work_start_time`. `limits` are the caller's,
    counted from `counted_from`. `shares` split the counts by agent, `models` the answers by model. `repeats` says how
    often which call was made in vain, by its digest. `correlation_id` and `traceparent` are those of the call that
    started it, and tie all it does to that call, whoever makes it go on.
    """

    id: str
    input_id: str
    agent: str
    state: TurnState
    create_time: datetime
    correlation_id: str
    principal: str = ""
    attempt: Attempt | None = None
    wait: Wait | None = None
    batch_ordinal: int | None = None
    model_calls: int = 0
    tool_calls: int = 0
    agent_switches: int = 0
    usage: Usage = field(default_factory=Usage)
    work_start_time: datetime | None = None
    running_time: float = 0.0
    end_time: datetime | None = None
    finish_reason: FinishReason | None = None
    result_text: str = ""
    final_message_id: str | None = None
    failure: TurnFailure | None = None
    cancel_cause: CancelCause | None = None
    cancelled_by: str = ""
    limits: CallerLimits | None = None
    counted_from: Spent = field(default_factory=Spent)
    shares: Mapping[str, AgentShare] = field(default_factory=dict)
    models: Mapping[str, ModelUsage] = field(default_factory=dict)
    repeats: Mapping[str, int] = field(default_factory=dict)
    traceparent: str | None = None

    def having_used(self, agent: str, *, model_calls: int = 0, tool_calls: int = 0, usage: Usage = NO_USAGE) -> Turn:
        """The turn with that counted, in all and as this agent's."""
        share = self.shares.get(agent, AgentShare())
        grown = AgentShare(share.model_calls + model_calls, share.tool_calls + tool_calls, share.usage + usage)
        return replace(
            self,
            model_calls=self.model_calls + model_calls,
            tool_calls=self.tool_calls + tool_calls,
            usage=self.usage + usage,
            shares={**self.shares, agent: grown},
        )

    def having_answer(self, answer: ModelAnswer) -> Turn:
        """The turn with what an answer has cost counted: in all, as its agent's and as the model's."""
        used = ModelUsage(model_calls=1, model_time=answer.model_time, usage=answer.usage)
        counted = self.having_used(self.agent, usage=answer.usage)
        return replace(counted, models=counted_by_model(self.models, answer.model, used))

    def spent(self, running_time: float) -> Spent:
        """What it has used so far, given how many seconds it has worked."""
        return Spent(self.model_calls, self.tool_calls, self.agent_switches, self.usage.tokens, running_time)
