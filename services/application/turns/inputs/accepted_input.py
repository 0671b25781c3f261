"""An input on its way into a session: who sent it, and the marks it leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.domain.errors import TurnNotActiveError
from services.domain.ids import new_id
from services.domain.input import Disposition, Input, InputKind, InputState, RejectedToolResult, UserMessage
from services.domain.session_change import SessionChange
from services.domain.session_events import InputAccepted, InputWithdrawn


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends an input: the request id they chose (may be empty), their name, and the turn they mean (empty: any).

    `traceparent` is that of the call, in the format of W3C.
    """

    request_id: str
    principal: str
    expected_turn_id: str = ""
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class AcceptedInput:
    """Where an input stands in the log: enough to find its stream again. `turn_id` is empty while it has no turn."""

    input_id: str
    turn_id: str
    sequence: int
    disposition: Disposition = Disposition.CONTINUED


def check_expected_turn(change: SessionChange, sender: Sender) -> None:
    """Raises TurnNotActiveError when the sender means another turn than the one that is active."""
    active = change.turn.id if change.turn is not None and change.turn.state.is_active else ""
    if sender.expected_turn_id and sender.expected_turn_id != active:
        metadata = {"turn_id": active} if active else {}
        raise TurnNotActiveError("the expected turn is not the active one", metadata=metadata)


def record_input(
    change: SessionChange,
    sender: Sender,
    kind: InputKind,
    disposition: Disposition,
    turn_id: str,
    *,
    rejected: Sequence[RejectedToolResult] = (),
    waiting: UserMessage | None = None,
) -> Input:
    """Writes the InputAccepted with which everything the input does begins; `waiting` is a message that has to wait."""
    accepted = Input(
        id=new_id("input"),
        request_id=sender.request_id,
        kind=kind,
        turn_id=turn_id,
        disposition=disposition,
        principal=sender.principal,
        accepted_sequence=change.last_sequence + 1,
        create_time=change.now,
        state=InputState.TAKEN if waiting is None else InputState.PENDING,
        message=waiting,
        taken_sequence=0 if waiting is not None else change.last_sequence + 1,
        correlation_id=change.correlation_id,
        traceparent=sender.traceparent,
    )
    change.inputs[accepted.id] = accepted
    position = next((n for n, each in enumerate(change.pending_inputs, 1) if each.id == accepted.id), 0)
    event = InputAccepted(accepted.id, sender.request_id, turn_id, disposition, tuple(rejected), position)
    change.append(event, turn_id=turn_id or None)
    return accepted


def withdraw_input(change: SessionChange, pending: Input) -> None:
    """Takes back a message that waits: it will never be said."""
    sequence = change.append(InputWithdrawn(pending.id))
    change.inputs[pending.id] = replace(pending, state=InputState.WITHDRAWN, taken_sequence=sequence)


def place_of(accepted: Input) -> AcceptedInput:
    """Where the input stands in the log."""
    return AcceptedInput(accepted.id, accepted.turn_id, accepted.accepted_sequence, accepted.disposition)
