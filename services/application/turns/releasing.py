"""Letting a call run that waited for a decision, with exactly the arguments that were decided on."""

from __future__ import annotations

import hmac
from dataclasses import replace

from services.application.turns.runtime_tools import ask_question, switch_mode
from services.application.turns.turn_limits import TurnLimits
from services.domain.approval import Approval
from services.domain.policies.arguments import arguments_hash, parse_arguments
from services.domain.session_change import SessionChange
from services.domain.tool import ASK_FOLLOWUP_QUESTION, SWITCH_MODE
from services.domain.tool_call import ToolCall, ToolCallState
from services.domain.turn import Followup, Turn


def is_what_was_shown(change: SessionChange, approval: Approval, call: ToolCall) -> bool:
    """Whether the call is still the one that the approval is about, to the last character."""
    return hmac.compare_digest(approval.arguments_hash, hash_of(change, approval, call.arguments_json))


def hash_of(change: SessionChange, approval: Approval, arguments_json: str) -> str:
    """What the approval would be bound to if its call had these arguments."""
    arguments = parse_arguments(arguments_json)
    return arguments_hash(
        approval.tool_name, arguments, change.session.id, approval.tool_call_id, approval.policy_version
    )


def release(
    change: SessionChange, turn: Turn, call: ToolCall, followup: Followup | None, limits: TurnLimits, *, note: str
) -> tuple[Turn, Followup | None]:
    """Lets the call run: by the runtime at once, by the client when its turn in the batch comes.

    `note` is what the model is told beside the result, `followup` the question that is open; returns the turn, and the
    question that is open then.
    """
    call = replace(call, state=ToolCallState.WAITING, note=note)
    change.tool_calls[call.id] = call
    if call.name == SWITCH_MODE:
        turn = switch_mode(change, turn, call, parse_arguments(call.arguments_json))
    elif call.name == ASK_FOLLOWUP_QUESTION:
        followup = ask_question(change, call, parse_arguments(call.arguments_json), followup, limits)
    return turn, followup
