"""Going on with the work of a turn that failed and left it open."""

from __future__ import annotations

from services.application.turns.inputs.accepted_input import AcceptedInput, Sender, place_of, record_input
from services.application.turns.turn_flow import start_turn
from services.domain.errors import NothingToResumeError
from services.domain.ids import new_id
from services.domain.input import Disposition, InputKind
from services.domain.session_change import SessionChange
from services.domain.turn import TurnStartCause


def accept_resume(change: SessionChange, sender: Sender) -> AcceptedInput:
    """Starts a new turn that takes up the stored history where the last turn failed; nothing recorded is repeated.

    Raises SessionInactiveError, TurnInProgressError, and NothingToResumeError when the last turn did not fail, or not
    in a way that allows it.
    """
    change.check_idle()
    change.session.check_active()
    last = change.loaded.last_turn
    if last is None or last.failure is None or not last.failure.resumable:
        raise NothingToResumeError("the last turn of the session did not fail in a way that can be resumed")
    accepted = record_input(change, sender, InputKind.RESUME, Disposition.STARTED, new_id("turn"))
    start_turn(change, accepted, None, TurnStartCause.RESUME, resumed=last)
    return place_of(accepted)
