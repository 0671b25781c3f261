"""A person answers the question that is open."""

from __future__ import annotations

from services.application.turns.batch_order import go_on
from services.application.turns.inputs.accepted_input import AcceptedInput, Sender, place_of, record_input
from services.application.turns.settling import settle
from services.application.turns.turn_limits import TurnLimits
from services.application.turns.turn_state import active_turn
from services.domain.errors import InvalidArgumentError, TurnNotActiveError
from services.domain.input import Disposition, FollowupAnswer, InputKind
from services.domain.policies.tool_ordering import CallOutcome
from services.domain.session_change import SessionChange
from services.domain.tool_call import ToolResultSource
from services.domain.turn import Followup, TurnResumeCause


def accept_followup_answer(
    change: SessionChange, content: FollowupAnswer, sender: Sender, limits: TurnLimits
) -> AcceptedInput:
    """Raises TurnNotActiveError when no such question is open, InvalidArgumentError for an answer it does not take."""
    turn = change.turn
    followup = turn.wait.followup if turn is not None and turn.wait is not None else None
    if turn is None or followup is None or followup.id != content.followup_id:
        metadata = {"turn_id": turn.id} if turn is not None else {}
        raise TurnNotActiveError("no such question is open in this session", metadata=metadata)
    text = _text_of(followup, content)
    accepted = record_input(change, sender, InputKind.FOLLOWUP_ANSWER, Disposition.CONTINUED, turn.id)
    answer_question(change, followup, text, limits)
    return place_of(accepted)


def answer_question(change: SessionChange, followup: Followup, text: str, limits: TurnLimits) -> None:
    """Gives the call that asked its result; the turn goes on unless something else is still open."""
    for call in change.batch:
        if call.id == followup.tool_call_id:
            settle(change, call, text, CallOutcome.SUCCEEDED, ToolResultSource.RUNTIME)
    go_on(change, active_turn(change), limits, cause=TurnResumeCause.FOLLOWUP)


def _text_of(followup: Followup, content: FollowupAnswer) -> str:
    if content.option_id is None:
        if not followup.free_text_allowed:
            raise InvalidArgumentError.of("followup_answer.text", "this question takes one of its options only")
        return content.text or ""
    for option in followup.options:
        if option.id == content.option_id:
            return option.label
    known = ", ".join(option.id for option in followup.options)
    raise InvalidArgumentError.of("followup_answer.option_id", f"must be one of {known}")
