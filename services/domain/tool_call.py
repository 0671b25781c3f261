"""A tool call: from the model's wish to exactly one recorded result."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ToolCallState(StrEnum):
    """OPEN calls wait for their one result; a SETTLED one has it."""

    OPEN = "OPEN"
    SETTLED = "SETTLED"


class ToolResultSource(StrEnum):
    """Where a result came from; SETTLED means the runtime closed a call that nobody answered."""

    CLIENT = "CLIENT"
    CACHE = "CACHE"
    RUNTIME = "RUNTIME"
    SETTLED = "SETTLED"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The record of one call. `arguments_json` is what runs; `id` is unique in its session."""

    id: str
    turn_id: str
    message_id: str
    batch_id: str
    position: int
    name: str
    arguments_json: str
    agent: str
    state: ToolCallState
    create_time: datetime
    expire_time: datetime | None = None
