"""A tool call: from the model's wish to exactly one recorded result."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from services.domain.policies.tool_ordering import CallOutcome


class ToolCallState(StrEnum):
    """Where a call stands; SETTLED is final, in all other states its turn waits.

    HELD calls wait for a person's decision, WAITING ones for other calls of the same answer, OPEN ones for the client
    and ASKING ones for the user's answer to a question.
    """

    HELD = "HELD"
    WAITING = "WAITING"
    OPEN = "OPEN"
    ASKING = "ASKING"
    SETTLED = "SETTLED"


class ToolResultSource(StrEnum):
    """Where a result came from; SETTLED means the runtime closed a call that never ran."""

    CLIENT = "CLIENT"
    CACHE = "CACHE"
    RUNTIME = "RUNTIME"
    SETTLED = "SETTLED"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The record of one call; `id` is unique in its session.

    `arguments_json` is what runs; `original_arguments_json` is what the model wrote where a person edited it, and
    `note` is what the model must be told beside the result. A settled call has an outcome and, if the client sent the
    result, a digest of it and the input it came with, so that a repeat is known for one. `message_ordinal` and
    `position` say which call of which answer it is.
    """

    id: str
    turn_id: str
    message_id: str
    message_ordinal: int
    position: int
    batch_id: str
    name: str
    arguments_json: str
    agent: str
    state: ToolCallState
    create_time: datetime
    original_arguments_json: str | None = None
    note: str = ""
    expire_time: datetime | None = None
    outcome: CallOutcome | None = None
    result_digest: str = ""
    input_id: str = ""
    accepted_sequence: int = 0
