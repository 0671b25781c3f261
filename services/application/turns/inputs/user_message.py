"""A person speaks: a turn starts, or the question that is open is answered."""

from __future__ import annotations

from services.application.turns.inputs.accepted_input import AcceptedInput, Sender, record_input
from services.application.turns.inputs.followup_answer import answer_question
from services.application.turns.turn_limits import TurnLimits
from services.application.turns.turn_state import reserve_model_call
from services.domain.agent_context import SwitchSource
from services.domain.ids import new_id
from services.domain.input import Disposition, InputKind, UserMessage
from services.domain.message import Message, Role
from services.domain.session_change import HeadMove, SessionChange
from services.domain.session_events import TurnStarted
from services.domain.turn import Turn, TurnStartCause, TurnState


def accept_user_message(
    change: SessionChange, content: UserMessage, sender: Sender, limits: TurnLimits
) -> AcceptedInput:
    """Starts a turn, owned by the process that commits this; while a question is open, the message is its answer.

    Raises SessionInactiveError, SessionMessageLimitError, TurnInProgressError or SwitchLimitError.
    """
    turn = change.turn
    if turn is not None and turn.wait is not None and turn.wait.followup is not None:
        accepted = record_input(change, sender, InputKind.USER_MESSAGE, Disposition.CONTINUED, turn.id)
        _switch(change, content.agent, sender)
        answer_question(change, turn.wait.followup, content.text, limits)
        return accepted
    return _start_turn(change, content, sender, limits)


def _start_turn(change: SessionChange, content: UserMessage, sender: Sender, limits: TurnLimits) -> AcceptedInput:
    change.check_idle()
    change.session.check_can_take_message()
    turn_id = new_id("turn")
    accepted = record_input(change, sender, InputKind.USER_MESSAGE, Disposition.STARTED, turn_id)
    turn = Turn(
        id=turn_id,
        input_id=accepted.input_id,
        agent=change.context.current_agent,
        state=TurnState.RUNNING,
        create_time=change.now,
        correlation_id=change.correlation_id,
        principal=sender.principal,
    )
    change.turn = turn
    _switch(change, content.agent, sender)
    message = Message(id=new_id("msg"), role=Role.USER, content=content.text, create_time=change.now, turn_id=turn_id)
    change.add_message(message)
    started = TurnStarted(change.context.current_agent, TurnStartCause.USER_MESSAGE, accepted.input_id)
    change.append(started, turn_id=turn_id)
    if reserve_model_call(change, turn, limits):
        change.head_move = HeadMove.CLAIM
    return accepted


def _switch(change: SessionChange, agent: str | None, sender: Sender) -> None:
    """Makes the agent current that the message is for; naming the current one is no error here."""
    if agent is not None and agent != change.context.current_agent:
        change.switch_agent(
            agent, reason="the user's message names it", source=SwitchSource.USER, requested_by=sender.principal
        )
