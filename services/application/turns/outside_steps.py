"""What ends or takes over a turn from outside: a cancel, a fault of ours, a wait that ran out, a process that died."""

from __future__ import annotations

from dataclasses import replace

from services.application.turns.batch_order import go_on
from services.application.turns.call_policy import CallPolicy
from services.application.turns.releasing import is_what_was_shown, release
from services.application.turns.settling import resolve, settle, settle_all
from services.application.turns.turn_flow import end_turn, fail_turn, start_waiting
from services.application.turns.turn_limits import TurnLimits
from services.application.turns.turn_state import active_turn, attempt_of, keep_partial_text
from services.domain.approval import Approval, ApprovalState
from services.domain.errors import ErrorReason
from services.domain.ids import new_id
from services.domain.policies.approval_rules import ALWAYS_ASK
from services.domain.policies.tool_ordering import CallOutcome
from services.domain.session_change import Lookup, SessionChange
from services.domain.session_events import AttemptRestarted, AttemptRestartReason, TurnCancelled
from services.domain.tool_call import ToolResultSource
from services.domain.turn import CancelCause, Followup, Turn, TurnFailure, TurnResumeCause, TurnState

EXPIRING = Lookup(client_tools=True, rules=True)
"""What must be loaded with the session to end its waits."""

_RELEASED = "[Nobody decided about this call in time; the operator's setting let it run.]"
_NOBODY_DECIDED = "Nobody decided about this call in time; it did not run. That is no refusal by a person."


def cancel_turn(change: SessionChange, *, cause: CancelCause, cancelled_by: str) -> None:
    """Ends the active turn, whoever runs it: keeps the text so far, settles what is open, locks the running process
    out.
    """
    turn = active_turn(change)
    keep_partial_text(change, turn, change.loaded.draft_text)
    settle_all(change, turn, "not run: the turn was cancelled")
    change.append(TurnCancelled(cause, cancelled_by), turn_id=turn.id)
    end_turn(change, replace(turn, state=TurnState.CANCELLED, cancel_cause=cause, cancelled_by=cancelled_by))


def fail_internally(change: SessionChange) -> None:
    """Something of ours went wrong in this turn: it ends with a fixed text, the session stays usable."""
    turn = active_turn(change)
    keep_partial_text(change, turn, change.loaded.draft_text)
    settle_all(change, turn, "not run: the turn failed")
    fail_turn(change, turn, TurnFailure(ErrorReason.INTERNAL, "internal error", resumable=True))


def expire_waits(change: SessionChange, limits: TurnLimits, policy: CallPolicy) -> None:
    """Ends every wait of a paused turn that has run out, by the database's clock; stages nothing if none has.

    A message that waited for a place, where no turn is active, starts its turn if there is one now.
    An approval that nobody decided settles its call, or lets it run where the operator wants that, and the turn goes
    on; a result or an answer that never came ends the turn without another model call.
    """
    turn, now = change.turn, change.loaded.deadline_now
    if turn is None:
        start_waiting(change)
        return
    if turn.wait is None or turn.wait.expire_time is None or turn.wait.expire_time > now:
        return
    change.correlation_id = turn.correlation_id
    followup = turn.wait.followup
    late = [call for call in change.batch if call.expire_time is not None and call.expire_time <= now]
    if late or (followup is not None and followup.expire_time <= now):
        settle_all(change, turn, "not run: nobody answered in time")
        waited_for = "the result of a tool call" if late else "the answer to a question"
        fail_turn(change, turn, TurnFailure(ErrorReason.WAIT_EXPIRED, f"{waited_for} did not come in time"))
        return
    for approval in change.pending_approvals:
        if approval.expire_time is not None and approval.expire_time <= now:
            turn, followup = _expire(change, turn, approval, followup, limits, policy)
    go_on(change, turn, limits, followup=followup, cause=TurnResumeCause.EXPIRY)


def _expire(
    change: SessionChange,
    turn: Turn,
    approval: Approval,
    followup: Followup | None,
    limits: TurnLimits,
    policy: CallPolicy,
) -> tuple[Turn, Followup | None]:
    """Ends one approval that nobody decided; returns the turn, and the question that is open then."""
    call = next(call for call in change.batch if call.id == approval.tool_call_id)
    released = (
        limits.release_expired
        and approval.tool_name not in ALWAYS_ASK
        and is_what_was_shown(change, approval, call)
        and policy.refusal_now(call, change.loaded.client_tools, change.loaded.rules) is None
    )
    resolve(change, approval, ApprovalState.EXPIRED, released=released)
    if released:
        return release(change, turn, call, followup, limits, note=_RELEASED)
    settle(change, call, _NOBODY_DECIDED, CallOutcome.REJECTED, ToolResultSource.SETTLED)
    return turn, followup


def recover_turn(change: SessionChange, *, unattended: bool = False) -> None:
    """Nobody runs this turn any more: its unfinished model call is announced as void and made again.

    Stages nothing when another process was faster. `unattended` says that the caller owns the session and knows that it
    does not run the turn.
    """
    if change.turn is None or change.turn.state is not TurnState.RUNNING:
        return
    if not (change.loaded.orphaned or unattended):
        return
    turn, lost = change.turn, attempt_of(change.turn)
    change.correlation_id = turn.correlation_id
    again = replace(lost, number=lost.number + 1, message_id=new_id("msg"))
    change.append(AttemptRestarted(lost.message_id, again.number, AttemptRestartReason.RECOVERY), turn_id=turn.id)
    change.turn = replace(turn, attempt=again)
