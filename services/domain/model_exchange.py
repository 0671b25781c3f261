"""What the runtime says to a language model and what comes back, free of any provider's wire format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from services.domain.errors import ErrorReason, RuntimeServiceError
from services.domain.message import Message, MessageToolCall


class FinishReason(StrEnum):
    """Why an answer ended; provider words outside this list become UNKNOWN.

    ATTEMPT_COMPLETION is the agent's own word: it declared its task done.
    """

    STOP = "stop"
    TOOL_CALLS = "tool_calls"
    LENGTH = "length"
    CONTENT_FILTER = "content_filter"
    UNKNOWN = "unknown"
    ATTEMPT_COMPLETION = "attempt_completion"


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one model answer, or a sum of them; `estimated` when the provider did not say."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False

    @property
    def tokens(self) -> int:
        """Prompt and completion together; the other two are parts of them."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            self.estimated or other.estimated,
        )


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as offered to the model; `parameters` is a JSON Schema object."""

    name: str
    description: str
    parameters: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class AnswerSchema:
    """The form of an answer that is JSON; `schema` is a JSON Schema object, `name` says what it is."""

    name: str
    schema: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One question to the model. `messages` is a valid history (pairing invariant, G7); `system_prompt` comes first.

    `call_id_prefix` makes the ids of calls for which the provider gave none: `<prefix>_<n>`. `answer_schema` is what
    the text of the answer should follow; only some providers hold a model to it, so the answer is read with care.
    `traceparent` is that of the caller; the provider is sent one that continues it.
    """

    messages: tuple[Message, ...]
    system_prompt: str
    correlation_id: str
    call_id_prefix: str
    tools: tuple[ToolSpec, ...] = ()
    model: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    traceparent: str | None = None
    answer_schema: AnswerSchema | None = None


@dataclass(frozen=True, slots=True)
class TextFragment:
    """The next piece of the answer's text; never empty."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningFragment:
    """The next piece of the model's reasoning, kept apart from the answer; never empty."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallFragment:
    """The next piece of a tool call's arguments; `name` is known from the call's first fragment on."""

    tool_call_id: str
    name: str
    arguments_fragment: str


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """The whole answer, after the last fragment. Tool calls carry the model's argument text, not yet judged.

    `refusal` says that (part of) the text is the model declining to answer. `model_time` is in seconds, from the
    question to the last piece, as whoever asked has measured it.
    """

    text: str
    reasoning: str
    tool_calls: tuple[MessageToolCall, ...]
    finish_reason: FinishReason
    usage: Usage
    model: str
    refusal: bool = False
    model_time: float = 0.0


ModelEvent = TextFragment | ReasoningFragment | ToolCallFragment | ModelAnswer


class ModelError(RuntimeServiceError):
    """The model gave no usable answer; the message is fit for a client, the cause (`__cause__`) is for the log only.

    `retryable` says whether the same request may succeed later; `retry_after` is in seconds.
    """

    reason = ErrorReason.LLM_UNAVAILABLE

    def __init__(
        self,
        message: str,
        *,
        retryable: bool,
        reason: ErrorReason = ErrorReason.LLM_UNAVAILABLE,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, reason=reason, retry_after=retry_after)
        self.retryable = retryable
