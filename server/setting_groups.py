"""Settings that belong together: sizes, what a turn may use, how failures are met, how long things are kept."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ByteSize, ConfigDict, Field, SecretStr

PositiveSeconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Bytes = Annotated[ByteSize, Field(gt=0)]
Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


def _endpoint(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be an http:// or https:// address")
    if parts.username or parts.password or parts.query:
        raise ValueError("must hold no user, password or query; the key has a setting of its own")
    return url


Endpoint = Annotated[str, AfterValidator(_endpoint)]
Profile = Literal["openai", "openai-reasoning", "deepseek", "llama.cpp", "minimal"]
ModelName = Annotated[str, Field(min_length=1)]


class FallbackRoute(BaseModel):
    """Another model to ask while the first gives no answer."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    base_url: Endpoint
    model: ModelName
    api_key: SecretStr = SecretStr("")
    profile: Profile = "openai"


class Sizes(BaseModel):
    """The largest a thing may be, in bytes; `256KiB` and `1MiB` are understood."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    grpc_message: Bytes = Field(ByteSize(8 << 20), description="One gRPC message, each way.")
    user_message: Bytes = Field(ByteSize(256 << 10), description="The text of one user message.")
    tool_result: Bytes = Field(ByteSize(1 << 20), description="The result of one tool call.")
    history: Bytes = Field(
        ByteSize(64 << 20), description="All messages of a session; a turn that has begun may go beyond it."
    )


class ConcurrencySettings(BaseModel):
    """How many calls of all owners one server process takes at once; what is beyond is refused at once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    streams: Positive = Field(12_000, description="Open streams, each about 35 KB; idle ones count.")
    calls: Positive = Field(1_000, description="Unary calls in work.")
    reserve: Positive = Field(100, description="Further places for CancelTurn and for operators.")

    @property
    def net(self) -> int:
        """Calls at which gRPC itself refuses, should these places ever be counted wrongly."""
        return 2 * (self.streams + self.calls + self.reserve)


class LimitSettings(BaseModel):
    """What one owner may do and have; the owner is whom the credential proves, whatever the connection."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    work_per_minute: Positive = Field(
        60, description="Inputs of one owner that start work, in any 60 s: user messages and resumes."
    )
    answers_per_minute: Positive = Field(
        1200,
        description=(
            "Other changes of one owner in any 60 s: tool results, decisions, answers, re-attachments and so on."
        ),
    )
    watches_per_minute: Positive = Field(120, description="Watches that one owner begins in any 60 s.")
    reads_per_minute: Positive = Field(600, description="Reads of one owner in any 60 s.")
    streams: Positive = Field(100, description="Open streams of one owner at one replica.")
    request_bytes: Bytes = Field(
        ByteSize(64 << 20),
        description="Requests of one owner that are in work at one replica, together; a larger one is let in alone.",
    )
    running_turns: Positive = Field(
        20, description="Turns of one owner that run at once, at all replicas; paused ones do not count."
    )
    sessions: Positive = Field(10_000, description="Sessions that one owner may have.")


class TurnSettings(BaseModel):
    """What one turn may use and how long it waits; times are seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model_calls: Positive = Field(50, description="Model calls of one turn; reaching it ends the turn.")
    tool_calls: Positive = Field(100, description="Tool calls of one turn; reaching it ends the turn.")
    agent_switches: Positive = Field(10, description="Agent switches of one turn; more end the turn.")
    running_time: PositiveSeconds = Field(1800.0, description="Time one turn may work; waiting does not count.")
    tokens: Positive | None = Field(None, description="Tokens of one turn; reaching it ends the turn. Unset: no limit.")
    session_model_calls: Positive | None = Field(
        None, description="Model calls of all turns of a session; reaching it ends the turn. Unset: no limit."
    )
    session_tokens: Positive | None = Field(
        None, description="Tokens of all turns of a session; reaching it ends the turn. Unset: no limit."
    )
    tool_result_wait: PositiveSeconds = Field(900.0, description="A turn waits this long for a tool's result.")
    approval_wait: PositiveSeconds = Field(300.0, description="An approval waits this long for a decision.")
    approval_expiry: Literal["reject", "wait", "release"] = Field(
        "reject",
        description=(
            "What then: `reject` does not run the call and goes on, `wait` never expires, `release` runs the call"
            " although nobody has said so, unless its tool always asks."
        ),
    )
    followup_wait: PositiveSeconds = Field(86400.0, description="A question waits this long for its answer.")


class ContextSettings(BaseModel):
    """How much models can read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    window: Positive = Field(
        128_000, description="Tokens that a model reads and writes in one call; a longer history is summarised."
    )
    windows: dict[str, Positive] = Field(
        {}, description='The same for models that differ, by name as JSON, such as `{"small": 8192}`.'
    )


class ResilienceSettings(BaseModel):
    """What is done about a model or a database that fails; times are seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model_fallbacks: tuple[FallbackRoute, ...] = Field(
        (),
        description=(
            "Models to ask while the first gives no answer, in this order: a JSON list of"
            ' `{"base_url", "model", "api_key", "profile"}`.'
        ),
    )
    model_attempts: Positive = Field(3, description="Requests for one answer, until its first piece has come.")
    model_retry_min_wait: PositiveSeconds = Field(2.0, description="Least wait before another attempt.")
    model_retry_max_wait: PositiveSeconds = Field(10.0, description="Longest, unless the provider asks for more.")
    model_retry_share: Share = Field(0.2, description="Retries of a minute, at most, as a share of its questions.")
    model_retry_floor: Positive = Field(3, description="Retries a minute that are always allowed.")
    model_circuit_failures: Positive = Field(5, description="Failures in a row after which a model is not asked.")
    model_circuit_open_time: PositiveSeconds = Field(60.0, description="How long not, until it is tried again.")
    database_circuit_failures: Positive = Field(5, description="Failures in a row after which calls are refused.")
    database_circuit_open_time: PositiveSeconds = Field(5.0, description="How long, until one call is let through.")


class RetentionSettings(BaseModel):
    """How long things are kept; times are seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    deltas: PositiveSeconds = Field(600.0, description="Text deltas after their turn ended; the messages stay.")
    requests: PositiveSeconds = Field(86400.0, description="Request ids, by which repeats are known.")
    deleted_sessions: PositiveSeconds = Field(2592000.0, description="The ids of deleted sessions stay taken.")
    audit_records: PositiveSeconds = Field(31536000.0, description="Records of who decided what, and which rule.")
