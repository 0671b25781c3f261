"""An input on its way into a session: who sent it, and the marks it leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.domain.ids import new_id
from services.domain.input import Disposition, Input, InputKind, RejectedToolResult
from services.domain.session_change import SessionChange
from services.domain.session_events import InputAccepted


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends an input: the request id they chose (may be empty) and their name."""

    request_id: str
    principal: str


@dataclass(frozen=True, slots=True)
class AcceptedInput:
    """Where an input stands in the log: enough to find its stream again."""

    input_id: str
    turn_id: str
    sequence: int


def record_input(
    change: SessionChange,
    sender: Sender,
    kind: InputKind,
    disposition: Disposition,
    turn_id: str,
    rejected: Sequence[RejectedToolResult] = (),
) -> AcceptedInput:
    """Writes the InputAccepted with which everything the input does begins."""
    input_id = new_id("input")
    event = InputAccepted(input_id, sender.request_id, turn_id, disposition, tuple(rejected))
    sequence = change.append(event, turn_id=turn_id)
    change.inputs.append(
        Input(
            id=input_id,
            request_id=sender.request_id,
            kind=kind,
            turn_id=turn_id,
            disposition=disposition,
            principal=sender.principal,
            accepted_sequence=sequence,
            create_time=change.now,
        )
    )
    return AcceptedInput(input_id, turn_id, sequence)
