"""An input: what a client sent, accepted once, and the turn it belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


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
