"""Going on with a turn that the caller's limits have paused, or with the work of one that failed and left it open."""

from __future__ import annotations

from dataclasses import replace

from services.application.turns.batch_order import go_on
from services.application.turns.inputs.accepted_input import AcceptedInput, Sender, place_of, record_input
from services.application.turns.running_turns_limit import check_running_turns
from services.application.turns.turn_flow import start_turn
from services.application.turns.turn_limits import TurnLimits
from services.domain.errors import NothingToResumeError
from services.domain.ids import new_id
from services.domain.input import Disposition, InputKind, Resume
from services.domain.session_change import SessionChange
from services.domain.turn import Turn, TurnResumeCause, TurnStartCause, Wait, WaitingFor


def accept_resume(change: SessionChange, content: Resume, sender: Sender, limits: TurnLimits) -> AcceptedInput:
    """Lets a turn that waits for BUDGET go on, or starts a new one where the last one failed; nothing is repeated.

    The caller's limits count anew. Raises SessionInactiveError, TurnInProgressError, and NothingToResumeError when no
    turn waits for BUDGET and the last one did not fail, or not in a way that can be resumed; TooManyTurnsError.
    """
    turn = change.turn
    if turn is not None and turn.wait is not None and WaitingFor.BUDGET in turn.wait.reasons:
        check_running_turns(change)
        return _continue(change, turn, turn.wait, content, sender, limits)
    change.check_idle()
    change.session.check_active()
    last = change.loaded.last_turn
    if last is None or last.failure is None or not last.failure.resumable:
        raise NothingToResumeError("the last turn of the session did not fail in a way that can be resumed")
    check_running_turns(change)
    accepted = record_input(change, sender, InputKind.RESUME, Disposition.STARTED, new_id("turn"))
    start_turn(change, accepted, None, TurnStartCause.RESUME, limits=content.limits or last.limits, resumed=last)
    return place_of(accepted)


def _continue(
    change: SessionChange, turn: Turn, wait: Wait, content: Resume, sender: Sender, limits: TurnLimits
) -> AcceptedInput:
    accepted = record_input(change, sender, InputKind.RESUME, Disposition.CONTINUED, turn.id)
    turn = replace(turn, limits=content.limits or turn.limits, counted_from=turn.spent(turn.running_time))
    go_on(change, turn, limits, followup=wait.followup, cause=TurnResumeCause.RESUME)
    return place_of(accepted)
