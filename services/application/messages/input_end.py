"""Where the stream of one input ends: with the first pause or end of the turn it belongs to, whichever that becomes."""

from __future__ import annotations

from services.application.event_stream import Gap, GapReason
from services.application.turns.inputs.accepted_input import AcceptedInput
from services.application.turns.turn_flow import INPUT_ID
from services.domain.session_events import (
    TERMINAL,
    InputAccepted,
    InputWithdrawn,
    MessageAdded,
    SessionEvent,
    TurnPaused,
    TurnStarted,
)


class InputEnd:
    """Looks at the events of one stream, in order, and says which is the last.

    A message that waits belongs to no turn yet, or to one that may end before it is taken; then to the turn it starts.
    """

    def __init__(self, accepted: AcceptedInput, *, turn_id: str, taken: bool, detach: bool) -> None:
        self._input_id = accepted.input_id
        self._turn_id = turn_id
        self._taken = taken
        self._detach = detach

    def __call__(self, item: SessionEvent | Gap) -> bool:
        if isinstance(item, Gap):
            return item.reason is GapReason.CLEARED  # only ended turns are cleared
        match item.payload:
            case InputAccepted(input_id=input_id) if input_id == self._input_id:
                return self._detach
            case InputWithdrawn(input_id) if input_id == self._input_id:
                return True
            case TurnStarted(input_id=input_id) if input_id == self._input_id:
                self._belongs_to(item)
            case MessageAdded(message) if message.metadata.get(INPUT_ID) == self._input_id:
                self._belongs_to(item)
        if not self._turn_id or item.turn_id != self._turn_id:
            return False
        return isinstance(item.payload, TurnPaused) or (self._taken and isinstance(item.payload, TERMINAL))

    def _belongs_to(self, event: SessionEvent) -> None:
        self._turn_id, self._taken = event.turn_id or "", True
