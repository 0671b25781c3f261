"""Settings that belong together: sizes, what a turn may use, how long things are kept."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ByteSize, ConfigDict, Field

PositiveSeconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Bytes = Annotated[ByteSize, Field(gt=0)]
Positive = Annotated[int, Field(gt=0)]


class Sizes(BaseModel):
    """The largest a thing may be, in bytes; `256KiB` and `1MiB` are understood."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    grpc_message: Bytes = Field(ByteSize(8 << 20), description="One gRPC message, each way.")
    user_message: Bytes = Field(ByteSize(256 << 10), description="The text of one user message.")
    tool_result: Bytes = Field(ByteSize(1 << 20), description="The result of one tool call.")


class TurnSettings(BaseModel):
    """What one turn may use and how long it waits; times are seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model_calls: Positive = Field(50, description="Model calls of one turn; reaching it ends the turn.")
    tool_calls: Positive = Field(100, description="Tool calls of one turn; reaching it ends the turn.")
    agent_switches: Positive = Field(10, description="Agent switches of one turn; more end the turn.")
    running_time: PositiveSeconds = Field(1800.0, description="Time one turn may work; waiting does not count.")
    tool_result_wait: PositiveSeconds = Field(900.0, description="A turn waits this long for a tool's result.")
    approval_wait: PositiveSeconds = Field(300.0, description="An approval waits this long for a decision.")
    approval_expiry: Literal["reject", "wait"] = Field(
        "reject", description="What then: `reject` does not run the call and goes on, `wait` never expires."
    )
    followup_wait: PositiveSeconds = Field(86400.0, description="A question waits this long for its answer.")


class RetentionSettings(BaseModel):
    """How long things are kept; times are seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    deltas: PositiveSeconds = Field(600.0, description="Text deltas after their turn ended; the messages stay.")
    requests: PositiveSeconds = Field(86400.0, description="Request ids, by which repeats are known.")
    deleted_sessions: PositiveSeconds = Field(2592000.0, description="The ids of deleted sessions stay taken.")
