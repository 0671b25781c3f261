"""Takes an input of any kind into a session."""

from __future__ import annotations

from services.application.turns.call_policy import CallPolicy
from services.application.turns.inputs.accepted_input import AcceptedInput, Sender, check_expected_turn
from services.application.turns.inputs.approval_decision import accept_approval_decision
from services.application.turns.inputs.followup_answer import accept_followup_answer
from services.application.turns.inputs.resume import accept_resume
from services.application.turns.inputs.tool_results import accept_tool_results
from services.application.turns.inputs.user_message import accept_user_message
from services.application.turns.turn_limits import TurnLimits
from services.domain.input import (
    ApprovalDecision,
    BusyPolicy,
    FollowupAnswer,
    InputContent,
    Resume,
    ToolResults,
    UserMessage,
)
from services.domain.session_change import Lookup, SessionChange


def lookup_for(content: InputContent) -> Lookup:
    """What must be loaded with the session to take this input."""
    match content:
        case ToolResults(results):
            return Lookup(call_ids=tuple(result.tool_call_id for result in results))
        case ApprovalDecision(approval_id=approval_id):
            return Lookup(approval_ids=(approval_id,), client_tools=True, rules=True)
        case UserMessage(busy_policy=BusyPolicy.INTERRUPT):
            return Lookup(draft_text=True, running_turns=True)
        case UserMessage():
            return Lookup(running_turns=True)
        case Resume():
            return Lookup(last_turn=True, running_turns=True)
        case _:
            return Lookup()


def accept(
    change: SessionChange, content: InputContent, sender: Sender, policy: CallPolicy, limits: TurnLimits
) -> AcceptedInput:
    """Stages everything the input does; see the function of its kind for what is raised.

    Raises TurnNotActiveError when the sender expects another turn to be active.
    """
    check_expected_turn(change, sender)
    match content:
        case UserMessage():
            return accept_user_message(change, content, sender, limits)
        case ToolResults():
            return accept_tool_results(change, content, sender, limits)
        case ApprovalDecision():
            return accept_approval_decision(change, content, sender, policy, limits)
        case FollowupAnswer():
            return accept_followup_answer(change, content, sender, limits)
        case Resume():
            return accept_resume(change, content, sender, limits)
